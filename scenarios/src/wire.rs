//! Scenario files as they are written. Unknown keys are refused.

use proto::Protocol;
use proto::encoding::Encoding;
use proto::flow::Congestion;
use schemars::JsonSchema;
use serde::Deserialize;
use terms::{Arrivals, HttpVersion, LedgerKind, Link, RetryJitter, Streams, Through, TlsVersion};
use toml::Spanned;

use crate::asked::{WireBreakEven, WireClaim, WireHold, WireMap, WireRestart, WireScaleOut};
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
    /// slows 100x 500ms` (its handler waits so many times as long). With a `second_market`,
    /// `market.1` and `market.2` are one of the two. Times count from the start of the measured
    /// time; each change of the link adds to the one before it. Default: none.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>", example = ["1s cut", "2s mended"])]
    pub(super) changes: Option<Spanned<Vec<String>>>,
    /// What this condition changes of the scenario's link, which needs a delay, a loss or a rate.
    /// Default: none.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"loss=1%")]
    pub(super) link: Option<Spanned<String>>,
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

/// Options of all contenders.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WireDefaults {
    /// Version of HTTP, for `rest`, `graphql` and `sse`. Default: `1.1`.
    #[serde(default)]
    #[schemars(with = "Option<HttpVersion>", example = &"2")]
    pub(super) http: Option<Spanned<HttpVersion>>,
    /// Encoding, for `rest` and `websocket`. Default: `json`.
    #[serde(default)]
    #[schemars(with = "Option<Encoding>", example = &"protobuf")]
    pub(super) encoding: Option<Spanned<Encoding>>,
    /// Version of TLS, for every protocol but `udp`. Default: none: plain text.
    #[serde(default)]
    #[schemars(with = "Option<TlsVersion>", example = &"1.3")]
    pub(super) tls: Option<Spanned<TlsVersion>>,
    /// Congestion control of both ends, for every protocol but `udp`. Default: `cubic`.
    #[serde(default)]
    #[schemars(with = "Option<Congestion>", example = &"bbr")]
    pub(super) congestion: Option<Spanned<Congestion>>,
}

