//! How a client spreads its calls over the markets that it knows, and when it leaves one out. Pure:
//! time and chance are arguments.

use std::time::Duration;

use crate::text;

/// The time in which an old estimate of a market's latency loses all but 1/e of its weight. (Tower
/// and Finagle have ten seconds; times are scaled down here.)
const LATENCY_REMEMBERED: Duration = Duration::from_secs(1);

/// The longest time that can be asked for: what can be added up.
const TIME_MAX: Duration = Duration::from_hours(24);

/// How a client spreads its calls.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Balance {
    /// How it picks a market for each call.
    pub picker: Picker,
    /// How often it fetches the list of markets anew.
    pub refresh_every: Duration,
    /// When it leaves out a market that is on the list; `None` for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ejection: Option<Ejection>,
}

/// How a market is picked for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Picker {
    /// Each in turn.
    RoundRobin,
    /// The one with the fewest calls in flight, those of this client.
    LeastInFlight,
    /// Of two by chance, the one with fewer calls in flight (Mitzenmacher, "The Power of Two
    /// Choices in Randomized Load Balancing", 2001).
    TwoChoices,
    /// Of two by chance, the one whose latency times its calls in flight is less; a latency counts
    /// at once where it is a peak, and is forgotten slowly (Finagle's and tower's peak EWMA).
    TwoChoicesByLatency,
}

impl Picker {
    fn in_words(self) -> &'static str {
        match self {
            Picker::RoundRobin => "round robin",
            Picker::LeastInFlight => "least in flight",
            Picker::TwoChoices => "two choices",
            Picker::TwoChoicesByLatency => "two choices by latency",
        }
    }
}

/// When a market is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Ejection {
    /// Calls that failed one after the other.
    pub failures: u32,
    /// For how long.
    pub lasts: Duration,
}

impl Ejection {
    /// Reads `5 failures, 500ms`.
    ///
    /// # Errors
    /// In words, with what there is.
    pub fn parse(words: &str) -> Result<Ejection, String> {
        let read = || {
            let (failures, lasts) = words.split_once(", ")?;
            let failures = failures.strip_suffix(" failures").or(failures.strip_suffix(" failure"))?;
            let (failures, lasts) = (failures.parse().ok()?, humantime::parse_duration(lasts).ok()?);
            let right = failures > 0 && !lasts.is_zero() && lasts <= TIME_MAX;
            right.then_some(Ejection { failures, lasts })
        };
        read().ok_or_else(|| {
            format!("'{words}' is no ejection: write the failures in a row, and for how long, such as \"5 failures, 500ms\"")
        })
    }
}

impl Balance {
    /// It in words: `two choices, a list of 1s`.
    pub fn in_words(&self) -> String {
        let time = humantime::format_duration;
        let ejects = self.ejection.map_or_else(String::new, |of| {
            format!(
                ", a market left out for {} after {} failures",
                time(of.lasts),
                text::count(of.failures.into())
            )
        });
        format!("{}, a list fetched every {}{ejects}", self.picker.in_words(), time(self.refresh_every))
    }
}

/// How a balancer looks whether a market is there: by connecting to it, as HAProxy's `check` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct HealthCheck {
    /// Between two checks of a market.
    pub every: Duration,
    /// Checks that fail one after the other until it is taken to be down.
    pub fall: u32,
    /// Checks that succeed one after the other until it is taken to be up again.
    pub rise: u32,
}

impl HealthCheck {
    /// Reads `every 100ms, fall 3, rise 2`.
    ///
    /// # Errors
    /// In words, with what there is.
    pub fn parse(words: &str) -> Result<HealthCheck, String> {
        let read = || {
            let mut parts = words.split(", ");
            let mut part = |name: &str| parts.next()?.strip_prefix(name)?.strip_prefix(' ');
            let every = humantime::parse_duration(part("every")?).ok()?;
            let (fall, rise) = (part("fall")?.parse().ok()?, part("rise")?.parse().ok()?);
            let right =
                !every.is_zero() && every <= TIME_MAX && fall > 0 && rise > 0 && parts.next().is_none();
            right.then_some(HealthCheck { every, fall, rise })
        };
        read().ok_or_else(|| {
            format!("'{words}' is no health check: write how often, and how many in a row decide, such as \"every 100ms, fall 3, rise 2\"")
        })
    }

