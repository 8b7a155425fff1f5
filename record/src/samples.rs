//! Small records for the tests of other rooms.

use terms::Machine;

use crate::matrix::{
    Apart, Column, MATRIX_SCHEMA, MatrixCell, MatrixOutcome, MatrixRecord, MatrixRow, Missing, Part, Tone,
};
use crate::{ScenarioPart, Tool};

fn outcome(name: &str, rank: u8, tone: Tone, apart: Option<Apart>) -> MatrixOutcome {
    let glyph = name.chars().next().map(String::from).unwrap_or_default();
    MatrixOutcome { name: name.to_owned(), means: String::new(), rank, tone, glyph, apart }
}

/// A matrix of three rows, with these outcomes of these columns: `stack`, `nobody`,
/// `not expressible` or `not installed`.
pub fn small(columns: &[(&str, [&str; 3])]) -> MatrixRecord {
    let row = |nth: usize| MatrixRow {
        name: format!("row {nth}"),
        group: if nth % 2 == 1 { "odd" } else { "even" }.to_owned(),
        words: "w <b>".to_owned(),
    };
    let cells = columns.iter().flat_map(|(column, outcomes)| {
        outcomes.iter().enumerate().map(|(nth, outcome)| MatrixCell {
            row: format!("row {nth}"),
            column: (*column).to_owned(),
            outcome: (*outcome).to_owned(),
            detail: "d & <i>".to_owned(),
            on_the_wire: None,
        })
    });
    let column = |(name, _): &(&str, [&str; 3])| Column {
        name: (*name).to_owned(),
        words: format!("the {name}"),
        means: String::new(),
    };
    MatrixRecord {
        schema: MATRIX_SCHEMA.to_owned(),
        tool: Tool::default(),
        command: "wirebench run m".to_owned(),
        started_at_us: 0,
        finished_at_us: 0,
        partial: false,
        environment: Machine::default(),
        scenario: ScenarioPart {
            name: "typing".to_owned(),
            question: "?".to_owned(),
            card: vec!["A5".to_owned()],
            analysis: String::new(),
        },
        columns: columns.iter().map(column).collect(),
        rows: (0..3).map(row).collect(),
        cells: cells.collect(),
        outcomes: vec![
            outcome("stack", 0, Tone::Best, None),
            outcome("nobody", 1, Tone::Bad, None),
            outcome("not expressible", 2, Tone::Neutral, Some(Apart::NotApplicable)),
            outcome("not installed", 3, Tone::Neutral, Some(Apart::NotFound)),
        ],
        missing: vec![Missing { what: "nginx".into(), get: "apt-get install nginx".into() }],
        method: vec![Part::new("how", "so")],
        verdicts: Vec::new(),
    }
}
