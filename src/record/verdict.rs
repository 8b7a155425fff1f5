//! What a claim came to, judged from the rounds of a record.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Record;
use crate::scenario::Claim;
use crate::statistics::{ROUNDS_FOR_A_VERDICT, Ratio, paired_ratio};

/// The share of failed calls above which a contender is not compared.
const FAILED_SHARE_MAX: f64 = 0.01;

/// A claim with its verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// What was judged.
    #[serde(flatten)]
    pub claim: Claim,
    /// The ratio with its interval; absent where there were no two rounds to pair.
    pub ratio: Option<Ratio>,
    /// The verdict.
    pub verdict: VerdictWord,
    /// Why, in a sentence with the numbers.
    pub because: String,
}

/// What a verdict can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VerdictWord {
    /// The whole interval is on the claim's side of the threshold.
    Holds,
    /// The whole interval is on the other side.
    DoesNotHold,
    /// The interval straddles the threshold, or there was too little to judge.
    Undecided,
}

impl VerdictWord {
    /// As people write it.
    pub fn in_words(self) -> &'static str {
        match self {
            VerdictWord::Holds => "holds",
            VerdictWord::DoesNotHold => "does not hold",
            VerdictWord::Undecided => "undecided",
        }
    }
}

/// Judges a claim.
pub(super) fn judge(record: &Record, claim: &Claim) -> Verdict {
    let ratio = paired_rounds(record, claim).and_then(|pairs| paired_ratio(&pairs));
    let (verdict, because) = match too_many_failures(record, claim) {
        Some(because) => (VerdictWord::Undecided, because),
        None => decide(claim, ratio.as_ref(), record.noun()),
    };
    Verdict { claim: claim.clone(), ratio, verdict, because }
}

/// Both figures of every round that has both.
fn paired_rounds(record: &Record, claim: &Claim) -> Option<Vec<(f64, f64)>> {
    let figures = |contender| Some(record.figures(record.cell(contender, &claim.condition)?, claim.metric));
    let (left, right) = (figures(&claim.contender)?, figures(&claim.against)?);
    Some(left.iter().filter_map(|(round, figure)| Some((*figure, *right.get(round)?))).collect())
}

/// A contender that fails calls is not compared by the cost of those that succeed.
fn too_many_failures(record: &Record, claim: &Claim) -> Option<String> {
    [&claim.contender, &claim.against].into_iter().find_map(|name| {
        let merged = record.cells[record.cell(name, &claim.condition)?].merged.as_ref()?;
        let share = merged.counts.failed_share();
        let because = || format!("{:.1} % of the calls of {name} failed: that comes first", share * 100.0);
        (share > FAILED_SHARE_MAX).then(because)
    })
}

fn decide(claim: &Claim, ratio: Option<&Ratio>, noun: &str) -> (VerdictWord, String) {
    let what = claim.metric.in_words(noun);
    let Some(Ratio { ratio, low, high, n }) = ratio else {
        let because = format!(
            "{} and {} do not both have two rounds with enough calls for it",
            claim.contender, claim.against
        );
        return (VerdictWord::Undecided, because);
    };
    let measured = format!(
        "{what} of {} is {ratio:.2} × that of {} (95 % interval {low:.2} to {high:.2}, n = {n} rounds)",
        claim.contender, claim.against
    );
    if *n < ROUNDS_FOR_A_VERDICT {
        return (
            VerdictWord::Undecided,
            format!("{measured}; a verdict needs {ROUNDS_FOR_A_VERDICT} rounds"),
        );
    }
    let threshold = claim.holds_below;
    if *high < threshold {
        (VerdictWord::Holds, measured)
    } else if *low > threshold {
        (VerdictWord::DoesNotHold, measured)
    } else {
        (VerdictWord::Undecided, format!("{measured}; the interval straddles {threshold:.2}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Metric;

    fn word(low: f64, high: f64, n: usize) -> VerdictWord {
        let claim = Claim {
            card: "A2".into(),
            sentence: String::new(),
            condition: "8x1".into(),
            metric: Metric::CpuPerCall,
            contender: "a".into(),
            against: "b".into(),
            holds_below: 1.0,
        };
        decide(&claim, Some(&Ratio { ratio: (low * high).sqrt(), low, high, n }), "call").0
    }

    #[test]
    fn a_verdict_needs_the_whole_interval_beyond_the_threshold_and_ten_rounds() {
        assert_eq!(word(0.8, 0.9, 10), VerdictWord::Holds);
        assert_eq!(word(1.1, 1.2, 10), VerdictWord::DoesNotHold);
        assert_eq!(word(0.9, 1.1, 10), VerdictWord::Undecided);
        assert_eq!(word(0.8, 0.9, 9), VerdictWord::Undecided);
    }
}
