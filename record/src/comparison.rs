//! What stands beside the verdicts: the baseline against itself, and every contender against the
//! baseline.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use terms::Figure;

use crate::Ratio;

/// What a comparison says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// The two are the same, within the margin.
    Same,
    /// They are not.
    Differs,
    /// The rounds do not say.
    Undecided,
}

impl Difference {
    /// As people write it.
    pub fn in_words(self) -> &'static str {
        match self {
            Difference::Same => "same",
            Difference::Differs => "differs",
            Difference::Undecided => "undecided",
        }
    }
}

/// The baseline against itself under one condition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AaPair {
    /// Under what.
    pub condition: String,
    /// In what.
    pub metric: Figure,
    /// The ratio of the second to the first.
    pub ratio: Ratio,
    /// The smallest ratio that these rounds would have told from 1 in four of five experiments.
    pub detectable_ratio: f64,
    /// `same` to within 5 % (two one-sided tests), `differs` by more than that, or `undecided`.
    pub word: Difference,
}

impl AaPair {
    /// Whether the baseline differs from itself: its 95 % interval excludes 1. One in twenty does
    /// by chance.
    pub fn failed(&self) -> bool {
        self.ratio.low > 1.0 || self.ratio.high < 1.0
    }
}

/// A contender against the baseline under one condition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// Under what.
    pub condition: String,
    /// In what.
    pub metric: Figure,
    /// Whose figure is divided by the baseline's.
    pub contender: String,
    /// The ratio.
    pub ratio: Ratio,
    /// The p-value of a ratio of 1, two-sided.
    pub p: f64,
    /// The same, adjusted by Holm's method for all comparisons of this record.
    pub p_holm: f64,
    /// `differs` where the adjusted p-value is below 5 %; else `undecided`.
    pub word: Difference,
}
