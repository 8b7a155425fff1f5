//! What a client does about a call that fails: how often it tries again, how long it pauses before
//! that, and what keeps the repeats of many calls within bounds. Pure: chance is an argument.

use std::time::Duration;

use crate::{Breaker, text};

/// Attempts of one call, at most: what a scenario can ask for.
pub const ATTEMPTS_MAX: u32 = 16;
/// Repeats that a budget has from the beginning, and the most that it saves up.
const BUDGET_RESERVE: f64 = 10.0;

/// What a client does about a call that fails. The call's own time-out bounds all of its attempts.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Policy {
    /// Attempts of a call, the first among them; 1 for a client that never tries again.
    pub attempts: u32,
    /// Time of one attempt, after which it has failed; `None` for all that the call has left.
    pub attempt_time_out: Option<Duration>,
    /// When an attempt that has no answer gets another beside it, of which the first answer counts
    /// (Dean and Barroso, "The Tail at Scale", 2013); `None` for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hedge_after: Option<Duration>,
    /// The pause before an attempt is made again.
    pub backoff: Backoff,
    /// What chance does to that pause.
    pub jitter: RetryJitter,
    /// Repeats as a share of calls, at most; `None` for as many as there are attempts.
    pub budget: Option<f64>,
    /// Whether each call has another idempotency key, which all of its attempts bear.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keys: bool,
    /// When attempts are refused because many before them failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaker: Option<Breaker>,
    /// Attempts under way at a time, at most; one more is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bulkhead: Option<usize>,
    /// The time beyond which an attempt is slow, where the number of those under way adapts to
    /// that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adaptive_limit: Option<Duration>,
}

/// The pause before an attempt is made again, without jitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backoff {
    /// None.
    Immediate,
    /// Always the same.
    Fixed(Duration),
    /// Twice the one before, from `base` up to `cap`.
    Exponential {
        /// The first.
        base: Duration,
        /// The longest.
        cap: Duration,
    },
}

impl Backoff {
    /// Where a scenario names none.
    pub const DEFAULT: Backoff =
        Backoff::Exponential { base: Duration::from_millis(50), cap: Duration::from_secs(1) };

    /// Reads `immediate`, `fixed 100ms`, or `exponential 50ms..1s`.
    ///
    /// # Errors
    /// In words, with what there is.
    pub fn parse(words: &str) -> Result<Backoff, String> {
        let time = |time: &str| humantime::parse_duration(time).ok().filter(|time| !time.is_zero());
        let read = match words.split_once(' ') {
            None => (words == "immediate").then_some(Backoff::Immediate),
            Some(("fixed", pause)) => time(pause).map(Backoff::Fixed),
            Some(("exponential", span)) => span.split_once("..").and_then(|(base, cap)| {
                let (base, cap) = (time(base)?, time(cap)?);
                (base <= cap).then_some(Backoff::Exponential { base, cap })
            }),
            Some(_) => None,
        };
        let there_is = "immediate, fixed with a time, and exponential with the first and the longest, such as \"exponential 50ms..1s\"";
        read.ok_or_else(|| format!("'{words}' is no backoff: there is {there_is}"))
    }

    fn pause(self, nth: u32) -> Duration {
        match self {
            Backoff::Immediate => Duration::ZERO,
            Backoff::Fixed(pause) => pause,
            Backoff::Exponential { base, cap } => {
                base.saturating_mul(2_u32.saturating_pow(nth.saturating_sub(1))).min(cap)
            }
        }
    }

    fn longest(self) -> Duration {
        match self {
            Backoff::Exponential { cap, .. } => cap,
            other => other.pause(1) * 3,
        }
    }
}

/// What chance does to a pause. The names and formulas are those of Marc Brooker, "Exponential
/// Backoff And Jitter", AWS Architecture Blog, 2015.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum RetryJitter {
    /// Nothing: d.
    None,
    /// Half of it is left to chance: d/2 + U(0, d/2).
    Equal,
    /// All of it: U(0, d).
    #[default]
    Full,
    /// U(base, 3 × the pause before), up to the cap.
    Decorrelated,
    /// It adds to it: d + U(0, d). That is what the libraries backon and (with 0.99 × d, its
    /// default) tower call jitter.
    Added,
}

