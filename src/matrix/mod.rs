//! Matrices: experiments whose result is a word a cell and no figure. Rows are cases or clients, columns are contenders; the
//! same on every machine, apart from what a machine has installed. Claims are judged by counting.
//!
//! No time is measured here: there are no rounds, no intervals and no noise, and a debug build is as good as any.

mod bars;
mod claims;
mod page;
mod reach;
mod record;
mod typing;
mod wire;

use std::sync::atomic::AtomicBool;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use claims::{MatrixClaim, MatrixRule, Seen};
pub use page::page;
pub use record::{
    Column, MATRIX_SCHEMA, MatrixCell, MatrixRecord, MatrixVerdict, Missing, Outcome, Part, Row, json_schema,
    read, summary_lines,
};

use crate::scenario::ScenarioError;

/// A question that a matrix answers.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixScenario {
    /// Its name: that of its file.
    pub name: String,
    /// What it asks.
    pub question: String,
    /// The lines of the card that it tests.
    pub card: Vec<String>,
    /// What surprised, what the outcomes depend on, what they do not show.
    pub analysis: String,
    /// What is done.
    pub experiment: Experiment,
    /// What is judged.
    pub claims: Vec<MatrixClaim>,
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

/// The matrices that are built in, by name.
const BUILT_IN: [(&str, &str); 2] = [
    ("typing", include_str!("../../scenarios/typing.toml")),
    ("reach", include_str!("../../scenarios/reach.toml")),
];

impl MatrixScenario {
    /// The names of the built-in matrices.
    pub fn names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(name, _)| *name)
    }

    /// Every built-in matrix.
    ///
    /// # Errors
    /// Where one is broken; a test keeps that from happening.
    pub fn built_in() -> Result<Vec<MatrixScenario>, ScenarioError> {
        let parse = |(name, text): &(&str, &str)| wire::parse(&format!("scenarios/{name}.toml"), text);
        BUILT_IN.iter().map(parse).collect()
    }

    /// A built-in matrix by name; `None` where no matrix is called so.
    ///
    /// # Errors
    /// Where it is broken; a test keeps that from happening.
    pub fn find(name: &str) -> Result<Option<MatrixScenario>, ScenarioError> {
        let found = BUILT_IN.iter().find(|(other, _)| *other == name);
        found.map(|(name, text)| wire::parse(&format!("scenarios/{name}.toml"), text)).transpose()
    }

    /// Reads a matrix from its text.
    ///
    /// # Errors
    /// Where it is broken: at its line.
    pub fn parse(file: &str, text: &str) -> Result<MatrixScenario, ScenarioError> {
        wire::parse(file, text)
    }
}

impl Experiment {
    /// The contenders.
    pub fn columns(self) -> Vec<Column> {
        match self {
            Experiment::Typing => typing::columns(),
            Experiment::Reach => reach::columns(),
        }
    }

    /// What can become of a cell, the best first.
    pub fn outcomes(self) -> Vec<Outcome> {
        match self {
            Experiment::Typing => typing::outcomes(),
            Experiment::Reach => reach::outcomes(),
        }
    }
}

/// What an experiment came to.
struct Findings {
    rows: Vec<Row>,
    cells: Vec<MatrixCell>,
    missing: Vec<Missing>,
    /// How it was done: a term, and what there is to say of it.
    method: Vec<Part>,
}

/// Does what a matrix asks, judges its claims and makes its record; `tell` hears what is being done.
///
/// # Errors
/// Where a server or a client cannot be started at all, or it was told to stop: a matrix that is not whole says nothing.
pub fn run(
    scenario: &MatrixScenario,
    command: String,
    stop: &AtomicBool,
    tell: &mut dyn FnMut(&str),
) -> anyhow::Result<MatrixRecord> {
    let started_at_us = clock::wall_time_us();
    let environment = lab::machine::Machine::read();
    let findings = match scenario.experiment {
        Experiment::Typing => typing::run(stop, tell)?,
        Experiment::Reach => reach::run(stop, tell)?,
    };
    Ok(record::record(scenario, command, started_at_us, environment, findings))
}

/// Ends an experiment that was told to stop.
fn go_on(stop: &AtomicBool) -> anyhow::Result<()> {
    if stop.load(std::sync::atomic::Ordering::Relaxed) {
        anyhow::bail!("stopped: a matrix that is not whole says nothing, and nothing of it was kept");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_matrix_is_whole_and_named_after_its_file() {
        for (matrix, (name, _)) in MatrixScenario::built_in().unwrap().iter().zip(BUILT_IN) {
            assert_eq!(matrix.name, name);
            assert!(!matrix.claims.is_empty(), "{name} judges nothing");
            assert_eq!(MatrixScenario::find(name).unwrap().as_ref(), Some(matrix));
        }
        assert_eq!(MatrixScenario::find("push").unwrap(), None);
    }
}
