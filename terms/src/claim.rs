//! Sentences of the card, as comparisons that can be judged.

use crate::{Expression, Figure, text};

/// A sentence of the card, as a comparison that can be judged.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Claim {
    /// What other claims call it, where one names it.
    #[serde(default)]
    pub id: Option<String>,
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
    /// The id of the claim that is expected to have the opposite verdict: where it has, the line
    /// *depends*.
    #[serde(default)]
    pub turns: Option<String>,
    /// What a reader should do, verdict by verdict.
    #[serde(default)]
    pub so: So,
}

/// What a reader should do: a sentence for each verdict, written before any data.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct So {
    /// Where the claim holds.
    #[serde(default)]
    pub holds: Option<String>,
    /// Where it does not.
    #[serde(default)]
    pub does_not_hold: Option<String>,
    /// Where the claim that it names with `turns` has the opposite verdict.
    #[serde(default)]
    pub depends: Option<String>,
    /// Where the rounds do not say; what could be measured next, where nothing is written.
    #[serde(default)]
    pub undecided: Option<String>,
}

impl Claim {
    /// Whose figures it takes, and under which conditions: the contender's, and those of what it
    /// is compared with.
    pub fn cells(&self) -> impl Iterator<Item = (&str, &str)> {
        let own = (self.contender.as_str(), self.condition.as_str());
        [Some(own), self.against()].into_iter().flatten()
    }

    /// The contender and the condition that it is compared with, where it is compared.
    pub fn against(&self) -> Option<(&str, &str)> {
        match &self.test {
            Test::Compared { against, against_condition, .. } => {
                Some((against, against_condition.as_ref().unwrap_or(&self.condition)))
            }
            Test::Absolute { .. } => None,
        }
    }

    /// The figure that is judged.
    pub fn figure(&self) -> Figure {
        match &self.test {
            Test::Compared { metric, .. } => *metric,
            Test::Absolute { holds } => holds.figure,
        }
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
        /// Under which condition that was measured, where it is another one.
        #[serde(default)]
        against_condition: Option<String>,
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

impl Rule {
    /// Where it holds, behind *the interval is*.
    pub fn in_words(self) -> String {
        match self {
            Rule::HoldsBelow(limit) => format!("below {} ×", text::ratio(limit)),
            Rule::HoldsAbove(limit) => format!("above {} ×", text::ratio(limit)),
            Rule::SameWithin(margin) => format!("within {:.0} % of 1 ×", margin * 100.0),
        }
    }
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
