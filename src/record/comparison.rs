//! What stands beside the verdicts: the baseline against itself, and everybody against the baseline.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Record;
use super::verdict::{VerdictWord, apply, withheld};
use crate::scenario::{Metric, Rule, Scenario};
use crate::statistics::{Paired, ROUNDS_FOR_A_VERDICT, Ratio, holm};

/// How near the two halves of an A/A pair must be to count as the same.
const AA_MARGIN: f64 = 0.05;
/// The share of families of comparisons that may show a difference where there is none.
const ALPHA: f64 = 0.05;

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
    pub metric: Metric,
    /// The ratio of the second to the first.
    pub ratio: Ratio,
    /// The smallest ratio that these rounds would have told from 1 in four of five experiments.
    pub detectable_ratio: f64,
    /// `same` to within 5 % (two one-sided tests), `differs` by more than that, or `undecided`.
    pub word: Difference,
}

/// A contender against the baseline under one condition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// Under what.
    pub condition: String,
    /// In what.
    pub metric: Metric,
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

/// The A/A pairs of a record.
pub(super) fn aa_pairs(record: &Record) -> Vec<AaPair> {
    let baseline = &record.plan.baseline;
    let pair = |(condition, metric): (&str, Metric)| {
        let figures = record.paired_figures(&Scenario::again(baseline), baseline, condition, metric);
        let paired = Paired::of(&figures)?;
        let ratio = paired.ratio();
        let withheld = withheld(record, &[baseline, &Scenario::again(baseline)], condition);
        let word = match apply(Rule::SameWithin(AA_MARGIN), &ratio).0 {
            _ if withheld.is_some() || ratio.n < ROUNDS_FOR_A_VERDICT => Difference::Undecided,
            VerdictWord::Holds => Difference::Same,
            VerdictWord::DoesNotHold => Difference::Differs,
            VerdictWord::Undecided => Difference::Undecided,
        };
        let condition = condition.to_owned();
        Some(AaPair { condition, metric, ratio, detectable_ratio: paired.detectable(), word })
    };
    conditions_and_metrics(record).filter_map(pair).collect()
}

/// Every contender but the baseline's twin against the baseline.
pub(super) fn comparisons(record: &Record) -> Vec<Comparison> {
    let baseline = &record.plan.baseline;
    let twin = Scenario::again(baseline);
    let mut comparisons = Vec::new();
    for (condition, metric) in conditions_and_metrics(record) {
        for cell in record.cells.iter().filter(|cell| cell.condition == condition) {
            if cell.contender == *baseline || cell.contender == twin {
                continue;
            }
            let figures = record.paired_figures(&cell.contender, baseline, condition, metric);
            if let Some(paired) = Paired::of(&figures) {
                let p = paired.p_value();
                comparisons.push(Comparison {
                    condition: condition.to_owned(),
                    metric,
                    contender: cell.contender.clone(),
                    ratio: paired.ratio(),
                    p,
                    p_holm: p,
                    word: Difference::Undecided,
                });
            }
        }
    }
    let adjusted = holm(&comparisons.iter().map(|comparison| comparison.p).collect::<Vec<_>>());
    for (comparison, p_holm) in comparisons.iter_mut().zip(adjusted) {
        comparison.p_holm = p_holm;
        let withheld = withheld(record, &[baseline, &comparison.contender], &comparison.condition);
        if withheld.is_none() && p_holm < ALPHA && comparison.ratio.n >= ROUNDS_FOR_A_VERDICT {
            comparison.word = Difference::Differs;
        }
    }
    comparisons
}

fn conditions_and_metrics(record: &Record) -> impl Iterator<Item = (&str, Metric)> {
    let conditions = record.conditions().into_iter();
    conditions.flat_map(|condition| Metric::COMPARED.into_iter().map(move |metric| (condition, metric)))
}
