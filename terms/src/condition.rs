//! What varies: a setting of load, link and handler under which contenders are compared.

use std::time::Duration;

use crate::{Amount, Axis, Between, Concurrency, Coordinate, Handler, Link, Model, Shape};

/// One setting of what varies.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Condition {
    /// What it is called.
    pub name: String,
    /// How sentences say it, behind a verb: `on replies of 110 KB`.
    pub label: Option<String>,
    /// Connections and calls in flight.
    pub shape: Shape,
    /// How much a call asks for.
    pub amount: Amount,
    /// When calls are made.
    pub model: Model,
    /// What the contenders talk over, where it is not the scenario's: the same hosts, and other
    /// ways between them.
    pub link: Option<Link>,
    /// What changes on the link, and when after the start of the measured time.
    pub changes: Vec<String>,
    /// What a relay between clients and servers does meanwhile; `None` where the condition says
    /// nothing of one.
    pub between: Option<Between>,
    /// What the market's handler does.
    pub handler: Handler,
    /// How long the handler of the second market waits, where that differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_wait: Option<Duration>,
    /// How much a front does at once; `None` for all that comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub front: Option<Concurrency>,
    /// What lies between a front and the markets behind it, which are on another host then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub market_link: Option<Link>,
    /// Of a condition with axes: its name, and where on them this one is.
    pub family: Option<(String, Vec<Coordinate>)>,
}

impl Condition {
    /// Where it is on an axis of a condition; `None` where it is none of that condition's.
    pub fn on(&self, family: &str, axis: Axis) -> Option<&Coordinate> {
        let (name, coordinates) = self.family.as_ref()?;
        coordinates.iter().find(|coordinate| name == family && coordinate.axis == axis)
    }
}