impl Policy {
    /// One attempt, and nothing else.
    pub const NONE: Policy = Policy {
        attempts: 1,
        attempt_time_out: None,
        hedge_after: None,
        backoff: Backoff::DEFAULT,
        jitter: RetryJitter::Full,
        budget: None,
        keys: false,
        breaker: None,
        bulkhead: None,
        adaptive_limit: None,
    };

    /// The pause behind the n-th attempt, from 1; `before` is the one behind the attempt before it,
    /// `chance` is uniform in [0, 1).
    pub fn pause(&self, nth: u32, before: Duration, chance: f64) -> Duration {
        let whole = self.backoff.pause(nth);
        let between = |from: Duration, to: Duration| from + to.saturating_sub(from).mul_f64(chance);
        match self.jitter {
            RetryJitter::None => whole,
            RetryJitter::Equal => between(whole / 2, whole),
            RetryJitter::Full => between(Duration::ZERO, whole),
            RetryJitter::Decorrelated => {
                let base = self.backoff.pause(1);
                between(base, before.max(base) * 3).min(self.backoff.longest())
            }
            RetryJitter::Added => between(whole, whole * 2),
        }
    }

    /// It in words: `up to 4 attempts of 100ms, exponential backoff, full jitter`.
    pub fn in_words(&self) -> String {
        let mut words = match self.attempts {
            1 => "1 attempt".to_owned(),
            attempts => format!("up to {attempts} attempts"),
        };
        if let Some(time_out) = self.attempt_time_out {
            words += &format!(" of {}", humantime::format_duration(time_out));
        }
        let mut also = String::new();
        if let Some(after) = self.hedge_after {
            also += &format!(", hedged after {}", humantime::format_duration(after));
        }
        if let Some(places) = self.bulkhead {
            also += &format!(", a bulkhead of {places}");
        }
        if let Some(slow) = self.adaptive_limit {
            also += &format!(", a limit that adapts (slow from {})", humantime::format_duration(slow));
        }
        if let Some(breaker) = self.breaker {
            also += &format!(", {}", breaker.in_words());
        }
        if self.keys {
            also += ", an idempotency key a call";
        }
        if self.attempts == 1 {
            return words + &also;
        }
        words += match self.backoff {
            Backoff::Immediate => ", at once",
            Backoff::Fixed(_) => ", fixed backoff",
            Backoff::Exponential { .. } => ", exponential backoff",
        };
        words += match self.jitter {
            RetryJitter::None => "",
            RetryJitter::Equal => ", equal jitter",
            RetryJitter::Full => ", full jitter",
            RetryJitter::Decorrelated => ", decorrelated jitter",
            RetryJitter::Added => ", added jitter",
        };
        if let Some(share) = self.budget {
            words += &format!(", a budget of {} %", text::rounded_percent(share));
        }
        words + &also
    }
}

/// A budget of repeats, as a bucket of tokens: each call puts a share of one in, each repeat takes
/// one out. (Finagle's `RetryBudget`, and gRPC's A6, do so with other reserves.)
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    share: f64,
    tokens: f64,
}

impl Budget {
    /// A full one, which grows by this share of a repeat a call.
    pub fn new(share: f64) -> Budget {
        Budget { share, tokens: BUDGET_RESERVE }
    }

    /// A call begins.
    pub fn earn(&mut self) {
        self.tokens = (self.tokens + self.share).min(BUDGET_RESERVE);
    }

