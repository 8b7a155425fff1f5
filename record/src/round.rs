//! One measurement: what a round counted, and what both ends and the wire used for it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use terms::{Histograms, Quantiles};

use crate::{Counts, FlowPart, QueuePart, TicksPart};

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
    /// Why it does not count, and what to change; absent where it counts.
    pub void: Option<String>,
    /// Which figures do not count, where it is void.
    #[serde(default)]
    pub void_for: VoidFor,
    /// Orders that it added to the market's ledger, warm-up included; absent where orders are not
    /// what is called.
    #[serde(default)]
    pub orders: Option<u64>,
    /// Calls that came to markets while something happened to them; absent where nothing did.
    #[serde(default)]
    pub calls_in_trouble: Option<u64>,
    /// What happened to the processes of markets; empty where nothing did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub happened: Vec<HappenedPart>,
    /// What each of several markets had of the calls; absent where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub markets: Option<MarketsPart>,
    /// The most attempts that were made again within 10 ms; absent where no call is.
    #[serde(default)]
    pub peak_per_10ms: Option<u64>,
    /// From the end of the last trouble of a market to the end of the last slice in which more
    /// than one in twenty of the calls that need it failed, in µs; a slice at least. Absent where
    /// nothing happens to a market, and where calls fail to the end.
    #[serde(default)]
    pub time_to_recover_us: Option<f64>,
    /// Whether calls fail to the end of the measured time, after the last trouble of a market.
    #[serde(default)]
    pub never_recovered: bool,
    /// What the client used.
    pub client: EndPart,
    /// What the server used.
    pub server: EndPart,
    /// What crossed between them.
    pub wire: WirePart,
    /// What came of the ticks that were pushed beside the calls of a session.
    #[serde(default)]
    pub ticks: Option<TicksPart>,
    /// What came of the calls that need a second market, which are not among the others.
    #[serde(default)]
    pub apart: Option<TicksPart>,
    /// What each flow came to, where flows are what is sent.
    #[serde(default)]
    pub flows: Vec<FlowPart>,
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
    /// All four in nanoseconds: base64 of HdrHistogram V2, deflated. Mergeable.
    pub histograms_ns: Histograms,
}

/// What each of several markets had of the calls that came to them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MarketsPart {
    /// Calls that came to each in the measured time.
    pub calls: Vec<u64>,
    /// The share of each: in the second half of the first trouble of one of them, or of all
    /// measured time where none has any.
    pub shares: Vec<f64>,
    /// From the beginning of that trouble to the end of the last 100 ms, before it was over, in
    /// which that market had more than half of an even share or more than one call in twenty
    /// failed, in µs; 100 ms at least. Absent where none has trouble, and where that is so to its
    /// end.
    pub time_to_move_us: Option<f64>,
    /// Whether it is so to the end of the trouble.
    #[serde(default)]
    pub never_moved: bool,
    /// From the beginning of that trouble to the end of the last slice of the measured time, before
    /// it was over, in which a call came to that market, in µs. Absent where none has trouble, and
    /// where calls come in the last 100 ms of it.
    #[serde(default)]
    pub last_call_us: Option<f64>,
    /// Whether calls come in the last 100 ms of the trouble.
    #[serde(default)]
    pub called_to_the_end: bool,
}

impl MarketsPart {
    /// The most calls of one market, in those that each would have were they even.
    pub fn imbalance(&self) -> Option<f64> {
        let all: f64 = self.calls.iter().map(|calls| *calls as f64).sum();
        let most = *self.calls.iter().max()? as f64;
        (all > 0.0).then(|| most * self.calls.len() as f64 / all)
    }
}

/// Something that happened to the process of a market, after the start of the measured time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HappenedPart {
    /// What: `market.2 dies`.
    pub what: String,
    /// When it was to happen, in µs.
    pub asked_us: f64,
    /// When it did, in µs: a market is back once its new process listens.
    pub at_us: f64,
}

/// Which figures of a measurement do not count that was disturbed from outside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VoidFor {
    /// All: the core itself was slower, or nobody knows what happened.
    #[default]
    Everything,
    /// Those that depend on timing: other work had the core for moments, which makes calls late and
    /// is in nobody's processor time, bytes or packets.
    Times,
}

/// What one end used in a measurement, and what happened to its core.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EndPart {
    /// The time in which all this was: the measured time, as the meters were read, in µs; absent
    /// from records of version 2.
    #[serde(default)]
    pub window_us: f64,
    /// Processor time of the process, user and kernel, in µs.
    pub cpu_us: f64,
    /// Time that it could have run and did not, because something else had its core, in µs.
    pub waited_us: f64,
    /// Times that a thread gave its core up.
    pub voluntary_switches: u64,
    /// Times that a thread was made to.
    pub involuntary_switches: u64,
    /// Its processor time as a share of the time.
    pub own_share: f64,
    /// The share of the time in which its core was busy, with whatever.
    pub core_busy_share: f64,
    /// The share in which its core handled packets and timers; in `core_busy_share` too.
    pub core_softirq_share: f64,
    /// The share that the hypervisor took.
    pub core_steal_share: f64,
    /// The share that processes other than the two ends and the command used.
    pub core_foreign_share: f64,
    /// Allocations, in a build that counts them.
    #[serde(default)]
    pub allocations: Option<f64>,
}

/// What crossed between the ends in a measurement, headers and acknowledgements included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WirePart {
    /// Both ways.
    pub total: TrafficPart,
    /// From client to server; absent on loopback, which does not tell the ways apart.
    pub to_server: Option<TrafficPart>,
    /// From server to client, likewise.
    pub to_client: Option<TrafficPart>,
    /// TCP segments that either end sent again.
    pub retransmitted_segments: u64,
    /// Datagrams that either end's host threw away, because a socket's buffer was full.
    pub udp_drops: u64,
}

/// Bytes and packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrafficPart {
    /// On a cable from the Ethernet header on, on loopback from the IP header on.
    pub bytes: u64,
    /// Packets.
    pub packets: u64,
}
