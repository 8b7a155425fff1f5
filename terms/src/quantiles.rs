//! A distribution in a few numbers.

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Percentiles of a distribution, in µs. A percentile q means something where n(1 − q) ≥ 20;
/// whoever shows one to people asks [`Quantiles::shown`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Quantiles {
    /// Values.
    pub n: u64,
    /// The median.
    pub p50: f64,
    /// The 90th percentile.
    pub p90: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The 99.9th percentile.
    pub p999: f64,
    /// The largest.
    pub max: f64,
    /// The mean.
    pub mean: f64,
}

/// Values beyond a percentile that it takes to print it.
const VALUES_BEYOND_MIN: f64 = 20.0;

impl Quantiles {
    /// Reads a histogram of nanoseconds.
    pub fn of(histogram: &Histogram<u64>) -> Quantiles {
        let at = |share| histogram.value_at_quantile(share) as f64 / 1e3;
        Quantiles {
            n: histogram.len(),
            p50: at(0.5),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
            p999: at(0.999),
            max: histogram.max() as f64 / 1e3,
            mean: histogram.mean() / 1e3,
        }
    }

    /// A percentile where there are values enough to print it.
    pub fn shown(&self, share: f64) -> Option<f64> {
        self.at(share).filter(|_| printable(self.n, share))
    }

    /// A percentile, if it is one of those kept.
    pub fn at(&self, share: f64) -> Option<f64> {
        match share {
            0.5 => Some(self.p50),
            0.9 => Some(self.p90),
            0.95 => Some(self.p95),
            0.99 => Some(self.p99),
            0.999 => Some(self.p999),
            _ => None,
        }
    }
}

/// Whether there are values enough beyond a percentile to print it: n(1 − q) ≥ 20.
pub fn printable(n: u64, share: f64) -> bool {
    // A little slack, because 1 − 0.99 is not quite 0.01.
    n as f64 * (1.0 - share) >= VALUES_BEYOND_MIN - 1e-6
}

/// Values that it takes to print a percentile.
pub fn calls_needed(share: f64) -> u64 {
    // The same slack.
    (VALUES_BEYOND_MIN / (1.0 - share) - 1e-6).ceil() as u64
}

/// The share of a distribution of nanoseconds that is at most so many µs; `None` of an empty one.
pub fn share_within(histogram: &Histogram<u64>, us: f64) -> Option<f64> {
    (!histogram.is_empty()).then(|| count_within(histogram, us) as f64 / histogram.len() as f64)
}

/// How many values of a distribution of nanoseconds are at most so many µs.
pub fn count_within(histogram: &Histogram<u64>, us: f64) -> u64 {
    histogram.count_between(0, (us * 1e3) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_shown_only_with_twenty_values_beyond_it() {
        let mut histogram = Histogram::<u64>::new(3).unwrap();
        histogram.record_n(5_000, 1_999).unwrap();
        assert_eq!(Quantiles::of(&histogram).shown(0.99), None);
        histogram.record(5_000).unwrap();
        let quantiles = Quantiles::of(&histogram);
        assert!(quantiles.shown(0.99).is_some() && quantiles.shown(0.999).is_none());
        assert!((quantiles.p50 - 5.0).abs() < 0.01);
    }
}
