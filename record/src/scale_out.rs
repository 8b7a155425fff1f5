//! How load lay at the servers of a contender when others joined them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::MeanPart;

/// How a contender's load lay when servers joined the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScaleOutPart {
    /// Who; of calls, in words.
    pub contender: String,
    /// Subscribers, each over a connection of its own; or calls, about.
    pub connections: usize,
    /// Before any joined.
    pub before: LoadPart,
    /// Half a second after; of calls, those of the half second after.
    pub after: LoadPart,
    /// Once everybody had been sent away and was back; absent of calls.
    pub evened: Option<LoadPart>,
    /// From when the balancer closed the connections until everybody's subscription waited again,
    /// in ms; absent of calls.
    pub back_ms: Option<MeanPart>,
    /// What lay there; absent from records of version 2.
    #[serde(default)]
    pub load: Option<LoadKind>,
    /// Each scale-out; absent from records of version 2.
    #[serde(default)]
    pub trials: Vec<ScaleOutTrial>,
}

/// What lies at servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LoadKind {
    /// Subscriptions that wait for ticks, each on a connection of its own, as the servers count
    /// them.
    Subscriptions,
    /// REST calls of half a second on connections that are kept, as the servers count them.
    KeptCalls,
    /// REST calls of half a second, each on a connection of its own, likewise.
    FreshCalls,
}

/// How much lay at each server in one scale-out, those that join last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScaleOutTrial {
    /// Before any joined.
    pub before: Vec<u64>,
    /// Half a second after; of calls, those of the half second after.
    pub after: Vec<u64>,
    /// Once everybody had been sent away and was back; of calls nobody is.
    pub evened: Option<Evened>,
}

/// What sending everybody away came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evened {
    /// How much lay at each server.
    pub load: Vec<u64>,
    /// From when the balancer was told to close connections until everybody's subscription waited
    /// again, in ms.
    pub took_ms: f64,
}

/// How load lies at servers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LoadPart {
    /// The share of each server, 0 to 1, those that join last: means over the scale-outs.
    pub shares: Vec<f64>,
    /// What the most loaded has, in multiples of an even share among those that are in the
    /// balancer's list: 1 is even.
    pub imbalance: MeanPart,
}
