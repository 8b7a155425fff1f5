//! What a claim came to, judged from the rounds of a record.

use record::{Ratio, Record, Verdict, VerdictWord};
use terms::{Claim, Counted, Rule, Test};

use crate::statistics::{ROUNDS_FOR_A_VERDICT, paired_ratio, ratio_to_value};

/// The share of failed calls above which a contender is not compared.
pub const FAILED_SHARE_MAX: f64 = 0.01;

/// Judges a claim.
pub(super) fn judge(record: &Record, claim: &Claim) -> Verdict {
    let Claim { contender, condition, test, .. } = claim;
    let (ratio, withheld) = match test {
        Test::Compared { metric, against, .. } => (
            paired_ratio(&record.paired_figures(contender, against, condition, *metric)),
            withheld(record, &[contender, against], condition),
        ),
        Test::Absolute { holds } => {
            let cell = record.cell(contender, condition);
            let figures = cell.map(|cell| record.figures(cell, holds.figure)).unwrap_or_default();
            let figures: Vec<f64> = figures.into_values().collect();
            let ratio = if holds.figure.is_share() {
                ratio_to_value(&figures, holds.limit())
            } else {
                paired_ratio(&figures.iter().map(|figure| (*figure, holds.limit())).collect::<Vec<_>>())
            };
            // What failed is what such a figure is about: it is not withheld for it.
            let judged: &[&str] = if holds.figure.counts_failures() { &[] } else { &[contender] };
            (ratio, self::withheld(record, judged, condition))
        }
    };
    let (verdict, because) = match withheld.or_else(|| not_measured(record, claim)) {
        Some(because) => (VerdictWord::Undecided, because),
        None => decide(claim, ratio.as_ref(), record.counted()),
    };
    Verdict { claim: claim.clone(), ratio, verdict, because }
}

/// Why contenders are not judged, where they are not.
pub(super) fn withheld(record: &Record, contenders: &[&str], condition: &str) -> Option<String> {
    let void = record.void.as_ref().map(|why| format!("the run is void: {why}"));
    void.or_else(|| too_many_failures(record, contenders, condition))
}

fn not_measured(record: &Record, claim: &Claim) -> Option<String> {
    let left_out = record.left_out(claim)?;
    Some(format!("{left_out} was not measured under {} in this run", claim.condition))
}

/// A contender that fails calls is not compared by the cost of those that succeed.
fn too_many_failures(record: &Record, contenders: &[&str], condition: &str) -> Option<String> {
    contenders.iter().find_map(|name| {
        let merged = record.cells[record.cell(name, condition)?].merged.as_ref()?;
        let share = merged.counts.failed_share();
        let because = || format!("{:.1} % of the calls of {name} failed: that comes first", share * 100.0);
        (share > FAILED_SHARE_MAX).then(because)
    })
}

fn decide(claim: &Claim, ratio: Option<&Ratio>, noun: Counted) -> (VerdictWord, String) {
    let Claim { contender, test, .. } = claim;
    let Some(judged @ Ratio { ratio, low, high, n, .. }) = ratio else {
        let who = match test {
            Test::Compared { against, .. } => format!("{contender} and {against} do not both have"),
            Test::Absolute { .. } => format!("{contender} does not have"),
        };
        let because = format!("{who} two rounds with a figure above zero, of enough calls");
        return (VerdictWord::Undecided, because);
    };
    let predicted = claim.predicted().map(|predicted| format!("; predicted {predicted}"));
    let measured = match test {
        Test::Compared { metric, against, .. } => format!(
            "{} of {contender} is {ratio:.2} × that of {against} (95 % interval {low:.2} to {high:.2}, n = {n} rounds)",
            metric.in_words(noun),
        ),
        Test::Absolute { holds } => {
            let show = |ratio: f64| holds.figure.show(ratio * holds.limit());
            let [middle, low, high] = [*ratio, *low, *high].map(show);
            let (what, side) = (holds.figure.in_words(noun), if holds.above { "above" } else { "below" });
            format!(
                "{what} of {contender} is {middle} (95 % interval {low} to {high}, n = {n} rounds); it holds {side} {}",
                show(1.0)
            )
        }
    };
    let measured = measured + &predicted.unwrap_or_default();
    if *n < ROUNDS_FOR_A_VERDICT {
        return (
            VerdictWord::Undecided,
            format!("{measured}; a verdict needs {ROUNDS_FOR_A_VERDICT} rounds"),
        );
    }
    let rule = match test {
        Test::Compared { rule, .. } => *rule,
        Test::Absolute { holds } if holds.above => Rule::HoldsAbove(1.0),
        Test::Absolute { .. } => Rule::HoldsBelow(1.0),
    };
    let (word, open) = apply(rule, judged);
    let open = match test {
        Test::Compared { .. } => open,
        Test::Absolute { holds } => format!("the interval straddles {}", holds.figure.show(holds.limit())),
    };
    (word, if word == VerdictWord::Undecided { format!("{measured}; {open}") } else { measured })
}

/// What a rule makes of an interval, and what to say where that is nothing.
pub fn apply(rule: Rule, ratio: &Ratio) -> (VerdictWord, String) {
    let Ratio { low, high, low_90, high_90, .. } = *ratio;
    let (holds, fails, open) = match rule {
        Rule::HoldsBelow(limit) => (high < limit, low > limit, format!("the interval straddles {limit:.2}")),
        Rule::HoldsAbove(limit) => (low > limit, high < limit, format!("the interval straddles {limit:.2}")),
        Rule::SameWithin(margin) => {
            let (bottom, top) = (1.0 / (1.0 + margin), 1.0 + margin);
            let open = format!(
                "the same to within {:.0} % takes a 90 % interval between {bottom:.3} and {top:.3}, and it is {low_90:.3} to \
                 {high_90:.3}",
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

    #[test]
    fn a_value_is_judged_by_the_ratio_to_it_and_told_in_its_unit() {
        let mut claim = scenarios::Scenario::find("rest-vs-grpc", &[]).unwrap().claims.remove(0);
        claim.prediction = None;
        claim.contender = "tcp".to_owned();
        claim.test = Test::Absolute { holds: Expression::parse("response.p99 < 1ms").unwrap() };
        let (word, because) = decide(&claim, Some(&ratio(0.5, 0.6, 10)), Counted::Call);
        assert_eq!(word, VerdictWord::Holds);
        let said =
            "response p99 of tcp is 548 µs (95 % interval 500 µs to 600 µs, n = 10 rounds); it holds below 1";
        assert!(because.starts_with(said), "{because}");
        claim.test = Test::Absolute { holds: Expression::parse("within.60ms > 98%").unwrap() };
        assert_eq!(decide(&claim, Some(&ratio(0.5, 0.6, 10)), Counted::Call).0, VerdictWord::DoesNotHold);
        let (word, because) = decide(&claim, Some(&ratio(0.9, 1.1, 10)), Counted::Call);
        assert_eq!(word, VerdictWord::Undecided);
        assert!(because.ends_with("the interval straddles 98.000 %"), "{because}");
    }

    #[test]
    fn a_verdict_needs_ten_rounds() {
        let claim = scenarios::Scenario::find("rest-vs-grpc", &[]).unwrap().claims.remove(0);
        let decided = |n| decide(&claim, Some(&ratio(0.8, 0.9, n)), Counted::Call).0;
        assert_eq!(decided(10), VerdictWord::Holds);
        assert_eq!(decided(9), VerdictWord::Undecided);
    }
}
