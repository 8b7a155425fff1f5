//! What became of calls along time: counts and a coarse distribution for each slice of the measured
//! time, by when the calls were due.

use std::time::Duration;

use crate::coarse;

/// The shortest slice.
const SLICE: Duration = Duration::from_secs(1);
/// Slices, at most: longer loads have longer ones.
const SLICES_MAX: u32 = 3_600;
/// Buckets a factor of two, as a power of two: values are known to within 1.6 %.
const STEPS: u32 = 5;
/// From 1 ns to 18 minutes.
const BUCKETS: usize = 40 << STEPS;

/// The slices of a load.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Timeline {
    /// When the measured time begins, in ns of the machine's monotonic clock.
    pub from_ns: u64,
    /// How long a slice is.
    pub slice: Duration,
    /// The slices, from the start of the measured time on; those to the last in which a call was
    /// due.
    pub slices: Vec<TimeSlice>,
}

/// What was due in a slice.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct TimeSlice {
    /// Calls.
    pub arrivals: u64,
    /// Those that succeeded.
    pub ok: u64,
    /// How many had which response time, by its logarithm; failed ones at the time-out or later.
    buckets: Vec<u32>,
}

impl Timeline {
    /// An empty one, of a stretch of time.
    pub fn over(from_ns: u64, duration: Duration) -> Timeline {
        let slice = SLICE * duration.div_duration_f64(SLICE * SLICES_MAX).ceil().max(1.0) as u32;
        Timeline { from_ns, slice, slices: Vec::new() }
    }

    /// Counts a call that was due at this time of the same clock.
    pub fn record(&mut self, due_ns: u64, response_ns: u64, failed: bool) {
        let slice_ns = u64::try_from(self.slice.as_nanos()).unwrap_or(u64::MAX);
        let Some(nth) = due_ns.saturating_sub(self.from_ns).checked_div(slice_ns) else { return };
        let nth = (nth as usize).min(SLICES_MAX as usize);
        if nth >= self.slices.len() {
            self.slices.resize(nth + 1, TimeSlice::default());
        }
        self.slices[nth].record(response_ns, failed);
    }

    /// Adds another worker's.
    pub fn merge(&mut self, other: &Timeline) {
        if self.slice.is_zero() {
            self.clone_from(other);
            return;
        }
        if self.slices.len() < other.slices.len() {
            self.slices.resize(other.slices.len(), TimeSlice::default());
        }
        for (mine, theirs) in self.slices.iter_mut().zip(&other.slices) {
            mine.merge(theirs);
        }
    }
}

impl TimeSlice {
    /// Counts a call.
    pub fn record(&mut self, response_ns: u64, failed: bool) {
        self.arrivals += 1;
        self.ok += u64::from(!failed);
        if self.buckets.is_empty() {
            self.buckets.resize(BUCKETS, 0);
        }
        self.buckets[coarse::bucket(response_ns, STEPS).min(BUCKETS - 1)] += 1;
    }

    /// Adds another worker's.
    pub fn merge(&mut self, other: &TimeSlice) {
        self.arrivals += other.arrivals;
        self.ok += other.ok;
        if self.buckets.is_empty() {
            self.buckets.clone_from(&other.buckets);
            return;
        }
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
    }

    /// A percentile of the response times in µs, to within 1.6 %; `None` where it is a failed
    /// call's, or nothing was due.
    pub fn response_us(&self, share: f64) -> Option<f64> {
        let failed_share = (self.arrivals - self.ok) as f64 / self.arrivals.max(1) as f64;
        if failed_share > 1.0 - share {
            return None;
        }
        let mut below = ((share * self.arrivals as f64).ceil() as u64).max(1);
        for (bucket, count) in self.buckets.iter().enumerate() {
            if u64::from(*count) >= below {
                return Some(coarse::middle(bucket, STEPS) / 1e3);
            }
            below -= u64::from(*count);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_found_again_by_when_they_were_due() {
        let second = |nth: u64| nth * 1_000_000_000;
        let mut timeline = Timeline::over(second(5), Duration::from_secs(10));
        for nth in 0..1_000 {
            timeline.record(second(6), nth * 1_000, false);
            timeline.record(second(7), 100_000_000, nth < 20);
        }
        assert_eq!((timeline.slices.len(), timeline.slices[0].arrivals), (3, 0));
        let p50 = timeline.slices[1].response_us(0.5).unwrap();
        assert!((p50 / 500.0 - 1.0).abs() < 0.03, "{p50}");
        assert_eq!(timeline.slices[2].response_us(0.99), None, "2 % failed");
        let mut twice = Timeline::default();
        twice.merge(&timeline);
        twice.merge(&timeline);
        assert_eq!((twice.slices[2].arrivals, twice.slices[2].ok), (2_000, 1_960));
        assert_eq!(Timeline::over(0, Duration::from_secs(36_000)).slice, Duration::from_secs(10));
    }
}
