//! The course of a stretch of load: what became of arrivals by when they were due, in slices of
//! time.

use std::time::Duration;

/// The shortest slice.
const SLICE: Duration = Duration::from_millis(10);
/// Slices of a round, at most: longer rounds have longer ones.
const SLICES_MAX: u32 = 100;

/// Arrivals of the measured time, slice by slice.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Course {
    /// When the measured time begins, in ns of the machine's monotonic clock.
    pub from_ns: u64,
    /// How long a slice is; nothing where no course is kept.
    pub slice: Duration,
    /// The slices, from the start of the measured time on.
    pub slices: Vec<Slice>,
}

/// What was due in one slice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Slice {
    /// Arrivals.
    pub arrivals: u64,
    /// Those that failed.
    pub failed: u64,
    /// The sum of their response times, in nanoseconds; failed ones at the time-out or more.
    pub response_ns: u64,
    /// The longest of them.
    pub longest_ns: u64,
}

impl Course {
    /// An empty one, of a stretch of time.
    pub fn over(from_ns: u64, duration: Duration) -> Course {
        let slice = SLICE * duration.div_duration_f64(SLICE * SLICES_MAX).ceil().max(1.0) as u32;
        let slices = duration.div_duration_f64(slice).ceil() as usize;
        Course { from_ns, slice, slices: vec![Slice::default(); slices] }
    }

    /// Counts an arrival that was due at this time of the same clock.
    pub fn record(&mut self, due_ns: u64, response_ns: u64, failed: bool) {
        let slice_ns = u64::try_from(self.slice.as_nanos()).unwrap_or(u64::MAX);
        let Some(nth) = due_ns.saturating_sub(self.from_ns).checked_div(slice_ns) else { return };
        if let Some(slice) = usize::try_from(nth).ok().and_then(|nth| self.slices.get_mut(nth)) {
            slice.arrivals += 1;
            slice.failed += u64::from(failed);
            slice.response_ns = slice.response_ns.saturating_add(response_ns);
            slice.longest_ns = slice.longest_ns.max(response_ns);
        }
    }

    /// From this time after the start to the end of the last slice in which more than a share of
    /// what was due failed, a slice at least: it is not known more closely. `None` where the last
    /// slice with arrivals is one of them.
    pub fn recovers_after(&self, end: Duration, failed_share: f64) -> Option<Duration> {
        let bad = |slice: &Slice| slice.failed as f64 > failed_share * slice.arrivals as f64;
        let last_bad = self.slices.iter().rposition(bad);
        let last = self.slices.iter().rposition(|slice| slice.arrivals > 0);
        let took = |last: usize| (self.slice * (last as u32 + 1)).saturating_sub(end).max(self.slice);
        match last_bad {
            None => Some(self.slice),
            Some(nth) => (last_bad != last).then(|| took(nth)),
        }
    }

    /// Adds another worker's, or another round's of the same length.
    pub fn merge(&mut self, other: &Course) {
        if self.slices.is_empty() {
            self.clone_from(other);
            return;
        }
        for (mine, theirs) in self.slices.iter_mut().zip(&other.slices) {
            mine.arrivals += theirs.arrivals;
            mine.failed += theirs.failed;
            mine.response_ns = mine.response_ns.saturating_add(theirs.response_ns);
            mine.longest_ns = mine.longest_ns.max(theirs.longest_ns);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_are_counted_where_they_were_due() {
        let from = 7_000_000_000;
        let after_ms = |ms: u64| from + ms * 1_000_000;
        let mut course = Course::over(from, Duration::from_secs(1));
        assert_eq!((course.slice, course.slices.len()), (SLICE, 100));
        course.record(from, 5, false);
        course.record(after_ms(9), 9, true);
        course.record(after_ms(950), 3, false);
        course.record(after_ms(2_000), 3, false);
        assert_eq!(course.slices[0], Slice { arrivals: 2, failed: 1, response_ns: 14, longest_ns: 9 });
        assert_eq!(course.slices[95].arrivals, 1);
        let recovers =
            |course: &Course, end_ms, share| course.recovers_after(Duration::from_millis(end_ms), share);
        let mut bad = course.clone();
        bad.record(after_ms(25), 9, true);
        assert_eq!(recovers(&bad, 4, 0.4), Some(Duration::from_millis(26)));
        assert_eq!(recovers(&bad, 24, 0.4), Some(SLICE), "no closer than a slice");
        assert_eq!(recovers(&course, 4, 0.5), Some(SLICE));
        bad.record(after_ms(990), 9, true);
        assert_eq!(recovers(&bad, 4, 0.4), None, "it fails to the end");
        let mut both = Course::default();
        both.record(from, 1, false);
        both.merge(&course);
        both.merge(&course);
        assert_eq!(both.slices.iter().map(|slice| slice.arrivals).sum::<u64>(), 6);
        let long = Course::over(from, Duration::from_secs(60));
        assert!(long.slices.len() <= SLICES_MAX as usize && long.slice >= Duration::from_millis(500));
    }
}
