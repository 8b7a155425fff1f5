//! Scenario files as they are written. Unknown keys are refused.

use std::time::Duration;

use proto::Protocol;
use proto::encoding::Encoding;
use proto::flow::Congestion;
use schemars::JsonSchema;
use serde::Deserialize;
use terms::{Arrivals, HttpVersion, Link, Streams, TlsVersion};
use toml::Spanned;

use crate::asked::{WireBreakEven, WireClaim, WireHold, WireMap, WireRestart, WireScaleOut};
use crate::profile::WireProfile;

/// A scenario file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "wirebench scenario")]
pub(super) struct WireScenario {
    /// The scenario's name: that of its file without `.toml`; a-z, 0-9 and - only.
    #[schemars(with = "String")]
    pub(super) name: Spanned<String>,
    /// Another scenario, by its name or its file: what this one does not say is said there. Tables
    /// are taken key by key, conditions and contenders by their names; claims, break-even points
    /// and the map are this one's own.
    #[serde(default)]
    #[allow(dead_code, reason = "it is gone when this is read: see extension.rs")]
    pub(super) extend: Option<String>,
    /// What it asks, in a sentence.
    pub(super) question: String,
    /// The lines of the card that it tests, such as `A2`.
    #[serde(default)]
    pub(super) card: Vec<String>,
    /// Whether `cargo bench` runs it.
    #[serde(default)]
    pub(super) bench: bool,
    /// What surprised, what the numbers depend on, what they do not show; written after the first
    /// run.
    #[serde(default)]
    pub(super) analysis: String,
    /// What the contenders talk over; `cable` by default, which becomes loopback (and says so)
    /// where the machine allows no network namespaces. A link with delay and loss is refused there.
    #[serde(default = "cable")]
    pub(super) link: Link,
    pub(super) workload: WireWorkload,
    /// Options that every contender has, as far as its protocol has them and it does not say
    /// otherwise.
    #[serde(default)]
    pub(super) defaults: WireDefaults,
    /// At least one.
    #[schemars(with = "Vec<WireCondition>")]
    pub(super) condition: Spanned<Vec<WireCondition>>,
    /// At least one.
    #[schemars(with = "Vec<WireContender>")]
    pub(super) contender: Spanned<Vec<WireContender>>,
    /// The contender that the others are compared with and that is measured twice, under its own
    /// name and as `NAME-again`: what differs between the two is noise. By default the first
    /// claim's `against`, or the first contender.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(super) baseline: Option<Spanned<String>>,
    /// The search for the highest rate that every contender can do; made by `--full` and by
    /// `--capacity`.
    #[serde(default)]
    pub(super) capacity: Option<WireCapacity>,
    /// What is judged.
    #[serde(default)]
    pub(super) claim: Vec<WireClaim>,
    /// From where on one is better than the other.
    #[serde(default)]
    pub(super) break_even: Vec<WireBreakEven>,
    /// Which contender is cheapest where.
    #[serde(default)]
    pub(super) map: Option<WireMap>,
    /// Idle connections that are held after the rounds, to see what one takes in memory. Without it
    /// standard and full runs hold some.
    #[serde(default)]
    pub(super) hold: Option<WireHold>,
    /// Subscribers whose server is killed and started again after the rounds, to see how they come
    /// back.
    #[serde(default)]
    pub(super) restart: Option<WireRestart>,
    /// Servers that join others behind a balancer, to see how connections lie then.
    #[serde(default)]
    pub(super) scale_out: Option<WireScaleOut>,
    /// What `--quick` runs; all conditions by default, briefly.
    #[serde(default)]
    pub(super) quick: WireProfile,
    /// What is run by default.
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
    #[schemars(with = "Call")]
    pub(super) operation: Spanned<Call>,
    /// Symbols of a `quotes` call: 1 to 100.
    #[serde(default)]
    #[schemars(with = "Option<usize>")]
    pub(super) symbols: Option<Spanned<usize>>,
    /// Candles of a `history` call: 1 to 10 000.
    #[serde(default)]
    #[schemars(with = "Option<u32>")]
    pub(super) candles: Option<Spanned<u32>>,
    /// Calls per second; without it each slot calls as soon as its last call is done (the closed
    /// model). Of `subscribe`, ticks that the server emits per second; of `session`, orders.
    #[serde(default)]
    #[schemars(with = "Option<f64>")]
    pub(super) rate_per_s: Option<Spanned<f64>>,
    /// Ticks that the server emits per second meanwhile, which every session hears; of `session`.
    /// By default as many as each session places orders.
    #[serde(default)]
    #[schemars(with = "Option<f64>")]
    pub(super) ticks_per_s: Option<Spanned<f64>>,
    /// How fast each receiver reads while its sender sends, such as `4Mbit/s`; as fast as it comes
    /// by default. Of `flow`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(super) read_rate: Option<Spanned<String>>,
    /// What each socket asks for as its buffer, such as `256KB`; what the system gives by default.
    /// Of `flow`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(super) buffers: Option<Spanned<String>>,
    /// How arrivals are spaced.
    #[serde(default = "poisson")]
    pub(super) arrivals: Arrivals,
    /// When a call counts as failed, after its schedule: `1s`.
    #[schemars(with = "String")]
    pub(super) time_out: Spanned<Span>,
    /// Time that the market's handler waits: `0ms`.
    #[serde(default)]
    pub(super) handler_wait: Span,
    /// Processor time that the market's handler burns: `0ms`.
    #[serde(default)]
    pub(super) handler_cpu: Span,
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
    #[schemars(with = "String")]
    pub(super) name: Spanned<String>,
    /// How sentences say it, behind a verb: `on replies of 110 KB`. By default `under NAME`.
    #[serde(default)]
    pub(super) label: Option<String>,
    /// Connections in all; of `subscribe`, subscribers. Of `flow` there are as many as a contender
    /// has flows.
    #[serde(default)]
    #[schemars(with = "Option<usize>")]
    pub(super) connections: Option<Spanned<usize>>,
    /// Calls in flight on each connection; 1 by default.
    #[serde(default)]
    #[schemars(with = "Option<usize>")]
    pub(super) in_flight: Option<Spanned<usize>>,
    /// Calls per second in this condition, instead of the workload's.
    #[serde(default)]
    #[schemars(with = "Option<f64>")]
    pub(super) rate_per_s: Option<Spanned<f64>>,
    /// Symbols of a `quotes` call in this condition, instead of the workload's.
    #[serde(default)]
    #[schemars(with = "Option<usize>")]
    pub(super) symbols: Option<Spanned<usize>>,
    /// Candles of a `history` call in this condition, instead of the workload's.
    #[serde(default)]
    #[schemars(with = "Option<u32>")]
    pub(super) candles: Option<Spanned<u32>>,
    /// Each call opens a connection of its own and closes it; `connections` are then as many
    /// callers.
    #[serde(default)]
    #[schemars(with = "Option<bool>")]
    pub(super) cold: Option<Spanned<bool>>,
    /// What changes on the link while it is measured, such as `["2s cut", "4s mended"]`: times are
    /// from the start of the measured time, and each change is of the link as the one before it
    /// left it.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>")]
    pub(super) changes: Option<Spanned<Vec<String>>>,
    /// What is changed of the scenario's link in this condition, such as `loss=1%`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(super) link: Option<Spanned<String>>,
    /// What a relay between clients and servers does with TCP connections in this condition:
    /// `closes=700ms`, `closes_idle=700ms`, `resets=700ms`, `silent=700ms` (ages of a connection),
    /// `buffers=64KB` or `passes`. Where one condition has it, the relay stands between in all of
    /// them, and passes everything on where nothing else is said; connections are opened anew for
    /// each round. Of `subscribe`, over TCP.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(super) between: Option<Spanned<String>>,
    /// Time that the market's handler waits in this condition, instead of the workload's.
    #[serde(default)]
    pub(super) handler_wait: Option<Span>,
    /// Processor time that it burns, likewise.
    #[serde(default)]
    pub(super) handler_cpu: Option<Span>,
    /// What varies: lists, of which each combination is a condition, named `NAME axis=value`.
    #[serde(default)]
    #[schemars(with = "Option<WireAxes>")]
    pub(super) axes: Option<Spanned<WireAxes>>,
}

