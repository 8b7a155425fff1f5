//! A look at a running load from another thread, which may also end it: counts and a coarse
//! distribution, without locks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use terms::Failure;

/// Buckets a factor of two, as a power of two: values are known to within 9 %.
const STEPS: u32 = 3;
const BUCKETS: usize = 40 << STEPS;

/// Written by one worker, read by anyone. Relaxed, because it is for looking at and not for
/// measuring.
#[derive(Debug)]
pub struct Live {
    ok: AtomicU64,
    failed: Vec<AtomicU64>,
    stop: AtomicBool,
    worker: u64,
    workers: u64,
    response: Vec<AtomicU64>,
    lag: Vec<AtomicU64>,
}

/// What was seen of all workers at one time.
#[derive(Debug, Clone, Default)]
pub struct Look {
    ok: u64,
    failed: Vec<u64>,
    response: Vec<u64>,
    lag: Vec<u64>,
}

impl Look {
    /// Looks.
    pub fn at(workers: &[Arc<Live>]) -> Look {
        let sums = |of: fn(&Live) -> &Vec<AtomicU64>, len: usize| {
            let sum = |nth: usize| workers.iter().map(|live| of(live)[nth].load(Ordering::Relaxed)).sum();
            (0..len).map(sum).collect()
        };
        Look {
            ok: workers.iter().map(|live| live.ok.load(Ordering::Relaxed)).sum(),
            failed: sums(|live| &live.failed, Failure::ALL.len()),
            response: sums(|live| &live.response, BUCKETS),
            lag: sums(|live| &live.lag, BUCKETS),
        }
    }

    /// What came since an earlier look.
    pub fn since(&self, earlier: &Look) -> Look {
        let less = |now: &[u64], then: &[u64]| {
            let then = then.iter().copied().chain(std::iter::repeat(0));
            now.iter().zip(then).map(|(now, then)| now.saturating_sub(then)).collect()
        };
        Look {
            ok: self.ok.saturating_sub(earlier.ok),
            failed: less(&self.failed, &earlier.failed),
            response: less(&self.response, &earlier.response),
            lag: less(&self.lag, &earlier.lag),
        }
    }

    /// Calls that succeeded so far.
    pub fn ok(&self) -> u64 {
        self.ok
    }

    /// Calls that failed so far in this way.
    pub fn failed(&self, kind: Failure) -> u64 {
        self.failed.get(place(kind)).copied().unwrap_or_default()
    }

    /// All calls that failed so far.
    pub fn failures(&self) -> u64 {
        self.failed.iter().sum()
    }

    /// The response time below which a share of the calls lies, in nanoseconds, to within 9 %.
    pub fn response_ns(&self, share: f64) -> Option<u64> {
        quantile_ns(&self.response, share)
    }

    /// The same of how late calls were picked up.
    pub fn lag_ns(&self, share: f64) -> Option<u64> {
        quantile_ns(&self.lag, share)
    }
}

/// Where a kind of failure is counted.
fn place(kind: Failure) -> usize {
    Failure::ALL.iter().position(|known| *known == kind).unwrap_or_default()
}

fn quantile_ns(counts: &[u64], share: f64) -> Option<u64> {
    let total: u64 = counts.iter().sum();
    let mut below = (share * total as f64).ceil() as u64;
    for (bucket, count) in counts.iter().enumerate() {
        if *count >= below.max(1) {
            return Some(terms::coarse::middle(bucket, STEPS) as u64);
        }
        below -= count;
    }
    None
}

impl Default for Live {
    fn default() -> Live {
        Live {
            ok: AtomicU64::new(0),
            failed: zeros(Failure::ALL.len()),
            stop: AtomicBool::new(false),
            worker: 0,
            workers: 1,
            response: zeros(BUCKETS),
            lag: zeros(BUCKETS),
        }
    }
}

fn zeros(number: usize) -> Vec<AtomicU64> {
    (0..number).map(|_| AtomicU64::new(0)).collect()
}

impl Live {
    /// That of one of several workers.
    pub(super) fn of(worker: usize, workers: usize) -> Live {
        Live { worker: worker as u64, workers: workers.max(1) as u64, ..Live::default() }
    }

    /// Which call of the whole load a worker's call is.
    pub(super) fn in_all(&self, nth: u64) -> usize {
        (nth * self.workers + self.worker) as usize
    }

    /// The other way round.
    pub(super) fn of_mine(&self, in_all: usize) -> usize {
        in_all / self.workers as usize
    }

    /// Asks for an end: no call is made any more, and those in flight are waited for.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether an end was asked for.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Starts again from nothing.
    pub(super) fn clear(&self) {
        for counter in self.response.iter().chain(&self.lag).chain(&self.failed).chain([&self.ok]) {
            counter.store(0, Ordering::Relaxed);
        }
    }

    pub(super) fn count(&self, response_ns: u64, lag_ns: u64, failed: Option<Failure>) {
        increment(&self.response[bucket(response_ns)]);
        increment(&self.lag[bucket(lag_ns)]);
        increment(failed.map_or(&self.ok, |kind| &self.failed[place(kind)]));
    }
}

fn bucket(ns: u64) -> usize {
    terms::coarse::bucket(ns, STEPS).min(BUCKETS - 1)
}

/// One writer: a load and a store are enough.
fn increment(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_bucket() {
        let live = Arc::new(Live::default());
        for micros in 1..=1_000_u64 {
            live.count(micros * 1_000, micros, None);
        }
        for (share, expected) in [(0.5, 500e3), (0.99, 990e3)] {
            let read = Look::at(std::slice::from_ref(&live)).response_ns(share).unwrap() as f64;
            assert!((read / expected - 1.0).abs() < 0.1, "{share}: {read}");
        }
        assert_eq!(Look::at(&[]).response_ns(0.5), None);
        assert_eq!(Look::at(&[live]).since(&Look::default()).ok(), 1_000);
    }
}
