//! What a run leaves: environment, plan, counters, histograms, verdicts. The report is drawn from
//! it and from nothing else. Field names carry their unit; the schema is published as
//! `docs/record.schema.json`.

mod acts;
mod bounded;
pub mod calibration;
mod capacity;
mod check;
mod comparison;
mod decided;
mod figures;
mod flows;
mod hold;
mod map;
pub mod matrix;
mod ratio;
mod restart;
mod round;
#[doc(hidden)]
pub mod samples;
mod scale_out;
mod shape;
mod store;
mod sweep;
mod verdict;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use terms::bounds::{CELLS_MAX, RECORDED_MAX};
use terms::{Amount, Concurrency, Coordinate, Layout, Link, LinkUsed, Machine, Quantiles};

pub use acts::ActPart;
pub use calibration::Calibration;
pub use capacity::{Capacity, CapacityPart, Trial};
pub use check::{NAME_LETTERS_MAX, is_name};
pub use comparison::{AaPair, Comparison, Difference};
pub use decided::{Build, ConformancePart, PlanPart, ScenarioPart, Tool};
pub use flows::{FlowPart, QueuePart, jain};
pub use hold::{MemoryPart, MemoryPoint};
pub use map::{MapCell, MapPart, MapRow};
pub use ratio::{Method, Ratio};
pub use restart::{MeanPart, RestartPart, RestartTrial};
pub use round::{EndPart, HappenedPart, MarketsPart, RoundPart, TrafficPart, VoidFor, WirePart};
pub use scale_out::{Evened, LoadKind, LoadPart, ScaleOutPart, ScaleOutTrial};
pub use store::{AnyRecord, Head, StoreError, files, read, read_any, read_head, write_atomically};
pub use sweep::{BreakEvenPart, Found, SweepPoint};
pub use verdict::{Verdict, VerdictWord};

/// The version of the schema: another number where a reader of this one would misread.
pub const SCHEMA: &str = "wirebench.record.v3";

/// A run of one scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// Always `wirebench.record.v3`.
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
    /// Why no verdict can rest on this run, where too much of it was disturbed from outside.
    pub void: Option<String>,
    /// What keeps these figures from being trusted, in sentences.
    pub warnings: Vec<String>,
    /// Where it ran.
    pub environment: Machine,
    /// Which cores did what.
    pub layout: Layout,
    /// What the contenders talked over; absent where it could not be built.
    pub link: Option<LinkUsed>,
    /// What this machine measured of what is known, where it was calibrated before.
    pub calibration: Option<Calibration>,
    /// What was asked.
    pub scenario: ScenarioPart,
    /// What was decided before the run.
    pub plan: PlanPart,
    /// How each contender did in the cases that come before any measuring.
    pub conformance: Vec<ConformancePart>,
    /// Every cell, its rounds merged.
    #[serde(deserialize_with = "bounded::list::<CELLS_MAX, _, _>")]
    pub cells: Vec<CellPart>,
    /// Every measurement, in the order in which it was made.
    #[serde(deserialize_with = "bounded::list::<RECORDED_MAX, _, _>")]
    pub rounds: Vec<RoundPart>,
    /// What was done beside the rounds, with its raw trials.
    #[serde(default)]
    pub acts: Vec<ActPart>,
    /// What the claims came to.
    pub verdicts: Vec<Verdict>,
    /// From where on one is better than the other.
    #[serde(default)]
    pub break_evens: Vec<BreakEvenPart>,
    /// Which contender is cheapest where.
    #[serde(default)]
    pub map: Option<MapPart>,
    /// The baseline against itself: what differs is noise.
    pub aa: Vec<AaPair>,
    /// Every other contender against the baseline: secondary, adjusted for their number.
    pub comparisons: Vec<Comparison>,
}

