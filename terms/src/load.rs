//! Load, as numbers: how many connections, how many calls in flight, when calls are made.

/// Connections, and the calls that each may have in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Shape {
    /// Connections in all.
    pub connections: usize,
    /// Calls in flight on each.
    pub in_flight: usize,
    /// Whether each call opens a connection of its own and closes it: the connections above are
    /// then as many callers.
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

/// How arrivals are spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// Evenly.
    Constant,
    /// As independent users make them: exponential gaps.
    Poisson,
    /// Once a second, and all calls of that second at the same time, from the start of the warm-up
    /// on: as clients do that wake by the clock.
    Burst,
}

impl Model {
    /// The model of a rate given in a scenario: none is the closed model.
    pub fn of(rate_per_s: Option<f64>, arrivals: Arrivals) -> Model {
        match rate_per_s {
            Some(rate_per_s) => Model::Open { arrivals, rate_per_s },
            None => Model::Closed,
        }
    }
}
