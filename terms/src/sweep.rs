//! What is looked for along an axis: from where on one contender is better than another, and who is
//! cheapest where.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Axis, Figure};

/// A point that is looked for on an axis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BreakEven {
    /// The line of the card.
    pub card: String,
    /// What is asked, in our words.
    pub sentence: String,
    /// The condition whose axis it is.
    pub condition: String,
    /// The axis.
    pub axis: Axis,
    /// Whose figure is divided.
    pub contender: String,
    /// By whose.
    pub against: String,
    /// What is looked for.
    pub sought: Sought,
}

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sought {
    /// Where the ratio of their figures crosses this.
    Crossing {
        /// Of what.
        metric: Figure,
        /// The ratio.
        ratio: f64,
    },
    /// The rate at which the contender uses so many cores less.
    CoresSaved(f64),
}

impl Sought {
    /// What is compared.
    pub fn metric(self) -> Figure {
        match self {
            Sought::Crossing { metric, .. } => metric,
            Sought::CoresSaved(_) => Figure::CpuPerCall,
        }
    }
}

/// Who is cheapest, by an axis and by how old what is brought may be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Map {
    /// The line of the card.
    pub card: String,
    /// What is asked, in our words.
    pub sentence: String,
    /// The condition whose axis it is.
    pub condition: String,
    /// The axis.
    pub axis: Axis,
    /// What is least where it is cheapest.
    pub metric: Figure,
    /// Ages that are put up with, in µs.
    pub tolerances_us: Vec<f64>,
}
