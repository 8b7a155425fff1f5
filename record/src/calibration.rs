//! What a machine measured of what is known.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use terms::{LinkUsed, text};

use crate::{StoreError, store};

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
    /// Share of the time that a loop which does nothing did not get, in gaps above 300 µs, while
    /// nothing else ran.
    pub stall_share: f64,
    /// Every comparison.
    pub rows: Vec<CalibrationRow>,
}

/// Reads what a machine measured before.
///
/// # Errors
/// Where the file cannot be read, or holds something else.
pub fn read(path: &Path) -> Result<Calibration, StoreError> {
    store::read_json(path)
}

/// One comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CalibrationRow {
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
    /// Half of the 95 % interval of how far off it is, over rounds (Student's t); `None` of what is
    /// read once.
    pub uncertainty: Option<f64>,
    /// Values behind it.
    pub n: u64,
    /// How it came out.
    pub outcome: Accuracy,
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
pub enum Accuracy {
    /// Within the tolerance.
    Within,
    /// Outside, on a machine that would have allowed it.
    Off,
    /// Outside, and the machine was too noisy to tell: why.
    TooNoisy(String),
}
