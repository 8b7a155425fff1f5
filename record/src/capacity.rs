//! What the searches for the highest rate came to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use terms::{Value, parse_objective};

/// One stretch of load at one rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trial {
    /// Arrivals per second.
    pub rate_per_s: f64,
    /// Calls that succeeded per second.
    pub ok_per_s: f64,
    /// Calls that were due.
    pub arrivals: u64,
    /// The share of them that failed.
    pub failed_share: f64,
    /// The figure that the objective holds, in µs.
    pub held_us: f64,
    /// Median response time, in µs.
    pub response_p50_us: f64,
    /// Its 99th percentile, in µs.
    pub response_p99_us: f64,
    /// 99th percentile of the load engine's own lateness, in µs.
    pub lag_p99_us: f64,
    /// Processor time of the client as a share of what its cores have.
    pub client_share: f64,
    /// Whether 99 % of the arrivals were picked up on time, by a client with processor time to
    /// spare; without it the trial says nothing about the server.
    pub client_kept_up: bool,
    /// Whether the objective was met.
    pub met: bool,
}

/// What a search came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Capacity {
    /// The objective, as it was written.
    pub objective: String,
    /// The highest rate at which it was met; 0 where at none.
    pub met_at_per_s: f64,
    /// The lowest at which it was not; absent where the client gave out first.
    pub missed_at_per_s: Option<f64>,
    /// Why the search could not go on, where it was the client's limit: the server can do at least
    /// `met_at_per_s`.
    pub client_limited: Option<String>,
    /// Every trial, in the order in which they were made: the latency-against-rate curve.
    pub trials: Vec<Trial>,
}

impl Capacity {
    /// In a sentence.
    pub fn in_words(&self) -> String {
        match (&self.client_limited, self.missed_at_per_s) {
            (Some(limited), _) => format!("client-limited, ≥ {:.0}/s: {limited}", self.met_at_per_s),
            (None, Some(missed)) if self.met_at_per_s > 0.0 => format!(
                "{:.0}/s meet {} and {missed:.0}/s do not ({} trials)",
                self.met_at_per_s,
                self.objective,
                self.trials.len()
            ),
            (None, Some(missed)) => format!("no rate meets {}, down to {missed:.0}/s", self.objective),
            (None, None) => {
                format!("{} is met up to {:.0}/s, where the search ended", self.objective, self.met_at_per_s)
            }
        }
    }

    /// The value that the objective holds response times to, in µs.
    pub fn limit_us(&self) -> Option<f64> {
        match parse_objective(&self.objective).ok()?.value {
            Value::Absolute(limit) => Some(limit),
            Value::Change(_) => None,
        }
    }
}

/// The highest rate of a cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CapacityPart {
    /// Index of the cell.
    pub cell: usize,
    /// What the search came to.
    #[serde(flatten)]
    pub capacity: Capacity,
}