/// A contender under a condition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CellPart {
    /// Who.
    pub contender: String,
    /// Under what.
    pub condition: String,
    /// What sentences call the contender, where that is not its name.
    #[serde(default)]
    pub label: Option<String>,
    /// How sentences say the condition, where that is not its name.
    #[serde(default)]
    pub condition_label: Option<String>,
    /// The protocol.
    pub protocol: String,
    /// The protocol's options, in words.
    pub carriage: String,
    /// Connections.
    pub connections: usize,
    /// Calls in flight on each.
    pub in_flight: usize,
    /// Symbols and candles that a call asks for here; absent from records that say it once for all.
    #[serde(default)]
    pub amount: Option<Amount>,
    /// Scheduled arrivals per second; absent in the closed model.
    pub rate_per_s: Option<f64>,
    /// `constant`, `poisson` or `closed`.
    pub arrivals: String,
    /// Of a condition with axes: where on them it is.
    #[serde(default)]
    pub axes: Vec<Coordinate>,
    /// Time that the handler waits here, in µs.
    #[serde(default)]
    pub handler_wait_us: f64,
    /// Processor time that it burns here, in µs.
    #[serde(default)]
    pub handler_cpu_us: f64,
    /// The share of calls that the handler answers with "unavailable".
    #[serde(default)]
    pub handler_fails: f64,
    /// The share of calls whose reply the handler loses after all is done.
    #[serde(default)]
    pub handler_loses: f64,
    /// What lies between the front and the markets behind it; absent where that is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub market_link: Option<Link>,
    /// How much the front before the market does at once; absent where there is none, or no bound.
    #[serde(default)]
    pub front: Option<Concurrency>,
    /// Time that the handler of the second market waits here, in µs, where that differs.
    #[serde(default)]
    pub second_handler_wait_us: Option<f64>,
    /// How much the handler does at once; `None` for all that comes.
    #[serde(default)]
    pub handler_concurrency: Option<Concurrency>,
    /// Each call opened a connection of its own.
    #[serde(default)]
    pub cold: bool,
    /// What changed on the link, and when after the start of the measured time.
    #[serde(default)]
    pub changes: Vec<String>,
    /// What a relay between clients and servers did; absent where the condition says nothing of
    /// one.
    #[serde(default)]
    pub between: Option<String>,
    /// What the two ends talked over here, and its delay there and back in µs; absent where it has
    /// none.
    #[serde(default)]
    pub distance: Option<Distance>,
    /// Why it was not measured, if it was not.
    pub not_offered: Option<String>,
    /// All its rounds that count together; absent where there is none.
    pub merged: Option<Merged>,
}

/// A delay between the two ends, and how often a call crossed it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Distance {
    /// The link, in words.
    pub link: String,
    /// Its delay there and back, in µs.
    pub round_trip_us: f64,
    /// Round trips that a call takes by arithmetic.
    pub predicted: Option<u32>,
    /// Median response time over that delay, mean of the rounds; absent where nothing counts.
    pub round_trips: Option<f64>,
    /// Half of its 95 % interval over rounds (Student's t).
    pub uncertainty: Option<f64>,
}

/// All rounds of a cell together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Merged {
    /// Rounds whose times count. Where none does, those of all rounds stand here, and are void.
    pub rounds: usize,
    /// Rounds whose costs count: processor time and bytes. Where none does, those of all
    /// rounds stand here, and are void. Absent from records in which a void measurement was void
    /// for everything.
    #[serde(default)]
    pub rounds_of_costs: Option<usize>,
    /// Measurements that were void, for everything or for times.
    pub void_measurements: usize,
    /// The counters.
    #[serde(flatten)]
    pub counts: Counts,
    /// What a call cost the client.
    pub client: EndPerCall,
    /// What it cost the server.
    pub server: EndPerCall,
    /// What crossed between them for it.
    pub wire: WirePerCall,
    /// Where the client had no processor time left: what it reached is then its own limit, and no
    /// more than a lower bound of the server's.
    pub client_limited: Option<String>,
    /// What came of the ticks that were pushed beside the calls of a session.
    #[serde(default)]
    pub ticks: Option<TicksPart>,
    /// What came of the calls that need a second market, which are not among the others.
    #[serde(default)]
    pub apart: Option<TicksPart>,
    /// What cold calls that succeeded spent in each phase that they had, in their order.
    #[serde(default)]
    pub phases: Vec<PhasePart>,
    /// What each flow came to, where flows are what is sent.
    #[serde(default)]
    pub flows: Vec<FlowPart>,
    /// Jain's index of the flows' goodput, mean of the rounds; absent where there are no two.
    #[serde(default)]
    pub jain_index: Option<f64>,
    /// What the way to the clients did to packets, where a router knows.
    #[serde(default)]
    pub queue: Option<QueuePart>,
    /// Done − scheduled.
    pub response_us: Quantiles,
    /// Picked up − scheduled.
    pub lag_us: Quantiles,
    /// Sent − picked up.
    pub wait_us: Quantiles,
    /// Done − sent, of calls that succeeded.
    pub service_us: Quantiles,
    /// All rounds together, by when arrivals were due.
    #[serde(default)]
    pub course: Vec<SlicePart>,
    /// Attempts that were made again in each 10 ms from the start of the measured time on, mean of
    /// the rounds, up to the last one; the first thousand.
    #[serde(default)]
    pub retries_per_10ms: Vec<f64>,
    /// Calls that came to each of several markets, slice by slice as `course` has them, of all
    /// rounds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls_by_market: Vec<Vec<u64>>,
}

