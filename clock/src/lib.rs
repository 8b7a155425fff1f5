//! Reads time and wakes on it: the only crate of the workspace that may.
//!
//! Everything that paces, waits or measures takes a [`Clock`] as an argument, so that it runs
//! unchanged on the machine's monotonic clock and on a [`Fake`] in tests. Waking uses `timerfd`,
//! because tokio's own timer has steps of 1 ms. What this crate does not do: keep statistics, or
//! decide what to do with a late wake.

mod delays;
mod fake;
mod timer;

use std::ops::{Add, Sub};
use std::time::Duration;

pub use delays::Delays;
pub use fake::Fake;
pub use timer::{Precision, Timer};

/// A point on the monotonic clock, in nanoseconds since an arbitrary origin that all processes of
/// one machine share (`CLOCK_MONOTONIC`: it neither jumps nor counts suspended time).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize,
)]
pub struct Mono(pub u64);

impl Mono {
    /// Time since `earlier`; zero if `earlier` is later.
    pub fn since(self, earlier: Mono) -> Duration {
        Duration::from_nanos(self.nanos_since(earlier))
    }

    /// Nanoseconds since `earlier`; zero if `earlier` is later.
    pub fn nanos_since(self, earlier: Mono) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Mono {
    type Output = Mono;
    fn add(self, span: Duration) -> Mono {
        Mono(self.0.saturating_add(nanos(span)))
    }
}

impl Sub<Duration> for Mono {
    type Output = Mono;
    fn sub(self, span: Duration) -> Mono {
        Mono(self.0.saturating_sub(nanos(span)))
    }
}

/// Nanoseconds of a duration, saturating at `u64::MAX` (584 years).
pub fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// Where time comes from: the machine, or a test.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// `CLOCK_MONOTONIC`.
    #[default]
    System,
    /// A clock that moves only when a test says so.
    Fake(Fake),
}

impl Clock {
    /// The time now.
    pub fn now(&self) -> Mono {
        match self {
            Clock::System => system_now(),
            Clock::Fake(fake) => fake.now(),
        }
    }

    /// A timer on this clock. Must be called inside a tokio runtime with I/O enabled.
    ///
    /// # Errors
    /// The system's, where it refuses a `timerfd` (too many open files).
    pub fn timer(&self, precision: Precision) -> std::io::Result<Timer> {
        Timer::new(self.clone(), precision)
    }

    /// Uses the processor for `span`, without yielding. For handlers whose work is stated as CPU.
    pub fn burn(&self, span: Duration) {
        let end = self.now() + span;
        while self.now() < end {
            std::hint::spin_loop();
        }
    }
}

fn system_now() -> Mono {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid, writable timespec; CLOCK_MONOTONIC always exists on Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    Mono(now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs())
}

/// Wall-clock time in microseconds since the Unix epoch, for labels and never for measuring.
#[allow(clippy::disallowed_methods, reason = "this crate is where the ban does not hold")]
pub fn wall_time_us() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// The time limit of [`limit`] ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;

/// Runs `future` for at most `span`, to within a few milliseconds: for limits (a request's body, a
/// shutdown), never for measuring or pacing.
///
/// # Errors
/// [`Elapsed`] when the time ran out; the future is dropped then.
#[allow(clippy::disallowed_methods, reason = "a coarse limit may use tokio's coarse timer")]
pub async fn limit<F: Future>(span: Duration, future: F) -> Result<F::Output, Elapsed> {
    tokio::time::timeout(span, future).await.map_err(|_| Elapsed)
}

/// Waits for about `span` (whole milliseconds): for polling a limit, never for measuring or pacing.
#[allow(clippy::disallowed_methods, reason = "a coarse pause may use tokio's coarse timer")]
pub async fn pause(span: Duration) {
    tokio::time::sleep(span).await;
}

/// Blocks the thread for about `span`: for synchronous code that draws progress or waits for a
/// process.
#[allow(clippy::disallowed_methods, reason = "this crate is where the ban does not hold")]
pub fn pause_thread(span: Duration) {
    std::thread::sleep(span);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mono_arithmetic_saturates() {
        assert_eq!(Mono(5) - Duration::from_nanos(7), Mono(0));
        assert_eq!(Mono(u64::MAX) + Duration::from_secs(1), Mono(u64::MAX));
        assert_eq!(Mono(3).nanos_since(Mono(9)), 0);
    }

    #[test]
    fn the_system_clock_does_not_go_back() {
        let clock = Clock::System;
        let mut last = clock.now();
        for _ in 0..10_000 {
            let now = clock.now();
            assert!(now >= last);
            last = now;
        }
    }

    #[test]
    fn burn_takes_at_least_its_time() {
        let clock = Clock::System;
        let before = clock.now();
        clock.burn(Duration::from_millis(2));
        assert!(clock.now().since(before) >= Duration::from_millis(2));
    }
}
