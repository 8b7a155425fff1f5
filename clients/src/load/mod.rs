//! The load engine: written once, for every protocol. Schedule, model, transport and recording are separate
//! values that compose.
//!
//! `response = lag + wait + service`: *response* = done − scheduled, *lag* = picked up − scheduled (the engine's
//! own lateness), *wait* = sent − picked up (no free slot or connection), *service* = done − sent.

pub mod course;
mod driver;
mod ears;
mod engine;
mod flows;
mod job;
mod lane;
mod live;
mod opening;
mod pacer;
mod recorder;
mod schedule;
mod slot;
mod subscriber;
mod watchdog;

use std::time::Duration;

pub use driver::Driver;
pub(crate) use ears::Ears;
pub use engine::{Engine, EngineError};
pub use flows::{FlowOutcome, Flows};
pub use job::{Calls, Job, Pushes, Sessions, Worker};
pub use live::Live;
pub use recorder::{Histograms, Outcome, PhaseTimes, packed};
pub use schedule::{Arrivals, Schedule, ScheduleError};
pub use subscriber::{Manners, REST_BEFORE_RECONNECTION};

/// Connections, and the calls that each may have in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Shape {
    /// Connections in all.
    pub connections: usize,
    /// Calls in flight on each.
    pub in_flight: usize,
    /// Whether each call opens a connection of its own and closes it: the connections above are then as many callers.
    #[serde(default)]
    pub cold: bool,
}

/// When calls are made.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "model", rename_all = "snake_case")]
pub enum Model {
    /// At times that do not depend on the server: the schedule is made before the run.
    Open {
        /// How arrivals are spaced.
        arrivals: Arrivals,
        /// Arrivals per second.
        rate_per_s: f64,
    },
    /// Each slot as soon as its last call is done: measures throughput, hides waiting.
    Closed,
}

impl Round {
    /// One of several workers' share: the same time, its part of the rate.
    fn share(&self, workers: usize) -> Round {
        let model = match self.model {
            Model::Open { arrivals, rate_per_s } => {
                Model::Open { arrivals, rate_per_s: rate_per_s / workers.max(1) as f64 }
            }
            Model::Closed => Model::Closed,
        };
        Round { model, ..*self }
    }
}

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
}

/// Ticks that a server emits in a round, by a schedule that both ends can make.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Emission {
    /// The sequence of the first.
    pub first_sequence: u64,
    /// How they are spaced.
    pub arrivals: Arrivals,
    /// Ticks per second.
    pub rate_per_s: f64,
}

/// Added to a round's seed for the ticks', so that they do not fall together with the calls.
const TICKS_SEED: u64 = 0x7469_636b;

impl Emission {
    /// When each tick of a round is due.
    ///
    /// # Errors
    /// As [`Schedule::new`].
    pub fn schedule(&self, span: Duration, seed: u64) -> Result<Schedule, ScheduleError> {
        Schedule::new(self.arrivals, self.rate_per_s, span, seed.wrapping_add(TICKS_SEED))
    }
}
