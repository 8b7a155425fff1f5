//! Calibration: the engine measures what is known. Every protocol's own server and client, and the market behind them treats
//! each call by a formula ([`servers::reference`]); what was measured stands beside what is true.

mod bench;
mod known;
mod links;
mod predict;

use std::time::Duration;

use lab::cores::Layout;
use lab::stalls::Stalls;
use proto::Protocol;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::run::{LinkUsed, Network, Place};
use crate::scenario::Link;
use crate::text;
use bench::{Bench, Surroundings, control};

/// What was measured beside what is true, on one machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Calibration {
    /// When, in µs since the Unix epoch.
    pub made_at_us: u64,
    /// Kernel and processor, so that it is not taken for another machine's.
    pub machine: String,
    /// The commit of wirebench that measured.
    pub commit: Option<String>,
    /// What it was measured over.
    pub link: LinkUsed,
    /// Share of the time that a loop which does nothing did not get, in gaps above 300 µs, while nothing else ran.
    pub stall_share: f64,
    /// Every comparison.
    pub rows: Vec<Row>,
}

/// One comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    /// The protocol, or `link` for what is read with plain sockets over the lab's own.
    pub protocol: String,
    /// What is known, and in what it is read.
    pub what: String,
    /// What of it is compared: a time in µs, a share, or a count.
    pub unit: Unit,
    /// What is true.
    pub truth: f64,
    /// What was measured.
    pub measured: f64,
    /// How far off it may be.
    pub tolerance: f64,
    /// Half of the 95 % interval of how far off it is, over rounds (Student's t); `None` of what is read once.
    pub uncertainty: Option<f64>,
    /// Values behind it.
    pub n: u64,
    /// How it came out.
    pub outcome: Outcome,
}

/// What a row's numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// µs.
    Micros,
    /// A share of 1.
    Share,
    /// How many.
    Count,
}

impl Unit {
    /// A number of it, for people.
    pub fn show(self, value: f64) -> String {
        match self {
            Unit::Micros => text::micros(value),
            Unit::Share => format!("{:.2} %", value * 100.0),
            Unit::Count => format!("{value:.0}"),
        }
    }
}

/// How a comparison came out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Within the tolerance.
    Within,
    /// Outside, on a machine that would have allowed it.
    Off,
    /// Outside, and the machine was too noisy to tell: why.
    TooNoisy(String),
}

/// Calibrates protocols, each as one contender, and the lab's links if asked; `tell` hears of every row and of what begins.
///
/// # Errors
/// Where a process or the network fails.
pub fn calibrate(
    protocols: &[Protocol],
    layout: &Layout,
    machine: String,
    link: &Link,
    with_links: bool,
    tell: &mut dyn FnMut(Told<'_>),
) -> anyhow::Result<Calibration> {
    let (network, link) = Network::build(link, 1)?;
    let mut calibration = Calibration {
        made_at_us: clock::wall_time_us(),
        machine,
        commit: crate::record::Tool::this().commit,
        link,
        stall_share: 0.0,
        rows: Vec::new(),
    };
    let congestion = network.congestion();
    let place = Place { layout, network, congestion };
    let cores: Vec<usize> = std::iter::once(layout.server).chain(layout.client.iter().copied()).collect();
    let mut watched = 0.0;
    for protocol in protocols {
        tell(Told::Begins(protocol.name()));
        let stalls = Stalls::watch(&cores, Duration::from_secs(1));
        watched += 1.0;
        calibration.stall_share += (stalls.share - calibration.stall_share) / watched;
        let bench = Bench { place: &place, protocol: *protocol, stalls, base: control(layout)? };
        let rows = known::rows(&bench)?;
        rows.iter().for_each(|row| tell(Told::Row(row)));
        calibration.rows.extend(rows);
    }
    if with_links {
        tell(Told::Begins(links::NAME));
        let (stalls, base) = (Stalls::watch(&cores, Duration::from_secs(1)), control(layout)?);
        let among = || Ok(Surroundings::of(links::NAME, None, base.worse(control(layout)?), &base, &stalls));
        let rows = links::rows(layout, among)?;
        rows.iter().for_each(|row| tell(Told::Row(row)));
        calibration.rows.extend(rows);
    }
    Ok(calibration)
}

/// What a calibration says while it goes on.
pub enum Told<'a> {
    /// A protocol's turn.
    Begins(&'a str),
    /// A comparison is done.
    Row(&'a Row),
}
