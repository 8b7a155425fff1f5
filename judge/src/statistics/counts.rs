//! Shares of what was counted, also where that is nothing or all of it.

use record::{Method, Ratio};
use statrs::distribution::{Beta, ContinuousCDF as _};

use super::ratio_to_value;

/// The share that was counted, as a ratio to a value: Student's t on the rounds' shares, and the
/// exact interval of all that was counted, joined. The first has what differs from round to round;
/// the second has what rounds that are all alike do not show: of 8 000 that all came, up to 0.04 %
/// may be lost. `counts` has how many and of how many, round by round. `None` for fewer than two
/// rounds, or where nothing was counted.
pub fn ratio_of_counts(counts: &[(u64, u64)], value: f64) -> Option<Ratio> {
    let shares: Vec<f64> = counts.iter().map(|(some, all)| *some as f64 / (*all).max(1) as f64).collect();
    let of_rounds = ratio_to_value(&shares, value)?;
    let (some, all) = counts.iter().fold((0, 0), |(some, all), (k, n)| (some + k, all + n));
    let [low, high] = clopper_pearson(some, all, 0.95)?.map(|end| end / value);
    let [low_90, high_90] = clopper_pearson(some, all, 0.9)?.map(|end| end / value);
    Some(Ratio {
        low: of_rounds.low.min(low),
        high: of_rounds.high.max(high),
        low_90: of_rounds.low_90.min(low_90),
        high_90: of_rounds.high_90.max(high_90),
        method: Method::StudentTAndClopperPearson,
        ..of_rounds
    })
}

/// Clopper and Pearson's interval of a share (Biometrika 26, 1934). Of nothing, and of all, it has
/// one end only, and the whole error is at that: 1 − (1 − level)^(1/n), which is 3 / n at 95 %.
fn clopper_pearson(some: u64, all: u64, level: f64) -> Option<[f64; 2]> {
    let (k, n) = (some as f64, all as f64);
    let error = 1.0 - level;
    match (some, all) {
        (_, 0) => None,
        (0, _) => Some([0.0, 1.0 - error.powf(1.0 / n)]),
        (some, all) if some >= all => Some([error.powf(1.0 / n), 1.0]),
        _ => {
            let low = quantile(&Beta::new(k, n - k + 1.0).ok()?, error / 2.0);
            let high = quantile(&Beta::new(k + 1.0, n - k).ok()?, 1.0 - error / 2.0);
            Some([low, high])
        }
    }
}

/// The quantile of a distribution of shares, by halving: the library's own does not end for some
/// of many millions.
fn quantile(beta: &Beta, level: f64) -> f64 {
    const HALVINGS: usize = 60;
    let halve = |(low, high): (f64, f64), _| {
        let middle = f64::midpoint(low, high);
        if beta.cdf(middle) < level { (middle, high) } else { (low, middle) }
    };
    (0..HALVINGS).fold((0.0, 1.0), halve).0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `scipy.stats.binomtest(k, n).proportion_ci(0.95, "exact")`.
    #[test]
    fn the_exact_interval_is_scipys() {
        let close = |[low, high]: [f64; 2], expected: [f64; 2]| {
            assert!((low - expected[0]).abs() < 1e-7 && (high - expected[1]).abs() < 1e-7, "{low} {high}");
        };
        close(clopper_pearson(5, 8_000, 0.95).unwrap(), [0.000_202_965_949, 0.001_457_933_716]);
        close(clopper_pearson(37, 100, 0.95).unwrap(), [0.275_566_579_615, 0.472_351_640_552]);
        assert_eq!(clopper_pearson(0, 0, 0.95), None);
    }

    #[test]
    fn nothing_of_eight_thousand_is_at_most_three_in_eight_thousand() {
        let [none, most] = clopper_pearson(0, 8_000, 0.95).unwrap();
        assert!(none == 0.0 && (most - 3.0 / 8_000.0).abs() < 1e-6, "{most}");
        let [least, all] = clopper_pearson(8_000, 8_000, 0.95).unwrap();
        assert!(all == 1.0 && (least + most - 1.0).abs() < 1e-12);
        let ratio = ratio_of_counts(&[(0, 800); 10], 0.001).unwrap();
        assert!(ratio.ratio == 0.0 && ratio.low == 0.0 && (ratio.high - 0.374_5).abs() < 1e-3, "{ratio:?}");
        let all = ratio_of_counts(&[(800, 800); 10], 0.9999).unwrap();
        assert!(all.low < 1.0, "8 000 that came do not show 99.99 %: {all:?}");
    }

    /// Of many millions too, which is where a quantile by bisection is slow.
    #[test]
    fn large_counts_come_to_an_end() {
        for some in [1, 1_000, 5_000_000, 9_999_999] {
            let [low, high] = clopper_pearson(some, 10_000_000, 0.95).unwrap();
            let share = some as f64 / 1e7;
            assert!(low < share && share < high, "{low} {share} {high}");
        }
    }

    #[test]
    fn rounds_that_differ_have_the_wider_interval() {
        let ratio = ratio_of_counts(&[(0, 1_000), (100, 1_000), (10, 1_000)], 1.0).unwrap();
        assert!(ratio.high > 0.1, "{ratio:?}");
    }
}
