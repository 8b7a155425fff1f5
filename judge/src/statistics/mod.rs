//! Ratios with their intervals, from pairs of rounds. The rounds are the sample: calls within a
//! round are not independent, rounds are as good as.
//!
//! Student's t on the mean of the logarithms of each pair's ratio; from [`BOOTSTRAP_ROUNDS`] rounds
//! on the BCa bootstrap of the same mean too, and an interval that contains both: the bootstrap
//! alone covers too little of the heavy-tailed noise of a shared machine (`simulations.rs` shows
//! how little), t alone does not lean with skewed rounds.

mod bootstrap;
mod counts;
mod holm;
mod place;
#[cfg(test)]
mod simulations;
mod unpaired;

use record::{Method, Ratio};
use statrs::distribution::{ContinuousCDF as _, StudentsT};

use bootstrap::Bootstrap;
pub use counts::ratio_of_counts;
pub use holm::holm;
pub use place::{Pair, Place, crossing, falls, means, place};
pub use unpaired::{ratio_of_rounds, ratio_of_runs};

/// Rounds that a verdict needs.
pub const ROUNDS_FOR_A_VERDICT: usize = 10;
/// Rounds from which on the bootstrap is used.
pub const BOOTSTRAP_ROUNDS: usize = 20;
/// The power at which a difference counts as one that could have been detected.
const POWER: f64 = 0.8;

/// Pairs of rounds, as the logarithms of their ratios.
#[derive(Debug, Clone)]
pub struct Paired {
    n: usize,
    mean: f64,
    /// The mean's standard error.
    error: f64,
    bootstrap: Option<Bootstrap>,
    /// How far both ends of every interval are moved out beyond that.
    slack: f64,
}

impl Paired {
    /// Pairs figures of the same rounds, which takes out what a round did to both. `None` for fewer
    /// than two pairs, or where a figure is not above zero.
    pub fn of(pairs: &[(f64, f64)]) -> Option<Paired> {
        let logs: Vec<f64> = pairs.iter().map(|(left, right)| (left / right).ln()).collect();
        if logs.len() < 2 || logs.iter().any(|log| !log.is_finite()) {
            return None;
        }
        let (mean, error) = mean_and_error(&logs);
        let bootstrap = (logs.len() >= BOOTSTRAP_ROUNDS).then(|| Bootstrap::of_the_mean(&logs));
        Some(Paired { n: logs.len(), mean, error, bootstrap, slack: 0.0 })
    }

    /// The same where something else may have moved the ratio by a factor, of at least 1, either
    /// way: the interval is as much longer at both ends.
    pub fn widened(self, factor: f64) -> Paired {
        Paired { slack: factor.ln(), ..self }
    }

    /// Rounds that were paired.
    pub fn rounds(&self) -> usize {
        self.n
    }

    /// The ratio with its intervals.
    pub fn ratio(&self) -> Ratio {
        let [low, high] = self.interval(0.95).map(f64::exp);
        let [low_90, high_90] = self.interval(0.9).map(f64::exp);
        let method = if self.bootstrap.is_some() { Method::StudentTAndBca } else { Method::StudentT };
        Ratio { ratio: self.mean.exp(), low, high, low_90, high_90, n: self.n, method }
    }

    /// The share of experiments that would show a difference from 1 at least as large if there were
    /// none, two-sided: the level at which the interval just reaches 1.
    pub fn p_value(&self) -> f64 {
        let beyond = self.mean.abs() - self.slack;
        if beyond <= 0.0 {
            return 1.0;
        }
        let by_t = if self.error == 0.0 {
            0.0
        } else {
            self.student().map_or(1.0, |t| 2.0 * t.cdf(-beyond / self.error))
        };
        let nearest = self.slack.copysign(self.mean);
        self.bootstrap.as_ref().map_or(by_t, |bootstrap| bootstrap.p_value(nearest).max(by_t))
    }

    /// The smallest ratio above 1 that Student's t would have told from 1 in so many rounds, at 95
    /// %, in four of five experiments: exp((t(0.975) + t(0.8)) · s / √n), with s the standard
    /// deviation of the logarithms; times what it is widened by.
    pub fn detectable(&self) -> f64 {
        let quantiles = self.student().map_or(f64::INFINITY, |t| t.inverse_cdf(0.975) + t.inverse_cdf(POWER));
        (quantiles * self.error + self.slack).exp()
    }

