//! Arrivals, computed before the run from a seed.

use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::{Arrivals, Emission, Stage};

/// Added to a round's seed for the ticks', so that they do not fall together with the calls.
const TICKS_SEED: u64 = 0x7469_636b;
/// The most arrivals of one stretch: 800 MB of schedule.
pub const ARRIVALS_MAX: f64 = 100e6;

/// Part of a gap between arrivals that is rounding, and no arrival.
const WHOLE: f64 = 1e-6;

/// A schedule that cannot be made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ScheduleError {
    /// The rate is not a positive number.
    #[error("a rate of {rate_per_s} arrivals per second: it must be above 0 and finite")]
    Rate {
        /// Arrivals per second.
        rate_per_s: f64,
    },
    /// More arrivals than fit in memory.
    #[error("{arrivals} arrivals are over the limit of {ARRIVALS_MAX}: lower the rate or the duration")]
    TooMany {
        /// How many there would be.
        arrivals: f64,
    },
}

/// When each call is due, in nanoseconds after the start, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    offsets_ns: Vec<u64>,
}

impl Schedule {
    /// When each tick of a round is due: both ends make it, from the round's seed.
    ///
    /// # Errors
    /// As [`Schedule::new`].
    pub fn of_ticks(emission: &Emission, span: Duration, seed: u64) -> Result<Schedule, ScheduleError> {
        Schedule::new(emission.arrivals, emission.rate_per_s, span, seed.wrapping_add(TICKS_SEED))
    }

    /// Makes the schedule of a span: always the same for the same arguments.
    ///
    /// # Errors
    /// Where the rate is no rate, or there would be too many arrivals.
    pub fn new(
        arrivals: Arrivals,
        rate_per_s: f64,
        span: Duration,
        seed: u64,
    ) -> Result<Schedule, ScheduleError> {
        if !(rate_per_s.is_finite() && rate_per_s > 0.0) {
            return Err(ScheduleError::Rate { rate_per_s });
        }
        let expected = rate_per_s * span.as_secs_f64();
        if expected > ARRIVALS_MAX {
            return Err(ScheduleError::TooMany { arrivals: expected.ceil() });
        }
        let gap_ns = 1e9 / rate_per_s;
        let span_ns = span.as_nanos() as f64;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut at_ns = 0.0;
        let mut offsets_ns = Vec::with_capacity(expected as usize + 1);
        for nth in 0_u64.. {
            at_ns = match arrivals {
                // Not summed, so that rounding does not drift.
                Arrivals::Constant => nth as f64 * gap_ns,
                Arrivals::Poisson => at_ns + exponential(&mut random) * gap_ns,
                Arrivals::Burst => (nth as f64 / rate_per_s).floor() * 1e9,
            };
            if at_ns >= span_ns || offsets_ns.len() as f64 > ARRIVALS_MAX {
                break;
            }
            offsets_ns.push(at_ns as u64);
        }
        Ok(Schedule { offsets_ns })
    }

    /// Makes the schedule of a round. Constant arrivals fall so that one is due as the measured
    /// time begins: that has `rate_per_s` × `duration` of them, rounded up, whatever the warm-up.
    ///
    /// # Errors
    /// As [`Schedule::new`].
    pub fn of_round(
        arrivals: Arrivals,
        rate_per_s: f64,
        warm_up: Duration,
        duration: Duration,
        seed: u64,
    ) -> Result<Schedule, ScheduleError> {
        let mut schedule = Schedule::new(arrivals, rate_per_s, warm_up + duration, seed)?;
        if arrivals == Arrivals::Constant {
            let (warm_up_ns, end_ns) = (warm_up.as_nanos() as f64, (warm_up + duration).as_nanos() as f64);
            let gap_ns = 1e9 / rate_per_s;
            let before = (warm_up_ns / gap_ns + WHOLE).floor();
            let due = |nth: u64| (nth as f64 - before) * gap_ns + warm_up_ns;
            let whole = (0..).map(due).take_while(|at_ns| *at_ns < end_ns - WHOLE * gap_ns);
            schedule.offsets_ns = whole.map(|at_ns| at_ns as u64).collect();
        }
        Ok(schedule)
    }

