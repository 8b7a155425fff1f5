//! What was settled before any data: with what, what was asked, how, and that the answers are
//! right.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use terms::Extent;

/// What measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    /// wirebench's version.
    pub version: String,
    /// The commit it was built from; `-dirty` behind it where the tree had changes.
    pub commit: Option<String>,
    /// Whether it was optimised.
    pub build: Build,
    /// The profile, its optimisation and its link-time optimisation; absent from older records.
    #[serde(default)]
    pub profile: Option<String>,
    /// The compiler.
    pub rustc: Option<String>,
    /// Versions of the libraries that carry the protocols.
    pub libraries: BTreeMap<String, String>,
}

/// Whether a build was optimised: only one that was measures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Build {
    /// It was.
    #[default]
    Release,
    /// It was not: its figures are several times too high.
    Debug,
}

impl Build {
    /// As people write it.
    pub fn in_words(self) -> &'static str {
        match self {
            Build::Release => "release",
            Build::Debug => "debug",
        }
    }
}

impl Tool {
    /// Whether it was built without optimisation.
    pub fn is_debug(&self) -> bool {
        self.build == Build::Debug
    }
}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScenarioPart {
    /// Its name.
    pub name: String,
    /// The question.
    pub question: String,
    /// The lines of the card.
    pub card: Vec<String>,
    /// What the numbers depend on, and what they do not show.
    pub analysis: String,
}

/// What was decided before the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlanPart {
    /// SHA-256 of all that was decided before any data: workload, claims with thresholds and
    /// predictions, cells, order.
    pub sha256: String,
    /// How much was run.
    pub extent: Extent,
    /// The contender that the others are compared with, and that was measured twice.
    pub baseline: String,
    /// Seed of the order and of the schedules.
    pub seed: u64,
    /// Seed of the market's data.
    pub market_seed: u64,
    /// The call.
    pub operation: String,
    /// Symbols of a `quotes` call.
    pub symbols: usize,
    /// Candles of a `history` call.
    pub candles: u32,
    /// Ticks that are emitted per second beside the orders of a session.
    pub ticks_per_s: f64,
    /// Time after its schedule at which a call counts as failed, in µs.
    pub time_out_us: f64,
    /// Time that the handler waits, in µs.
    pub handler_wait_us: f64,
    /// Processor time that the handler burns, in µs.
    pub handler_cpu_us: f64,
    /// Load before the measuring in each round of each cell, in ms.
    pub warm_up_ms: f64,
    /// Measured load in each round of each cell, in ms.
    pub duration_ms: f64,
    /// For each round, the indexes of the cells in the order in which they are measured.
    pub rounds: Vec<Vec<usize>>,
}

/// How one contender did in the conformance cases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConformancePart {
    /// Who.
    pub contender: String,
    /// Cases that it went through, all passed.
    pub cases: usize,
    /// Replies compared whole after the last round.
    pub replies_compared_whole: Option<usize>,
}
