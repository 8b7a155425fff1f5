//! Known answers: what is done to a request is a formula, so that what a client measures can be
//! checked against arithmetic. A reference server does no work, and replies at a time computed from
//! the arrival alone; a market that is given a [`Behaviour`] does so behind every protocol.

pub mod http;
pub mod tcp;

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clock::{Clock, Mono};

/// What is done to every request, and to every tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Behaviour {
    /// The time from a request's arrival to its reply, or from when a tick is due to its emission.
    pub delay: Delay,
    /// If any, when the server stands still.
    pub freeze: Option<Freeze>,
    /// If any, every n-th request is answered with an error.
    pub fails_every: Option<NonZeroU64>,
    /// If any, of each stretch of so many ticks one is skipped, one doubled, and two swapped.
    pub disturbs_ticks_every: Option<NonZeroU64>,
}

/// A time from arrival to reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delay {
    /// Always this.
    Fixed(Duration),
    /// Exponential, of this mean: drawn by quantiles that are spread evenly (the golden ratio's
    /// multiples), so that a few hundred draws have the distribution's percentiles already.
    Exponential(Duration),
}

/// The server does nothing for `span` at the start of every `period`, as under a garbage collection
/// or SIGSTOP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Freeze {
    /// How long it stands still.
    pub span: Duration,
    /// From the start of one freeze to the start of the next.
    pub period: Duration,
}

impl Delay {
    /// The delay of the n-th request.
    pub fn of(self, nth: u64) -> Duration {
        /// (√5 − 1) / 2.
        const GOLDEN: f64 = 0.618_033_988_749_894_9;
        match self {
            Delay::Fixed(delay) => delay,
            Delay::Exponential(mean) => {
                let uniform = (nth as f64 + 0.5) * GOLDEN;
                mean.mul_f64(-(1.0 - uniform.fract()).ln())
            }
        }
    }
}

impl Behaviour {
    /// Answers after this long, and nothing else.
    pub fn fixed(delay: Duration) -> Behaviour {
        Behaviour { delay: Delay::Fixed(delay), freeze: None, fails_every: None, disturbs_ticks_every: None }
    }

    /// When a request that arrived at `arrival` is answered, with this delay of its own: a frozen
    /// server begins on it when it thaws, and a reply that falls due in a freeze leaves at its end.
    pub fn reply_time(&self, origin: Mono, arrival: Mono, delay: Duration) -> Mono {
        let begun = self.thawed(origin, arrival);
        self.thawed(origin, begun + delay)
    }

    fn thawed(&self, origin: Mono, time: Mono) -> Mono {
        let Some(freeze) = self.freeze else { return time };
        let period = clock::nanos(freeze.period).max(1);
        let into_period = time.nanos_since(origin) % period;
        let frozen = clock::nanos(freeze.span);
        if into_period < frozen { Mono(time.0 + frozen - into_period) } else { time }
    }

    /// Ticks as they are emitted: of every n, the tick after a tenth of them is skipped, the one
    /// after four tenths doubled, and the one after seven tenths comes behind its successor.
    pub(crate) fn disturbed<T: Clone>(
        self,
        ticks: impl Iterator<Item = (Mono, T)>,
    ) -> impl Iterator<Item = (Mono, T)> {
        let every = self.disturbs_ticks_every.map(NonZeroU64::get);
        let mut held = None;
        ticks.zip(0_u64..).flat_map(move |((due, tick), nth)| {
            let place = every.map(|every| (nth % every, every));
            let emitted = match (held.take(), place) {
                (Some(held), _) => vec![tick, held],
                (None, Some((place, every))) if place == every * 7 / 10 => {
                    held = Some(tick);
                    vec![]
                }
                (None, Some((place, every))) if place == every / 10 => vec![],
                (None, Some((place, every))) if place == every * 4 / 10 => vec![tick.clone(), tick],
                _ => vec![tick],
            };
            emitted.into_iter().map(move |tick| (due, tick))
        })
    }
}

/// Arrivals that are kept: a minute of a thousand a second, and some.
const ARRIVALS_MAX: usize = 100_000;

/// A behaviour in time: when the first period began, what it does, and when requests came.
#[derive(Debug)]
pub(crate) struct Reference {
    clock: Clock,
    behaviour: Behaviour,
    origin: Mono,
    calls: AtomicU64,
    arrivals: Mutex<Vec<Mono>>,
}