/// What varies within a condition. A list of one varies nothing, and is as good as the value
/// itself.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WireAxes {
    /// Calls, ticks or orders per second.
    #[serde(default)]
    #[schemars(with = "Option<Vec<f64>>")]
    pub(super) rate_per_s: Option<Vec<Spanned<f64>>>,
    #[serde(default)]
    #[schemars(with = "Option<Vec<usize>>")]
    pub(super) connections: Option<Vec<Spanned<usize>>>,
    #[serde(default)]
    #[schemars(with = "Option<Vec<usize>>")]
    pub(super) in_flight: Option<Vec<Spanned<usize>>>,
    /// Symbols of a `quotes` call.
    #[serde(default)]
    #[schemars(with = "Option<Vec<usize>>")]
    pub(super) symbols: Option<Vec<Spanned<usize>>>,
    /// Candles of a `history` call.
    #[serde(default)]
    #[schemars(with = "Option<Vec<u32>>")]
    pub(super) candles: Option<Vec<Spanned<u32>>>,
    #[serde(default)]
    pub(super) handler_wait: Option<Vec<Span>>,
    #[serde(default)]
    pub(super) handler_cpu: Option<Vec<Span>>,
    /// What is changed of the scenario's link.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>")]
    pub(super) link: Option<Vec<Spanned<String>>>,
}

