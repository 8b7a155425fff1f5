//! What was found, one after the other, as pages, the card and the terminal tell it.

use record::matrix::{MatrixRecord, MatrixVerdict};
use record::{AaPair, ActPart, BreakEvenPart, MapCell, MapPart, Ratio, Record, Verdict, VerdictWord};
use terms::{Claim, Extent, FAILED_SHARE_MAX, Rule, Test, text};

use crate::interval::{Scale, interval};
use crate::{acts, class, class_of};

/// One finding, as short as it can be said.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Finding {
    /// The scenario, whose folder lies beside the card.
    pub(crate) scenario: String,
    /// Where it stands on the scenario's page.
    pub(crate) anchor: String,
    /// The line of the card.
    pub(crate) card: String,
    /// The badge.
    pub(crate) word: &'static str,
    /// Its class in the style sheet.
    pub(crate) class: &'static str,
    /// What was found, in a sentence with the number, its interval and n.
    pub(crate) sentence: String,
    /// Where that turns round, in a sentence; empty where it does not, or nobody asked.
    pub(crate) turn: String,
    /// What to do, as the scenario says; empty where it says nothing.
    pub(crate) so: String,
    /// Where its charts stand on the scenario's page; empty where there are none.
    pub(crate) at: String,
    /// What was claimed, in the scenario's words.
    pub(crate) claim: String,
    /// Why that is the verdict.
    pub(crate) because: String,
    /// What theory had said, and whether it was wrong.
    pub(crate) prediction: Option<String>,
    /// What the baseline against itself says of the noise in the same figure; empty where it was
    /// not compared.
    pub(crate) noise: String,
    /// The interval beside the threshold, as SVG; empty where there is none.
    pub(crate) chart: String,
}

impl Finding {
    fn of(scenario: &str, card: &str, claim: &str) -> Finding {
        Finding {
            scenario: scenario.to_owned(),
            anchor: anchor(card, claim),
            card: card.to_owned(),
            word: "",
            class: "",
            sentence: String::new(),
            turn: String::new(),
            so: String::new(),
            at: String::new(),
            claim: claim.to_owned(),
            because: String::new(),
            prediction: None,
            noise: String::new(),
            chart: String::new(),
        }
    }
}

/// `a2-grpc-costs-less-cpu-per-call-than-rest`: a place on a page that stays where it is.
fn anchor(card: &str, claim: &str) -> String {
    const WORDS_MAX: usize = 60;
    let letters = |word: &str| word.chars().filter(char::is_ascii_alphanumeric).collect::<String>();
    let words = std::iter::once(card).chain(claim.split_whitespace().take(WORDS_MAX)).map(letters);
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-").to_lowercase()
}

/// Where what was found along an axis stands on its scenario's page.
const ALONG: &str = "along";

/// Where a condition stands on its scenario's page.
pub(crate) fn condition_anchor(condition: &str) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '-' };
    format!("under-{}", condition.chars().map(plain).collect::<String>().to_lowercase())
}

/// All findings of a record, in the order in which its scenario asks.
pub(crate) fn of_record(record: &Record) -> Vec<Finding> {
    let verdicts = record.verdicts.iter().map(|verdict| of_verdict(record, verdict));
    let break_evens = record.break_evens.iter().map(|part| of_break_even(record, part));
    let acts = record.acts.iter().filter_map(|act| of_act(record, act));
    verdicts
        .chain(break_evens)
        .chain(acts)
        .chain(record.map.iter().map(|part| of_map(record, part)))
        .collect()
}

/// All findings of a matrix.
pub(crate) fn of_matrix_record(matrix: &MatrixRecord) -> Vec<Finding> {
    matrix.verdicts.iter().map(|verdict| of_matrix(matrix, verdict)).collect()
}

