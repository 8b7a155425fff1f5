//! A circuit breaker: it stops calls to a service of which many failed, waits, and probes. Pure:
//! time is an argument.

use std::collections::VecDeque;
use std::time::Duration;

use crate::text;

/// Calls that a breaker looks back at, at most.
const WINDOW_MAX: u32 = 10_000;

/// When a breaker opens, and how it closes. The rule is resilience4j's with a window that counts
/// calls: closed, it looks at the last ones; open, it refuses all; half open, it lets some through
/// and decides by them.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Breaker {
    /// Calls that it looks back at; before there are so many it stays closed.
    pub window: u32,
    /// The share of them that have failed when it opens.
    pub threshold: f64,
    /// How long it refuses calls before it probes.
    pub open_for: Duration,
    /// Calls that it lets through to probe.
    pub probes: u32,
}

impl Breaker {
    /// Reads `50% of 20, open 250ms` or `50% of 100, open 3s, 10 probes`.
    ///
    /// # Errors
    /// In words, with what there is.
    pub fn parse(words: &str) -> Result<Breaker, String> {
        let parts: Vec<&str> = words.split(", ").collect();
        let (rule, open, probes) = match parts[..] {
            [rule, open] => (rule, open, Some(1)),
            [rule, open, probes] => {
                (rule, open, probes.strip_suffix(" probes").and_then(|of| of.parse().ok()))
            }
            _ => (words, "", None),
        };
        let read = || {
            let (percent, window) = rule.split_once("% of ")?;
            let (threshold, window) = (percent.parse::<f64>().ok()? / 100.0, window.parse().ok()?);
            let open_for = humantime::parse_duration(open.strip_prefix("open ")?).ok()?;
            let probes = probes?;
            let right = threshold > 0.0
                && threshold <= 1.0
                && (1..=WINDOW_MAX).contains(&window)
                && (1..=window).contains(&probes)
                && !open_for.is_zero();
            right.then_some(Breaker { window, threshold, open_for, probes })
        };
        let there_is = "write the share of failures, the calls that are looked back at, and how long it stays open, such as \
                        \"50% of 20, open 250ms\" or \"50% of 100, open 3s, 10 probes\"";
        read().ok_or_else(|| format!("'{words}' is no breaker: {there_is}"))
    }

    /// It in words: `a breaker (50 % of 20, open 250ms)`.
    pub(crate) fn in_words(&self) -> String {
        let Breaker { window, threshold, open_for, probes } = self;
        let open = humantime::format_duration(*open_for);
        let probes = if *probes == 1 { String::new() } else { format!(", {probes} probes") };
        format!("a breaker ({} % of {window}, open {open}{probes})", text::rounded_percent(*threshold))
    }
}

/// A breaker in time. Times count from any one instant.
#[derive(Debug)]
pub struct Circuit {
    breaker: Breaker,
    state: State,
    /// Counts the changes of its state: what was let through before one says nothing after it.
    era: u64,
}

#[derive(Debug)]
enum State {
    Closed {
        /// What came of the last calls, the oldest first: whether each failed.
        last: VecDeque<bool>,
        /// How many of them did.
        failures: u32,
    },
    Open {
        until: Duration,
    },
    HalfOpen {
        admitted: u32,
        succeeded: u32,
        failed: u32,
    },
}

/// That a call may be made; handed back with what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission(u64);

impl State {
    fn closed(breaker: Breaker) -> State {
        State::Closed { last: VecDeque::with_capacity(breaker.window as usize), failures: 0 }
    }
}

impl Circuit {
    /// A closed one.
    pub fn new(breaker: Breaker) -> Circuit {
        Circuit { breaker, state: State::closed(breaker), era: 0 }
    }

    /// Whether a call may be made now.
    pub fn admit(&mut self, now: Duration) -> Option<Admission> {
        if let State::Open { until } = self.state
            && now >= until
        {
            self.change(State::HalfOpen { admitted: 0, succeeded: 0, failed: 0 });
        }
        match &mut self.state {
            State::Closed { .. } => Some(Admission(self.era)),
            State::Open { .. } => None,
            State::HalfOpen { admitted, .. } => {
                let may = *admitted < self.breaker.probes;
                *admitted += u32::from(may);
                may.then_some(Admission(self.era))
            }
        }
    }