    fn interval(&self, level: f64) -> [f64; 2] {
        let quantile = self.student().map_or(f64::INFINITY, |t| t.inverse_cdf(f64::midpoint(1.0, level)));
        let (low, high) = (self.mean - quantile * self.error, self.mean + quantile * self.error);
        let [low, high] = match self.bootstrap.as_ref().map(|bootstrap| bootstrap.interval(level)) {
            Some([bca_low, bca_high]) => [low.min(bca_low), high.max(bca_high)],
            None => [low, high],
        };
        [low - self.slack, high + self.slack]
    }

    fn student(&self) -> Option<StudentsT> {
        student(self.n as f64 - 1.0)
    }
}

/// The ratio of paired figures, as [`Paired`] has it.
pub fn paired_ratio(pairs: &[(f64, f64)]) -> Option<Ratio> {
    Paired::of(pairs).map(|paired| paired.ratio())
}

/// Whether an interval tells a reader anything: of fewer rounds than a verdict needs, one that
/// spans a hundredfold does not.
pub fn tells(ratio: &Ratio) -> bool {
    ratio.n >= ROUNDS_FOR_A_VERDICT || ratio.high < ratio.low * 100.0
}

/// The mean of a contender's rounds with its 95 % interval by Student's t: (mean, half width).
/// `None` for fewer than two rounds.
pub fn mean_with_interval(values: &[f64]) -> Option<(f64, f64)> {
    if values.len() < 2 || values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let (mean, error) = mean_and_error(values);
    Some((mean, student(values.len() as f64 - 1.0)?.inverse_cdf(0.975) * error))
}

/// The mean of a contender's rounds as a ratio to a value, with Student's t intervals of the mean
/// itself: for shares, which may be nothing in some rounds and have no logarithm then. `None` for
/// fewer than two rounds.
pub fn ratio_to_value(values: &[f64], value: f64) -> Option<Ratio> {
    if values.len() < 2 {
        return None;
    }
    let (mean, error) = mean_and_error(values);
    let t = student(values.len() as f64 - 1.0)?;
    let [half, half_90] = [0.95, 0.9].map(|level| t.inverse_cdf(f64::midpoint(1.0, level)) * error);
    let [ratio, low, high, low_90, high_90] =
        [mean, mean - half, mean + half, mean - half_90, mean + half_90].map(|end| end.max(0.0) / value);
    Some(Ratio { ratio, low, high, low_90, high_90, n: values.len(), method: Method::StudentT })
}

/// Half of the 95 % interval of that slope, by Student's t on what the points are off the line;
/// `None` for fewer than three.
pub fn slope_uncertainty(points: &[(f64, f64)]) -> Option<f64> {
    let n = points.len() as f64;
    let t = student(n - 2.0).filter(|_| points.len() > 2)?;
    let of = |value: fn(&(f64, f64)) -> f64| points.iter().map(value).sum::<f64>() / n;
    let (middle, height, slope) = (of(|point| point.0), of(|point| point.1), slope(points));
    let off = |point: &(f64, f64)| (point.1 - height - slope * (point.0 - middle)).powi(2);
    let spread: f64 = points.iter().map(|point| (point.0 - middle).powi(2)).sum();
    let error = (points.iter().map(off).sum::<f64>() / (n - 2.0) / spread).sqrt();
    Some(t.inverse_cdf(0.975) * error)
}

/// The slope of the straight line through points, by least squares; 0 for fewer than two.
pub fn slope(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let (x, y) = (points.iter().map(|p| p.0).sum::<f64>() / n, points.iter().map(|p| p.1).sum::<f64>() / n);
    let across: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    let along: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    if across > 0.0 { along / across } else { 0.0 }
}

fn student(freedom: f64) -> Option<StudentsT> {
    StudentsT::new(0.0, 1.0, freedom).ok()
}

