//! What a run leaves: environment, plan, counters, histograms, verdicts. The report is drawn from it and from
//! nothing else. Field names carry their unit; the schema is published as `docs/record.schema.json`.

mod build;
mod quantiles;
mod store;
mod verdict;

use std::collections::BTreeMap;

use clients::load::Histograms;
use lab::cores::Layout;
use lab::machine::Machine;
use proto::Capability;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use build::{RunInfo, record};
pub use quantiles::Quantiles;
pub(crate) use quantiles::printable;
pub use store::{StoreError, read, write_atomically};
pub use verdict::{Verdict, VerdictWord};

use crate::plan::Extent;
use crate::scenario::Metric;

/// The version of the schema: another number where a reader of this one would misread.
pub const SCHEMA: &str = "wirebench.record.v1";

/// A run of one scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// Always `wirebench.record.v1`.
    pub schema: String,
    /// What measured.
    pub tool: Tool,
    /// What was typed.
    pub command: String,
    /// When it began, in µs since the Unix epoch.
    pub started_at_us: u64,
    /// When it ended, likewise.
    pub finished_at_us: u64,
    /// The run was stopped before its end.
    pub partial: bool,
    /// What keeps these figures from being trusted, in sentences.
    pub warnings: Vec<String>,
    /// Where it ran.
    pub environment: Machine,
    /// Which cores did what.
    pub layout: Layout,
    /// What was asked.
    pub scenario: ScenarioPart,
    /// What was decided before the run.
    pub plan: PlanPart,
    /// How each contender did in the cases that come before any measuring.
    pub conformance: Vec<ConformancePart>,
    /// Every cell, its rounds merged.
    pub cells: Vec<CellPart>,
    /// Every measurement, in the order in which it was made.
    pub rounds: Vec<RoundPart>,
    /// What the claims came to.
    pub verdicts: Vec<Verdict>,
}

/// What measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    /// wirebench's version.
    pub version: String,
    /// The commit it was built from; `-dirty` behind it where the tree had changes.
    pub commit: Option<String>,
    /// `release` or `debug`.
    pub build: String,
    /// The compiler.
    pub rustc: Option<String>,
    /// Versions of the libraries that carry the protocols.
    pub libraries: BTreeMap<String, String>,
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
    /// How much was run.
    pub extent: Extent,
    /// Seed of the order and of the schedules.
    pub seed: u64,
    /// Seed of the market's data.
    pub market_seed: u64,
    /// The call.
    pub operation: String,
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

/// A contender under a condition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CellPart {
    /// Who.
    pub contender: String,
    /// Under what.
    pub condition: String,
    /// The protocol.
    pub protocol: String,
    /// The protocol's options, in words.
    pub carriage: String,
    /// Connections.
    pub connections: usize,
    /// Calls in flight on each.
    pub in_flight: usize,
    /// Scheduled arrivals per second; absent in the closed model.
    pub rate_per_s: Option<f64>,
    /// `constant`, `poisson` or `closed`.
    pub arrivals: String,
    /// Why it was not measured, if it was not.
    pub not_offered: Option<String>,
    /// All its rounds together; absent where it was not measured.
    pub merged: Option<Merged>,
}

/// All rounds of a cell together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Merged {
    /// Rounds.
    pub rounds: usize,
    /// The counters.
    #[serde(flatten)]
    pub counts: Counts,
    /// Processor time of the client per call that succeeded, user and kernel, in µs: the mean over the rounds.
    pub client_cpu_us_per_call: f64,
    /// Of the server, likewise.
    pub server_cpu_us_per_call: f64,
    /// Bytes that crossed the loopback interface per call that succeeded, both ways, headers and acknowledgements
    /// included: the mean over the rounds.
    #[serde(default)]
    pub loopback_bytes_per_call: Option<f64>,
    /// Packets, likewise.
    #[serde(default)]
    pub loopback_packets_per_call: Option<f64>,
    /// What came of the ticks that were pushed beside the calls of a session.
    #[serde(default)]
    pub ticks: Option<TicksPart>,
    /// Done − scheduled.
    pub response_us: Quantiles,
    /// Picked up − scheduled.
    pub lag_us: Quantiles,
    /// Sent − picked up.
    pub wait_us: Quantiles,
    /// Done − sent, of calls that succeeded.
    pub service_us: Quantiles,
}

/// Ticks that were pushed beside the calls of a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TicksPart {
    /// The counters.
    #[serde(flatten)]
    pub counts: Counts,
    /// Received − due.
    pub response_us: Quantiles,
    /// Received − emitted, of ticks that came in time.
    pub service_us: Quantiles,
}

