//! What a matrix leaves: rows, columns, a cell each, and the verdicts. The page is drawn from it
//! and from nothing else; the schema is published as `docs/matrix.schema.json`.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use terms::{Machine, So};

use crate::{AnyRecord, ScenarioPart, StoreError, Tool, VerdictWord, bounded, store};

/// The version of the schema: another number where a reader of this one would misread.
pub const MATRIX_SCHEMA: &str = "wirebench.matrix.v1";

/// Columns, rows and cells of a matrix that is read, at most: each cell is looked for among all.
const COLUMNS_MAX: usize = 64;
const ROWS_MAX: usize = 1_000;
const MATRIX_CELLS_MAX: usize = 10_000;

/// A matrix that was filled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MatrixRecord {
    /// Always `wirebench.matrix.v1`.
    pub schema: String,
    /// What filled it.
    pub tool: Tool,
    /// What was typed.
    pub command: String,
    /// When it began, in µs since the Unix epoch.
    pub started_at_us: u64,
    /// When it ended, likewise.
    pub finished_at_us: u64,
    /// Always false: a matrix that is not whole is not kept.
    pub partial: bool,
    /// Where it ran.
    pub environment: Machine,
    /// What was asked.
    pub scenario: ScenarioPart,
    /// The contenders.
    #[serde(deserialize_with = "bounded::list::<COLUMNS_MAX, _, _>")]
    pub columns: Vec<Column>,
    /// What each was tried with.
    #[serde(deserialize_with = "bounded::list::<ROWS_MAX, _, _>")]
    pub rows: Vec<MatrixRow>,
    /// What became of it: a cell for each row and column.
    #[serde(deserialize_with = "bounded::list::<MATRIX_CELLS_MAX, _, _>")]
    pub cells: Vec<MatrixCell>,
    /// What can become of a cell, the best first.
    pub outcomes: Vec<MatrixOutcome>,
    /// What was not found on this machine.
    pub missing: Vec<Missing>,
    /// How it was done, in sentences.
    pub method: Vec<Part>,
    /// What the claims came to.
    pub verdicts: Vec<MatrixVerdict>,
}

/// A contender.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its name in a sentence.
    pub words: String,
    /// What it is made of.
    pub means: String,
}

/// What the contenders were tried with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MatrixRow {
    /// Its name, which no other row has.
    pub name: String,
    /// The rows it belongs to.
    pub group: String,
    /// What it is, in words.
    pub words: String,
}

/// What became of a row at a contender.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MatrixCell {
    /// Which row.
    pub row: String,
    /// Which contender.
    pub column: String,
    /// One of the outcomes.
    pub outcome: String,
    /// What was seen, or why.
    pub detail: String,
    /// What the server made of the bytes all the same, where something on the client's side comes
    /// before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_the_wire: Option<String>,
}

/// What can become of a cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MatrixOutcome {
    /// Its name.
    pub name: String,
    /// What it means.
    pub means: String,
    /// Its place from good to bad, from 0; equal ones are as good.
    pub rank: u8,
    /// The colour that it is drawn in.
    pub tone: Tone,
    /// The sign that it is drawn with.
    pub glyph: String,
    /// Why claims do not count it with the others, where they do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apart: Option<Apart>,
}

/// How an outcome is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    /// As good as can be.
    Best,
    /// Good.
    Good,
    /// At a price.
    Fair,
    /// Bad.
    Bad,
    /// Neither.
    Neutral,
}

/// Why an outcome does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Apart {
    /// There is no such thing: the row is left out of a comparison.
    NotApplicable,
    /// It could not be tried on this machine: the claim is undecided.
    NotFound,
}

/// What was not found on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Missing {
    /// What.
    pub what: String,
    /// How to get it.
    pub get: String,
}

/// A term, and what there is to say of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Part {
    /// The term.
    pub term: String,
    /// What there is to say.
    pub words: String,
}

/// A claim with its verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MatrixVerdict {
    /// What was judged.
    #[serde(flatten)]
    pub claim: MatrixClaim,
    /// The verdict.
    pub verdict: VerdictWord,
    /// Why, in a sentence with the counts.
    pub because: String,
}