/// What becomes of one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Treatment {
    pub(crate) reply_at: Mono,
    pub(crate) fails: bool,
}

impl Reference {
    pub(crate) fn new(clock: Clock, behaviour: Behaviour) -> Reference {
        let origin = clock.now();
        Reference { clock, behaviour, origin, calls: AtomicU64::new(0), arrivals: Mutex::default() }
    }

    /// Decides on a request that has just arrived.
    pub(crate) fn treat(&self) -> Treatment {
        let arrival = self.clock.now();
        let nth = self.calls.fetch_add(1, Ordering::Relaxed);
        let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        if arrivals.len() < ARRIVALS_MAX {
            arrivals.push(arrival);
        }
        Treatment {
            reply_at: self.behaviour.reply_time(self.origin, arrival, self.behaviour.delay.of(nth)),
            fails: self.behaviour.fails_every.is_some_and(|every| (nth + 1).is_multiple_of(every.get())),
        }
    }

    /// When ticks that are due at these times are emitted, and which.
    pub(crate) fn emissions<T: Clone, I: Iterator<Item = (Mono, T)>>(
        &self,
        ticks: I,
    ) -> impl Iterator<Item = (Mono, T)> + use<T, I> {
        let (behaviour, origin) = (self.behaviour, self.origin);
        let delayed = ticks.zip(0_u64..).map(move |((due, tick), nth)| {
            (behaviour.reply_time(origin, due, behaviour.delay.of(nth)), tick)
        });
        behaviour.disturbed(delayed)
    }

    /// When the first period of its freezes began.
    pub(crate) fn origin(&self) -> Mono {
        self.origin
    }

    /// When requests came, the first hundred thousand, since this was last asked.
    pub(crate) fn take_arrivals(&self) -> Vec<Mono> {
        std::mem::take(&mut *self.arrivals.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn reply_ms(arrival_ms: u64) -> u64 {
        let freeze = Freeze { span: Duration::from_millis(500), period: Duration::from_secs(5) };
        let delay = Duration::from_millis(2);
        let behaviour = Behaviour { freeze: Some(freeze), ..Behaviour::fixed(delay) };
        behaviour.reply_time(Mono(7 * MS), Mono((7 + arrival_ms) * MS), delay).0 / MS - 7
    }

    #[test]
    fn a_request_in_a_freeze_waits_for_its_end_and_then_takes_its_delay() {
        assert_eq!(reply_ms(600), 602);
        assert_eq!(reply_ms(0), 502);
        assert_eq!(reply_ms(499), 502);
        assert_eq!(reply_ms(4_999), 5_500);
        assert_eq!(reply_ms(5_250), 5_502);
    }

    /// −ln(1 − q) times the mean.
    #[test]
    fn exponential_delays_have_their_percentiles() {
        let delay = Delay::Exponential(Duration::from_millis(2));
        let mut drawn: Vec<f64> = (0..1_000).map(|nth| delay.of(nth).as_secs_f64() * 1e3).collect();
        drawn.sort_by(f64::total_cmp);
        for (share, right) in [(0.5, 1.386), (0.9, 4.605), (0.99, 9.21)] {
            let found = drawn[(share * 1_000.0) as usize];
            assert!((found / right - 1.0_f64).abs() < 0.02, "{share}: {found} ms, not {right}");
        }
    }

    #[test]
    fn ticks_are_skipped_doubled_and_swapped_once_in_every_stretch() {
        let disturbs_ticks_every = NonZeroU64::new(10);
        let behaviour = Behaviour { disturbs_ticks_every, ..Behaviour::fixed(Duration::ZERO) };
        let emitted: Vec<u64> =
            behaviour.disturbed((0..20).map(|nth| (Mono(0), nth))).map(|(_, tick)| tick).collect();
        assert_eq!(emitted, [0, 2, 3, 4, 4, 5, 6, 8, 7, 9, 10, 12, 13, 14, 14, 15, 16, 18, 17, 19]);
    }

    #[test]
    fn every_nth_request_fails() {
        let behaviour = Behaviour { fails_every: NonZeroU64::new(3), ..Behaviour::fixed(Duration::ZERO) };
        let reference = Reference::new(Clock::System, behaviour);
        let fails: Vec<bool> = (0..6).map(|_| reference.treat().fails).collect();
        assert_eq!(fails, [false, false, true, false, false, true]);
        assert_eq!(reference.take_arrivals().len(), 6);
    }
}