/// What was counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// Calls that were due: ok + failed.
    pub arrivals: u64,
    /// Calls that were sent.
    pub sent: u64,
    /// Calls with the right reply in time.
    pub ok: u64,
    /// The others, by kind.
    pub failed: BTreeMap<String, u64>,
    /// One error of each kind, in words.
    pub failure_samples: BTreeMap<String, String>,
    /// Connections opened anew.
    pub reconnections: u64,
    /// Replies that came after their call was given up, or again.
    #[serde(default)]
    pub late_replies: u64,
    /// Pushed events that came again.
    #[serde(default)]
    pub duplicates: u64,
    /// Pushed events that came after a later one.
    #[serde(default)]
    pub out_of_order: u64,
    /// Calls that succeeded, per second from the start of the measuring to the last reply.
    pub ok_per_s: f64,
}

/// One measurement: a cell in a round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoundPart {
    /// Which round, from 0.
    pub round: usize,
    /// Index of the cell.
    pub cell: usize,
    /// The counters.
    #[serde(flatten)]
    pub counts: Counts,
    /// Processor time of the client, user and kernel, in µs.
    pub client_cpu_us: f64,
    /// Of the server, likewise.
    pub server_cpu_us: f64,
    /// The share of the client's core that the hypervisor took.
    pub client_steal_share: f64,
    /// Of the server's core, likewise.
    pub server_steal_share: f64,
    /// Bytes that crossed the loopback interface, both ways, headers and acknowledgements included.
    #[serde(default)]
    pub loopback_bytes: Option<u64>,
    /// Packets, likewise.
    #[serde(default)]
    pub loopback_packets: Option<u64>,
    /// What came of the ticks that were pushed beside the calls of a session.
    #[serde(default)]
    pub ticks: Option<TicksPart>,
    /// Done − scheduled.
    pub response_us: Quantiles,
    /// Picked up − scheduled.
    pub lag_us: Quantiles,
    /// Sent − picked up.
    pub wait_us: Quantiles,
    /// Done − sent, of calls that succeeded.
    pub service_us: Quantiles,
    /// All four in nanoseconds: base64 of HdrHistogram V2, deflated. Mergeable.
    #[schemars(with = "PackedHistograms")]
    pub histograms_ns: Histograms,
}

/// How histograms stand in a record.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "the schema is made from it")]
struct PackedHistograms {
    response: String,
    lag: String,
    wait: String,
    service: String,
}

impl Counts {
    /// All failures.
    pub fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    /// The share of arrivals that failed.
    pub fn failed_share(&self) -> f64 {
        self.failures() as f64 / self.arrivals.max(1) as f64
    }
}

impl RoundPart {
    /// A figure of this measurement; `None` where there were too few calls to give it.
    pub fn figure(&self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::CpuPerCall if self.counts.ok == 0 => None,
            Metric::CpuPerCall => Some((self.client_cpu_us + self.server_cpu_us) / self.counts.ok as f64),
            Metric::ResponseP50 => self.response_us.shown(0.5),
            Metric::ResponseP99 => self.response_us.shown(0.99),
        }
    }
}

impl Record {
    /// What is counted: a call, or an event that was pushed.
    pub fn noun(&self) -> &'static str {
        if self.plan.operation == Capability::Subscribe.name() { "event" } else { "call" }
    }

    /// A cell by contender and condition.
    pub fn cell(&self, contender: &str, condition: &str) -> Option<usize> {
        self.cells.iter().position(|cell| cell.contender == contender && cell.condition == condition)
    }

    /// A figure of a cell, round by round.
    pub fn figures(&self, cell: usize, metric: Metric) -> BTreeMap<usize, f64> {
        let rounds = self.rounds.iter().filter(|round| round.cell == cell);
        rounds.filter_map(|round| Some((round.round, round.figure(metric)?))).collect()
    }

    /// Conditions in which something was measured, in the plan's order.
    pub fn conditions(&self) -> Vec<&str> {
        let mut conditions: Vec<&str> = Vec::new();
        for cell in &self.cells {
            if !conditions.contains(&cell.condition.as_str()) {
                conditions.push(&cell.condition);
            }
        }
        conditions
    }
}

/// The JSON Schema of records.
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(Record).to_value()
}

#[cfg(test)]
mod tests {
    /// `UPDATE_FILES=1 cargo test` writes it anew.
    #[test]
    fn the_checked_in_schema_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/record.schema.json");
        let current = serde_json::to_string_pretty(&super::json_schema()).unwrap() + "\n";
        if std::env::var_os("UPDATE_FILES").is_some() {
            std::fs::write(path, &current).unwrap();
        }
        let stored = std::fs::read_to_string(path).unwrap_or_default();
        assert!(stored == current, "docs/record.schema.json is out of date: run with UPDATE_FILES=1");
    }
}