/// Options of all contenders.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WireDefaults {
    #[serde(default)]
    #[schemars(with = "Option<HttpVersion>")]
    pub(super) http: Option<Spanned<HttpVersion>>,
    #[serde(default)]
    #[schemars(with = "Option<Encoding>")]
    pub(super) encoding: Option<Spanned<Encoding>>,
    #[serde(default)]
    #[schemars(with = "Option<TlsVersion>")]
    pub(super) tls: Option<Spanned<TlsVersion>>,
    #[serde(default)]
    #[schemars(with = "Option<Congestion>")]
    pub(super) congestion: Option<Spanned<Congestion>>,
}

/// What is compared: one way to reach the market, or some flows.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WireContender {
    #[schemars(with = "String")]
    pub(super) name: Spanned<String>,
    /// What sentences call it: `REST with JSON`. Its name by default.
    #[serde(default)]
    pub(super) label: Option<String>,
    /// How it reaches the market; or, instead of it, `flows`.
    #[serde(default)]
    #[schemars(with = "Option<Protocol>")]
    pub(super) protocol: Option<Spanned<Protocol>>,
    /// Flows that share the link, of `flow`: `tcp cubic`, `tcp bbr`, `tcp reno` or `udp`, with a
    /// rate such as `30Mbit/s` behind it where the sender has one, and `reset=500ms` where the
    /// receiver resets the connection so long after the start of the measured time.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>")]
    pub(super) flows: Option<Spanned<Vec<Spanned<String>>>>,
    /// Ask for what is new so often instead of being told; for `rest`, of `subscribe`. Without it a
    /// request waits at the server for the next tick (long polling).
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(super) poll_every: Option<Spanned<Span>>,
    /// `1.1` or `2`; for `rest`, `graphql` and `sse`. Also `3` for `rest`.
    #[serde(default)]
    #[schemars(with = "Option<HttpVersion>")]
    pub(super) http: Option<Spanned<HttpVersion>>,
    /// `json` or `protobuf`; for `rest` and `websocket`.
    #[serde(default)]
    #[schemars(with = "Option<Encoding>")]
    pub(super) encoding: Option<Spanned<Encoding>>,
    /// Ask by the hash of the query, reads by GET; for `graphql`.
    #[serde(default)]
    #[schemars(with = "Option<bool>")]
    pub(super) persisted: Option<Spanned<bool>>,
    /// `per_call` or `one`: which calls share a stream; for `quic`.
    #[serde(default)]
    #[schemars(with = "Option<Streams>")]
    pub(super) streams: Option<Spanned<Streams>>,
    /// Who serves instead of wirebench: a program that it starts.
    #[serde(default)]
    #[schemars(with = "Option<WireServer>")]
    pub(super) server: Option<Spanned<WireServer>>,
    /// Or a server that somebody else started, such as `http://127.0.0.1:9000`; over loopback. Its
    /// processor time is not counted.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(super) target: Option<Spanned<String>>,
    /// The fields of a portfolio that are asked for, such as
    /// `["positions.symbol", "positions.quote.last_cents"]`; all by default. Of `portfolio`.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>")]
    pub(super) fields: Option<Spanned<Vec<String>>>,
    /// Ask for what an account holds first, and then for the quotes of that, as an API of plain
    /// resources has it. Of `portfolio`.
    #[serde(default)]
    #[schemars(with = "Option<bool>")]
    pub(super) in_steps: Option<Spanned<bool>>,
    /// Over TLS: `1.2` or `1.3`. Over QUIC it is 1.3 without being asked for.
    #[serde(default)]
    #[schemars(with = "Option<TlsVersion>")]
    pub(super) tls: Option<Spanned<TlsVersion>>,
    /// Each call in flight has a connection of its own: as many connections as others have calls in
    /// flight on one.
    #[serde(default)]
    pub(super) connection_per_call: bool,
    /// Resume the TLS session of an earlier connection.
    #[serde(default)]
    #[schemars(with = "Option<bool>")]
    pub(super) resume: Option<Spanned<bool>>,
    /// Send the first request with the first flight of a resumed handshake; of TLS 1.3.
    #[serde(default)]
    #[schemars(with = "Option<bool>")]
    pub(super) early_data: Option<Spanned<bool>>,
    /// Look the server's name up for each connection, at a name server beside it, and remember
    /// nothing.
    #[serde(default)]
    pub(super) dns: bool,
    /// `cubic`, `bbr` or `reno`: the congestion control of both ends, over TCP or QUIC; cubic by
    /// default.
    #[serde(default)]
    #[schemars(with = "Option<Congestion>")]
    pub(super) congestion: Option<Spanned<Congestion>>,
    /// A subscriber that lost its connection asks for what came after the last event that it heard;
    /// for `sse`, where it is the default, and `websocket`, where it is not.
    #[serde(default)]
    #[schemars(with = "Option<bool>")]
    pub(super) resumes: Option<Spanned<bool>>,
    /// The silence after which a subscriber gives its connection up for another while events are
    /// due, such as `500ms`; it waits for ever by default. Of `subscribe`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(super) notices: Option<Spanned<Span>>,
    /// Round trips that a cold call takes by arithmetic, to stand beside what is measured.
    #[serde(default)]
    pub(super) cold_round_trips: Option<u32>,
}

