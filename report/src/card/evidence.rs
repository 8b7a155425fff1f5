//! What a record says of a line of the card.

use record::matrix::{MatrixRecord, MatrixVerdict};
use record::{BreakEvenPart, CellPart, MapCell, MapPart, Ratio, Record, Verdict, VerdictWord};
use terms::{Activity, Claim, Rule, Test, text};

use super::Line;
use super::interval::{Scale, interval};
use crate::{Done, acts, class, class_of, condition_in_words};

/// What is known of a line.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum State {
    /// It was judged: the deciding claim first, then the others.
    Judged(Vec<Evidence>),
    /// A scenario tests it, and this run has no record of it.
    NotRun(String),
    /// This machine refused the scenario that tests it: which, and why.
    Refused(String, String),
    /// No scenario tests it yet.
    NoScenario,
}

/// One judgement, as short as it can be said.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Evidence {
    /// The scenario, whose folder lies beside the page.
    pub(super) scenario: String,
    /// What was judged.
    pub(super) sentence: String,
    /// The verdict in a word or two.
    pub(super) word: &'static str,
    /// Its class in the style sheet.
    pub(super) class: &'static str,
    /// The number with its interval, n and threshold.
    pub(super) number: String,
    /// Under what it was measured, and how many calls, events or blocks that were; empty where the
    /// number says it.
    pub(super) conditions: String,
    /// What theory had said, and whether it was wrong.
    pub(super) prediction: Option<String>,
    /// The interval beside the threshold, as SVG; empty where there is none.
    pub(super) chart: String,
}

/// What the records say of a line. `known` are the scenarios that there are.
pub(super) fn state(line: &Line, done: &Done, known: &[String]) -> State {
    let id = line.evidence_id();
    let mut judged = Vec::new();
    for scenario in &line.scenarios {
        let Some(record) = done.records.iter().find(|record| record.scenario.name == *scenario) else {
            continue;
        };
        let verdicts = record.verdicts.iter().filter(|verdict| verdict.claim.card == id);
        judged.extend(
            verdicts
                .filter(|verdict| record.left_out(&verdict.claim).is_none())
                .map(|verdict| of_verdict(record, verdict)),
        );
        let sought = record.break_evens.iter().filter(|part| part.break_even.card == id);
        judged.extend(sought.filter(|part| part.is_measured()).map(|part| of_break_even(record, part)));
        let prices = record.acts.iter().filter_map(acts::price).filter(|price| price.card == id);
        judged.extend(prices.map(|price| a_price(record, price.sentence, price.number)));
        judged.extend(record.map.iter().filter(|part| part.map.card == id).map(|part| of_map(record, part)));
    }
    let matrices = done.matrices.iter().filter(|matrix| line.scenarios.contains(&matrix.scenario.name));
    for matrix in matrices {
        let verdicts = matrix.verdicts.iter().filter(|verdict| verdict.claim.card == id);
        judged.extend(verdicts.map(|verdict| of_matrix(matrix, verdict)));
    }
    if !judged.is_empty() {
        return State::Judged(judged);
    }
    let refused = done.refused.iter().find(|(scenario, _)| line.scenarios.contains(scenario));
    if let Some((scenario, why)) = refused {
        return State::Refused(scenario.clone(), why.clone());
    }
    match line.scenarios.iter().find(|scenario| known.contains(scenario)) {
        Some(scenario) => State::NotRun(scenario.clone()),
        None => State::NoScenario,
    }
}

fn conditions(record: &Record, claim: &Claim) -> String {
    let cell = |name| Some(&record.cells[record.cell(name, &claim.condition)?]);
    let cells: Vec<&CellPart> = claim.contenders().filter_map(cell).collect();
    let Some(first) = cells.first() else { return String::new() };
    let counts = cells.iter().filter_map(|cell| Some(cell.merged.as_ref()?.counts.arrivals));
    let n = counts.min().map_or_else(String::new, |n| {
        let each = if cells.len() > 1 { " each" } else { "" };
        format!("; n = {} {}s{each}", text::count(n), record.counted())
    });
    let words = condition_in_words(first, &record.plan.operation);
    let distance = first.distance.as_ref().filter(|_| record.plan.operation != Activity::FLOW);
    let link = distance.map_or_else(String::new, |distance| format!(", over ‘{}’", distance.link));
    format!("{words}{link}{n}")
}

/// How far off a prediction may lie, beside the interval: a tenth is what arithmetic that leaves
/// the small things out is good for.
const PREDICTION_TOLERANCE: f64 = 1.1;

/// A claim's prediction, and that it was wrong where neither the interval nor what lies a tenth
/// beside it has it.
fn predicted(claim: &Claim, ratio: Option<&Ratio>) -> Option<String> {
    let is_missed = claim.prediction.as_ref().zip(ratio).is_some_and(|(predicted, ratio)| {
        predicted.ratio > ratio.high * PREDICTION_TOLERANCE
            || predicted.ratio < ratio.low / PREDICTION_TOLERANCE
    });
    let missed = if is_missed { "; missed, see the report" } else { "" };
    claim.predicted().map(|words| words + missed)
}

