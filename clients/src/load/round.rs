//! One stretch of load: when calls are made, how long, and how the ends are found.

use std::time::Duration;

use clock::Precision;
use terms::{Emission, Model};

/// How the end of a round is waited for: nothing measured depends on it.
pub(super) const END_PRECISION: Precision = Precision::Sleep;

/// One stretch of load.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Round {
    /// When calls are made.
    pub model: Model,
    /// Load before the measuring begins; its calls are made and not recorded.
    pub warm_up: Duration,
    /// Measured load.
    pub duration: Duration,
    /// Time from a call's schedule after which it counts as failed.
    pub time_out: Duration,
    /// Seed of the schedule.
    pub seed: u64,
    /// When the warm-up begins, on the machine's monotonic clock.
    pub start: clock::Mono,
    /// How the pacer wakes.
    pub precision: clock::Precision,
    /// Ticks that the server emits meanwhile, for those who listen.
    pub emission: Option<Emission>,
    /// Calls of the closed model, at most: the round ends with the last of them.
    #[serde(default)]
    pub calls_max: Option<u64>,
}

impl Round {
    /// One of several workers' share: the same time, its part of the rate.
    pub(super) fn share(&self, worker: usize, workers: usize) -> Round {
        let model = match self.model {
            Model::Open { arrivals, rate_per_s } => {
                Model::Open { arrivals, rate_per_s: rate_per_s / workers.max(1) as f64 }
            }
            Model::Closed => Model::Closed,
        };
        let (worker, all) = (worker as u64, workers.max(1) as u64);
        let calls_max = self.calls_max.map(|calls| calls / all + u64::from(worker < calls % all));
        Round { model, calls_max, ..*self }
    }
}
