//! What a claim came to, judged from the rounds of a record.

use record::{Ratio, Record, RoundPart, Verdict, VerdictWord};
use scenarios::Scenario;
use terms::{Claim, FAILED_SHARE_MAX, Figure, Rule, Test};

use crate::finding::{finding, percent};
use crate::paired::{against, against_bound};
use crate::statistics::{ROUNDS_FOR_A_VERDICT, ratio_of_counts, ratio_to_value};

/// Judges a claim of a scenario.
pub(super) fn judge(record: &Record, scenario: &Scenario, claim: &Claim) -> Verdict {
    let measured = measured(record, claim);
    let finding = measured.ratio.as_ref().map(|ratio| finding(record, claim, ratio)).unwrap_or_default();
    let (verdict, because) = match not_judged(record, scenario, claim, &measured) {
        Some(because) => (VerdictWord::Undecided, because),
        None => decide(claim, &measured),
    };
    Verdict { claim: claim.clone(), ratio: measured.ratio, verdict, finding, because }
}

/// Where a claim names another with `turns`, and both are decided, one each way, it depends.
pub(super) fn turn(verdicts: &mut [Verdict]) {
    let words: Vec<(Option<String>, VerdictWord)> =
        verdicts.iter().map(|verdict| (verdict.claim.id.clone(), verdict.verdict)).collect();
    for verdict in verdicts {
        let Some(id) = &verdict.claim.turns else { continue };
        let other = words.iter().find(|(of, _)| of.as_ref() == Some(id)).map(|(_, word)| *word);
        let opposite = matches!(
            (verdict.verdict, other),
            (VerdictWord::Holds, Some(VerdictWord::DoesNotHold))
                | (VerdictWord::DoesNotHold, Some(VerdictWord::Holds))
        );
        if opposite {
            verdict.verdict = VerdictWord::Depends;
        }
    }
}

/// What a claim's figures came to.
struct Measured {
    ratio: Option<Ratio>,
    /// Rounds in which the figure counts.
    rounds: usize,
    /// Those of them in which it is a failed call's, and beyond every bound.
    failed: usize,
}

fn measured(record: &Record, claim: &Claim) -> Measured {
    let own = (claim.contender.as_str(), claim.condition.as_str());
    let figure = claim.figure();
    match &claim.test {
        Test::Compared { metric, .. } => {
            let pairs = record.paired_figures(own, claim.against().unwrap_or(own), *metric);
            let failed = pairs.iter().filter(|(left, right)| left.is_infinite() || right.is_infinite());
            let ratio = against(record, own, claim.against().unwrap_or(own), *metric);
            let ratio = ratio.map(|paired| paired.ratio());
            Measured { ratio, rounds: pairs.len(), failed: failed.count() }
        }
        Test::Absolute { holds } => {
            let cell = record.cell(own.0, own.1);
            let figures: Vec<f64> =
                cell.map(|cell| record.figures(cell, figure).into_values().collect()).unwrap_or_default();
            let shares = cell.and_then(|cell| record.shares(cell, figure));
            let ratio = match shares {
                Some(shares) => ratio_of_counts(&shares, holds.limit()),
                None if figure.is_share() => ratio_to_value(&figures, holds.limit()),
                None => against_bound(record, own, figure, holds.limit()).map(|paired| paired.ratio()),
            };
            let failed = figures.iter().filter(|figure| figure.is_infinite()).count();
            Measured { ratio, rounds: figures.len(), failed }
        }
    }
}

/// Why a claim is not judged, where it is not.
fn not_judged(record: &Record, scenario: &Scenario, claim: &Claim, measured: &Measured) -> Option<String> {
    if let Some((contender, condition)) = record.left_out(claim) {
        return Some(format!("this run did not measure {}", in_words(scenario, contender, condition)));
    }
    // What failed is what such a figure is about: it is not withheld for it.
    let figure = claim.figure();
    let judges_failures = figure == Figure::Failed || (claim.against().is_none() && figure.counts_failures());
    let failing = || claim.cells().filter(|_| !judges_failures).find_map(|of| too_many_failures(record, of));
    void(record).or_else(failing).or_else(|| too_few_rounds(record, claim, measured.rounds))
}

/// A cell that a record may not have: `gRPC on small replies`.
fn in_words(scenario: &Scenario, contender: &str, condition: &str) -> String {
    let contenders = &mut scenario.contenders.iter();
    let label = contenders.find(|of| of.name == contender).and_then(|of| of.label.as_deref());
    let conditions = &mut scenario.conditions.iter();
    let when = conditions.find(|of| of.name == condition).and_then(|of| of.label.clone());
    format!("{} {}", label.unwrap_or(contender), when.unwrap_or_else(|| format!("under {condition}")))
}