fn of_verdict(record: &Record, verdict: &Verdict) -> Evidence {
    let claim = &verdict.claim;
    let prediction = claim.prediction.as_ref();
    let (number, chart) = match &verdict.ratio {
        Some(ratio) => {
            let (scale, number) = match &claim.test {
                Test::Compared { metric, against, rule } => {
                    let show = |value: f64| format!("{} ×", text::ratio(value));
                    let rule = *rule;
                    let number = format!(
                        "{}: {} is {} × {against} (95 % interval {} to {}, n = {} rounds); holds {}",
                        metric.in_words(record.counted()),
                        claim.contender,
                        text::ratio(ratio.ratio),
                        text::ratio(ratio.low),
                        text::ratio(ratio.high),
                        ratio.n,
                        rule_in_words(rule)
                    );
                    (Scale { rule, show: Box::new(show) }, number)
                }
                Test::Absolute { holds } => {
                    let (figure, limit) = (holds.figure, holds.limit());
                    let show = move |ratio: f64| figure.show(ratio * limit);
                    let rule = if holds.above { Rule::HoldsAbove(1.0) } else { Rule::HoldsBelow(1.0) };
                    let number = format!(
                        "{} of {}: {} (95 % interval {} to {}, n = {} rounds); holds {} {}",
                        figure.in_words(record.counted()),
                        claim.contender,
                        show(ratio.ratio),
                        show(ratio.low),
                        show(ratio.high),
                        ratio.n,
                        if holds.above { "above" } else { "below" },
                        show(1.0)
                    );
                    (Scale { rule, show: Box::new(show) }, number)
                }
            };
            let predicted =
                prediction.filter(|_| matches!(claim.test, Test::Compared { .. })).map(|of| of.ratio);
            (number, interval(ratio, &scale, predicted, &claim.sentence))
        }
        None => (verdict.because.clone(), String::new()),
    };
    let number = if verdict.verdict == VerdictWord::Undecided { verdict.because.clone() } else { number };
    Evidence {
        scenario: record.scenario.name.clone(),
        sentence: claim.sentence.clone(),
        word: verdict.verdict.in_words(),
        class: class(verdict.verdict),
        number: text::capitalized(&number),
        conditions: conditions(record, claim),
        prediction: predicted(claim, verdict.ratio.as_ref()),
        chart,
    }
}

fn rule_in_words(rule: Rule) -> String {
    match rule {
        Rule::HoldsBelow(limit) => format!("below {}", text::ratio(limit)),
        Rule::HoldsAbove(limit) => format!("above {}", text::ratio(limit)),
        Rule::SameWithin(margin) => format!("within {:.0} % of 1", margin * 100.0),
    }
}

fn of_break_even(record: &Record, part: &BreakEvenPart) -> Evidence {
    Evidence {
        scenario: record.scenario.name.clone(),
        sentence: part.break_even.sentence.clone(),
        word: part.in_words(),
        class: class_of(part),
        number: text::capitalized(&part.because),
        conditions: String::new(),
        prediction: None,
        chart: String::new(),
    }
}

/// Counted, not measured: no interval.
fn of_matrix(matrix: &MatrixRecord, verdict: &MatrixVerdict) -> Evidence {
    Evidence {
        scenario: matrix.scenario.name.clone(),
        sentence: verdict.claim.sentence.clone(),
        word: verdict.verdict.in_words(),
        class: class(verdict.verdict),
        number: verdict.because.trim_end_matches('.').to_owned(),
        conditions: String::new(),
        prediction: None,
        chart: String::new(),
    }
}

fn a_price(record: &Record, sentence: &str, number: String) -> Evidence {
    Evidence {
        scenario: record.scenario.name.clone(),
        sentence: sentence.to_owned(),
        word: "a price",
        class: "found",
        number,
        conditions: String::new(),
        prediction: None,
        chart: String::new(),
    }
}

/// Row by row in words, a cell that is as the next one left out: the map itself is in the report.
fn of_map(record: &Record, part: &MapPart) -> Evidence {
    let rows = part.rows.iter().map(|row| {
        let mut cells = row.cells.iter().map(MapCell::in_words).zip(&part.map.tolerances_us).peekable();
        let mut told = Vec::new();
        while let Some((words, tolerance)) = cells.next() {
            if cells.peek().is_none_or(|(next, _)| *next != words) {
                told.push(format!("up to {} old {words}", text::micros(*tolerance)));
            }
        }
        format!("{}: {}", part.map.axis.show(row.at.value), told.join(", "))
    });
    Evidence {
        scenario: record.scenario.name.clone(),
        sentence: part.map.sentence.clone(),
        word: "a map",
        class: "found",
        number: format!(
            "Least {}, by {} and by how old what it brings may be. {}",
            part.map.metric.in_words(record.counted()),
            part.map.axis.in_words(),
            rows.collect::<Vec<_>>().join("; ")
        ),
        conditions: String::new(),
        prediction: None,
        chart: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use record::Method;
    use scenarios::Scenario;

    use super::*;

    #[test]
    fn a_prediction_is_missed_where_neither_the_interval_nor_a_tenth_beside_it_has_it() {
        let scenario = Scenario::find("polling-break-even", &[]).unwrap();
        let claim = scenario.claims.iter().find(|claim| claim.prediction.is_some()).unwrap();
        let said = |low: f64, high: f64| {
            let ratio = (low * high).sqrt();
            let ratio =
                Ratio { ratio, low, high, low_90: low, high_90: high, n: 10, method: Method::StudentT };
            predicted(claim, Some(&ratio)).unwrap()
        };
        assert!(said(0.15, 0.25).starts_with("0.20 ×, because "), "{}", said(0.15, 0.25));
        let is_missed = [(0.15, 0.25), (0.21, 0.3), (0.23, 0.3), (0.1, 0.19), (0.1, 0.17)]
            .map(|(low, high)| said(low, high).ends_with("; missed, see the report"));
        assert_eq!(is_missed, [false, false, true, false, true]);
        assert_eq!(predicted(claim, None), claim.predicted());
    }
}
