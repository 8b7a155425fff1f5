//! Ratios of figures that were not measured side by side: of two runs.

use statrs::distribution::ContinuousCDF as _;

use record::{Method, Ratio};

use super::{mean, mean_and_error, student};

/// Runs of one plan from which on the variance between runs is estimated.
const REPEATS_FOR_VARIANCE: usize = 3;

/// The ratio of two runs' figures, from the rounds of each: Welch's t on the logarithms. What
/// differs from run to run and not from round to round is not in the interval. `None` for fewer
/// than two rounds, or a figure that is not above zero.
pub fn ratio_of_rounds(new: &[f64], old: &[f64]) -> Option<Ratio> {
    let (new, old) = (logs(new)?, logs(old)?);
    if new.len().min(old.len()) < 2 {
        return None;
    }
    let ((new_mean, new_error), (old_mean, old_error)) = (mean_and_error(&new), mean_and_error(&old));
    let variance = new_error.powi(2) + old_error.powi(2);
    let part = |error: f64, n: usize| error.powi(4) / (n as f64 - 1.0);
    // Welch–Satterthwaite; of figures that do not vary at all there is nothing to be unsure of.
    let spread = part(new_error, new.len()) + part(old_error, old.len());
    let freedom = if spread > 0.0 { variance.powi(2) / spread } else { f64::MAX };
    ratio(new_mean - old_mean, variance.sqrt(), freedom, new.len().min(old.len()))
}

/// Degrees of freedom of two rounds a side, which Welch's approximation goes below only where
/// figures are too small to be squared.
const FREEDOM_MIN: f64 = 1.0;
/// Past these Student's t is the normal distribution to three digits; for 10^9 the library's
/// quantile does not come to an end. Only figures that do not vary at all have more.
const FREEDOM_MAX: f64 = 1e4;

/// The ratio of repeated runs' figures, one figure a run: Student's t on the logarithms, with the
/// variance between runs that the sides with three runs or more show, taken for both. `None` where
/// neither has three.
pub fn ratio_of_runs(new: &[f64], old: &[f64]) -> Option<Ratio> {
    let (new, old) = (logs(new)?, logs(old)?);
    let repeated: Vec<&Vec<f64>> =
        [&new, &old].into_iter().filter(|runs| runs.len() >= REPEATS_FOR_VARIANCE).collect();
    let squares = |runs: &Vec<f64>| {
        let middle = mean(runs);
        runs.iter().map(|run| (run - middle).powi(2)).sum::<f64>()
    };
    let freedom: f64 = repeated.iter().map(|runs| runs.len() as f64 - 1.0).sum();
    if freedom == 0.0 || new.is_empty() || old.is_empty() {
        return None;
    }
    let variance = repeated.iter().map(|runs| squares(runs)).sum::<f64>() / freedom;
    let error = (variance * (1.0 / new.len() as f64 + 1.0 / old.len() as f64)).sqrt();
    ratio(mean(&new) - mean(&old), error, freedom, new.len().min(old.len()))
}

fn logs(values: &[f64]) -> Option<Vec<f64>> {
    let logs: Vec<f64> = values.iter().map(|value| value.ln()).collect();
    logs.iter().all(|log| log.is_finite()).then_some(logs)
}

fn ratio(middle: f64, error: f64, freedom: f64, n: usize) -> Option<Ratio> {
    let t = student(freedom.clamp(FREEDOM_MIN, FREEDOM_MAX))?;
    let (half_95, half_90) = (t.inverse_cdf(0.975) * error, t.inverse_cdf(0.95) * error);
    Some(Ratio {
        ratio: middle.exp(),
        low: (middle - half_95).exp(),
        high: (middle + half_95).exp(),
        low_90: (middle - half_90).exp(),
        high_90: (middle + half_90).exp(),
        n,
        method: Method::StudentT,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As bytes of a reply that is always the same; or as nobody measures, and a record can say.
    #[test]
    fn figures_that_do_not_vary_are_compared_and_that_ends() {
        let ratio = ratio_of_rounds(&[2.0; 10], &[1.0; 10]).unwrap();
        assert!((ratio.ratio - 2.0).abs() < 1e-9 && (ratio.high - ratio.low).abs() < 1e-9, "{ratio:?}");
        for figures in [[1e-300, 1e-301, 1e-302], [1.0, 1.0 + 1e-15, 1.0], [1e300, 1e-300, 1.0]] {
            assert!(ratio_of_rounds(&figures, &[1.0, 2.0, 3.0]).is_some());
            assert!(ratio_of_rounds(&figures, &figures).is_some());
        }
    }

    /// `scipy.stats.ttest_ind(log(NEW), log(OLD), equal_var=False).confidence_interval(.95)`.
    #[test]
    fn the_interval_of_rounds_is_scipys_welch() {
        let new = [1.30, 1.10, 1.25, 1.18, 1.22, 1.31];
        let old = [1.01, 1.05, 0.98, 1.02];
        let ratio = ratio_of_rounds(&new, &old).unwrap();
        let close =
            |left: f64, right: f64| assert!((left.ln() - right).abs() < 1e-6, "{left} is not exp {right}");
        close(ratio.low, 0.116861627);
        close(ratio.high, 0.259038309);
    }

    /// `scipy.stats.ttest_ind(log(NEW), log(OLD)).confidence_interval(.95)`, where both sides have
    /// three.
    #[test]
    fn the_interval_of_runs_is_scipys_pooled_t() {
        let ratio = ratio_of_runs(&[1.2, 1.25, 1.22], &[1.0, 1.04, 0.99]).unwrap();
        let close =
            |left: f64, right: f64| assert!((left.ln() - right).abs() < 1e-6, "{left} is not exp {right}");
        close(ratio.low, 0.138563622);
        close(ratio.high, 0.244866771);
        assert!(ratio_of_runs(&[1.2, 1.25, 1.22], &[1.0]).is_some());
        assert!(ratio_of_runs(&[1.2, 1.25], &[1.0, 1.1]).is_none());
    }

    #[test]
    fn what_has_no_logarithm_has_no_ratio() {
        assert!(ratio_of_rounds(&[1.0, 0.0], &[1.0, 1.0]).is_none());
        assert!(ratio_of_rounds(&[1.0], &[1.0, 1.0]).is_none());
    }
}
