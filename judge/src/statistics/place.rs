//! Where a curve crosses a level: by interpolation between the means of its points, with the
//! expanded percentile bootstrap over the rounds behind each point: of few rounds, the percentiles
//! are moved out to where Student's t and the variance's n − 1 have them (Hesterberg, "What
//! Teachers Should Know About the Bootstrap", The American Statistician 69, 2015).

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use statrs::distribution::{ContinuousCDF as _, Normal};

use super::{slope, student};

/// Resamples: each end of a 95 % interval then stands on 50 of them.
const RESAMPLES: usize = 1_999;
/// The same data always give the same interval.
const SEED: u64 = 0x706c_6163;

/// A place on an axis with its 95 % interval. Infinite where it lies beyond what was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// From the means of all rounds.
    pub at: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// Two figures of the same round, or the means of both.
pub type Pair = (f64, f64);

/// Finds a place from the means of both figures of each point's rounds, and again from resampled
/// rounds. `None` where a point has fewer than two. (Means, and not logarithms of each round's
/// ratio: where little happens, a round may cost nothing.)
pub fn place(points: &[Vec<Pair>], find: impl Fn(&[Pair]) -> f64) -> Option<Place> {
    if points.is_empty() || points.iter().any(|rounds| rounds.len() < 2) {
        return None;
    }
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let mut resampled = |rounds: &Vec<Pair>| {
        let n = rounds.len();
        means((0..n).map(|_| rounds[random.random_range(0..n)]))
    };
    let mut found: Vec<f64> =
        (0..RESAMPLES).map(|_| find(&points.iter().map(&mut resampled).collect::<Vec<_>>())).collect();
    found.sort_by(f64::total_cmp);
    let at = find(&points.iter().map(|rounds| means(rounds.iter().copied())).collect::<Vec<_>>());
    let end = |share: f64| found[(share * (RESAMPLES - 1) as f64).round() as usize];
    let beyond = share_beyond(points.iter().map(Vec::len).min().unwrap_or(0))?;
    Some(Place { at, low: end(beyond), high: end(1.0 - beyond) })
}

/// The share of resamples that lies beyond either end of a 95 % interval of so many rounds:
/// Φ(−t₀.₉₇₅ · √(n / (n − 1))).
fn share_beyond(n: usize) -> Option<f64> {
    let n = n as f64;
    let t = student(n - 1.0)?.inverse_cdf(0.975);
    Some(Normal::standard().cdf(-t * (n / (n - 1.0)).sqrt()))
}

/// The means of both figures.
pub fn means(rounds: impl ExactSizeIterator<Item = Pair>) -> Pair {
    let n = rounds.len() as f64;
    let (left, right) = rounds.fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1));
    (left / n, right / n)
}

/// Whether a curve falls along its axis, by least squares.
pub fn falls(axis: &[f64], values: &[f64]) -> bool {
    slope(&axis.iter().copied().zip(values.iter().copied()).collect::<Vec<_>>()) < 0.0
}

/// Where a curve that falls (or rises) crosses zero: on the straight line between two points, of
/// several crossings in the middle between the first and the last. −∞ where it has crossed before
/// the first point, ∞ where it has not at the last.
pub fn crossing(axis: &[f64], values: &[f64], falls: bool) -> f64 {
    let pairs = axis.windows(2).zip(values.windows(2));
    let mut crossings = pairs.filter(|(_, ends)| (ends[0] > 0.0) != (ends[1] > 0.0));
    let on_the_line = |(at, ends): (&[f64], &[f64])| at[0] + (at[1] - at[0]) * ends[0] / (ends[0] - ends[1]);
    let Some(first) = crossings.next() else {
        let above = values.first().is_some_and(|value| *value > 0.0);
        return if above == falls { f64::INFINITY } else { f64::NEG_INFINITY };
    };
    f64::midpoint(on_the_line(first), on_the_line(crossings.next_back().unwrap_or(first)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_crosses_between_two_points_or_beyond_them() {
        let axis = [1.0, 2.0, 3.0];
        assert_eq!(crossing(&axis, &[1.0, 0.5, -0.5], true), 2.5);
        assert_eq!(crossing(&axis, &[-1.0, -3.0, 1.0], false), 2.75);
        assert_eq!(crossing(&axis, &[1.0, 2.0, 3.0], true), f64::INFINITY);
        assert_eq!(crossing(&axis, &[1.0, 2.0, 3.0], false), f64::NEG_INFINITY);
        assert_eq!(crossing(&axis, &[-1.0, -2.0, -3.0], true), f64::NEG_INFINITY);
        // From 1.5 to 2.5: in the middle.
        assert_eq!(crossing(&[1.0, 2.0, 3.0, 4.0], &[1.0, -1.0, 1.0, -1.0], true), 2.5);
        assert!(falls(&axis, &[3.0, 2.5, 0.0]) && !falls(&axis, &[1.0, 1.0, 2.0]));
    }

    /// A known crossing at 2 on noisy points of ten rounds: the interval has it in at least 95 % of
    /// experiments.
    #[test]
    fn the_interval_covers_a_known_place() {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let axis = [0.0, 1.0, 3.0, 4.0];
        let mut noise = || (0..12).map(|_| random.random_range(-0.5..0.5)).sum::<f64>();
        let covered = (0..400).filter(|_| {
            let points: Vec<Vec<Pair>> = axis
                .iter()
                .map(|at| (0..10).map(|_| (12.0 - at + noise(), 10.0 + noise())).collect())
                .collect();
            let beyond = |means: &[Pair]| means.iter().map(|(left, right)| left - right).collect::<Vec<_>>();
            let found = place(&points, |means| crossing(&axis, &beyond(means), true)).unwrap();
            found.low <= 2.0 && 2.0 <= found.high
        });
        let covered = covered.count();
        // At least 95 %: two points decide, and each is treated as if it were alone.
        assert!((380..400).contains(&covered), "{covered} of 400");
    }

    #[test]
    fn few_rounds_move_the_ends_out() {
        let share = |n| (share_beyond(n).unwrap() * 1e4).round();
        assert_eq!((share(10), share(1_000)), (86.0, 248.0));
    }

    #[test]
    fn one_round_says_nothing() {
        assert_eq!(place(&[vec![(1.0, 1.0)], vec![(1.0, 1.0), (2.0, 1.0)]], |_| 0.0), None);
    }
}
