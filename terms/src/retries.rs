//! Attempts that were made again, by when they were due: whether many come together.

use std::time::Duration;

/// Bins of one stretch of load, at most: ten minutes. Later retries are in none.
const BINS_MAX: usize = 60_000;

/// How many attempts were made again in each 10 ms, by when their pause was over.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Retries {
    /// When the measured time begins, in ns of the machine's monotonic clock.
    pub from_ns: u64,
    /// One count for each 10 ms from then on; nothing where nobody makes a call again.
    pub bins: Vec<u64>,
}

impl Retries {
    /// How long a bin is.
    pub const BIN: Duration = Duration::from_millis(10);

    /// None yet, of a stretch of time: all is allocated now, and nothing in a call.
    pub fn over(from_ns: u64, span: Duration) -> Retries {
        let bins = (span.div_duration_f64(Retries::BIN).ceil() as usize).min(BINS_MAX);
        Retries { from_ns, bins: vec![0; bins] }
    }

    /// Counts one that was due at this time of the same clock.
    pub fn record(&mut self, due_ns: u64) {
        let bin_ns = u64::try_from(Retries::BIN.as_nanos()).unwrap_or(u64::MAX);
        let nth = due_ns.checked_sub(self.from_ns).and_then(|after| usize::try_from(after / bin_ns).ok());
        if let Some(bin) = nth.and_then(|nth| self.bins.get_mut(nth)) {
            *bin += 1;
        }
    }

    /// Adds another worker's, or another round's.
    pub fn merge(&mut self, other: &Retries) {
        if self.bins.len() < other.bins.len() {
            self.bins.resize(other.bins.len(), 0);
        }
        for (mine, theirs) in self.bins.iter_mut().zip(&other.bins) {
            *mine += theirs;
        }
    }

    /// The most in one bin; `None` where nobody makes a call again.
    pub fn peak(&self) -> Option<u64> {
        self.bins.iter().copied().max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_counted_where_they_were_due() {
        let from = 7_000_000_000;
        let mut retries = Retries::over(from, Duration::from_millis(95));
        for due_ms in [0, 9, 10, 94, 200] {
            retries.record(from + due_ms * 1_000_000);
        }
        retries.record(from - 1);
        assert_eq!((retries.bins.len(), &retries.bins[..2], retries.bins[9]), (10, &[2, 1][..], 1));
        let mut both = Retries::default();
        assert_eq!(both.peak(), None);
        both.merge(&retries);
        both.merge(&retries);
        assert_eq!(both.peak(), Some(4));
        assert_eq!(Retries::over(0, Duration::from_secs(86_400)).bins.len(), BINS_MAX);
    }
}