/// A program that serves instead of wirebench. It answers what the workload asks as the market
/// would: `{folder}/v1/quotes/SYMBOL` holds the reply to each quote as JSON.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WireServer {
    /// What starts it in the foreground, as one process: `{folder}` is a folder of its own,
    /// `{address}` and `{port}` are where it is to listen.
    pub(super) command: String,
    /// What is written to `{folder}/config`, with the same filled in.
    #[serde(default)]
    pub(super) config: Option<String>,
}

/// A search for capacity.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WireCapacity {
    /// What must hold, such as `response.p99 < 5ms`.
    #[schemars(with = "String")]
    pub(super) objective: Spanned<String>,
    /// Measured time at each rate; longer where a rate gives fewer than 2 000 calls in it.
    pub(super) trial: Span,
}

/// Every time of a scenario, at most: longer is a slip of the finger, and what is shorter can be
/// added up and multiplied.
pub(super) const SPAN_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// A time with its unit: `250ms`, `1s 500ms`; a day at most.
#[derive(Debug, Clone, Copy, Default, JsonSchema)]
#[schemars(with = "String")]
pub(super) struct Span(pub(super) Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Span, D::Error> {
        struct Written;
        impl serde::de::Visitor<'_> for Written {
            type Value = Span;
            fn expecting(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                to.write_str("a time with its unit, such as \"250ms\"")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Span, E> {
                let wrong = |error| {
                    E::custom(format!(
                        "expected a time with its unit, such as \"250ms\", found \"{text}\" ({error})"
                    ))
                };
                let span = humantime::parse_duration(text).map_err(wrong)?;
                let right = span <= SPAN_MAX;
                if right {
                    Ok(Span(span))
                } else {
                    Err(E::custom(format!("a time must be at most a day, not {text}")))
                }
            }
        }
        from.deserialize_str(Written)
    }
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
    /// `UPDATE_FILES=1 cargo test` writes it anew.
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
