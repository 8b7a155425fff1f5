//! Scenario files as they are written. Unknown keys are refused.

use schemars::JsonSchema;
use serde::Deserialize;
use terms::{Arrivals, LedgerKind, Link};
use toml::Spanned;

use crate::asked::{WireBreakEven, WireClaim, WireHold, WireMap, WireRestart, WireScaleOut};
use crate::contender::{WireContender, WireDefaults};
use crate::profile::WireProfile;
use crate::values::{Share, Span};

/// A scenario file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "wirebench scenario")]
pub(super) struct WireScenario {
    /// Name of the scenario, and of its folder of results: a-z, 0-9 and -, at most 64 characters.
    #[schemars(with = "String", example = &"json-or-protobuf")]
    pub(super) name: Spanned<String>,
    /// Another scenario, by its name or by the path of its file, which is looked for beside this
    /// one. This file then says only what differs: tables are merged key by key, conditions and
    /// contenders by their names. Claims, break-even points, the map, the acts, `card`, `bench` and
    /// `baseline` are never inherited. Default: none.
    #[serde(default)]
    #[allow(dead_code, reason = "it is gone when this is read: see extension.rs")]
    #[schemars(example = &"rest-vs-grpc")]
    pub(super) extend: Option<String>,
    /// The question, in one sentence.
    #[schemars(example = &"Does gRPC cost less CPU per call than REST?")]
    pub(super) question: String,
    /// Lines of the card that the scenario tests. Default: none.
    #[serde(default)]
    #[schemars(example = ["A2"])]
    pub(super) card: Vec<String>,
    /// Whether `cargo bench` runs the scenario; of the built-in ones. Default: `false`.
    #[serde(default)]
    #[schemars(example = true)]
    pub(super) bench: bool,
    /// What the scenario varies, what the result depends on, and what it does not show. Blank lines
    /// separate paragraphs. Default: none.
    #[serde(default)]
    #[schemars(example = &"Cables hide what a saved byte is worth on a network.")]
    pub(super) analysis: String,
    /// What lies between clients and servers: `loopback`, `cable` (two hosts on this machine), or a
    /// link with a delay, a loss or a rate. Where the machine allows no network namespaces,
    /// loopback stands in for the cable, and a link with a delay, a loss or a rate is refused.
    /// Default: `cable`.
    #[serde(default = "cable")]
    #[schemars(example = &"ny-london loss=1%")]
    pub(super) link: Link,
    /// What the clients do. Needed.
    pub(super) workload: WireWorkload,
    /// Options for all contenders. A contender whose protocol has the option, and which does not
    /// set it, takes it from here.
    #[serde(default)]
    pub(super) defaults: WireDefaults,
    /// A setting under which the contenders are measured. A scenario needs at least one.
    #[schemars(with = "Vec<WireCondition>")]
    pub(super) condition: Spanned<Vec<WireCondition>>,
    /// One of the things that are compared: a way to reach the market, or flows. A scenario needs
    /// at least one.
    #[schemars(with = "Vec<WireContender>")]
    pub(super) contender: Spanned<Vec<WireContender>>,
    /// The contender that the others are compared with. It is measured twice, under its own name
    /// and as `NAME-again`: what differs between the two is noise. Default: the first `against` of
    /// a claim, or else the first contender.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"json")]
    pub(super) baseline: Option<Spanned<String>>,
    /// A search for the highest rate of each contender that meets an objective. `--full` and
    /// `--capacity` make it.
    #[serde(default)]
    pub(super) capacity: Option<WireCapacity>,
    /// What is judged: a figure against a value (`holds`), or a comparison (`metric`, `against` or
    /// `against_condition`, and one of `holds_below`, `holds_above` and `same_within`). Without a
    /// claim a run measures and judges nothing.
    #[serde(default)]
    pub(super) claim: Vec<WireClaim>,
    /// A search along an axis for the point at which one contender's figure becomes the smaller
    /// one.
    #[serde(default)]
    pub(super) break_even: Vec<WireBreakEven>,
    /// A map of the contender with the least of a figure, along an axis and by how late it may
    /// deliver.
    #[serde(default)]
    pub(super) map: Option<WireMap>,
    /// Idle connections that are held after the rounds, to measure the memory of one. Without this
    /// table, standard and full runs over a link without delay hold 64, 256, 512 and 1 024.
    #[serde(default)]
    pub(super) hold: Option<WireHold>,
    /// A server that is killed and started again after the rounds, to measure how its subscribers
    /// come back.
    #[serde(default)]
    pub(super) restart: Option<WireRestart>,
    /// Servers that join others behind a balancer after the rounds, to measure where connections
    /// end up.
    #[serde(default)]
    pub(super) scale_out: Option<WireScaleOut>,
    /// What `--quick` runs.
    #[serde(default)]
    pub(super) quick: WireProfile,
    /// What a run without `--quick` and `--full` runs.
    #[serde(default)]
    pub(super) standard: WireProfile,
    /// What `--full` runs.
    #[serde(default)]
    pub(super) full: WireProfile,
}

