//! What the clients do, and what the handler does meanwhile.

use std::fmt;
use std::time::Duration;

use proto::Capability;

use crate::{Arrivals, Condition, Emission, Model};

/// The seed of the market's data, unless another is asked for.
pub const MARKET_SEED: u64 = 42;

/// A handler's own work, so that a protocol's overhead can be set against it.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Handler {
    /// Time that it waits, as for a database: no processor time.
    pub wait: Duration,
    /// Processor time that it burns.
    pub cpu: Duration,
    /// The share of calls that it answers with "unavailable", after that work.
    #[serde(skip_serializing_if = "is_none")]
    pub fails: f64,
    /// The share of calls whose reply is lost after all is done: it leaves when nobody waits for
    /// it any more.
    #[serde(skip_serializing_if = "is_none")]
    pub loses: f64,
    /// How much it does at once; `None` for all that comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Concurrency>,
}

/// How much a handler does at once. Together with its wait, W, it answers `at_once` / W calls a
/// second, at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Concurrency {
    /// Calls that have their turn at a time.
    pub at_once: usize,
    /// Calls that wait for theirs, at most; one more is answered with "unavailable".
    pub queue: usize,
    /// Whether work is dropped for which nobody waits any more: because its connection is closed,
    /// or its stream is reset. (A caller over frames says nothing, and its work is always done.)
    pub drops_abandoned: bool,
}

/// What was not asked for is in no plan's hash: older records have the same.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_none(share: &f64) -> bool {
    *share == 0.0
}

/// How much a call asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Amount {
    /// Symbols of a `quotes` call.
    pub symbols: usize,
    /// Candles of a `history` call.
    pub candles: u32,
}

/// What the clients do, in every condition.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Workload {
    /// What is done.
    pub activity: Activity,
    /// How much a call asks for, unless a condition says otherwise.
    pub amount: Amount,
    /// When calls are made, unless a condition says otherwise; of `subscribe`, when ticks are
    /// emitted.
    pub model: Model,
    /// Ticks that are emitted per second meanwhile, spaced as the calls are; of `session`. `None`
    /// for as many as each session places orders.
    pub ticks_per_s: Option<f64>,
    /// When a call counts as failed, after its schedule.
    pub time_out: Duration,
    /// What the market's handler does, unless a condition says otherwise.
    pub handler: Handler,
    /// Where the market keeps its orders.
    #[serde(default, skip_serializing_if = "LedgerKind::is_default")]
    pub ledger: LedgerKind,
    /// The share of symbols of which only a second market knows; `None` for one market.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_market: Option<f64>,
    /// Markets that answer alike, of which any may have a call.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub replicas: usize,
}

/// Markets of a contender, at most.
pub const REPLICAS_MAX: usize = 8;

fn one() -> usize {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it so")]
fn is_one(count: &usize) -> bool {
    *count == 1
}

/// Where the market keeps its orders.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum LedgerKind {
    /// In its memory.
    #[default]
    Memory,
    /// In a file of SQLite, where a commit is on the disk before the reply leaves.
    Sqlite,
}

impl LedgerKind {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
    fn is_default(&self) -> bool {
        *self == LedgerKind::default()
    }
}

impl Handler {
    /// How late a reply leaves that is lost: its caller has gone before.
    pub const LOST_REPLY_AFTER: Duration = Duration::from_secs(2);
}

impl Workload {
    /// What a server emits in a round of a condition, its first sequence left open; `None` where
    /// nothing is listened for.
    pub fn emission(&self, condition: &Condition) -> Option<Emission> {
        let Activity::Market(capability) = self.activity else { return None };
        let (arrivals, rate_per_s) = match (capability, condition.model) {
            (Capability::Subscribe, Model::Open { arrivals, rate_per_s }) => (arrivals, rate_per_s),
            (Capability::Session, Model::Open { arrivals, rate_per_s }) => {
                let own = rate_per_s / condition.shape.connections as f64;
                (arrivals, self.ticks_per_s.unwrap_or(own))
            }
            (Capability::Session, Model::Closed) => (Arrivals::Poisson, self.ticks_per_s?),
            _ => return None,
        };
        Some(Emission { first_sequence: 0, arrivals, rate_per_s })
    }
}

/// What a workload does.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    /// Something that the market offers: calls of one kind; `subscribe`, where every connection
    /// hears every tick; or `session`, where the calls are orders and every session hears every
    /// tick meanwhile.
    Market(Capability),
    /// Flows from the servers' host to the clients', over TCP and UDP themselves.
    Flow(FlowSettings),
}

impl Activity {
    /// Its name in scenario files.
    pub fn name(self) -> &'static str {
        match self {
            Activity::Market(capability) => capability.name(),
            Activity::Flow(_) => Activity::FLOW,
        }
    }

    /// The name of flows.
    pub const FLOW: &'static str = "flow";

    /// Whether it is a request that gets a reply, and nothing beside it.
    pub fn is_calls(self) -> bool {
        match self {
            Activity::Market(capability) => {
                !matches!(capability, Capability::Subscribe | Capability::Session)
            }
            Activity::Flow(_) => false,
        }
    }

    /// What is counted.
    pub fn counted(self) -> Counted {
        match self {
            Activity::Market(Capability::Subscribe) => Counted::Event,
            Activity::Market(_) => Counted::Call,
            Activity::Flow(_) => Counted::Block,
        }
    }

    /// Whether servers send of themselves: then lag is theirs.
    pub fn is_pushed(self) -> bool {
        matches!(self, Activity::Market(Capability::Subscribe) | Activity::Flow(_))
    }
}

/// What flows have in common.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct FlowSettings {
    /// Bits of blocks that each receiver reads a second while its sender sends; `None` for as fast
    /// as they come.
    pub read_bits_per_s: Option<f64>,
    /// The buffer of each socket, as it is asked for; `None` for what the system gives.
    pub buffer_bytes: Option<usize>,
}

/// What a workload is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// Requests that get a reply; of a session, orders.
    Call,
    /// Ticks that are pushed.
    Event,
    /// Blocks of flows.
    Block,
}

impl Counted {
    /// One of it, in words.
    pub fn name(self) -> &'static str {
        match self {
            Counted::Call => "call",
            Counted::Event => "event",
            Counted::Block => "block",
        }
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}
