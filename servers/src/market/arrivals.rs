//! How many calls came to a market, slice by slice of the measured time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clock::Mono;
use serde::{Deserialize, Serialize};

/// Slices that are counted, at most.
const SLICES_MAX: usize = 1_000;

/// Count calls from this time on, in slices; in place of what was counted before.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct CountCalls {
    /// Since when.
    pub from: Mono,
    /// How long a slice is.
    pub slice: Duration,
    /// How many there are.
    pub slices: usize,
}

/// Calls of a market, slice by slice.
#[derive(Debug, Clone)]
pub(super) struct CallCount {
    asked: CountCalls,
    slices: Arc<[AtomicU64]>,
}

impl CallCount {
    pub(super) fn new(asked: CountCalls) -> CallCount {
        CallCount { asked, slices: (0..asked.slices.min(SLICES_MAX)).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Counts one that came now.
    pub(super) fn count(&self, now: Mono) {
        let CountCalls { from, slice, .. } = self.asked;
        if now < from {
            return;
        }
        let nth = now.nanos_since(from) / clock::nanos(slice).max(1);
        if let Some(slice) = usize::try_from(nth).ok().and_then(|nth| self.slices.get(nth)) {
            slice.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What was counted so far.
    pub(super) fn counts(&self) -> Vec<u64> {
        self.slices.iter().map(|slice| slice.load(Ordering::Relaxed)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_in_the_slice_in_which_they_came() {
        let ms = |ms: u64| Mono(7_000_000_000 + ms * 1_000_000);
        let count = CallCount::new(CountCalls { from: ms(0), slice: Duration::from_millis(10), slices: 3 });
        for at in [ms(0), ms(9), ms(10), ms(29), ms(30), Mono(6_999_999_999), ms(1_000)] {
            count.count(at);
        }
        assert_eq!(count.counts(), [2, 1, 1]);
        let endless = CountCalls { from: ms(0), slice: Duration::ZERO, slices: usize::MAX };
        assert_eq!(CallCount::new(endless).counts().len(), SLICES_MAX);
    }
}