/// What the clients do.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WireWorkload {
    /// What is done: calls (`quote`, `quotes`, `portfolio`, `history`, `place_order`), pushes
    /// (`subscribe`), orders and pushes at once (`session`), or blocks over TCP and UDP themselves
    /// (`flow`).
    #[schemars(with = "Call", example = &"quote")]
    pub(super) operation: Spanned<Call>,
    /// Symbols of a `quotes` call, 1 to 100. Default: `10`.
    #[serde(default)]
    #[schemars(with = "Option<usize>", example = 50)]
    pub(super) symbols: Option<Spanned<usize>>,
    /// Candles of a `history` call, 1 to 10 000. Default: `100`.
    #[serde(default)]
    #[schemars(with = "Option<u32>", example = 1_000)]
    pub(super) candles: Option<Spanned<u32>>,
    /// Calls per second, ticks per second that the server emits (`subscribe`, which needs it), or
    /// orders per second (`session`). Default: none: each slot calls again when its last call has
    /// ended (the closed model).
    #[serde(default)]
    #[schemars(with = "Option<f64>", example = 1_000.0)]
    pub(super) rate_per_s: Option<Spanned<f64>>,
    /// Ticks per second that every session receives beside its orders; of `session`. Default:
    /// `rate_per_s`.
    #[serde(default)]
    #[schemars(with = "Option<f64>", example = 100.0)]
    pub(super) ticks_per_s: Option<Spanned<f64>>,
    /// How fast each receiver reads while its sender sends; of `flow`. Default: none: as fast as
    /// blocks arrive.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"4Mbit/s")]
    pub(super) read_rate: Option<Spanned<String>>,
    /// The buffer that each socket asks for; of `flow`. Default: what the system gives.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"256KB")]
    pub(super) buffers: Option<Spanned<String>>,
    /// Gaps between arrivals: `poisson` (exponential), `constant`, or `burst` (all calls of a
    /// second at its beginning). Default: `poisson`.
    #[serde(default = "poisson")]
    #[schemars(example = &"constant")]
    pub(super) arrivals: Arrivals,
    /// Time after which a call has failed, counted from when it was due. Of `flow`, the silence
    /// after the senders' end at which blocks that have not arrived count as lost.
    #[schemars(with = "String", example = &"1s")]
    pub(super) time_out: Spanned<Span>,
    /// Time that the market's handler waits before it answers. Default: `0ms`.
    #[serde(default)]
    #[schemars(example = &"1ms")]
    pub(super) handler_wait: Span,
    /// CPU time that the market's handler burns before it answers. Default: `0ms`.
    #[serde(default)]
    #[schemars(example = &"100us")]
    pub(super) handler_cpu: Span,
    /// Where the market keeps its orders: in `memory`, or in a file of `sqlite`, which is on the
    /// disk before the reply leaves and stays beside the record; of `place_order`. Default:
    /// `memory`.
    #[serde(default)]
    #[schemars(with = "Option<LedgerKind>", example = &"sqlite")]
    pub(super) ledger: Option<Spanned<LedgerKind>>,
    /// The share of symbols of which only a second market behind the front knows. Calls for them
    /// are counted apart: figures are of the others. Of `quote`, with contenders that have
    /// `through`. Default: none: one market.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"20%")]
    pub(super) second_market: Option<Spanned<Share>>,
    /// Markets that answer alike, of which any may have a call, 1 to 8: `market.1`, `market.2` and
    /// so on. Contenders have `balance` or `through` then. Default: `1`.
    #[serde(default)]
    #[schemars(with = "Option<usize>", example = 3)]
    pub(super) replicas: Option<Spanned<usize>>,
}

fn cable() -> Link {
    Link::Cable
}

fn poisson() -> Arrivals {
    Arrivals::Poisson
}

/// What can be a workload: a call; `subscribe`, where every connection hears every tick; `session`,
/// where orders are placed on sessions that hear every tick meanwhile; `flow`, where blocks go over
/// TCP or UDP themselves.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Call {
    Quote,
    Quotes,
    Portfolio,
    History,
    PlaceOrder,
    Subscribe,
    Session,
    Flow,
}

