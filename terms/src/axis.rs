//! Axes: what varies within a condition, and where on it a cell stands.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text;

/// What varies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Axis {
    /// Calls, ticks or orders per second.
    RatePerS,
    /// Connections in all.
    Connections,
    /// Calls in flight on each.
    InFlight,
    /// Time that the handler waits, in µs.
    HandlerWait,
    /// Processor time that the handler burns, in µs.
    HandlerCpu,
    /// What is changed of the link; its values have no order.
    Link,
}

impl Axis {
    /// Its name in files, and in the names of conditions.
    pub fn name(self) -> &'static str {
        match self {
            Axis::RatePerS => "rate_per_s",
            Axis::Connections => "connections",
            Axis::InFlight => "in_flight",
            Axis::HandlerWait => "handler_wait",
            Axis::HandlerCpu => "handler_cpu",
            Axis::Link => "link",
        }
    }

    /// The same for people.
    pub fn in_words(self) -> &'static str {
        match self {
            Axis::RatePerS => "rate",
            Axis::Connections => "connections",
            Axis::InFlight => "calls in flight",
            Axis::HandlerWait => "handler's wait",
            Axis::HandlerCpu => "handler's processor time",
            Axis::Link => "link",
        }
    }

    /// A place on it with its unit.
    pub fn show(self, value: f64) -> String {
        match self {
            Axis::RatePerS => format!("{}/s", text::plain_number(value)),
            Axis::HandlerWait | Axis::HandlerCpu => text::micros(value),
            Axis::Connections | Axis::InFlight | Axis::Link => text::plain_number(value),
        }
    }
}

/// A place on an axis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Coordinate {
    /// On which.
    pub axis: Axis,
    /// Where: a rate per second, a number, µs; of links, which of the list.
    pub value: f64,
    /// As it stands in the condition's name.
    pub label: String,
}
