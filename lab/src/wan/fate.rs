//! What befalls the n-th packet of a way: drawn from a seed, and from nothing else.

use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use terms::{Jitter, JitterShape, Loss, Way};

/// One packet's fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fate {
    pub(super) lost: bool,
    pub(super) doubled: bool,
    pub(super) reordered: bool,
    /// The way's delay with its jitter.
    pub(super) delay: Duration,
}

/// The fates of a way's packets, in their order.
#[derive(Debug)]
pub(super) struct Fates {
    random: ChaCha8Rng,
    bad_spell: bool,
}

impl Fates {
    /// A stream of its own for each way of a topology.
    pub(super) fn new(seed: u64, place: usize) -> Fates {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(place as u64);
        Fates { random, bad_spell: false }
    }

    /// As many draws for every packet, whatever the way does: a way that changes does not shift the
    /// fates after it.
    pub(super) fn next(&mut self, way: &Way) -> Fate {
        let [spell, loss, double, reorder, first, second]: [f64; 6] = self.random.random();
        let lost = match way.loss {
            Loss::Independent(share) => loss < share,
            Loss::Bursts { begin, end, lost } => {
                let turns = spell < if self.bad_spell { end } else { begin };
                self.bad_spell ^= turns;
                self.bad_spell && loss < lost
            }
        };
        let delay = way.jitter.map_or(way.delay, |jitter| jittered(way.delay, jitter, first, second));
        Fate { lost, doubled: double < way.duplicates, reordered: reorder < way.reordered, delay }
    }
}

fn jittered(delay: Duration, jitter: Jitter, first: f64, second: f64) -> Duration {
    // 1 − u is in (0, 1], so that its logarithm is finite.
    let sizes = match jitter.shape {
        JitterShape::Uniform => 2.0 * first - 1.0,
        // Box and Muller 1958.
        JitterShape::Normal => (-2.0 * (1.0 - first).ln()).sqrt() * (std::f64::consts::TAU * second).cos(),
        JitterShape::Exponential => -(1.0 - first).ln(),
    };
    let seconds = delay.as_secs_f64() + sizes * jitter.size.as_secs_f64();
    Duration::from_secs_f64(seconds.max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fates(seed: u64, way: &Way, n: usize) -> Vec<Fate> {
        let mut fates = Fates::new(seed, 0);
        (0..n).map(|_| fates.next(way)).collect()
    }

    fn lossy() -> Way {
        let jitter = Some(Jitter { size: Duration::from_millis(2), shape: JitterShape::Normal });
        Way {
            jitter,
            loss: Loss::Independent(0.1),
            duplicates: 0.05,
            reordered: 0.05,
            ..Way::of(Duration::from_millis(20))
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_packets_the_same_fate() {
        assert_eq!(fates(7, &lossy(), 1_000), fates(7, &lossy(), 1_000));
        assert_ne!(fates(7, &lossy(), 1_000), fates(8, &lossy(), 1_000));
        let mut other_way = Fates::new(7, 1);
        let others: Vec<Fate> = (0..1_000).map(|_| other_way.next(&lossy())).collect();
        assert_ne!(fates(7, &lossy(), 1_000), others);
    }

    #[test]
    fn a_change_of_the_way_does_not_shift_the_fates_after_it() {
        let mut changed = Fates::new(7, 0);
        let burst = Way { loss: Loss::Bursts { begin: 0.5, end: 0.5, lost: 1.0 }, ..lossy() };
        for _ in 0..100 {
            let _ = changed.next(&burst);
        }
        let after: Vec<Fate> = (0..100).map(|_| changed.next(&lossy())).collect();
        assert_eq!(after, fates(7, &lossy(), 200)[100..]);
    }

    /// Within four standard deviations of the binomial's mean.
    #[test]
    fn shares_are_what_was_asked_for() {
        let n = 100_000;
        let drawn = fates(3, &lossy(), n);
        let count = |is: fn(&Fate) -> bool| drawn.iter().filter(|fate| is(fate)).count() as f64;
        for (found, share) in
            [(count(|f| f.lost), 0.1), (count(|f| f.doubled), 0.05), (count(|f| f.reordered), 0.05)]
        {
            let deviation = (n as f64 * share * (1.0_f64 - share)).sqrt();
            assert!((found - n as f64 * share).abs() < 4.0 * deviation, "{found} of {n}, not {share}");
        }
        let mean_ms = drawn.iter().map(|fate| fate.delay.as_secs_f64() * 1e3).sum::<f64>() / n as f64;
        assert!((mean_ms - 20.0).abs() < 4.0 * 2.0 / (n as f64).sqrt(), "{mean_ms}");
    }

    /// 1 % begin, 20 % end: 4.8 % lost, in runs of five on average.
    #[test]
    fn bursts_have_their_mean_and_their_length() {
        let loss = Loss::Bursts { begin: 0.01, end: 0.2, lost: 1.0 };
        let way = Way { loss, ..Way::of(Duration::ZERO) };
        let lost: Vec<bool> = fates(5, &way, 200_000).iter().map(|fate| fate.lost).collect();
        let share = lost.iter().filter(|lost| **lost).count() as f64 / lost.len() as f64;
        let runs = lost.windows(2).filter(|pair| !pair[0] && pair[1]).count() as f64;
        let length = share * lost.len() as f64 / runs;
        assert!((share / loss.mean() - 1.0).abs() < 0.1, "{share}, not {}", loss.mean());
        assert!((length - 5.0).abs() < 0.5, "{length}");
    }

    /// The mean of an exponential is its size; a normal one has it as its deviation; a uniform one
    /// a third of its square.
    #[test]
    fn jitter_has_its_shape() {
        let n = 50_000;
        let moments = |shape| {
            let jitter = Some(Jitter { size: Duration::from_millis(4), shape });
            let drawn = fates(9, &Way { jitter, ..Way::of(Duration::from_millis(40)) }, n);
            let ms: Vec<f64> = drawn.iter().map(|fate| fate.delay.as_secs_f64() * 1e3).collect();
            let mean = ms.iter().sum::<f64>() / n as f64;
            (mean, ms.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n as f64)
        };
        for (shape, mean, variance) in [
            (JitterShape::Uniform, 40.0, 16.0 / 3.0),
            (JitterShape::Normal, 40.0, 16.0),
            (JitterShape::Exponential, 44.0, 16.0),
        ] {
            let (found_mean, found_variance) = moments(shape);
            assert!((found_mean - mean).abs() < 0.1, "{shape:?}: mean {found_mean}");
            assert!((found_variance / variance - 1.0).abs() < 0.05, "{shape:?}: variance {found_variance}");
        }
    }
}
