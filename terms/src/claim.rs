//! Sentences of the card, as comparisons that can be judged.

use crate::{Expression, Figure, text};

/// A sentence of the card, as a comparison that can be judged.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Claim {
    /// The line of the card.
    pub card: String,
    /// The claim in our words.
    pub sentence: String,
    /// Where it is judged.
    pub condition: String,
    /// Whose figure is judged.
    pub contender: String,
    /// What it is held against.
    #[serde(flatten)]
    pub test: Test,
    /// What theory says that the ratio is, where it says anything.
    #[serde(default)]
    pub prediction: Option<Prediction>,
}

impl Claim {
    /// Whom it is about: the contender, and whom it is compared with.
    pub fn contenders(&self) -> impl Iterator<Item = &str> {
        let against = match &self.test {
            Test::Compared { against, .. } => Some(against.as_str()),
            Test::Absolute { .. } => None,
        };
        [Some(self.contender.as_str()), against].into_iter().flatten()
    }

    /// What theory says, in the unit of what is judged, and why: `1.50 ×, because …`.
    pub fn predicted(&self) -> Option<String> {
        let Prediction { ratio, because } = self.prediction.as_ref()?;
        let figure = match &self.test {
            Test::Compared { .. } => format!("{} ×", text::ratio(*ratio)),
            Test::Absolute { holds } => holds.figure.show(holds.limit() * ratio),
        };
        Some(format!("{figure}, because {because}"))
    }
}

/// What a contender's figure is held against.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum Test {
    /// Another's, of the same rounds.
    Compared {
        /// What is compared.
        metric: Figure,
        /// By whose figure it is divided.
        against: String,
        /// When the claim holds of the ratio.
        #[serde(flatten)]
        rule: Rule,
    },
    /// A value.
    Absolute {
        /// What the whole 95 % interval of the figure's mean must make true.
        holds: Expression,
    },
}

/// When a claim holds. It does not where the whole interval lies on the other side, and is
/// undecided between.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// The whole 95 % interval of the ratio is below this.
    HoldsBelow(f64),
    /// The whole 95 % interval of the ratio is above this.
    HoldsAbove(f64),
    /// The whole 90 % interval of the ratio is between 1 / (1 + this) and 1 + this: two one-sided
    /// tests at 5 %. It does not hold where the whole 95 % interval is outside of that.
    SameWithin(f64),
}

/// What theory says of a ratio, before any data.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Prediction {
    /// The ratio.
    pub ratio: f64,
    /// Why.
    pub because: String,
}
