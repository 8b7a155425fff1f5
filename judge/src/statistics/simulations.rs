//! What the intervals are worth, shown and not hoped: seeded experiments in which the truth is
//! known.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use statrs::distribution::{ContinuousCDF as _, Normal};

use super::bootstrap::Bootstrap;
use super::{BOOTSTRAP_ROUNDS, Paired, ROUNDS_FOR_A_VERDICT};

/// Logarithms of the ratios of `tcp-again` to `tcp` in processor time per call, round by round, as
/// `run aa --quick --rounds 40` measured them on a shared virtual machine of two cores (24 November
/// 2026), their mean taken out.
const RECORDED: [f64; 40] = [
    0.0265, -0.0189, -0.0048, -0.0394, -0.0117, 0.0006, -0.0022, -0.0165, 0.0162, 0.0136, -0.0049, -0.0241,
    -0.0157, 0.0604, 0.0763, 0.0042, -0.0346, 0.2023, -0.0148, 0.0377, -0.0097, 0.0544, 0.0220, 0.0115,
    -0.0060, -0.0034, 0.1825, 0.0677, -0.1585, -0.0587, 0.0106, -0.1322, -0.0263, -0.0091, -0.0569, -0.0301,
    -0.1041, 0.0076, -0.0033, -0.0078,
];

const TRUTH: f64 = 0.2;

fn normal(random: &mut ChaCha8Rng) -> f64 {
    Normal::standard().inverse_cdf(random.random_range(1e-12..1.0))
}

fn recorded(random: &mut ChaCha8Rng) -> f64 {
    RECORDED[random.random_range(0..RECORDED.len())]
}

/// Rounds whose logarithms of ratios are `middle` and noise.
fn experiment(rounds: usize, middle: f64, mut noise: impl FnMut() -> f64) -> Paired {
    let pairs: Vec<(f64, f64)> = (0..rounds).map(|_| ((middle + noise()).exp(), 1.0)).collect();
    Paired::of(&pairs).unwrap()
}

/// The share of 95 % intervals that contain the truth.
fn coverage(experiments: usize, rounds: usize, noise: fn(&mut ChaCha8Rng) -> f64) -> f64 {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let covers = |_: &usize| {
        let ratio = experiment(rounds, TRUTH, || noise(&mut random)).ratio();
        (ratio.low.ln()..=ratio.high.ln()).contains(&TRUTH)
    };
    (0..experiments).filter(covers).count() as f64 / experiments as f64
}

/// 2 000 experiments of ten rounds: four standard errors around 95 % are 93.0 to 97.0 %.
#[test]
fn students_interval_covers_the_truth_as_often_as_it_says() {
    let covered = coverage(2_000, 10, |random| 0.1 * normal(random));
    assert!((0.93..=0.97).contains(&covered), "{covered}");
    let covered = coverage(2_000, 10, recorded);
    assert!((0.92..=0.975).contains(&covered), "on recorded noise: {covered}");
}

/// From twenty rounds on with the bootstrap beside it. 500 experiments: four standard errors around
/// 95 % are 91.1 to 98.9 %.
#[test]
fn both_intervals_together_cover_the_truth_as_often_as_they_say() {
    let covered = coverage(500, BOOTSTRAP_ROUNDS, |random| 0.1 * normal(random));
    assert!((0.911..=0.989).contains(&covered), "{covered}");
    let covered = coverage(500, BOOTSTRAP_ROUNDS, recorded);
    assert!((0.911..=0.989).contains(&covered), "on recorded noise: {covered}");
}

/// Why the bootstrap does not stand alone: of recorded noise it covers some 83 to 87 % at twenty
/// rounds, and says 95.
#[test]
fn the_bootstrap_alone_covers_too_little_of_recorded_noise() {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let covers = |_: &usize| {
        let logs: Vec<f64> = (0..BOOTSTRAP_ROUNDS).map(|_| recorded(&mut random)).collect();
        let [low, high] = Bootstrap::of_the_mean(&logs).interval(0.95);
        (low..=high).contains(&0.0)
    };
    let covered = (0..500).filter(covers).count() as f64 / 500.0;
    assert!(covered < 0.91, "{covered}: it could stand alone");
}

/// The A/A pair of a quick run, a thousand times: at 95 % fifty should show a difference.
#[test]
fn at_most_eighty_of_a_thousand_aa_pairs_show_a_difference() {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let different = (0..1_000).filter(|_| {
        let ratio = experiment(ROUNDS_FOR_A_VERDICT, 0.0, || recorded(&mut random)).ratio();
        ratio.low > 1.0 || ratio.high < 1.0
    });
    let different = different.count();
    assert!((20..=80).contains(&different), "{different}");
}

/// A true difference of 10 % is found with the rounds that every scenario has by default.
#[test]
fn a_planted_difference_of_ten_percent_is_found() {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let standard = scenarios::Scenario::find("aa", &[]).unwrap().profiles.standard.rounds as usize;
    let found = (0..1_000).filter(|_| {
        let ratio = experiment(standard, 1.1_f64.ln(), || recorded(&mut random)).ratio();
        ratio.low > 1.0
    });
    let found = found.count();
    assert!(found >= 800, "{found} of 1 000");
}

/// Two one-sided tests at 5 % say `same` of what lies on the margin in at most one of twenty.
#[test]
fn what_lies_on_the_margin_is_seldom_called_the_same() {
    let mut random = ChaCha8Rng::seed_from_u64(4);
    let margin = 1.1_f64;
    let same = (0..2_000).filter(|_| {
        let ratio = experiment(10, margin.ln(), || 0.02 * normal(&mut random)).ratio();
        ratio.high_90 < margin && ratio.low_90 > 1.0 / margin
    });
    // Four standard errors above 5 % of 2 000.
    let same = same.count();
    assert!((60..=139).contains(&same), "{same}");
}