    /// It in words: `every 100ms (fall 3, rise 2)`.
    pub fn in_words(&self) -> String {
        let HealthCheck { every, fall, rise } = self;
        format!("every {} (fall {fall}, rise {rise})", humantime::format_duration(*every))
    }
}

/// Whether a market is up, by its checks.
#[derive(Debug, Clone, Copy)]
pub struct Health {
    check: HealthCheck,
    is_up: bool,
    /// Checks in a row that say otherwise.
    against: u32,
}

impl Health {
    /// Of a market that is up.
    pub fn new(check: HealthCheck) -> Health {
        Health { check, is_up: true, against: 0 }
    }

    /// Takes what came of a check; says whether the market is up now.
    pub fn checked(&mut self, succeeded: bool) -> bool {
        self.against = if succeeded == self.is_up { 0 } else { self.against + 1 };
        if self.against >= if self.is_up { self.check.fall } else { self.check.rise } {
            (self.is_up, self.against) = (succeeded, 0);
        }
        self.is_up
    }
}

/// The markets that a client knows, and how each does.
#[derive(Debug, Clone)]
pub struct Balancing {
    balance: Balance,
    each: Vec<Backend>,
    turn: usize,
}

#[derive(Debug, Clone)]
struct Backend {
    is_listed: bool,
    in_flight: usize,
    /// What a call takes, and when that was known.
    latency: Option<(Duration, Duration)>,
    failed_in_a_row: u32,
    ejected_until: Duration,
}

impl Balancing {
    /// So many, all on the list. Turns begin anywhere: clients that began with the same one would
    /// send it calls together.
    pub fn new(balance: Balance, count: usize, first_turn: usize) -> Balancing {
        let backend = Backend {
            is_listed: true,
            in_flight: 0,
            latency: None,
            failed_in_a_row: 0,
            ejected_until: Duration::ZERO,
        };
        Balancing { balance, each: vec![backend; count], turn: first_turn }
    }

    /// Takes a list that was fetched.
    pub fn list(&mut self, is_listed: impl Fn(usize) -> bool) {
        self.each.iter_mut().enumerate().for_each(|(nth, backend)| backend.is_listed = is_listed(nth));
    }

    /// Picks one for a call that begins now; two numbers in [0, 1) are its chance. Where all that
    /// are listed are left out, none is. `None` where none is listed.
    pub fn pick(&mut self, now: Duration, chance: [f64; 2]) -> Option<usize> {
        let nth = self.picked(now, chance)?;
        self.turn = self.turn.wrapping_add(1);
        self.each[nth].in_flight += 1;
        Some(nth)
    }

    /// Whom it picks. Nothing is allocated: it is in the time of a call.
    fn picked(&self, now: Duration, chance: [f64; 2]) -> Option<usize> {
        let is_in = |nth: &usize| self.each[*nth].ejected_until <= now;
        let listed = || (0..self.each.len()).filter(|nth| self.each[*nth].is_listed);
        let all_are_out = !listed().any(|nth| is_in(&nth));
        let able = || listed().filter(|nth| all_are_out || is_in(nth));
        let count = able().count();
        let others = count.checked_sub(1)?;
        let in_flight = |nth: &usize| self.each[*nth].in_flight;
        let two = || {
            let drawn = |chance: f64, of: usize| ((chance * of as f64) as usize).min(of.saturating_sub(1));
            let first = drawn(chance[0], count);
            // Another one, where there is another.
            let second = (first + 1 + drawn(chance[1], others)) % count;
            able().nth(first).into_iter().chain(able().nth(second))
        };
        match self.balance.picker {
            Picker::RoundRobin => able().nth(self.turn % count),
            // Those that are alike take turns.
            Picker::LeastInFlight => {
                let fewest = able().map(|nth| in_flight(&nth)).min()?;
                let alike = || able().filter(|nth| in_flight(nth) == fewest);
                alike().nth(self.turn % alike().count())
            }
            Picker::TwoChoices => two().min_by_key(in_flight),
            Picker::TwoChoicesByLatency => {
                two().min_by(|one, other| self.each[*one].cost().total_cmp(&self.each[*other].cost()))
            }
        }
    }

