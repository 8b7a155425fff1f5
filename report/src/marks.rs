//! What happened in the measured time, as charts mark it.

use std::time::Duration;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mark {
    /// When, in seconds after the start of the measured time.
    pub(super) from_s: f64,
    /// When it was over, of what lasts.
    pub(super) to_s: Option<f64>,
    pub(super) words: String,
}

impl Mark {
    /// `1s cut`, which is so from then on; `1s market stalls 500ms`, which lasts.
    pub(super) fn of(change: &str) -> Option<Mark> {
        let (at, what) = change.split_once(' ')?;
        let time = |words: &str| humantime::parse_duration(words).ok();
        let after = time(at)?;
        let lasting = what.rsplit_once(' ').filter(|_| what.starts_with("market"));
        let (words, end) =
            match lasting.and_then(|(words, lasts)| Some((words, after.checked_add(time(lasts)?)?))) {
                Some((words, end)) => (words, Some(end)),
                None => (what, None),
            };
        let to_s = end.map(|end: Duration| end.as_secs_f64());
        Some(Mark { from_s: after.as_secs_f64(), to_s, words: words.to_owned() })
    }

    /// For whoever does not see it: `at 0.2 market stalls, until 0.4`.
    pub(super) fn in_words(&self) -> String {
        let until = self.to_s.map_or_else(String::new, |to| format!(", until {to}"));
        format!("at {} {}{until}", self.from_s, self.words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_a_link_goes_on_and_a_trouble_of_a_market_ends() {
        let cut = Mark::of("1s cut").unwrap();
        assert_eq!((cut.from_s, cut.to_s, &cut.words[..]), (1.0, None, "cut"));
        let slow = Mark::of("200ms market.2 slows 100x 500ms").unwrap();
        assert_eq!((slow.from_s, slow.to_s, &slow.words[..]), (0.2, Some(0.7), "market.2 slows 100x"));
        assert_eq!(slow.in_words(), "at 0.2 market.2 slows 100x, until 0.7");
        assert_eq!(Mark::of("cut"), None);
        let endless = Mark::of("18446744073709551615s market stalls 1s").unwrap();
        assert_eq!(endless.to_s, None);
    }
}
