//! Acts: what is done beside the rounds, and what is asked of it.

use std::time::Duration;

use crate::Expression;

/// What is done beside the rounds.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Idle connections are held, to see what one takes in memory.
    Hold(Hold),
    /// The same, where a scenario does not ask for it: standard and full runs hold some.
    HoldSome,
    /// A server is killed under its subscribers and started again.
    Restart(Restart),
    /// Servers join others behind a balancer.
    ScaleOut(ScaleOut),
    /// The highest rate of every cell is searched for.
    Capacity(CapacitySearch),
}

impl Act {
    /// The keys of scenario files that ask for an act, each a table of its own: what a scenario
    /// says only for itself.
    pub const KEYS: [&str; 4] = ["hold", "restart", "scale_out", "capacity"];

    /// Its key in scenario files; of what no file asks for, that of its like.
    pub fn key(&self) -> &'static str {
        match self {
            Act::Hold(_) | Act::HoldSome => "hold",
            Act::Restart(_) => "restart",
            Act::ScaleOut(_) => "scale_out",
            Act::Capacity(_) => "capacity",
        }
    }
}

/// A search for the highest rate at which an objective is met, in every cell.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct CapacitySearch {
    /// What must hold.
    pub objective: Expression,
    /// Measured time at each rate.
    pub trial: Duration,
}

/// Idle connections, and what is asked of them.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Hold {
    /// The line of the card.
    pub card: String,
    /// What is asked, in our words.
    pub sentence: String,
    /// How many, one number after the other.
    pub connections: Vec<usize>,
}

/// A server that dies with its subscribers' connections, and what is asked of it.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Restart {
    /// The line of the card.
    pub card: String,
    /// What is asked, in our words.
    pub sentence: String,
    /// Subscribers, each over a connection of its own: one number after the other, of quick runs
    /// the first.
    pub connections: Vec<usize>,
    /// Time in which nobody listens, at least; in ms where it is written down.
    #[serde(rename = "down_ms", with = "in_ms")]
    #[schemars(with = "f64")]
    pub down: Duration,
    /// Restarts under each number.
    pub times: u32,
}

/// Servers that join those behind a balancer, and what is asked of it.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct ScaleOut {
    /// The line of the card.
    pub card: String,
    /// What is asked, in our words.
    pub sentence: String,
    /// Subscribers, each over a connection of its own; about as many calls are made beside them.
    pub connections: usize,
    /// Servers before.
    pub from: usize,
    /// Servers after.
    pub to: usize,
    /// Scale-outs of each contender.
    pub times: u32,
}

/// A time as its milliseconds.
mod in_ms {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(span: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(span.as_secs_f64() * 1e3)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(from)? / 1e3).map_err(serde::de::Error::custom)
    }
}
