//! What the restarts of a contender's server came to.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::run::{Restarted, Storm};
use crate::statistics::{mean, mean_with_interval};

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
    /// The most of them in a second, over at least 10 ms; what was refused while nobody listened is among them.
    pub attempts_per_s_max: MeanPart,
    /// Processor time of the client since the kill, per subscriber, in µs.
    pub client_cpu_us_per_subscriber: MeanPart,
    /// Processor time of the new server while they came back, per subscriber, in µs.
    pub server_cpu_us_per_subscriber: MeanPart,
    /// SYNs and ends of handshakes that the server's host threw away because too many waited to be accepted, in all restarts.
    pub dropped: u64,
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

impl MeanPart {
    pub(super) fn of(values: &[f64]) -> MeanPart {
        let uncertainty = mean_with_interval(values).map(|(_, half)| half);
        MeanPart { mean: mean(values), uncertainty, n: values.len() }
    }
}

impl RestartPart {
    /// `None` where the run ended before the first was over.
    pub(super) fn of(restarted: &Restarted) -> Option<RestartPart> {
        if restarted.storms.is_empty() {
            return None;
        }
        let subscribers = restarted.connections as f64;
        let mean =
            |of: &dyn Fn(&Storm) -> f64| MeanPart::of(&restarted.storms.iter().map(of).collect::<Vec<_>>());
        let ms = |span: Duration| span.as_secs_f64() * 1e3;
        Some(RestartPart {
            contender: restarted.contender.clone(),
            connections: restarted.connections,
            down_ms: mean(&|storm| ms(storm.down)),
            most_ms: mean(&|storm| ms(storm.most)),
            storm_ms: mean(&|storm| ms(storm.length)),
            attempts_per_subscriber: mean(&|storm| storm.attempts as f64 / subscribers),
            attempts_per_s_max: mean(&|storm| storm.attempts_per_s_max),
            client_cpu_us_per_subscriber: mean(&|storm| ms(storm.client_cpu) * 1e3 / subscribers),
            server_cpu_us_per_subscriber: mean(&|storm| ms(storm.server_cpu) * 1e3 / subscribers),
            dropped: restarted.storms.iter().map(|storm| storm.dropped).sum(),
        })
    }
}