    /// Whether a repeat may be made: then it is paid for.
    pub fn spend(&mut self) -> bool {
        let may = self.tokens >= 1.0;
        if may {
            self.tokens -= 1.0;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn policy(jitter: RetryJitter) -> Policy {
        let backoff = Backoff::Exponential { base: 100 * MS, cap: 1_000 * MS };
        Policy { attempts: 8, backoff, jitter, ..Policy::NONE }
    }

    #[test]
    fn a_pause_doubles_up_to_its_cap_and_jitter_keeps_to_its_formula() {
        let pauses = |jitter, chance| {
            [1, 2, 4, 5, 8].map(|nth| policy(jitter).pause(nth, 200 * MS, chance).as_millis())
        };
        assert_eq!(pauses(RetryJitter::None, 0.3), [100, 200, 800, 1_000, 1_000]);
        assert_eq!(pauses(RetryJitter::Full, 0.0), [0; 5]);
        assert_eq!(pauses(RetryJitter::Full, 0.5), [50, 100, 400, 500, 500]);
        assert_eq!(pauses(RetryJitter::Added, 0.5), [150, 300, 1_200, 1_500, 1_500]);
        assert_eq!(pauses(RetryJitter::Equal, 0.0), [50, 100, 400, 500, 500]);
        assert_eq!(pauses(RetryJitter::Equal, 0.5), [75, 150, 600, 750, 750]);
        // U(100 ms, 600 ms), whatever the attempt.
        assert_eq!(pauses(RetryJitter::Decorrelated, 0.5), [350; 5]);
        assert_eq!(policy(RetryJitter::Decorrelated).pause(1, 900 * MS, 0.99), 1_000 * MS);
        let fixed = Policy { backoff: Backoff::Fixed(30 * MS), ..policy(RetryJitter::None) };
        assert_eq!([1, 7].map(|nth| fixed.pause(nth, MS, 0.5)), [30 * MS; 2]);
        let at_once = Policy { backoff: Backoff::Immediate, ..policy(RetryJitter::Full) };
        assert_eq!(at_once.pause(3, MS, 0.9), Duration::ZERO);
    }

    /// A hundred calls that all fail: the reserve, and a fifth of a hundred.
    #[test]
    fn a_budget_repeats_its_share_of_calls_and_its_reserve() {
        let mut budget = Budget::new(0.2);
        let mut repeats = 0;
        for _ in 0..100 {
            budget.earn();
            repeats += u32::from(budget.spend());
        }
        assert_eq!(repeats, 10 + 20 - 1, "the first call finds it full");
        let mut saved = Budget::new(1.0);
        (0..1_000).for_each(|_| saved.earn());
        assert_eq!((0..100).filter(|_| saved.spend()).count(), 10);
    }

    #[test]
    fn a_backoff_is_read_from_words() {
        assert_eq!(Backoff::parse("immediate"), Ok(Backoff::Immediate));
        assert_eq!(Backoff::parse("fixed 30ms"), Ok(Backoff::Fixed(30 * MS)));
        let exponential = Backoff::Exponential { base: 50 * MS, cap: 1_000 * MS };
        assert_eq!(Backoff::parse("exponential 50ms..1s"), Ok(exponential));
        assert_eq!(exponential, Backoff::DEFAULT);
        for wrong in ["", "none", "fixed", "fixed 0s", "exponential 1s", "exponential 2s..1s", "linear 1s"] {
            let error = Backoff::parse(wrong).unwrap_err();
            assert!(error.contains("exponential 50ms..1s"), "{error}");
        }
    }

    #[test]
    fn a_policy_says_what_it_does() {
        let of = Policy {
            attempts: 4,
            attempt_time_out: Some(100 * MS),
            budget: Some(0.2),
            ..policy(RetryJitter::Full)
        };
        let words = "up to 4 attempts of 100ms, exponential backoff, full jitter, a budget of 20 %";
        assert_eq!(of.in_words(), words);
        assert_eq!(Policy { attempts: 1, ..of }.in_words(), "1 attempt of 100ms");
        let hedged = Policy { hedge_after: Some(20 * MS), ..Policy::NONE };
        assert_eq!(hedged.in_words(), "1 attempt, hedged after 20ms");
        let keyed = Policy { attempts: 1, attempt_time_out: None, keys: true, ..of };
        assert_eq!(keyed.in_words(), "1 attempt, an idempotency key a call");
        let breaker = Breaker::parse("50% of 20, open 250ms").ok();
        let guarded = Policy { keys: false, breaker, bulkhead: Some(16), ..keyed };
        assert_eq!(guarded.in_words(), "1 attempt, a bulkhead of 16, a breaker (50 % of 20, open 250ms)");
    }
}