    /// A call is over that began so long before now, or was given up.
    pub fn done(&mut self, nth: usize, now: Duration, took: Duration, failed: bool) {
        let ejection = self.balance.ejection;
        let Some(backend) = self.each.get_mut(nth) else { return };
        backend.in_flight = backend.in_flight.saturating_sub(1);
        backend.learn(now, took);
        backend.failed_in_a_row = if failed { backend.failed_in_a_row.saturating_add(1) } else { 0 };
        if let Some(Ejection { failures, lasts }) = ejection
            && backend.failed_in_a_row >= failures
        {
            (backend.failed_in_a_row, backend.ejected_until) = (0, now.saturating_add(lasts));
        }
    }
}

impl Backend {
    /// A market that nobody has asked yet costs nothing, and so is asked.
    fn cost(&self) -> f64 {
        self.latency.map_or(0.0, |(latency, _)| latency.as_secs_f64()) * (self.in_flight + 1) as f64
    }

    fn learn(&mut self, now: Duration, took: Duration) {
        let latency = match self.latency {
            Some((before, at)) if took < before => {
                let weight = (-now.saturating_sub(at).div_duration_f64(LATENCY_REMEMBERED)).exp();
                before.mul_f64(weight) + took.mul_f64(1.0 - weight)
            }
            _ => took,
        };
        self.latency = Some((latency, now));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn balance(picker: Picker) -> Balance {
        Balance { picker, refresh_every: 1_000 * MS, ejection: None }
    }

    /// Shares of 20 000 calls over markets that take so long, at a rate: a simulation in virtual
    /// time.
    fn shares(picker: Picker, takes: &[Duration], per_ms: u32) -> Vec<f64> {
        let mut backends = Balancing::new(balance(picker), takes.len(), 0);
        let mut chance = ChaCha8Rng::seed_from_u64(1);
        let mut ends: std::collections::BTreeMap<(Duration, u32), usize> = std::collections::BTreeMap::new();
        let mut counts = vec![0_u32; takes.len()];
        for call in 0..20_000 {
            let now = MS * call / per_ms;
            while let Some(entry) = ends.first_entry().filter(|entry| entry.key().0 <= now) {
                let (at, nth) = (entry.key().0, entry.remove());
                backends.done(nth, at, takes[nth], false);
            }
            let nth = backends.pick(now, [chance.random(), chance.random()]).unwrap();
            counts[nth] += 1;
            ends.insert((now + takes[nth], call), nth);
        }
        counts.iter().map(|count| f64::from(*count) / 20_000.0).collect()
    }

    #[test]
    fn shares_of_a_slow_market_are_what_theory_expects() {
        let takes = [5 * MS, 50 * MS, 5 * MS];
        let slow = |picker| shares(picker, &takes, 2)[1];
        assert!((slow(Picker::RoundRobin) - 1.0 / 3.0).abs() < 0.01);
        // (1/k)/(n - 1 + 1/k) = 4.8 % with many calls in flight, 6 to 9 % with few.
        let least = slow(Picker::LeastInFlight);
        assert!((0.04..0.10).contains(&least), "{least}");
        let two = slow(Picker::TwoChoices);
        assert!((0.05..0.12).contains(&two), "{two}");
        let by_latency = slow(Picker::TwoChoicesByLatency);
        assert!(by_latency < 0.02, "{by_latency}");
    }

    #[test]
    fn markets_that_are_alike_have_even_shares() {
        for picker in
            [Picker::RoundRobin, Picker::LeastInFlight, Picker::TwoChoices, Picker::TwoChoicesByLatency]
        {
            for share in shares(picker, &[5 * MS; 3], 2) {
                assert!((share - 1.0 / 3.0).abs() < 0.05, "{picker:?}: {share}");
            }
        }
    }

    #[test]
    fn a_market_that_fails_is_left_out_for_a_while_unless_it_is_the_only_one() {
        let ejection = Ejection::parse("2 failures, 100ms").ok();
        let mut backends = Balancing::new(Balance { ejection, ..balance(Picker::RoundRobin) }, 2, 0);
        let mut picks = |now: u32| -> Vec<usize> {
            let pick = |_| {
                let nth = backends.pick(now * MS, [0.0; 2]).unwrap();
                backends.done(nth, now * MS, MS, nth == 0);
                nth
            };
            (0..6).map(pick).collect()
        };
        assert_eq!(picks(0), [0, 1, 0, 1, 1, 1], "two failures");
        assert_eq!(picks(99), [1; 6]);
        assert_eq!(picks(100)[..4], [0, 1, 0, 1]);
        backends.list(|nth| nth == 0);
        assert_eq!(backends.pick(101 * MS, [0.0; 2]), Some(0), "there is no other");
        backends.list(|_| false);
        assert_eq!(backends.pick(101 * MS, [0.0; 2]), None);
    }

    #[test]
    fn a_market_is_down_after_so_many_checks_and_up_after_so_many() {
        let mut health = Health::new(HealthCheck::parse("every 100ms, fall 3, rise 2").unwrap());
        let checks = [false, false, true, false, false, false, true, false, true, true];
        let is_up = checks.map(|succeeded| health.checked(succeeded));
        assert_eq!(is_up, [true, true, true, true, true, false, false, false, false, true]);
        for wrong in [
            "",
            "every 1s",
            "every 0s, fall 1, rise 1",
            "every 1s, fall 0, rise 1",
            "every 1s, rise 1, fall 1",
        ] {
            assert!(HealthCheck::parse(wrong).unwrap_err().contains("fall 3, rise 2"), "{wrong}");
        }
        assert!(HealthCheck::parse("every 1s, fall 1, rise 1, more").is_err());
    }

    #[test]
    fn an_ejection_is_read_from_words() {
        assert_eq!(Ejection::parse("5 failures, 500ms"), Ok(Ejection { failures: 5, lasts: 500 * MS }));
        for wrong in [
            "",
            "5, 500ms",
            "0 failures, 1s",
            "5 failures",
            "5 failures, 0s",
            "1 failure, 18446744073709551615s",
            "-1 failures, 1s",
        ] {
            assert!(Ejection::parse(wrong).unwrap_err().contains("5 failures, 500ms"), "{wrong}");
        }
        let of =
            Balance { ejection: Ejection::parse("5 failures, 500ms").ok(), ..balance(Picker::TwoChoices) };
        let words = "two choices, a list fetched every 1s, a market left out for 500ms after 5 failures";
        assert_eq!(of.in_words(), words);
    }

    proptest! {
        /// Whatever happens, a pick is of the list, and calls in flight are never lost.
        #[test]
        fn picks_are_of_the_list(
            steps in proptest::collection::vec((0..4_u8, 0.0..1.0, 0.0..1.0, any::<bool>()), 1..200),
            picker in 0..4_usize,
        ) {
            let pickers =
                [Picker::RoundRobin, Picker::LeastInFlight, Picker::TwoChoices, Picker::TwoChoicesByLatency];
            let ejection = Ejection::parse("2 failures, 5ms").ok();
            let mut backends = Balancing::new(Balance { ejection, ..balance(pickers[picker]) }, 3, 1);
            let (mut listed, mut under_way) = ([true; 3], Vec::new());
            for (step, (what, one, other, failed)) in steps.into_iter().enumerate() {
                let now = MS * step as u32;
                match (what, under_way.pop()) {
                    (0, under) => {
                        under_way.extend(under);
                        listed = [one < 0.5, other < 0.5, failed];
                        backends.list(|nth| listed[nth]);
                    }
                    (1, Some(nth)) => backends.done(nth, now, MS, failed),
                    (_, under) => {
                        under_way.extend(under);
                        let picked = backends.pick(now, [one, other]);
                        prop_assert_eq!(picked.is_some(), listed.contains(&true));
                        prop_assert!(picked.is_none_or(|nth| listed[nth]));
                        under_way.extend(picked);
                    }
                }
                let in_flight: usize = backends.each.iter().map(|backend| backend.in_flight).sum();
                prop_assert_eq!(in_flight, under_way.len());
            }
        }
    }
}