    /// A call that was admitted ended, well or not.
    pub fn done(&mut self, now: Duration, Admission(era): Admission, failed: bool) {
        if era != self.era {
            return;
        }
        let Breaker { window, threshold, open_for, probes } = self.breaker;
        let opens = |failures: u32, of: u32| f64::from(failures) / f64::from(of) >= threshold;
        let next = match &mut self.state {
            State::Closed { last, failures } => {
                if last.len() >= window as usize {
                    *failures -= u32::from(last.pop_front().unwrap_or_default());
                }
                last.push_back(failed);
                *failures += u32::from(failed);
                let opens = last.len() >= window as usize && opens(*failures, window);
                opens.then_some(State::Open { until: now + open_for })
            }
            State::Open { .. } => None,
            State::HalfOpen { succeeded, failed: failures, .. } => {
                *(if failed { &mut *failures } else { &mut *succeeded }) += 1;
                let all_back = *succeeded + *failures >= probes;
                all_back.then(|| match opens(*failures, probes) {
                    true => State::Open { until: now + open_for },
                    false => State::closed(self.breaker),
                })
            }
        };
        if let Some(next) = next {
            self.change(next);
        }
    }

    /// A call that was admitted was never made, or nobody knows what came of it: a probe gives its
    /// place back.
    pub fn give_back(&mut self, Admission(era): Admission) {
        if let State::HalfOpen { admitted, .. } = &mut self.state
            && era == self.era
        {
            *admitted = admitted.saturating_sub(1);
        }
    }

    fn change(&mut self, state: State) {
        self.state = state;
        self.era += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const BREAKER: Breaker =
        Breaker { window: 10, threshold: 0.5, open_for: Duration::from_millis(250), probes: 2 };

    /// Makes calls at this time; says how many were admitted.
    fn calls(circuit: &mut Circuit, at: Duration, calls: usize, failed: bool) -> usize {
        let admitted = |_: &usize| match circuit.admit(at) {
            Some(admission) => {
                circuit.done(at, admission, failed);
                true
            }
            None => false,
        };
        (0..calls).filter(admitted).count()
    }

    #[test]
    fn it_opens_after_its_share_of_a_full_window_failed() {
        let mut circuit = Circuit::new(BREAKER);
        assert_eq!(calls(&mut circuit, MS, 9, true), 9, "the window is not full");
        assert_eq!(calls(&mut circuit, MS, 100, true), 1);
        // N·θ failures after a window of successes.
        let mut circuit = Circuit::new(BREAKER);
        calls(&mut circuit, MS, 1_000, false);
        assert_eq!(calls(&mut circuit, MS, 100, true), 5);
    }

    #[test]
    fn it_probes_after_its_time_and_closes_or_opens_again() {
        let mut circuit = Circuit::new(BREAKER);
        calls(&mut circuit, MS, 10, true);
        assert_eq!(calls(&mut circuit, 250 * MS, 100, false), 0);
        assert_eq!(calls(&mut circuit, 251 * MS, 100, true), 2, "two probes");
        assert_eq!(calls(&mut circuit, 500 * MS, 100, false), 0, "and open again");
        assert_eq!(calls(&mut circuit, 501 * MS, 100, false), 100, "closed by its probes");
        assert_eq!(calls(&mut circuit, 502 * MS, 100, true), 5, "of a window that is full");
    }

    #[test]
    fn what_was_admitted_before_a_change_says_nothing_after_it() {
        let mut circuit = Circuit::new(BREAKER);
        let old: Vec<Admission> = (0..20).filter_map(|_| circuit.admit(MS)).collect();
        assert_eq!(old.len(), 20);
        old[..10].iter().for_each(|admission| circuit.done(2 * MS, *admission, true));
        assert_eq!(circuit.admit(3 * MS), None);
        let probe = circuit.admit(252 * MS).unwrap();
        old[10..].iter().for_each(|admission| circuit.done(253 * MS, *admission, true));
        circuit.give_back(probe);
        assert_eq!(calls(&mut circuit, 254 * MS, 100, false), 100, "still half open, with two probes");
    }

    #[test]
    fn a_breaker_is_read_from_words() {
        let read = Breaker::parse("50% of 10, open 250ms, 2 probes").unwrap();
        assert_eq!(read, BREAKER);
        assert_eq!(Breaker::parse("50% of 10, open 250ms").unwrap().probes, 1);
        // In binary 0.07 × 100 is more than 7.
        let mut seven = Circuit::new(Breaker::parse("7% of 100, open 1s").unwrap());
        calls(&mut seven, MS, 100, false);
        assert_eq!(calls(&mut seven, MS, 50, true), 7);
        assert_eq!(read.in_words(), "a breaker (50 % of 10, open 250ms, 2 probes)");
        for wrong in [
            "",
            "on",
            "0% of 10, open 1s",
            "50% of 0, open 1s",
            "50% of 10, open 0s",
            "50% of 10, open 1s, 11 probes",
        ] {
            let error = Breaker::parse(wrong).unwrap_err();
            assert!(error.contains("50% of 20, open 250ms"), "{error}");
        }
    }
}