/// One setting of what varies.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WireCondition {
    /// Name of the condition.
    #[schemars(with = "String", example = &"calls")]
    pub(super) name: Spanned<String>,
    /// How sentences say it, behind a verb. Default: `under NAME`, and nothing where it is the only
    /// condition.
    #[serde(default)]
    #[schemars(example = &"on replies of 110 KB")]
    pub(super) label: Option<String>,
    /// Connections, 1 to 20 000; of `subscribe`, subscribers; of cold calls, callers. Default:
    /// needed, but for `flow`, where each flow has its own.
    #[serde(default)]
    #[schemars(with = "Option<usize>", example = 8)]
    pub(super) connections: Option<Spanned<usize>>,
    /// Calls in flight on each connection, 1 to 10 000. HTTP/1.1 can have one. Default: `1`.
    #[serde(default)]
    #[schemars(with = "Option<usize>", example = 16)]
    pub(super) in_flight: Option<Spanned<usize>>,
    /// Calls per second in this condition. Default: the workload's.
    #[serde(default)]
    #[schemars(with = "Option<f64>", example = 8_000.0)]
    pub(super) rate_per_s: Option<Spanned<f64>>,
    /// Symbols of a `quotes` call in this condition. Default: the workload's.
    #[serde(default)]
    #[schemars(with = "Option<usize>", example = 50)]
    pub(super) symbols: Option<Spanned<usize>>,
    /// Candles of a `history` call in this condition. Default: the workload's.
    #[serde(default)]
    #[schemars(with = "Option<u32>", example = 1_000)]
    pub(super) candles: Option<Spanned<u32>>,
    /// Whether each call opens a connection and closes it afterwards. Default: `false`.
    #[serde(default)]
    #[schemars(with = "Option<bool>", example = true)]
    pub(super) cold: Option<Spanned<bool>>,
    /// Changes of the link while it is measured, and of the market: `1s market stalls 500ms` (it
    /// begins no work), `1s market fails 500ms` (it answers "unavailable" at once) and `1s market
    /// slows 100x 500ms` (its handler waits so many times as long), `1s market dies 500ms` (its
    /// process is killed, and another is started after that time) and `1s market freezes 500ms`
    /// (its process is stopped). With a `second_market` or `replicas`, `market.1`, `market.2` and
    /// so on are one of them, and `1s market.2 leaves 500ms` takes one off the list of markets.
    /// Times count from the start of the measured time; each change of the link adds to the one
    /// before it. Default: none.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>", example = ["1s cut", "2s mended"])]
    pub(super) changes: Option<Spanned<Vec<String>>>,
    /// What this condition changes of the scenario's link, which needs a delay, a loss or a rate.
    /// Default: none.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"loss=1%")]
    pub(super) link: Option<Spanned<String>>,
    /// What lies between a front and the markets behind it, on a host of their own; of a scenario
    /// whose link has a delay, a loss or a rate. Where one condition has it, the markets are
    /// elsewhere in all conditions, and without delay in the others. Default: none.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"rtt=20ms")]
    pub(super) market_link: Option<Spanned<String>>,
    /// What a relay of TCP connections between clients and servers does: `closes`, `closes_idle`,
    /// `resets` or `silent` with an age, `buffers` with a size, or `passes`. Of `subscribe`, over
    /// TCP. Where one condition has it, the relay stands in all conditions and passes everything on
    /// in the others. Default: none.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"closes=700ms")]
    pub(super) between: Option<Spanned<String>>,
    /// Time that the market's handler waits in this condition. Default: the workload's.
    #[serde(default)]
    #[schemars(example = &"10ms")]
    pub(super) handler_wait: Option<Span>,
    /// CPU time that the market's handler burns in this condition. Default: the workload's.
    #[serde(default)]
    #[schemars(example = &"1ms")]
    pub(super) handler_cpu: Option<Span>,
    /// The share of calls that the market's handler answers with "unavailable" in this condition,
    /// drawn for each attempt. Default: none.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"5%")]
    pub(super) handler_fails: Option<Spanned<Share>>,
    /// The share of calls whose reply is lost after the market's handler has done all, drawn for
    /// each attempt; the reply leaves two seconds later. Needs contenders with an
    /// `attempt_time_out` below that. Default: none.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"20%")]
    pub(super) handler_loses: Option<Spanned<Share>>,
    /// Calls that the market works on at a time in this condition; others wait for their turn. It
    /// answers `handler_at_once` / `handler_wait` calls a second at most, and needs such a wait; of
    /// calls. Default: none: all that come.
    #[serde(default)]
    #[schemars(with = "Option<usize>", example = 10)]
    pub(super) handler_at_once: Option<Spanned<usize>>,
    /// Calls that wait for their turn, at most; one more is answered with "unavailable". With
    /// `handler_at_once`. Default: `1000`.
    #[serde(default)]
    #[schemars(with = "Option<usize>", example = 50)]
    pub(super) handler_queue: Option<Spanned<usize>>,
    /// Whether the market drops work when its caller has closed the connection or reset the stream.
    /// With `handler_at_once`. Default: `false`: it is done all the same.
    #[serde(default)]
    #[schemars(with = "Option<bool>", example = true)]
    pub(super) handler_drops_abandoned: Option<Spanned<bool>>,
    /// Time that the handler of the second market waits in this condition; with a
    /// `second_market`. Default: as long as the first one's.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"500ms")]
    pub(super) second_handler_wait: Option<Spanned<Span>>,
    /// Calls that a front works on at a time in this condition, waiting for the market among
    /// them; of contenders that have `through`. Default: none: all that come.
    #[serde(default)]
    #[schemars(with = "Option<usize>", example = 64)]
    pub(super) front_at_once: Option<Spanned<usize>>,
    /// Calls that wait at a front for their turn, at most; one more is answered with
    /// "unavailable". With `front_at_once`. Default: `1000`.
    #[serde(default)]
    #[schemars(with = "Option<usize>", example = 0)]
    pub(super) front_queue: Option<Spanned<usize>>,
    /// Lists of values. Each combination of values is a separate condition, named `NAME
    /// axis=value`; at most 100. An axis with one value sets that value.
    #[serde(default)]
    #[schemars(with = "Option<WireAxes>")]
    pub(super) axes: Option<Spanned<WireAxes>>,
}

