//! What a record says of a line of the card.

use record::{Record, Verdict};

use super::Line;
use crate::Done;
use crate::findings::{Finding, of_act, of_break_even, of_map, of_matrix, of_verdict};

/// What is known of a line.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum State {
    /// It was judged: the deciding claim first, then the others.
    Judged(Vec<Finding>),
    /// A scenario tests it, and this run has no record of it.
    NotRun(String),
    /// This machine refused the scenario that tests it: which, and why.
    Refused(String, String),
    /// No scenario tests it yet.
    NoScenario,
}

/// What the records say of a line. `known` are the scenarios that there are.
pub(super) fn state(line: &Line, done: &Done, known: &[String]) -> State {
    let id = line.evidence_id();
    let mut judged = Vec::new();
    for scenario in &line.scenarios {
        let Some(record) = done.records.iter().find(|record| record.scenario.name == *scenario) else {
            continue;
        };
        judged.extend(of_line(record, id));
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

/// What a record found about a line: claims first, in the scenario's order; what only says where
/// another turns is told there.
fn of_line(record: &Record, id: &str) -> Vec<Finding> {
    let measured = |verdict: &&Verdict| record.left_out(&verdict.claim).is_none();
    let turns = |id: &Option<String>| {
        id.is_some() && record.verdicts.iter().filter(measured).any(|verdict| verdict.claim.turns == *id)
    };
    let verdicts = record.verdicts.iter().filter(|verdict| verdict.claim.card == id);
    let verdicts = verdicts.filter(|verdict| !turns(&verdict.claim.id));
    let verdicts = verdicts.filter(measured);
    let sought = record.break_evens.iter().filter(|part| part.break_even.card == id && part.is_measured());
    let acts = record.acts.iter().filter_map(|act| of_act(record, act)).filter(|found| found.card == id);
    let map = record.map.iter().filter(|part| part.map.card == id);
    let found = verdicts
        .map(|verdict| of_verdict(record, verdict))
        .chain(sought.map(|part| of_break_even(record, part)))
        .chain(acts)
        .chain(map.map(|part| of_map(record, part)));
    let mut told: Vec<Finding> = Vec::new();
    for found in found {
        // Two bounds of one figure have one finding.
        if told.iter().all(|before| before.sentence != found.sentence || before.word != found.word) {
            told.push(found);
        }
    }
    told
}
