//! What was found along an axis.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use terms::{BreakEven, Coordinate};

use crate::Ratio;

/// A point that was looked for, and what was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BreakEvenPart {
    /// What was looked for.
    #[serde(flatten)]
    pub break_even: BreakEven,
    /// What was measured along the axis, in its order.
    pub points: Vec<SweepPoint>,
    /// Where it is, in the axis's unit; absent where it lies beyond what was measured, or nothing
    /// can be said.
    pub at: Option<f64>,
    /// The lower end of its 95 % interval (percentile bootstrap over the rounds); absent where that
    /// lies beyond what was measured.
    pub low: Option<f64>,
    /// The upper end, likewise.
    pub high: Option<f64>,
    /// Whether it is decided on which side of it what holds.
    pub word: Found,
    /// In a sentence with the numbers.
    pub because: String,
}

impl BreakEvenPart {
    /// Whether both contenders were measured at two points of the axis: some runs leave them out.
    pub fn is_measured(&self) -> bool {
        self.points.len() > 1
    }

    /// What it came to, as people write it.
    pub fn in_words(&self) -> &'static str {
        if self.is_measured() { self.word.in_words() } else { "not measured" }
    }
}

/// What a search along an axis comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// There is such a point.
    Point,
    /// It may lie outside of what was measured; from the inner end of its interval on (or up to
    /// there) the contender is below.
    Bounded,
    /// One side holds all along the axis.
    Throughout,
    /// The other side does.
    Nowhere,
    /// The rounds do not say.
    Undecided,
}

impl Found {
    /// As people write it.
    pub fn in_words(self) -> &'static str {
        match self {
            Found::Point => "breaks even",
            Found::Bounded => "bounded",
            Found::Throughout => "throughout",
            Found::Nowhere => "nowhere",
            Found::Undecided => "undecided",
        }
    }
}

/// One point of the axis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SweepPoint {
    /// Where it is.
    pub at: Coordinate,
    /// The ratio of the two figures, with its interval; absent where there were no two rounds to
    /// pair.
    pub ratio: Option<Ratio>,
    /// Cores that the contender uses less, mean of the rounds with half of its 95 % interval; where
    /// that is what is sought.
    pub cores_saved: Option<(f64, f64)>,
}