/// Baselines that differ from themselves, in a sentence each: what is seen there is noise, or a
/// bias, and not the contenders.
pub(crate) fn failed_pairs(record: &Record) -> Vec<String> {
    let words = |pair: &AaPair| {
        let off = (pair.ratio.ratio - 1.0).abs();
        format!(
            "{} differs from itself by {} in {} under {} ({}–{} ×, {} rounds). One such pair in twenty does so by chance: \
             distrust differences of that size here",
            record.label(&record.plan.baseline),
            judge::percent(off),
            pair.metric.in_words(record.counted()),
            pair.condition,
            text::ratio(pair.ratio.low),
            text::ratio(pair.ratio.high),
            pair.ratio.n
        )
    };
    record.aa.iter().filter(|pair| pair.failed()).map(words).collect()
}

/// What a claim came to.
pub(crate) fn of_verdict(record: &Record, verdict: &Verdict) -> Finding {
    let claim = &verdict.claim;
    let found = Finding::of(&record.scenario.name, &claim.card, &claim.sentence);
    if record.left_out(claim).is_some() {
        let sentence = text::capitalized(&verdict.because);
        return Finding { word: "not measured", class: "absent", sentence, ..found };
    }
    let sentence = match &verdict.ratio {
        // Older records have no finding, and what it is made of.
        Some(ratio) => judge::finding(record, claim, ratio),
        None => text::capitalized(&verdict.because),
    };
    let because = if verdict.ratio.is_some() { verdict.because.clone() } else { String::new() };
    Finding {
        word: verdict.verdict.in_words(),
        class: class(verdict.verdict),
        sentence,
        turn: turn(record, verdict),
        so: so(record, verdict),
        at: condition_anchor(&claim.condition),
        because,
        prediction: predicted(claim, verdict.ratio.as_ref()),
        noise: noise(record, claim),
        chart: verdict
            .ratio
            .as_ref()
            .filter(|ratio| judge::tells(ratio))
            .map(|ratio| drawn(claim, ratio))
            .unwrap_or_default(),
        ..found
    }
}

/// Where the verdict turns round, or that it does not.
fn turn(record: &Record, verdict: &Verdict) -> String {
    let Some(other) = record.turn(&verdict.claim) else { return String::new() };
    let found = match &other.ratio {
        Some(ratio) => judge::finding(record, &other.claim, ratio),
        None => other.because.clone(),
    };
    match (verdict.verdict, other.verdict) {
        (VerdictWord::Depends, _) => format!("It turns round: {found}"),
        (VerdictWord::Undecided, _) | (_, VerdictWord::Undecided) => {
            format!("Whether it turns round is undecided: {found}")
        }
        _ => format!("It does not turn round: {found}"),
    }
}

/// What to do about it.
fn so(record: &Record, verdict: &Verdict) -> String {
    let further = || {
        let name = &record.scenario.name;
        let longer = match record.plan.extent {
            Extent::Quick => format!(": wirebench run {name}"),
            Extent::Standard => format!(": wirebench run {name} --full"),
            Extent::Full => " on a quieter machine".to_owned(),
        };
        format!("This run cannot tell; measure longer{longer}")
    };
    // What failed fails again.
    let fails = claim_fails(record, &verdict.claim);
    match (verdict.so(), verdict.verdict) {
        (Some(so), _) => so.to_owned(),
        (None, VerdictWord::Undecided) if !fails => further(),
        (None, _) => String::new(),
    }
}

/// Whether a contender of a claim fails too many calls to be judged.
fn claim_fails(record: &Record, claim: &Claim) -> bool {
    claim.cells().any(|(contender, condition)| {
        let cell = record.cell(contender, condition).and_then(|cell| record.cells[cell].merged.as_ref());
        cell.is_some_and(|merged| merged.counts.failed_share() > FAILED_SHARE_MAX)
    })
}

