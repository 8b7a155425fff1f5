//! What changes in the measured time: the link, and the market.

use std::time::Duration;

use crate::REPLICAS_MAX;
use crate::ways::{self, Ways};

/// Behind the time of a change of the market.
const MARKET: &str = "market";
/// The most that a market is slowed.
const SLOWER_MAX: f64 = 10_000.0;
/// When a trouble begins, and how long it lasts, at most: what can be added up.
const TIME_MAX: Duration = Duration::from_hours(24);
/// Markets of a contender, at most.
const MARKETS_MAX: usize = REPLICAS_MAX;

/// Changes, by when they come after the start of the measured time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// What the link does from then on.
    pub link: Vec<(Duration, Ways)>,
    /// What happens to the market.
    pub market: Vec<Trouble>,
}

/// Something that happens to the market for a while.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trouble {
    /// Which market it happens to, from 1; `None` for all.
    pub market: Option<usize>,
    /// When it begins, after the start of the measured time.
    pub after: Duration,
    /// How long it lasts.
    pub lasts: Duration,
    /// What happens.
    pub kind: TroubleKind,
}

/// What happens to the market.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TroubleKind {
    /// It begins no work: calls wait for the end.
    Stalls,
    /// It answers every call with "unavailable", at once.
    Fails,
    /// Its handler waits so many times as long.
    Slows(f64),
    /// Its process is killed, with everybody's connections; after that time another listens there.
    Dies,
    /// Its process is stopped (SIGSTOP): connections stay, and nothing moves.
    Freezes,
    /// It is not on the list of markets, and still serves who calls it.
    Leaves,
}

impl TroubleKind {
    /// Whether it happens in the market, which is told of it; the others happen to it.
    pub fn is_inside(self) -> bool {
        matches!(self, TroubleKind::Stalls | TroubleKind::Fails | TroubleKind::Slows(_))
    }
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
                Some((after, what)) => {
                    let trouble = Trouble::parse(after, what);
                    changes.market.push(trouble.ok_or_else(|| format!("'{change}': {THERE_IS}"))?);
                }
                None => of_link.push(change.clone()),
            }
        }
        if !of_link.is_empty() {
            let link = link.ok_or_else(|| format!("{NEEDS_A_LINK} {THERE_IS}"))?;
            changes.link = ways::parse_changes(&of_link, link).map_err(|error| error.to_string())?;
        }
        Ok(changes)
    }

    /// What happens to markets, of changes that may be of a link too; nothing where one cannot be
    /// read.
    pub fn troubles(words: &[String]) -> Vec<Trouble> {
        let of_market: Vec<String> =
            words.iter().filter(|change| Changes::is_of_market(change)).cloned().collect();
        Changes::parse(&of_market, None).map(|changes| changes.market).unwrap_or_default()
    }

    /// What happens first to one of several markets.
    pub fn first_of_one(words: &[String]) -> Option<Trouble> {
        let of_one = Changes::troubles(words).into_iter().filter(|trouble| trouble.market.is_some());
        of_one.min_by_key(|trouble| trouble.after)
    }

    /// Whether these words are a change of a market.
    pub fn is_of_market(change: &str) -> bool {
        change.split_once(' ').is_some_and(|(_, what)| what.starts_with(MARKET))
    }

    /// When the last trouble of a market ends, where there is one.
    pub fn troubles_end(&self) -> Option<Duration> {
        self.market.iter().map(Trouble::end).max()
    }

    /// When each comes.
    pub fn times(&self) -> impl Iterator<Item = Duration> {
        self.link.iter().map(|(after, _)| *after).chain(self.market.iter().map(|trouble| trouble.after))
    }
}

impl Trouble {
    /// When it is over, after the start of the measured time.
    pub fn end(&self) -> Duration {
        self.after + self.lasts
    }

    /// Whether it happens to this market, counted from 1.
    pub fn is_of(&self, nth: usize) -> bool {
        self.market.is_none_or(|market| market == nth)
    }

    /// Whether one goes on while the other does, at the same market.
    pub fn overlaps(&self, other: &Trouble) -> bool {
        let same = self.market.is_none_or(|market| other.is_of(market));
        same && self.after <= other.end() && other.after <= self.end()
    }