impl Merged {
    /// Bins of retries that are kept.
    pub const RETRY_BINS_MAX: usize = 1_000;

    /// Whether no round's times count: those that stand here are void.
    pub fn times_void(&self) -> bool {
        self.rounds == 0
    }

    /// Whether no round's costs count, likewise.
    pub fn costs_void(&self) -> bool {
        self.rounds_of_costs == Some(0)
    }
}

/// A phase of cold calls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PhasePart {
    /// `dns`, `connect`, `tls` (over QUIC with the connecting in it), or `request`: all that comes
    /// after, an upgrade among it.
    pub phase: String,
    /// How long calls spent in it.
    pub time_us: Quantiles,
}

/// What was due in a slice of the measured time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SlicePart {
    /// When it begins, in s of the measured time.
    pub from_s: f64,
    /// Arrivals that were due in it.
    pub arrivals: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// The mean of their response times, in µs; failed ones at the time-out or more.
    pub response_mean_us: f64,
    /// The longest of them, in µs.
    pub response_max_us: f64,
}

/// What a call cost one end: the mean over the rounds of the figure per call that succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EndPerCall {
    /// Processor time of the process, user and kernel, in µs.
    pub cpu_us_per_call: f64,
    /// Time that its core was busy with whatever, packets among it, in µs: a check on the other
    /// from outside.
    pub core_busy_us_per_call: f64,
    /// Times that a thread gave up its core or lost it.
    pub context_switches_per_call: f64,
    /// Allocations, in a build that counts them.
    pub allocations_per_call: Option<f64>,
}

/// What crossed between the ends for a call: the mean over the rounds, headers and acknowledgements
/// included.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WirePerCall {
    /// Bytes, both ways: on a cable from the Ethernet header on, on loopback from the IP header on.
    pub bytes_per_call: f64,
    /// Packets, both ways.
    pub packets_per_call: f64,
    /// Bytes from client to server; absent on loopback, which does not tell the ways apart.
    pub to_server_bytes_per_call: Option<f64>,
    /// Bytes from server to client, likewise.
    pub to_client_bytes_per_call: Option<f64>,
    /// TCP segments that either end sent again.
    pub retransmitted_segments_per_call: f64,
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
    /// Attempts of calls; in records from before there were policies 0, for one a call that was
    /// sent.
    #[serde(default)]
    pub attempts: u64,
    /// Calls with the right reply in time.
    pub ok: u64,
    /// The others, by kind.
    pub failed: BTreeMap<String, u64>,
    /// One error of each kind, in words.
    pub failure_samples: BTreeMap<String, String>,
    /// Connections opened anew: of calls, warm-up included; of subscribers, in the measured time.
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
    /// The longest run of pushed events that one subscriber missed, in one measurement.
    #[serde(default)]
    pub longest_gap: u64,
    /// The longest time in which one subscriber received nothing, within the measured time of one
    /// measurement, in µs.
    #[serde(default)]
    pub longest_silence_us: f64,
    /// Calls that succeeded, per second of the measured time, or of the time until the last right
    /// reply where that is longer.
    pub ok_per_s: f64,
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
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/record.schema.json");
        let current = serde_json::to_string_pretty(&super::json_schema()).unwrap() + "\n";
        if std::env::var_os("UPDATE_FILES").is_some() {
            std::fs::write(path, &current).unwrap();
        }
        let stored = std::fs::read_to_string(path).unwrap_or_default();
        assert!(stored == current, "docs/record.schema.json is out of date: run with UPDATE_FILES=1");
    }
}