    /// Makes the schedule of stages, one behind the other: evenly spaced as the rate goes, or at
    /// random with it as the mean.
    ///
    /// # Errors
    /// Where there would be too many arrivals.
    pub fn of_stages(arrivals: Arrivals, stages: &[Stage], seed: u64) -> Result<Schedule, ScheduleError> {
        let expected: f64 = stages.iter().map(Stage::arrivals).sum();
        // NaN is too many as well.
        if expected.is_nan() || expected > ARRIVALS_MAX {
            return Err(ScheduleError::TooMany { arrivals: expected.ceil() });
        }
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut gap = || if arrivals == Arrivals::Poisson { exponential(&mut random) } else { 1.0 };
        let mut offsets_ns = Vec::with_capacity(expected as usize + 1);
        // The next arrival, counted in arrivals, and how many the stages before had.
        let (mut next, mut before, mut start) = (0.0, 0.0, Duration::ZERO);
        for stage in stages {
            let whole = stage.arrivals();
            while next < before + whole - WHOLE {
                let at = start + Duration::from_secs_f64(stage.when(next - before).max(0.0));
                offsets_ns.push(at.as_nanos() as u64);
                next += gap();
            }
            (before, start) = (before + whole, start + stage.duration);
        }
        Ok(Schedule { offsets_ns })
    }

    /// The same, ended behind so many arrivals from a time on.
    pub fn ended_after(mut self, arrivals: u64, from: Duration) -> Schedule {
        let from_ns = from.as_nanos() as u64;
        let before = self.offsets_ns.iter().take_while(|at_ns| **at_ns < from_ns).count();
        self.offsets_ns.truncate(before.saturating_add(arrivals as usize));
        self
    }

    /// The most arrivals that fall within any stretch of a length.
    pub fn most_within(&self, stretch: Duration) -> usize {
        let stretch_ns = u64::try_from(stretch.as_nanos()).unwrap_or(u64::MAX);
        let (mut first, mut most) = (0, 0);
        for (last, at_ns) in self.offsets_ns.iter().enumerate() {
            while at_ns - self.offsets_ns[first] > stretch_ns {
                first += 1;
            }
            most = most.max(last - first + 1);
        }
        most
    }

    /// No arrivals: for models that make their own.
    pub fn empty() -> Schedule {
        Schedule { offsets_ns: Vec::new() }
    }

    /// The share of one of several workers: every n-th arrival.
    pub fn share(&self, worker: usize, workers: usize) -> Schedule {
        Schedule {
            offsets_ns: self.offsets_ns.iter().copied().skip(worker).step_by(workers.max(1)).collect(),
        }
    }

    /// Nanoseconds after the start, in order.
    pub fn offsets_ns(&self) -> &[u64] {
        &self.offsets_ns
    }
}