/// Lists of values within a condition. An axis with one value sets that value.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WireAxes {
    /// Calls, ticks or orders per second. Default: none.
    #[serde(default)]
    #[schemars(with = "Option<Vec<f64>>", example = [250.0, 1_000.0])]
    pub(super) rate_per_s: Option<Vec<Spanned<f64>>>,
    /// Connections. Default: none.
    #[serde(default)]
    #[schemars(with = "Option<Vec<usize>>", example = [8, 64])]
    pub(super) connections: Option<Vec<Spanned<usize>>>,
    /// Calls in flight on each connection. Default: none.
    #[serde(default)]
    #[schemars(with = "Option<Vec<usize>>", example = [1, 16])]
    pub(super) in_flight: Option<Vec<Spanned<usize>>>,
    /// Symbols of a `quotes` call. Default: none.
    #[serde(default)]
    #[schemars(with = "Option<Vec<usize>>", example = [1, 10, 100])]
    pub(super) symbols: Option<Vec<Spanned<usize>>>,
    /// Candles of a `history` call. Default: none.
    #[serde(default)]
    #[schemars(with = "Option<Vec<u32>>", example = [1, 100, 10_000])]
    pub(super) candles: Option<Vec<Spanned<u32>>>,
    /// Time that the market's handler waits. Default: none.
    #[serde(default)]
    #[schemars(example = ["0ms", "10ms"])]
    pub(super) handler_wait: Option<Vec<Span>>,
    /// CPU time that the market's handler burns. Default: none.
    #[serde(default)]
    #[schemars(example = ["0ms", "1ms"])]
    pub(super) handler_cpu: Option<Vec<Span>>,
    /// What is changed of the scenario's link. Default: none.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>", example = ["loss=0.1%", "loss=1%"])]
    pub(super) link: Option<Vec<Spanned<String>>>,
}

/// A search for capacity.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WireCapacity {
    /// What must hold at a rate.
    #[schemars(with = "String", example = &"response.p99 < 5ms")]
    pub(super) objective: Spanned<String>,
    /// Measured time at each rate; longer where a rate makes fewer than 2 000 calls in it.
    #[schemars(example = &"1s")]
    pub(super) trial: Span,
}

/// The JSON Schema of scenario files, for editors: checked in as `scenarios/schema.json`.
pub fn json_schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(WireScenario).to_value();
    // What is extended may say the rest.
    schema["required"] = serde_json::json!(["name", "question"]);
    schema
}

#[cfg(test)]
mod tests {
    /// `UPDATE_FILES=1 cargo test` writes it again.
    #[test]
    fn the_checked_in_schema_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.json");
        let current = serde_json::to_string_pretty(&super::json_schema()).unwrap() + "\n";
        if std::env::var_os("UPDATE_FILES").is_some() {
            std::fs::write(path, &current).unwrap();
        }
        let stored = std::fs::read_to_string(path).unwrap_or_default();
        assert!(stored == current, "scenarios/schema.json is out of date: run with UPDATE_FILES=1");
    }
}
