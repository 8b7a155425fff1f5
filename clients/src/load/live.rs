//! A look at a running load from another thread: counts and a coarse distribution, without locks.

use std::sync::atomic::{AtomicU64, Ordering};

/// Buckets a factor of two: values are known to within 9 %.
const STEPS: u32 = 8;
const BUCKETS: usize = 40 * STEPS as usize;

/// Written by one worker, read by anyone. Relaxed, because it is for looking at and not for
/// measuring.
#[derive(Debug)]
pub struct Live {
    ok: AtomicU64,
    failed: AtomicU64,
    response: Vec<AtomicU64>,
}

impl Default for Live {
    fn default() -> Live {
        Live {
            ok: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            response: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl Live {
    /// Calls that succeeded so far.
    pub fn ok(&self) -> u64 {
        self.ok.load(Ordering::Relaxed)
    }

    /// Calls that failed so far.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Starts again from nothing.
    pub(super) fn clear(&self) {
        for counter in self.response.iter().chain([&self.ok, &self.failed]) {
            counter.store(0, Ordering::Relaxed);
        }
    }

    /// The response time below which a share of the calls of all these workers lies, in
    /// nanoseconds.
    pub fn quantile_ns(workers: &[std::sync::Arc<Live>], share: f64) -> Option<u64> {
        let counts: Vec<u64> = (0..BUCKETS)
            .map(|bucket| workers.iter().map(|live| live.response[bucket].load(Ordering::Relaxed)).sum())
            .collect();
        let total: u64 = counts.iter().sum();
        let mut below = (share * total as f64).ceil() as u64;
        for (bucket, count) in counts.iter().enumerate() {
            if *count >= below.max(1) {
                return Some(2_f64.powf((bucket as f64 + 0.5) / f64::from(STEPS)) as u64);
            }
            below -= count;
        }
        None
    }

    pub(super) fn count(&self, response_ns: u64, failed: bool) {
        let bucket = (response_ns.max(1) as f64).log2() * f64::from(STEPS);
        increment(&self.response[(bucket as usize).min(BUCKETS - 1)]);
        increment(if failed { &self.failed } else { &self.ok });
    }
}

/// One writer: a load and a store are enough.
fn increment(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn quantiles_are_within_a_bucket() {
        let live = Arc::new(Live::default());
        for micros in 1..=1_000_u64 {
            live.count(micros * 1_000, false);
        }
        for (share, expected) in [(0.5, 500e3), (0.99, 990e3)] {
            let read = Live::quantile_ns(std::slice::from_ref(&live), share).unwrap() as f64;
            assert!((read / expected - 1.0).abs() < 0.1, "{share}: {read}");
        }
        assert_eq!(Live::quantile_ns(&[], 0.5), None);
    }
}