/// A draw from the exponential distribution of mean 1, by inversion.
fn exponential(random: &mut ChaCha8Rng) -> f64 {
    let uniform: f64 = random.random();
    -(1.0 - uniform).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constant_arrivals_are_even() {
        let schedule = Schedule::new(Arrivals::Constant, 1_000.0, Duration::from_secs(2), 1).unwrap();
        assert_eq!(schedule.offsets_ns().len(), 2_000);
        assert!(schedule.offsets_ns().windows(2).all(|pair| pair[1] - pair[0] == 1_000_000));
    }

    #[test]
    fn poisson_arrivals_have_the_mean_and_the_variance_of_their_distribution() {
        let schedule = Schedule::new(Arrivals::Poisson, 1_000.0, Duration::from_secs(100), 7).unwrap();
        let gaps: Vec<f64> =
            schedule.offsets_ns().windows(2).map(|pair| (pair[1] - pair[0]) as f64 / 1e6).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        // 100 000 draws: four standard errors are 1.3 % of the mean and 3.6 % of the variance.
        assert!((mean - 1.0).abs() < 0.013 && (variance - 1.0).abs() < 0.036, "{mean} {variance}");
    }

    #[test]
    fn a_burst_is_a_second_of_calls_at_its_start() {
        let schedule = Schedule::new(Arrivals::Burst, 500.0, Duration::from_millis(2_500), 1).unwrap();
        let at =
            |second: u64| schedule.offsets_ns().iter().filter(|at| **at == second * 1_000_000_000).count();
        assert_eq!((schedule.offsets_ns().len(), at(0), at(1), at(2)), (1_500, 500, 500, 500));
    }

    #[test]
    fn the_measured_time_has_its_calls_whatever_the_warm_up() {
        for (rate_per_s, warm_up, duration, calls) in [
            (0.1, 1.0, 5.0, 1),
            (0.5, 1.0, 4.0, 2),
            (0.3, 0.7, 10.0, 3),
            (1_000.0, 0.25, 2.0, 2_000),
            (3.0, 1.0, 1.0, 3),
        ] {
            let [warm_up, duration] = [warm_up, duration].map(Duration::from_secs_f64);
            let schedule = Schedule::of_round(Arrivals::Constant, rate_per_s, warm_up, duration, 1).unwrap();
            let measured = schedule.offsets_ns().iter().filter(|at| **at >= clock_ns(warm_up)).count();
            assert_eq!(measured, calls, "{rate_per_s}/s: {schedule:?}");
            assert!(schedule.offsets_ns().contains(&clock_ns(warm_up)), "{rate_per_s}/s: {schedule:?}");
        }
    }

    #[test]
    fn stages_have_the_area_under_their_rates() {
        let stages = crate::parse_stages("100/s for 1s, to 300/s over 2s, 50/s for 1s").unwrap();
        let schedule = Schedule::of_stages(Arrivals::Constant, &stages, 1).unwrap();
        let between = |from: u64, to: u64| {
            let second = 1_000_000_000;
            let within = |at: &&u64| (from * second..to * second).contains(*at);
            schedule.offsets_ns().iter().filter(within).count()
        };
        assert_eq!((between(0, 1), between(1, 3), between(3, 4)), (100, 400, 50));
        assert!((148..=152).contains(&between(1, 2)), "{}", between(1, 2));
        assert!(schedule.offsets_ns().is_sorted());
        let most = schedule.most_within(Duration::from_millis(500));
        assert!((130..155).contains(&most), "{most}");
        let random = Schedule::of_stages(Arrivals::Poisson, &stages, 1).unwrap().offsets_ns().len();
        assert!((430..670).contains(&random), "{random}");
    }

    fn clock_ns(time: Duration) -> u64 {
        time.as_nanos() as u64
    }

    #[test]
    fn the_same_seed_gives_the_same_schedule_and_another_another() {
        let of = |seed| Schedule::new(Arrivals::Poisson, 500.0, Duration::from_secs(1), seed).unwrap();
        assert_eq!(of(3), of(3));
        assert_ne!(of(3), of(4));
    }

    #[test]
    fn shares_are_the_whole() {
        let schedule = Schedule::new(Arrivals::Poisson, 500.0, Duration::from_secs(1), 1).unwrap();
        let mut joined: Vec<u64> =
            (0..3).flat_map(|worker| schedule.share(worker, 3).offsets_ns().to_vec()).collect();
        joined.sort_unstable();
        assert_eq!(joined, schedule.offsets_ns());
    }

    #[test]
    fn what_cannot_be_scheduled_is_refused() {
        let of = |rate, seconds| Schedule::new(Arrivals::Constant, rate, Duration::from_secs(seconds), 1);
        assert!(matches!(of(0.0, 1), Err(ScheduleError::Rate { .. })));
        assert!(matches!(of(f64::NAN, 1), Err(ScheduleError::Rate { .. })));
        assert!(matches!(of(1e9, 10), Err(ScheduleError::TooMany { .. })));
    }
}
