//! Matrices: experiments whose result is a word a cell and no figure. Rows are cases or clients,
//! columns are contenders; the same on every machine, apart from what a machine has installed.
//! Claims are judged by counting.
//!
//! No time is measured here: there are no rounds, no intervals and no noise, and a debug build is
//! as good as any.

mod reach;
mod typing;
mod wire;

use std::sync::atomic::AtomicBool;

use record::ScenarioPart;
use record::Tool;
use record::matrix::{
    Column, Experiment, MATRIX_SCHEMA, MatrixCell, MatrixClaim, MatrixOutcome, MatrixRecord, MatrixRow,
    MatrixVerdict, Missing, Part,
};
use scenarios::{MATRICES, ScenarioError};
use terms::Machine;

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

impl MatrixScenario {
    /// Every built-in matrix.
    ///
    /// # Errors
    /// Where one is broken; a test keeps that from happening.
    pub fn built_in() -> Result<Vec<MatrixScenario>, ScenarioError> {
        let parse = |(name, text): &(&str, &str)| wire::parse(&format!("scenarios/{name}.toml"), text);
        MATRICES.iter().map(parse).collect()
    }

    /// A built-in matrix by name; `None` where no matrix is called so.
    ///
    /// # Errors
    /// Where it is broken; a test keeps that from happening.
    pub fn find(name: &str) -> Result<Option<MatrixScenario>, ScenarioError> {
        let found = MATRICES.iter().find(|(other, _)| *other == name);
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

/// The contenders of an experiment.
pub(crate) fn columns(experiment: Experiment) -> Vec<Column> {
    match experiment {
        Experiment::Typing => typing::columns(),
        Experiment::Reach => reach::columns(),
    }
}

/// What can become of a cell of it, the best first.
pub(crate) fn outcomes(experiment: Experiment) -> Vec<MatrixOutcome> {
    match experiment {
        Experiment::Typing => typing::outcomes(),
        Experiment::Reach => reach::outcomes(),
    }
}

impl MatrixScenario {
    /// The names of its contenders.
    pub fn columns(&self) -> Vec<String> {
        columns(self.experiment).into_iter().map(|column| column.name).collect()
    }
}

/// What an experiment came to.
struct Findings {
    rows: Vec<MatrixRow>,
    cells: Vec<MatrixCell>,
    missing: Vec<Missing>,
    /// How it was done: a term, and what there is to say of it.
    method: Vec<Part>,
}

/// Does what a matrix asks, judges its claims and makes its record; `tell` hears what is being
/// done.
///
/// # Errors
/// Where a server or a client cannot be started at all, or it was told to stop: a matrix that is
/// not whole says nothing.
pub fn run(
    scenario: &MatrixScenario,
    tool: Tool,
    command: String,
    stop: &AtomicBool,
    tell: &mut dyn FnMut(&str),
) -> anyhow::Result<MatrixRecord> {
    let started_at_us = clock::wall_time_us();
    let environment = lab::machine::read();
    let findings = match scenario.experiment {
        Experiment::Typing => typing::run(stop, tell)?,
        Experiment::Reach => reach::run(stop, tell)?,
    };
    Ok(record_of(scenario, tool, command, started_at_us, environment, findings))
}

/// Ends an experiment that was told to stop.
fn go_on(stop: &AtomicBool) -> anyhow::Result<()> {
    if stop.load(std::sync::atomic::Ordering::Relaxed) {
        anyhow::bail!("stopped: a matrix that is not whole says nothing, and nothing of it was kept");
    }
    Ok(())
}

/// Makes the record, verdicts included.
fn record_of(
    scenario: &MatrixScenario,
    tool: Tool,
    command: String,
    started_at_us: u64,
    environment: Machine,
    findings: Findings,
) -> MatrixRecord {
    let mut record = MatrixRecord {
        schema: MATRIX_SCHEMA.to_owned(),
        tool,
        command,
        started_at_us,
        finished_at_us: clock::wall_time_us(),
        partial: false,
        environment,
        scenario: ScenarioPart {
            name: scenario.name.clone(),
            question: scenario.question.clone(),
            card: scenario.card.clone(),
            analysis: scenario.analysis.clone(),
        },
        columns: columns(scenario.experiment),
        rows: findings.rows,
        cells: findings.cells,
        outcomes: outcomes(scenario.experiment),
        missing: findings.missing,
        method: findings.method,
        verdicts: Vec::new(),
    };
    let verdict = |claim: &MatrixClaim| {
        let (verdict, because) = judge::matrix::judge(&record, claim);
        MatrixVerdict { claim: claim.clone(), verdict, because }
    };
    record.verdicts = scenario.claims.iter().map(verdict).collect();
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_matrix_is_whole_and_named_after_its_file() {
        for (matrix, (name, _)) in MatrixScenario::built_in().unwrap().iter().zip(MATRICES) {
            assert_eq!(matrix.name, name);
            assert!(!matrix.claims.is_empty(), "{name} judges nothing");
            let advises = |of: &MatrixClaim| of.so.holds.is_some() && of.so.does_not_hold.is_some();
            assert!(matrix.claims.iter().all(advises), "{name}: a claim lacks a `so`");
            assert_eq!(MatrixScenario::find(name).unwrap().as_ref(), Some(matrix));
        }
        assert_eq!(MatrixScenario::find("push").unwrap(), None);
    }
}
