//! What must be true of a record before anything is drawn from it: of its names folders, links and
//! headings are made, and its indexes lead somewhere.

use crate::matrix::MatrixRecord;
use crate::{ActPart, Record, ScenarioPart};

/// Letters of a scenario's name, at most.
pub const NAME_LETTERS_MAX: usize = 64;
/// Letters of the names of contenders, conditions, rows and columns, at most; a condition with axes
/// is called by their values too.
const LABEL_LETTERS_MAX: usize = 400;
/// Letters of the name of a line of the card, at most.
const CARD_LETTERS_MAX: usize = 64;

/// Whether a scenario may be called so: a-z, 0-9 and -, at most [`NAME_LETTERS_MAX`] of them. A
/// folder and links are made of it.
pub fn is_name(name: &str) -> bool {
    let plain = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'-';
    (1..=NAME_LETTERS_MAX).contains(&name.len()) && name.bytes().all(plain)
}

/// Checks a record of a run.
///
/// # Errors
/// In words, with what is wrong and where.
pub(crate) fn record(record: &Record) -> Result<(), String> {
    scenario(&record.scenario)?;
    for cell in &record.cells {
        label("a contender's name", &cell.contender)?;
        label("a condition's name", &cell.condition)?;
        let mut said = [&cell.label, &cell.condition_label].into_iter().flatten();
        said.try_for_each(|of| label("what sentences say", of))?;
    }
    let cells = record.cells.len();
    let is_there = |cell: usize| cell < cells;
    let rounds = record.rounds.iter().all(|round| is_there(round.cell));
    let planned = record.plan.rounds.iter().flatten().all(|cell| is_there(*cell));
    let acts = record.acts.iter().all(|act| match act {
        ActPart::Capacity { capacities } => capacities.iter().all(|part| is_there(part.cell)),
        ActPart::Hold { .. } | ActPart::Restart { .. } | ActPart::ScaleOut { .. } => true,
    });
    if !(rounds && planned && acts) {
        return Err(format!("it tells of a cell that it has not: there are {cells}"));
    }
    let claims = record.verdicts.iter().map(|verdict| &verdict.claim.card);
    let sought = record.break_evens.iter().map(|part| &part.break_even.card);
    claims.chain(sought).chain(record.map.iter().map(|part| &part.map.card)).try_for_each(|line| card(line))
}

/// Checks a record of a matrix.
///
/// # Errors
/// As [`record`].
pub(crate) fn matrix(record: &MatrixRecord) -> Result<(), String> {
    scenario(&record.scenario)?;
    let rows = record.rows.iter().map(|row| ("a row's name", &row.name));
    let columns = record.columns.iter().map(|column| ("a column's name", &column.name));
    let outcomes = record.outcomes.iter().map(|outcome| ("an outcome's name", &outcome.name));
    rows.chain(columns).chain(outcomes).try_for_each(|(what, name)| label(what, name))?;
    record.verdicts.iter().try_for_each(|verdict| card(&verdict.claim.card))
}

fn scenario(scenario: &ScenarioPart) -> Result<(), String> {
    if !is_name(&scenario.name) {
        return Err(format!(
            "{:?} is no scenario's name, which has a-z, 0-9 and - only, at most {NAME_LETTERS_MAX} of them",
            brief(&scenario.name)
        ));
    }
    scenario.card.iter().try_for_each(|line| card(line))
}

fn card(line: &str) -> Result<(), String> {
    is_label("a line of the card", line, CARD_LETTERS_MAX)
}

fn label(what: &str, name: &str) -> Result<(), String> {
    is_label(what, name, LABEL_LETTERS_MAX)
}

fn is_label(what: &str, name: &str, letters_max: usize) -> Result<(), String> {
    let right = name.chars().take(letters_max + 1).count() <= letters_max && !name.contains(char::is_control);
    if right { Ok(()) } else { Err(format!("{:?} is not {what}: one short line", brief(name))) }
}

/// As much of a text as an error has room for.
fn brief(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_of_a_folder_and_no_link() {
        for right in ["a", "rest-vs-grpc", "2"] {
            assert!(is_name(right), "{right}");
        }
        let long = "a".repeat(65);
        for wrong in ["", "javascript:alert(1)", "../up", "A", "a b", "a.b", "ü", "a\n", &long] {
            assert!(!is_name(wrong), "{wrong}");
        }
        assert!(is_label("it", "rates rate_per_s=500 handler_wait=0s", 64).is_ok());
        let error = is_label("a name", &"\u{7}x".repeat(100), 64).unwrap_err();
        assert!(error.starts_with("\"\\u{7}x") && error.len() < 1_000, "{error}");
    }
}