/// What is compared: a way to reach the market, or flows.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WireContender {
    /// Name of the contender.
    #[schemars(with = "String", example = &"grpc")]
    pub(super) name: Spanned<String>,
    /// How sentences call it. Default: its name.
    #[serde(default)]
    #[schemars(example = &"REST with JSON")]
    pub(super) label: Option<String>,
    /// How it reaches the market: `rest`, `graphql`, `grpc`, `sse`, `websocket`, `tcp`, `udp`,
    /// `quic` or `quic_datagram`. Default: needed, but for `flow`.
    #[serde(default)]
    #[schemars(with = "Option<Protocol>", example = &"rest")]
    pub(super) protocol: Option<Spanned<Protocol>>,
    /// Flows that share the link, of `flow`, 1 to 16: `tcp`, `tcp cubic`, `tcp bbr`, `tcp reno` or
    /// `udp`; then the sender's rate, which `udp` needs; then `reset=TIME`, where the receiver
    /// resets the connection that long after the start of the measured time. Default: needed of
    /// `flow`.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>", example = ["tcp cubic", "udp 30Mbit/s"])]
    pub(super) flows: Option<Spanned<Vec<Spanned<String>>>>,
    /// How often a subscriber over `rest` asks for new ticks. Default: none: a request waits at the
    /// server for the next tick (long polling).
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"250ms")]
    pub(super) poll_every: Option<Spanned<Span>>,
    /// Version of HTTP: `1.1` or `2`, for `rest`, `graphql` and `sse`; `3` for `rest`. Default:
    /// that of `[defaults]`, or else `1.1`.
    #[serde(default)]
    #[schemars(with = "Option<HttpVersion>", example = &"2")]
    pub(super) http: Option<Spanned<HttpVersion>>,
    /// Encoding: `json` or `protobuf`, for `rest` and `websocket`. Default: that of `[defaults]`,
    /// or else `json`.
    #[serde(default)]
    #[schemars(with = "Option<Encoding>", example = &"protobuf")]
    pub(super) encoding: Option<Spanned<Encoding>>,
    /// Whether a query is asked by its hash, and reads by GET; for `graphql`. Default: `false`.
    #[serde(default)]
    #[schemars(with = "Option<bool>", example = true)]
    pub(super) persisted: Option<Spanned<bool>>,
    /// Which calls share a stream: `per_call` (none) or `one` (all); for `quic`. Default:
    /// `per_call`.
    #[serde(default)]
    #[schemars(with = "Option<Streams>", example = &"one")]
    pub(super) streams: Option<Spanned<Streams>>,
    /// A program that wirebench starts in place of the market's server.
    #[serde(default)]
    #[schemars(with = "Option<WireServer>")]
    pub(super) server: Option<Spanned<WireServer>>,
    /// Address of a server on this machine that you started, over `link = "loopback"`. Its CPU is
    /// not counted. Default: none.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"http://127.0.0.1:9000")]
    pub(super) target: Option<Spanned<String>>,
    /// Fields that a `portfolio` call asks for. Default: all.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>", example = ["positions.symbol", "positions.quote.last_cents"])]
    pub(super) fields: Option<Spanned<Vec<String>>>,
    /// Whether a `portfolio` is asked for in two steps, as an API of plain resources needs: first
    /// the positions, then their quotes. Default: `false`.
    #[serde(default)]
    #[schemars(with = "Option<bool>", example = true)]
    pub(super) in_steps: Option<Spanned<bool>>,
    /// Version of TLS: `1.2` or `1.3`, for every protocol but `udp`. Default: that of `[defaults]`,
    /// or else plain text; over QUIC `1.3`.
    #[serde(default)]
    #[schemars(with = "Option<TlsVersion>", example = &"1.3")]
    pub(super) tls: Option<Spanned<TlsVersion>>,
    /// Whether each call in flight has its own connection: connections × in_flight connections.
    /// Default: `false`.
    #[serde(default)]
    #[schemars(example = true)]
    pub(super) connection_per_call: bool,
    /// Whether a connection resumes an earlier TLS session. Default: `false`.
    #[serde(default)]
    #[schemars(with = "Option<bool>", example = true)]
    pub(super) resume: Option<Spanned<bool>>,
    /// Whether the first request travels with the first flight of a resumed handshake; of TLS 1.3,
    /// with `resume`. Default: `false`.
    #[serde(default)]
    #[schemars(with = "Option<bool>", example = true)]
    pub(super) early_data: Option<Spanned<bool>>,
    /// Whether each connection looks the server's name up, at a name server beside the server,
    /// without a cache. Default: `false`.
    #[serde(default)]
    #[schemars(example = true)]
    pub(super) dns: bool,
    /// Congestion control of both ends: `cubic`, `bbr` or `reno`; over TCP and QUIC. Default: that
    /// of `[defaults]`, or else `cubic`.
    #[serde(default)]
    #[schemars(with = "Option<Congestion>", example = &"bbr")]
    pub(super) congestion: Option<Spanned<Congestion>>,
    /// Whether a subscriber that lost its connection asks for what came after the last event it
    /// received; for `sse` and `websocket`. Default: `true` for `sse`, `false` for `websocket`.
    #[serde(default)]
    #[schemars(with = "Option<bool>", example = true)]
    pub(super) resumes: Option<Spanned<bool>>,
    /// Silence after which a subscriber opens another connection while events are due; of
    /// `subscribe`. Default: none: it waits for ever.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"500ms")]
    pub(super) notices: Option<Spanned<Span>>,
    /// Attempts of a call that fails for a reason that may pass (no connection, a time-out,
    /// "unavailable"), the first among them, 1 to 16; of calls. Default: `1`.
    #[serde(default)]
    #[schemars(with = "Option<u32>", example = 4)]
    pub(super) attempts: Option<Spanned<u32>>,
    /// Time of one attempt, after which it has failed. The call's `time_out` bounds all its
    /// attempts and pauses. Default: none: all that the call has left.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"100ms")]
    pub(super) attempt_time_out: Option<Spanned<Span>>,
    /// Pause before another attempt: `immediate`, `fixed` with a time, or `exponential` with the
    /// first and the longest. Default: `exponential 50ms..1s`.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"exponential 10ms..200ms")]
    pub(super) backoff: Option<Spanned<String>>,
    /// What chance does to that pause of d: `none` (d), `equal` (d/2 to d), `full` (0 to d),
    /// `decorrelated` (the first pause to three times the last one) or `added` (d to 2d, as some
    /// libraries do). Default: `full`.
    #[serde(default)]
    #[schemars(with = "Option<RetryJitter>", example = &"equal")]
    pub(super) jitter: Option<Spanned<RetryJitter>>,
    /// Repeats as a share of calls, at most, beyond a reserve of ten. Default: none: as many as
    /// there are attempts.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"20%")]
    pub(super) retry_budget: Option<Spanned<Share>>,
    /// Whether each call has another idempotency key, which all its attempts bear; of `place_order`
    /// with a rate. Default: `false`: none.
    #[serde(default)]
    #[schemars(with = "Option<bool>", example = true)]
    pub(super) idempotency_keys: Option<Spanned<bool>>,
    /// Attempts under way at a time, at most; one more is refused (a bulkhead). Default: none.
    #[serde(default)]
    #[schemars(with = "Option<usize>", example = 16)]
    pub(super) bulkhead: Option<Spanned<usize>>,
    /// Time beyond which an attempt is slow. The attempts that may be under way then adapt: slow
    /// ones make them fewer, fast ones more, from 16. Default: none.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"50ms")]
    pub(super) adaptive_limit: Option<Spanned<Span>>,
    /// A circuit breaker: from which share of failures, of how many of the last attempts, it
    /// opens; how long it refuses attempts; and how many probes close it again (default: 1).
    /// Default: none.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"50% of 20, open 250ms")]
    pub(super) breaker: Option<Spanned<String>>,
    /// The service that it reaches the market through: a `front`, which answers each call by
    /// calling the market over the same protocol. `attempts` and the like are then what the front
    /// does about its calls. Of `quote`. Default: none.
    #[serde(default)]
    #[schemars(with = "Option<Through>", example = &"front")]
    pub(super) through: Option<Spanned<Through>>,
    /// Round trips that theory predicts for a cold call; shown beside the measured ones. Default:
    /// none.
    #[serde(default)]
    #[schemars(example = 2)]
    pub(super) cold_round_trips: Option<u32>,
}

/// A program that serves in place of the market's server. It must answer as the market would:
/// `{folder}/v1/quotes/SYMBOL` holds the reply to each quote as JSON.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WireServer {
    /// Command that starts the program in the foreground, as one process. `{folder}` is a new
    /// folder for it; `{address}` and `{port}` are where it must listen.
    #[schemars(example = &"nginx -p {folder} -c {folder}/config")]
    pub(super) command: String,
    /// Text of `{folder}/config`, with the same placeholders. Default: none.
    #[serde(default)]
    #[schemars(example = &"events {} http { server { listen {address}:{port}; root {folder}; } }")]
    pub(super) config: Option<String>,
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
