//! What changes in the measured time: the link, and the market.

use std::time::Duration;

use crate::ways::{self, Ways};

/// Behind the time of a change of the market.
const MARKET: &str = "market stalls ";

/// Changes, by when they come after the start of the measured time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// What the link does from then on.
    pub link: Vec<(Duration, Ways)>,
    /// When the market begins no work, and for how long.
    pub stalls: Vec<(Duration, Duration)>,
}

impl Changes {
    /// Reads changes at times: `5s loss=10%` of a link, each of it as the one before left it, and
    /// `1s market stalls 500ms`. Without a link there are those of the market alone.
    ///
    /// # Errors
    /// Where one is no time and change, with what there is.
    pub fn parse(words: &[String], link: Option<Ways>) -> Result<Changes, String> {
        let mut changes = Changes::default();
        let mut of_link = Vec::new();
        for change in words {
            match change.split_once(' ').and_then(|(after, what)| Some((after, what.strip_prefix(MARKET)?))) {
                Some((after, span)) => {
                    let time = |time: &str| {
                        humantime::parse_duration(time).map_err(|error| {
                            format!("'{change}': write two times, such as '1s market stalls 500ms' ({error})")
                        })
                    };
                    changes.stalls.push((time(after)?, time(span)?));
                }
                None => of_link.push(change.clone()),
            }
        }
        if !of_link.is_empty() {
            let link = link.ok_or_else(|| NEEDS_A_LINK.to_owned())?;
            changes.link = ways::parse_changes(&of_link, link).map_err(|error| error.to_string())?;
        }
        Ok(changes)
    }

    /// When each comes.
    pub fn times(&self) -> impl Iterator<Item = Duration> {
        self.link.iter().map(|(after, _)| *after).chain(self.stalls.iter().map(|(after, _)| *after))
    }
}

/// What is missing where a link changes that has no router.
const NEEDS_A_LINK: &str = "changes of a link need one with delay, loss or a rate: give the scenario one, such as link = \"rtt=1ms\"; \
     the market has '1s market stalls 500ms'";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_the_links_or_the_markets() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let link = ways::parse("rtt=1ms", None).unwrap();
        let second = Duration::from_secs(1);
        let both =
            Changes::parse(&words(&["1s cut", "1s market stalls 500ms", "2s mended"]), Some(link)).unwrap();
        assert_eq!((both.link.len(), both.stalls), (2, vec![(second, second / 2)]));
        assert!(both.link[0].1.up.down && !both.link[1].1.up.down);
        let alone = Changes::parse(&words(&["1s market stalls 500ms"]), None).unwrap();
        assert_eq!(alone.times().collect::<Vec<_>>(), [second]);
        for (wrong, said) in [
            ("1s cut", "need one with delay"),
            ("1s market stalls", "need one"),
            ("x market stalls 1s", "two times"),
        ] {
            let error = Changes::parse(&words(&[wrong]), None).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
