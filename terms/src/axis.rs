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
    /// Symbols of a `quotes` call.
    Symbols,
    /// Candles of a `history` call.
    Candles,
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
            Axis::Symbols => "symbols",
            Axis::Candles => "candles",
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
            Axis::HandlerCpu => "handler's CPU",
            Axis::Symbols => "symbols in a reply",
            Axis::Candles => "candles in a reply",
            Axis::Link => "link",
        }
    }

    /// A place on it with its unit.
    pub fn show(self, value: f64) -> String {
        match self {
            Axis::RatePerS => format!("{}/s", text::plain_number(value)),
            Axis::HandlerWait | Axis::HandlerCpu => text::micros(value),
            Axis::Connections | Axis::InFlight | Axis::Symbols | Axis::Candles | Axis::Link => {
                text::plain_number(value)
            }
        }
    }
}

impl Axis {
    /// A place on it, in a sentence behind *from* and *to*.
    pub fn place(self, value: f64) -> String {
        match self {
            Axis::HandlerWait if value == 0.0 => "no wait of the handler".to_owned(),
            Axis::HandlerWait => format!("a handler's wait of {}", text::micros(value)),
            Axis::HandlerCpu => format!("{} of handler CPU", text::micros(value)),
            _ => self.place_of(&text::plain_number(value)),
        }
    }

    /// What a condition at a place says of it, behind a verb.
    pub fn condition(self, value: f64, label: &str) -> String {
        match self {
            Axis::RatePerS => format!("at {}", self.place(value)),
            Axis::Link => format!("over {label}"),
            Axis::Symbols | Axis::Candles => format!("on {}", self.place(value)),
            Axis::Connections | Axis::InFlight | Axis::HandlerWait | Axis::HandlerCpu => {
                format!("with {}", self.place(value))
            }
        }
    }

    /// A place whose number is written already.
    pub fn place_of(self, number: &str) -> String {
        let plural = if number == "1" { "" } else { "s" };
        match self {
            Axis::RatePerS => format!("{number}/s"),
            Axis::Connections => format!("{number} connection{plural}"),
            Axis::InFlight => format!("{number} call{plural} in flight"),
            Axis::Symbols => format!("replies of {number} symbol{plural}"),
            Axis::Candles => format!("replies of {number} candle{plural}"),
            Axis::HandlerWait | Axis::HandlerCpu | Axis::Link => number.to_owned(),
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