/// `REST against itself: 0.98 × (0.94–1.03, 10 rounds)`.
fn noise(record: &Record, claim: &Claim) -> String {
    let here = |pair: &&AaPair| pair.condition == claim.condition && pair.metric == claim.figure();
    let words = |pair: &AaPair| {
        let baseline = record.label(&record.plan.baseline);
        let ratio = judge::ratio_in_words(&pair.ratio);
        let failed =
            if pair.failed() { "; it differs from itself, so distrust differences of that size" } else { "" };
        format!("{baseline} against itself: {ratio}{failed}")
    };
    record.aa.iter().find(here).map(words).unwrap_or_default()
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
    let missed = if is_missed { "; missed" } else { "" };
    claim.predicted().map(|words| words + missed)
}

/// The interval beside its threshold.
fn drawn(claim: &Claim, ratio: &Ratio) -> String {
    let (scale, predicted) = match &claim.test {
        Test::Compared { rule, .. } => {
            let show = |value: f64| format!("{} ×", text::ratio(value));
            (Scale { rule: *rule, show: Box::new(show) }, claim.prediction.as_ref().map(|of| of.ratio))
        }
        Test::Absolute { holds } => {
            let (figure, limit) = (holds.figure, holds.limit());
            let show = move |ratio: f64| figure.show(ratio * limit);
            let rule = if holds.above { Rule::HoldsAbove(1.0) } else { Rule::HoldsBelow(1.0) };
            (Scale { rule, show: Box::new(show) }, None)
        }
    };
    interval(ratio, &scale, predicted, &claim.sentence)
}

/// Where one becomes better than another.
pub(crate) fn of_break_even(record: &Record, part: &BreakEvenPart) -> Finding {
    Finding {
        word: part.in_words(),
        class: class_of(part),
        sentence: begun(&part.because),
        at: if part.is_measured() { ALONG.to_owned() } else { String::new() },
        ..Finding::of(&record.scenario.name, &part.break_even.card, &part.break_even.sentence)
    }
}

/// A sentence with a capital letter in front, unless it begins with a name: `gRPC`.
fn begun(sentence: &str) -> String {
    let is_a_word = sentence.split_whitespace().next().is_some_and(|of| of.chars().all(char::is_lowercase));
    if is_a_word { text::capitalized(sentence) } else { sentence.to_owned() }
}

/// Counted, not measured: no interval.
pub(crate) fn of_matrix(matrix: &MatrixRecord, verdict: &MatrixVerdict) -> Finding {
    Finding {
        word: verdict.verdict.in_words(),
        class: class(verdict.verdict),
        sentence: verdict.because.trim_end_matches('.').to_owned(),
        so: verdict.so().unwrap_or_default().to_owned(),
        ..Finding::of(&matrix.scenario.name, &verdict.claim.card, &verdict.claim.sentence)
    }
}

/// What an act says of a line of the card; `None` where nobody asked.
pub(crate) fn of_act(record: &Record, act: &ActPart) -> Option<Finding> {
    let price = acts::price(record, act)?;
    let found = Finding::of(&record.scenario.name, price.card, price.sentence);
    let at = price.at.to_owned();
    Some(Finding { word: "a price", class: "found", sentence: price.number, at, ..found })
}

/// Row by row in words, a cell that is as the next one left out: the map itself is in the report.
pub(crate) fn of_map(record: &Record, part: &MapPart) -> Finding {
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
    let what = part.map.metric.in_words(record.counted());
    let sentence = format!(
        "Least {what}, by {} and by how old an event may be. {}",
        part.map.axis.in_words(),
        rows.collect::<Vec<_>>().join("; ")
    );
    Finding {
        word: "a map",
        class: "found",
        sentence,
        at: ALONG.to_owned(),
        ..Finding::of(&record.scenario.name, &part.map.card, &part.map.sentence)
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
            .map(|(low, high)| said(low, high).ends_with("; missed"));
        assert_eq!(is_missed, [false, false, true, false, true]);
        assert_eq!(predicted(claim, None), claim.predicted());
    }
}