impl MatrixVerdict {
    /// What a reader should do about it, as the scenario says.
    pub fn so(&self) -> Option<&str> {
        self.verdict.advice(&self.claim.so)
    }
}

impl Part {
    /// A term, and what there is to say of it.
    pub fn new(term: &str, words: impl Into<String>) -> Part {
        Part { term: term.to_owned(), words: words.into() }
    }
}

impl MatrixRecord {
    /// The cell of a row and a column.
    pub fn cell(&self, row: &str, column: &str) -> Option<&MatrixCell> {
        self.cells.iter().find(|cell| cell.row == row && cell.column == column)
    }

    /// How many cells of a column came to each outcome, in the order of the outcomes.
    pub fn counts(&self, column: &str) -> Vec<(&MatrixOutcome, usize)> {
        let of_column = |outcome: &MatrixOutcome| {
            let mut cells = self.cells.iter();
            let is = |cell: &&MatrixCell| cell.column == column && cell.outcome == outcome.name;
            cells.by_ref().filter(is).count()
        };
        self.outcomes.iter().map(|outcome| (outcome, of_column(outcome))).collect()
    }
}

/// Reads a record of a matrix.
///
/// # Errors
/// Where the file cannot be read, or holds something else.
pub fn read(path: &Path) -> Result<MatrixRecord, StoreError> {
    match store::read_any(path)? {
        AnyRecord::Matrix(record) => Ok(*record),
        AnyRecord::Measured(record) => Err(store::of_another_schema(path, &record.schema, MATRIX_SCHEMA)),
    }
}

/// The JSON Schema of these records.
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(MatrixRecord).to_value()
}

/// A sentence of the card, as a count that can be judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MatrixClaim {
    /// The line of the card.
    pub card: String,
    /// The claim in our words.
    pub sentence: String,
    /// What the count says of a contender, with `{n}` and `{of}` in it; absent from older records.
    #[serde(default)]
    pub says: Option<String>,
    /// Whose cells are counted.
    pub contender: String,
    /// The outcomes that count.
    pub counts: Vec<String>,
    /// What is looked at of a cell.
    #[serde(default)]
    pub seen: Seen,
    /// The groups of rows that count; all where none is named.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Whose cells it is held against.
    pub against: Vec<String>,
    /// When it holds.
    pub holds: MatrixRule,
    /// What a reader should do, verdict by verdict.
    #[serde(default)]
    pub so: So,
}

/// What a claim looks at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// The outcome: what comes first.
    #[default]
    First,
    /// What the server made of the bytes, whoever would have kept them from being sent.
    OnTheWire,
}

/// When a claim holds. There is no interval, so that it does not where it does not: only what could
/// not be tried leaves it undecided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MatrixRule {
    /// The contender counts more than each of the others.
    More,
    /// The contender counts fewer than each of the others.
    Fewer,
    /// Every row of the contender counts, whatever the others do.
    All,
    /// Every row of the contender counts, and of none of the others.
    OnlyAll,
}

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Experiment {
    /// Wrong messages to every contender: who catches them?
    Typing,
    /// Stock clients to every contender: who gets an answer without generated code?
    Reach,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::small;

    /// `UPDATE_FILES=1 cargo test` writes it anew.
    #[test]
    fn the_checked_in_schema_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/matrix.schema.json");
        let current = serde_json::to_string_pretty(&json_schema()).unwrap() + "\n";
        if std::env::var_os("UPDATE_FILES").is_some() {
            std::fs::write(path, &current).unwrap();
        }
        let stored = std::fs::read_to_string(path).unwrap_or_default();
        assert!(stored == current, "docs/matrix.schema.json is out of date: run with UPDATE_FILES=1");
    }

    #[test]
    fn counts_of_a_column_are_its_cells() {
        let record = small(&[("a", ["stack", "stack", "nobody"])]);
        let counts = record.counts("a");
        assert_eq!(counts.iter().map(|(_, count)| count).sum::<usize>(), 3);
        assert!(counts.iter().any(|(outcome, count)| outcome.name == "stack" && *count == 2));
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<MatrixRecord>(&text).unwrap(), record);
    }
}
