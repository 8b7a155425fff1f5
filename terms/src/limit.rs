//! A limit of attempts under way that adapts itself: it grows while they are fast, and shrinks when
//! one is slow or fails. Pure.

use std::time::Duration;

/// Attempts that it allows in the beginning.
const FIRST: f64 = 16.0;
/// What a slow attempt leaves of it.
const SHRINKS_TO: f64 = 0.9;
/// The most that it grows to.
const MOST: f64 = 1_000.0;

/// Additive increase, multiplicative decrease: after the `AIMDLimit` of Netflix's
/// concurrency-limits, with its ratio of 0.9. That one adds a place for each fast attempt, where
/// this adds one for as many as there are places (as TCP does); and its slow attempt takes at
/// least a whole place away. An attempt whose caller leaves is not counted here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdaptiveLimit {
    slow: Duration,
    limit: f64,
}

impl AdaptiveLimit {
    /// One for which an attempt is slow that takes longer than this.
    pub fn new(slow: Duration) -> AdaptiveLimit {
        AdaptiveLimit { slow, limit: FIRST }
    }

    /// Attempts that may be under way.
    pub fn places(&self) -> usize {
        self.limit as usize
    }

    /// An attempt took so long, and failed or not, while so many were under way, itself among
    /// them. The limit grows only where at least half of it is used.
    pub fn done(&mut self, took: Duration, failed: bool, under_way: usize) {
        if failed || took > self.slow {
            self.limit = (self.limit * SHRINKS_TO).max(1.0);
        } else if under_way * 2 >= self.places() {
            self.limit = (self.limit + 1.0 / self.limit).min(MOST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn it_grows_while_it_is_used_and_fast_and_shrinks_to_one_place() {
        let mut limit = AdaptiveLimit::new(50 * MS);
        assert_eq!(limit.places(), 16);
        (0..16).for_each(|_| limit.done(5 * MS, false, 16));
        assert_eq!(limit.places(), 16, "one more place needs as many fast attempts as there are");
        limit.done(5 * MS, false, 16);
        assert_eq!(limit.places(), 17);
        (0..1_000).for_each(|_| limit.done(5 * MS, false, 3));
        assert_eq!(limit.places(), 17, "what is not used does not grow");
        limit.done(51 * MS, false, 1);
        assert_eq!(limit.places(), 15);
        limit.done(MS, true, 1);
        assert_eq!(limit.places(), 13);
        (0..100).for_each(|_| limit.done(500 * MS, false, 1));
        assert_eq!(limit.places(), 1);
    }
}
