//! Contenders as they are written in a scenario file, with all of their options.

use proto::Protocol;
use proto::encoding::Encoding;
use proto::flow::Congestion;
use schemars::JsonSchema;
use serde::Deserialize;
use terms::{HttpVersion, Picker, RetryJitter, Streams, Through, TlsVersion};
use toml::Spanned;

use crate::values::{Share, Span};

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
    /// without a cache. With `replicas` the name has all their addresses, each answer begins with
    /// another one, and a connection goes to the first. Default: `false`.
    #[serde(default)]
    #[schemars(example = true)]
    pub(super) dns: bool,
    /// How long an answer for the name of `replicas` may be kept, in whole seconds. Default: `1s`.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"5s")]
    pub(super) ttl: Option<Spanned<Span>>,
    /// Resolver caches for the name of `replicas`, 1 to 64: each connection asks the next. What a
    /// cache remembers expires at moments by chance, since others keep it warm. Default: `8`.
    #[serde(default)]
    #[schemars(with = "Option<usize>", example = 8)]
    pub(super) caches: Option<Spanned<usize>>,
    /// How seldom the last of the `caches` asks again, whatever a TTL says, from a moment by chance
    /// on. Default: none: it is as obedient as the others.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"30s")]
    pub(super) keeps: Option<Spanned<Span>>,
    /// Whether a connection tries the next address of the name of `replicas` where nobody is at
    /// one; over TCP. Default: `false`.
    #[serde(default)]
    #[schemars(with = "Option<bool>", example = true)]
    pub(super) tries_next: Option<Spanned<bool>>,
    /// A program that is the resolver cache for the name of `replicas`, in place of wirebench's: in
    /// its command and config `{name_server}` is who knows the name, an address with its port, and
    /// `{name_server.port}` that port, at `{address}`; it must listen over UDP and TCP. Default:
    /// none.
    #[serde(default)]
    #[schemars(with = "Option<WireServer>")]
    pub(super) resolver: Option<Spanned<WireServer>>,
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
    /// Time that each call has, from its schedule, and tells: servers and fronts keep it. Default:
    /// none: `time_out` alone, of which servers know nothing.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"250ms")]
    pub(super) deadline: Option<Spanned<Span>>,
    /// Time after which an attempt without an answer gets another beside it; the first answer
    /// counts. Of reads, and of orders with `idempotency_keys`; not over HTTP/1.1 without
    /// `through`. Default: none.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"20ms")]
    pub(super) hedge_after: Option<Spanned<Span>>,
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
    /// How it spreads its calls over the `replicas` of the market by itself: `round_robin`,
    /// `least_in_flight`, `two_choices` or `two_choices_by_latency`. Default: none.
    #[serde(default)]
    #[schemars(with = "Option<Picker>", example = &"two_choices")]
    pub(super) balance: Option<Spanned<Picker>>,
    /// How often it fetches the list of replicas, from a moment by chance on. Default: `1s`.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"500ms")]
    pub(super) refresh_every: Option<Spanned<Span>>,
    /// When it leaves a replica out, and for how long. Default: none: never.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"5 failures, 500ms")]
    pub(super) ejects: Option<Spanned<String>>,
    /// The service that it reaches the market through: a `front`, which answers each call by
    /// calling the market over the same protocol (`attempts` and the like are then what the front
    /// does about its calls); `l4`, a balancer that gives each connection to the next replica; or
    /// `l7`, one that gives each request over HTTP to the next replica. A front has `quote` alone.
    /// Default: none.
    #[serde(default)]
    #[schemars(with = "Option<Through>", example = &"front")]
    pub(super) through: Option<Spanned<Through>>,
    /// How the balancer of `through = "l4"` or `"l7"` looks after the replicas: how often it
    /// connects to each, and how many checks in a row decide. One that is down gets no new
    /// connections. Default: none: not at all.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"every 100ms, fall 3, rise 2")]
    pub(super) checks: Option<Spanned<String>>,
    /// Which requests the balancer of `through = "l7"` gives to which replica; others go to each
    /// in turn. Default: none.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>", example = &["path /v1/history market.3", "header x-cohort=canary market.2", "cookie cohort=canary market.2"])]
    pub(super) routes: Option<Spanned<Vec<String>>>,
    /// A program that balances the `replicas`: in its command and config `{market.1}`,
    /// `{market.2}` and so on are their addresses with ports. Default: none.
    #[serde(default)]
    #[schemars(with = "Option<WireServer>")]
    pub(super) balancer: Option<Spanned<WireServer>>,
    /// Round trips that theory predicts for a cold call; shown beside the measured ones. Default:
    /// none.
    #[serde(default)]
    #[schemars(example = 2)]
    pub(super) cold_round_trips: Option<u32>,
}

/// A program that serves in place of the market's server, or that stands before its replicas. The
/// first must answer as the market would: `{folder}/v1/quotes/SYMBOL` holds the reply to each quote
/// as JSON.
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
