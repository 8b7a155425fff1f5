//! How subscribers came back to a server that was restarted.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a contender's subscribers came back to a server that was restarted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RestartPart {
    /// Who.
    pub contender: String,
    /// Subscribers, each over a connection of its own.
    pub connections: usize,
    /// From the kill until another server listened, in ms.
    pub down_ms: MeanPart,
    /// From then until nine in ten subscriptions waited for ticks there, in ms.
    pub most_ms: MeanPart,
    /// Until the last did, in ms.
    pub storm_ms: MeanPart,
    /// Connections that were asked for since the kill, per subscriber.
    pub attempts_per_subscriber: MeanPart,
    /// The most of them in a second, over at least 10 ms; what was refused while nobody listened is
    /// among them.
    pub attempts_per_s_max: MeanPart,
    /// Processor time of the client since the kill, per subscriber, in µs.
    pub client_cpu_us_per_subscriber: MeanPart,
    /// Processor time of the new server while they came back, per subscriber, in µs.
    pub server_cpu_us_per_subscriber: MeanPart,
    /// SYNs and ends of handshakes that the server's host threw away because too many waited to be
    /// accepted, in all restarts.
    pub dropped: u64,
    /// Each restart; absent from records of version 2.
    #[serde(default)]
    pub trials: Vec<RestartTrial>,
}

/// How everybody came back after one restart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RestartTrial {
    /// From the kill until another server listened, in ms.
    pub down_ms: f64,
    /// From then until nine in ten subscriptions waited for ticks there, in ms.
    pub most_ms: f64,
    /// Until the last did, in ms.
    pub storm_ms: f64,
    /// Connections that the client's host asked for since the kill.
    pub attempts: u64,
    /// The most of them in a second, over at least 10 ms; what was refused while nobody listened is
    /// among them.
    pub attempts_per_s_max: f64,
    /// SYNs and ends of handshakes that the server's host threw away because too many were waiting
    /// to be accepted.
    pub dropped: u64,
    /// Processor time of the client since the kill, in µs.
    pub client_cpu_us: f64,
    /// Processor time of the new server while they came back, in µs.
    pub server_cpu_us: f64,
}

/// The mean of several, with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MeanPart {
    /// The mean.
    pub mean: f64,
    /// Half of its 95 % interval (Student's t); absent of a single one.
    pub uncertainty: Option<f64>,
    /// Of how many.
    pub n: usize,
}