/// The arithmetic mean; 0 of nothing is not asked for.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The mean and its standard error.
fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let (n, mean) = (values.len() as f64, mean(values));
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logarithms of ratios: the fixed data that scipy was asked about too.
    const FEW: [f64; 8] = [0.095, 0.182, 0.262, 0.140, 0.223, 0.031, 0.117, 0.198];

    fn pairs(logs: &[f64]) -> Vec<(f64, f64)> {
        logs.iter().map(|log| (log.exp() * 3.0, 3.0)).collect()
    }

    /// `scipy.stats.ttest_1samp(FEW, 0)`: statistic, p-value, `confidence_interval(.95)`, `(.9)`.
    #[test]
    fn students_interval_and_p_value_are_scipys() {
        let paired = Paired::of(&pairs(&FEW)).unwrap();
        let ratio = paired.ratio();
        let close = |left: f64, right: f64| assert!((left - right).abs() < 1e-9, "{left} is not {right}");
        close(ratio.ratio.ln(), 0.156);
        close(ratio.low.ln(), 0.093_367_739_488_634_33);
        close(ratio.high.ln(), 0.218_632_260_511_365_67);
        close(ratio.low_90.ln(), 0.105_817_929_561_820_29);
        close(ratio.high_90.ln(), 0.206_182_070_438_179_7);
        close(paired.p_value(), 0.000_605_785_102_440_259_3);
        assert_eq!((ratio.n, ratio.method), (8, Method::StudentT));
    }

    /// Known by hand: the ends are a tenth further out, and the p-value is that of the nearest
    /// ratio that is left.
    #[test]
    fn what_may_have_moved_a_ratio_is_in_its_interval() {
        let quiet = Paired::of(&pairs(&FEW)).unwrap();
        let wide = quiet.clone().widened(1.1);
        let (narrow, ratio) = (quiet.ratio(), wide.ratio());
        let ends =
            [(narrow.low / 1.1, ratio.low), (narrow.high * 1.1, ratio.high), (narrow.ratio, ratio.ratio)];
        assert!(ends.iter().all(|(expected, is)| (expected - is).abs() < 1e-12), "{ratio:?}");
        let less = FEW.map(|log| log - 1.1_f64.ln());
        let moved = Paired::of(&pairs(&less)).unwrap();
        assert!((wide.p_value() - moved.p_value()).abs() < 1e-12);
        assert!((quiet.clone().widened(2.0).p_value() - 1.0).abs() < 1e-12, "it may all be the disturbance");
        assert!((quiet.clone().widened(1.0).p_value() - quiet.p_value()).abs() < 1e-12);
        let twenty: Vec<f64> = (0..20).map(|nth| f64::from(nth) / 100.0).collect();
        let [quiet, wide] = [1.0, 1.1].map(|by| Paired::of(&pairs(&twenty)).unwrap().widened(by));
        assert!(wide.p_value() > quiet.p_value() && wide.detectable() > quiet.detectable() * 1.09);
    }

    #[test]
    fn twenty_rounds_are_bootstrapped_too() {
        let logs: Vec<f64> = (0..20).map(|nth| f64::from(nth) / 100.0).collect();
        assert_eq!(paired_ratio(&pairs(&logs)).unwrap().method, Method::StudentTAndBca);
        assert_eq!(paired_ratio(&pairs(&logs[..19])).unwrap().method, Method::StudentT);
    }

    #[test]
    fn a_slope_is_the_lines() {
        assert!((slope(&[(1.0, 5.0), (2.0, 7.0), (4.0, 11.0)]) - 2.0).abs() < 1e-12);
        assert!(slope(&[(1.0, 5.0)]).abs() < 1e-12 && slope(&[]).abs() < 1e-12);
    }

    #[test]
    fn a_share_is_judged_where_it_is_nothing_too() {
        let none = ratio_to_value(&[0.0; 10], 0.01).unwrap();
        assert!(none.high < 1.0 && none.ratio == 0.0 && none.n == 10);
        // The mean of FEW, 0.156, with scipy's interval of it.
        let some = ratio_to_value(&FEW, 0.1).unwrap();
        assert!((some.ratio - 1.56).abs() < 1e-9 && (some.low - 0.933_677_395).abs() < 1e-8);
        assert!((some.high_90 - 2.061_820_704).abs() < 1e-8 && ratio_to_value(&[0.1], 0.1).is_none());
    }

    #[test]
    fn an_interval_of_few_rounds_tells_nothing_where_it_spans_a_hundredfold() {
        let of = |logs: &[f64]| paired_ratio(&pairs(logs)).unwrap();
        // t(0.975) of one degree of freedom is 12.7: two rounds span exp(12.7 · their difference).
        assert!(tells(&of(&[0.0, 0.36])) && !tells(&of(&[0.0, 0.37])));
        let wide = of(&[-6.0, 6.0].repeat(5));
        assert!(wide.high > wide.low * 100.0 && tells(&wide));
    }

    #[test]
    fn what_has_no_ratio_has_none() {
        assert_eq!(paired_ratio(&[(1.0, 2.0)]), None);
        assert_eq!(paired_ratio(&[(1.0, 0.0), (1.0, 1.0)]), None);
    }
}