/// Why contenders are not compared under a condition, where they are not.
pub(super) fn withheld(record: &Record, contenders: &[&str], condition: &str) -> Option<String> {
    void(record).or_else(|| contenders.iter().find_map(|name| too_many_failures(record, (name, condition))))
}

fn void(record: &Record) -> Option<String> {
    record.void.as_ref().map(|why| format!("the run is void: {why}"))
}

/// A contender that fails calls is not compared by the cost of those that succeed.
fn too_many_failures(record: &Record, (contender, condition): (&str, &str)) -> Option<String> {
    let merged = record.cells[record.cell(contender, condition)?].merged.as_ref()?;
    let share = merged.counts.failed_share();
    let words = || {
        let noun = record.counted();
        format!("{} of the {noun}s of {} failed: that comes first", percent(share), record.label(contender))
    };
    (share > FAILED_SHARE_MAX).then(words)
}

fn decide(claim: &Claim, measured: &Measured) -> (VerdictWord, String) {
    let Measured { rounds, failed, .. } = *measured;
    let above = matches!(&claim.test, Test::Absolute { holds } if holds.above);
    if failed > 0 {
        let because =
            format!("in {failed} of {rounds} rounds the call at {} is one that failed", claim.figure());
        let compared = matches!(claim.test, Test::Compared { .. });
        let word = match (failed * 2 > rounds, above) {
            // Which of the two failed, and by how much, no ratio says.
            _ if compared => VerdictWord::Undecided,
            (false, _) => VerdictWord::Undecided,
            (true, true) => VerdictWord::Holds,
            (true, false) => VerdictWord::DoesNotHold,
        };
        return (word, because);
    }
    let Some(ratio) = &measured.ratio else {
        let because = format!("{} is nothing in a round, and nothing has no ratio", claim.figure());
        return (VerdictWord::Undecided, because);
    };
    let rule = match claim.test {
        Test::Compared { rule, .. } => rule,
        Test::Absolute { .. } if above => Rule::HoldsAbove(1.0),
        Test::Absolute { .. } => Rule::HoldsBelow(1.0),
    };
    let (word, open) = apply(rule, ratio);
    let because = match (&claim.test, word) {
        (Test::Compared { .. }, VerdictWord::Undecided) => open,
        (Test::Absolute { holds }, VerdictWord::Undecided) => {
            format!("the interval includes {}", holds.figure.show(holds.limit()))
        }
        (Test::Compared { .. }, _) => format!("it holds where the whole interval is {}", rule.in_words()),
        (Test::Absolute { holds }, _) => {
            let side = if above { "above" } else { "below" };
            format!("it holds where the whole interval is {side} {}", holds.figure.show(holds.limit()))
        }
    };
    (word, because)
}

/// That there are too few rounds, where there are, and what kept them so few, if something did.
fn too_few_rounds(record: &Record, claim: &Claim, rounds: usize) -> Option<String> {
    if rounds >= ROUNDS_FOR_A_VERDICT {
        return None;
    }
    let cells: Vec<usize> = claim.cells().filter_map(|(name, under)| record.cell(name, under)).collect();
    let disturbed = |round: &&RoundPart| cells.contains(&round.cell) && !round.counts_for(claim.figure());
    let why = record.rounds.iter().rev().find(disturbed).and_then(|round| round.void.as_ref());
    let why = why.map_or_else(String::new, |why| format!(": {why}"));
    Some(format!("a verdict needs {ROUNDS_FOR_A_VERDICT} rounds, and {rounds} count{why}"))
}

/// What a rule makes of an interval, and what to say where that is nothing.
pub fn apply(rule: Rule, ratio: &Ratio) -> (VerdictWord, String) {
    let Ratio { low, high, low_90, high_90, .. } = *ratio;
    let (holds, fails, open) = match rule {
        Rule::HoldsBelow(limit) => (high < limit, low > limit, format!("the interval includes {limit:.2} ×")),
        Rule::HoldsAbove(limit) => (low > limit, high < limit, format!("the interval includes {limit:.2} ×")),
        Rule::SameWithin(margin) => {
            let (bottom, top) = (1.0 / (1.0 + margin), 1.0 + margin);
            let open = format!(
                "the same to within {:.0} % needs a 90 % interval between {bottom:.3} and {top:.3} ×, and it is {low_90:.3} to \
                 {high_90:.3} ×",
                margin * 100.0
            );
            (low_90 > bottom && high_90 < top, low > top || high < bottom, open)
        }
    };
    let word = match (holds, fails) {
        (true, _) => VerdictWord::Holds,
        (_, true) => VerdictWord::DoesNotHold,
        _ => VerdictWord::Undecided,
    };
    (word, open)
}

#[cfg(test)]
mod tests {
    use record::Method;
    use terms::Expression;

    use super::*;

    fn ratio(low: f64, high: f64, n: usize) -> Ratio {
        let (inner_low, inner_high) = (low * 1.002, high / 1.002);
        let ratio = (low * high).sqrt();
        Ratio { ratio, low, high, low_90: inner_low, high_90: inner_high, n, method: Method::StudentT }
    }