    fn parse(after: &str, what: &str) -> Option<Trouble> {
        let (market, what) = what.split_once(' ')?;
        let market = match market.strip_prefix('.') {
            None if market.is_empty() => None,
            Some(nth) => Some(nth.parse().ok().filter(|nth| (1..=MARKETS_MAX).contains(nth))?),
            None => return None,
        };
        let words: Vec<&str> = what.split(' ').collect();
        let (kind, lasts) = match words[..] {
            ["stalls", lasts] => (TroubleKind::Stalls, lasts),
            ["fails", lasts] => (TroubleKind::Fails, lasts),
            ["dies", lasts] => (TroubleKind::Dies, lasts),
            ["freezes", lasts] => (TroubleKind::Freezes, lasts),
            ["leaves", lasts] => (TroubleKind::Leaves, lasts),
            ["slows", times, lasts] => (TroubleKind::Slows(times_as_long(times)?), lasts),
            _ => return None,
        };
        let time = |time: &str| humantime::parse_duration(time).ok().filter(|time| *time <= TIME_MAX);
        Some(Trouble { market, after: time(after)?, lasts: time(lasts)?, kind })
    }
}

/// `100x`.
fn times_as_long(words: &str) -> Option<f64> {
    let times = words.strip_suffix('x')?.parse().ok()?;
    (1.0..=SLOWER_MAX).contains(&times).then_some(times)
}

const THERE_IS: &str = "the market stalls, fails, dies or freezes, as in '1s market stalls 500ms', or '1s market slows 100x 500ms'; of several markets one is 'market.2', and it leaves the list too";

/// What is missing where a link changes that has no router.
const NEEDS_A_LINK: &str = "changes of a link need one with delay, loss or a rate: give the scenario one, such as link = \"rtt=1ms\";";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_the_links_or_the_markets() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let link = ways::parse("rtt=1ms", None).unwrap();
        let second = Duration::from_secs(1);
        let stall = Trouble { market: None, after: second, lasts: second / 2, kind: TroubleKind::Stalls };
        let both =
            Changes::parse(&words(&["1s cut", "1s market stalls 500ms", "2s mended"]), Some(link)).unwrap();
        assert_eq!((both.link.len(), both.market), (2, vec![stall]));
        assert!(both.link[0].1.up.down && !both.link[1].1.up.down);
        let alone = ["stalls", "fails", "slows 2.5x", "dies", "freezes", "leaves"]
            .map(|what| format!("1s market {what} 500ms"));
        let alone = Changes::parse(&alone, None).unwrap();
        assert_eq!(alone.times().collect::<Vec<_>>(), [second; 6]);
        let kinds = [
            TroubleKind::Stalls,
            TroubleKind::Fails,
            TroubleKind::Slows(2.5),
            TroubleKind::Dies,
            TroubleKind::Freezes,
            TroubleKind::Leaves,
        ];
        assert_eq!(alone.market, kinds.map(|kind| Trouble { kind, ..stall }));
        let second = Changes::parse(&words(&["1s market.2 stalls 500ms"]), None).unwrap();
        assert_eq!(second.market, [Trouble { market: Some(2), ..stall }]);
        let first = words(&["3s market.1 dies 1s", "1s cut", "2s market.2 leaves 2s", "1s market fails 1s"]);
        assert_eq!(Changes::troubles(&first).len(), 3);
        let leaves = Changes::first_of_one(&first).unwrap();
        assert_eq!((leaves.market, leaves.kind), (Some(2), TroubleKind::Leaves));
        let [dies, _, fails] = Changes::troubles(&first)[..] else { panic!("three troubles") };
        assert!(!dies.overlaps(&leaves) && leaves.overlaps(&fails) && !dies.overlaps(&fails));
        for (wrong, said) in [
            ("1s market.9 stalls 1s", "'market.2'"),
            ("1s markets stalls 1s", "'market.2'"),
            ("1s cut", "need one with delay"),
            ("1s market stalls", "market stalls 500ms'"),
            ("1s market dies", "dies or freezes"),
            ("1s market slows 0x 1s", "market slows 100x 500ms'"),
            ("1s market slows 1s", "market slows 100x 500ms'"),
            ("x market stalls 1s", "market stalls 500ms'"),
            ("18446744073709551615s market stalls 1s", "market stalls 500ms'"),
        ] {
            let error = Changes::parse(&words(&[wrong]), None).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
