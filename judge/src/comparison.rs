//! What stands beside the verdicts: the baseline against itself, and everybody against the
//! baseline.

use record::{AaPair, Comparison, Difference, Record, VerdictWord};
use scenarios::Scenario;
use terms::{Figure, Rule};

use crate::paired::against;
use crate::statistics::{ROUNDS_FOR_A_VERDICT, holm};
use crate::verdict::{apply, withheld};

/// How near the two halves of an A/A pair must be to count as the same.
const AA_MARGIN: f64 = 0.05;
/// The share of families of comparisons that may show a difference where there is none.
const ALPHA: f64 = 0.05;

/// The A/A pairs of a record.
pub fn aa_pairs(record: &Record) -> Vec<AaPair> {
    let baseline = &record.plan.baseline;
    let pair = |(condition, metric): (&str, Figure)| {
        let twin = Scenario::again(baseline);
        let paired = against(record, (&twin, condition), (baseline, condition), metric)?;
        let ratio = paired.ratio();
        let withheld = withheld(record, &[baseline, &twin], condition);
        let word = match apply(Rule::SameWithin(AA_MARGIN), &ratio).0 {
            _ if withheld.is_some() || ratio.n < ROUNDS_FOR_A_VERDICT => Difference::Undecided,
            VerdictWord::Holds => Difference::Same,
            VerdictWord::DoesNotHold => Difference::Differs,
            VerdictWord::Undecided | VerdictWord::Depends => Difference::Undecided,
        };
        let condition = condition.to_owned();
        Some(AaPair { condition, metric, ratio, detectable_ratio: paired.detectable(), word })
    };
    conditions_and_metrics(record).filter_map(pair).collect()
}

/// Every contender but the baseline's twin against the baseline.
pub fn comparisons(record: &Record) -> Vec<Comparison> {
    let baseline = &record.plan.baseline;
    let twin = Scenario::again(baseline);
    let mut comparisons = Vec::new();
    for (condition, metric) in conditions_and_metrics(record) {
        for cell in record.cells.iter().filter(|cell| cell.condition == condition) {
            if cell.contender == *baseline || cell.contender == twin {
                continue;
            }
            let own = (cell.contender.as_str(), condition);
            if let Some(paired) = against(record, own, (baseline, condition), metric) {
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

fn conditions_and_metrics(record: &Record) -> impl Iterator<Item = (&str, Figure)> {
    let conditions = record.conditions().into_iter();
    conditions.flat_map(|condition| Figure::COMPARED.into_iter().map(move |metric| (condition, metric)))
}