    fn word(rule: Rule, low: f64, high: f64) -> VerdictWord {
        apply(rule, &ratio(low, high, 10)).0
    }

    #[test]
    fn a_verdict_needs_the_whole_interval_beyond_the_threshold() {
        use VerdictWord::{DoesNotHold, Holds, Undecided};
        assert_eq!(word(Rule::HoldsBelow(1.0), 0.8, 0.9), Holds);
        assert_eq!(word(Rule::HoldsBelow(1.0), 1.1, 1.2), DoesNotHold);
        assert_eq!(word(Rule::HoldsBelow(1.0), 0.9, 1.1), Undecided);
        assert_eq!(word(Rule::HoldsAbove(2.0), 2.1, 2.9), Holds);
        assert_eq!(word(Rule::HoldsAbove(2.0), 1.1, 1.9), DoesNotHold);
        assert_eq!(word(Rule::HoldsAbove(2.0), 1.9, 2.1), Undecided);
        assert_eq!(word(Rule::SameWithin(0.1), 0.95, 1.05), Holds);
        assert_eq!(word(Rule::SameWithin(0.1), 0.85, 1.05), Undecided);
        // Different, and by less than the margin: neither one nor the other.
        assert_eq!(word(Rule::SameWithin(0.1), 1.05, 1.2), Undecided);
        assert_eq!(word(Rule::SameWithin(0.1), 1.15, 1.2), DoesNotHold);
        assert_eq!(word(Rule::SameWithin(0.1), 0.8, 0.9), DoesNotHold);
    }

    fn measured(ratio: Ratio, rounds: usize, failed: usize) -> Measured {
        Measured { ratio: Some(ratio), rounds, failed }
    }

    #[test]
    fn a_value_is_judged_by_the_ratio_to_it_and_told_in_its_unit() {
        let mut claim = scenarios::Scenario::find("rest-vs-grpc", &[]).unwrap().claims.remove(0);
        claim.test = Test::Absolute { holds: Expression::parse("response.p99 < 1ms").unwrap() };
        let decided = |claim: &Claim, ratio| decide(claim, &measured(ratio, 10, 0));
        let (word, because) = decided(&claim, ratio(0.5, 0.6, 10));
        let says = "it holds where the whole interval is below 1.00 ms";
        assert_eq!((word, &because[..]), (VerdictWord::Holds, says));
        claim.test = Test::Absolute { holds: Expression::parse("within.60ms > 98%").unwrap() };
        assert_eq!(decided(&claim, ratio(0.5, 0.6, 10)).0, VerdictWord::DoesNotHold);
        let (word, because) = decided(&claim, ratio(0.9, 1.1, 10));
        assert_eq!((word, &because[..]), (VerdictWord::Undecided, "the interval includes 98.0 %"));
    }

    /// A failed call stands at its time-out, which may lie below a bound: it is beyond every bound.
    #[test]
    fn no_bound_has_a_call_that_failed() {
        let mut claim = scenarios::Scenario::find("rest-vs-grpc", &[]).unwrap().claims.remove(0);
        let mut word = |holds: &str, failed| {
            claim.test = Test::Absolute { holds: Expression::parse(holds).unwrap() };
            decide(&claim, &Measured { ratio: None, rounds: 10, failed }).0
        };
        assert_eq!(word("response.p99 < 50ms", 10), VerdictWord::DoesNotHold);
        assert_eq!(word("response.p99 > 50ms", 10), VerdictWord::Holds);
        assert_eq!(word("response.p99 < 50ms", 3), VerdictWord::Undecided);
    }

    #[test]
    fn a_claim_depends_where_the_one_it_names_is_decided_the_other_way() {
        use VerdictWord::{Depends, DoesNotHold, Holds, Undecided};
        let claim = scenarios::Scenario::find("rest-vs-grpc", &[]).unwrap().claims.remove(0);
        let words = |own, other| {
            let verdict = |id: &str, turns: Option<&str>, verdict| Verdict {
                claim: Claim { id: Some(id.into()), turns: turns.map(String::from), ..claim.clone() },
                ratio: None,
                verdict,
                finding: String::new(),
                because: String::new(),
            };
            let mut verdicts = [verdict("small", Some("large"), own), verdict("large", None, other)];
            turn(&mut verdicts);
            verdicts.map(|verdict| verdict.verdict)
        };
        assert_eq!(words(Holds, DoesNotHold), [Depends, DoesNotHold]);
        assert_eq!(words(DoesNotHold, Holds), [Depends, Holds]);
        assert_eq!(words(Holds, Holds), [Holds, Holds]);
        assert_eq!(words(Undecided, Holds), [Undecided, Holds]);
        assert_eq!(words(Holds, Undecided), [Holds, Undecided]);
    }
}
