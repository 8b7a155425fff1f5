//! From a record to what its page says.

use askama::Template;
use record::matrix::MatrixRecord;
use record::{BreakEvenPart, Found, Record, RoundPart, VerdictWord};
use terms::{Extent, REST_BEFORE_RECONNECTION, text};

use super::Done;
use super::acts::{self, ActViews};
use super::chart::escape;
use super::condition::{ConditionView, condition};
use super::facts::{environment, facts};
use super::findings::{self, Finding};
use super::look::Looks;
use super::sweep::{self, BreakEvenView, MapView};
use super::tables::{CalibrationLine, calibration};

/// The page of a scenario.
#[derive(Template)]
#[template(path = "report.html")]
pub(super) struct ScenarioPage<'a> {
    record: &'a Record,
    findings: Vec<Finding>,
    /// What the run left out of the scenario; empty where it left out nothing.
    left_out: String,
    /// Baselines that differ from themselves.
    noise: Vec<String>,
    break_evens: Vec<BreakEvenView>,
    map: Option<MapView>,
    sections: Vec<ConditionView>,
    acts: ActViews,
    /// What subscribers wait for before they ask again.
    rest: String,
    void: Vec<String>,
    /// What the machine measured of what is known: when, and row by row.
    calibration: Option<(String, Vec<CalibrationLine>)>,
    facts: Vec<(&'static str, String)>,
    environment: Vec<(&'static str, String)>,
    analysis: Vec<&'a str>,
    started: String,
    machine: String,
}

/// The page of a run.
#[derive(Template)]
#[template(path = "index.html")]
pub(super) struct IndexPage<'a> {
    /// Whether the card's page lies beside it.
    card: bool,
    rows: Vec<IndexRow<'a>>,
    started: String,
    command: &'a str,
}

/// A scenario of a run: a line of the index.
struct IndexRow<'a> {
    name: &'a str,
    question: &'a str,
    findings: Vec<Finding>,
    /// How long it took.
    took: String,
    partial: bool,
}

impl<'a> ScenarioPage<'a> {
    pub(super) fn of(record: &'a Record) -> ScenarioPage<'a> {
        let looks = Looks::of(record);
        ScenarioPage {
            findings: findings::of_record(record),
            left_out: left_out(record),
            noise: findings::failed_pairs(record),
            break_evens: sweep::break_evens(record, &looks),
            map: record.map.as_ref().map(|part| sweep::map(record, part)),
            sections: record.conditions().into_iter().map(|name| condition(record, name, &looks)).collect(),
            acts: acts::views(record, &looks),
            rest: format!("{}\u{a0}ms", REST_BEFORE_RECONNECTION.as_millis()),
            void: void_measurements(record),
            calibration: record.calibration.as_ref().map(calibration),
            facts: facts(record),
            environment: environment(record),
            analysis: record.scenario.analysis.split("\n\n").collect(),
            started: utc(record.started_at_us),
            machine: record.environment.in_words(),
            record,
        }
    }
}

impl<'a> IndexPage<'a> {
    pub(super) fn of(done: &'a Done, card: bool) -> IndexPage<'a> {
        let Done { records, matrices, .. } = done;
        let of_records = records.iter().map(|record| (record.started_at_us, record.command.as_str()));
        let of_matrices = matrices.iter().map(|matrix| (matrix.started_at_us, matrix.command.as_str()));
        let first = of_records.chain(of_matrices).min();
        IndexPage {
            card,
            rows: records.iter().map(IndexRow::of).chain(matrices.iter().map(IndexRow::of_matrix)).collect(),
            started: first.map(|(started, _)| utc(started)).unwrap_or_default(),
            command: first.map(|(_, command)| command).unwrap_or_default(),
        }
    }
}

impl<'a> IndexRow<'a> {
    fn of(record: &'a Record) -> IndexRow<'a> {
        IndexRow {
            name: &record.scenario.name,
            question: &record.scenario.question,
            findings: each_once(findings::of_record(record)),
            took: took(record.started_at_us, record.finished_at_us),
            partial: record.partial,
        }
    }

    fn of_matrix(matrix: &'a MatrixRecord) -> IndexRow<'a> {
        IndexRow {
            name: &matrix.scenario.name,
            question: &matrix.scenario.question,
            findings: findings::of_matrix_record(matrix),
            took: took(matrix.started_at_us, matrix.finished_at_us),
            partial: matrix.partial,
        }
    }
}

/// Without what was found already, for another line of the card.
fn each_once(mut findings: Vec<Finding>) -> Vec<Finding> {
    let mut told: Vec<(&'static str, String)> = Vec::new();
    findings.retain(|found| {
        let tells = (found.word, found.sentence.clone());
        let is_new = !told.contains(&tells);
        told.extend(is_new.then_some(tells));
        is_new
    });
    findings
}

/// A paragraph as HTML, with what stands between backticks as code.
pub(crate) fn with_code(paragraph: &str) -> String {
    let part = |(nth, part): (usize, &str)| match nth % 2 {
        0 => escape(part),
        _ => format!("<code>{}</code>", escape(part)),
    };
    paragraph.split('`').enumerate().map(part).collect()
}

fn took(from_us: u64, to_us: u64) -> String {
    text::about(std::time::Duration::from_micros(to_us.saturating_sub(from_us)))
}

/// How many of its scenario's questions a run answers, and how to answer the others: `A quick run:
/// it answers 2 of 3 questions. …`.
fn left_out(record: &Record) -> String {
    let missing = record.verdicts.iter().filter(|verdict| record.left_out(&verdict.claim).is_some()).count()
        + record.break_evens.iter().filter(|part| !part.is_measured()).count();
    let asked = record.verdicts.len() + record.break_evens.len();
    let name = &record.scenario.name;
    match (missing, record.plan.extent) {
        (0, _) => String::new(),
        (missing, Extent::Full) => format!("This run answers {} of {asked} questions.", asked - missing),
        (missing, extent) => {
            let more = if extent == Extent::Quick { "" } else { " --full" };
            format!(
                "A {} run: it answers {} of {asked} questions. For the others: wirebench run {name}{more}",
                extent.in_words(),
                asked - missing
            )
        }
    }
}

/// The class that gives what was found along an axis its colour.
pub(crate) fn class_of(part: &BreakEvenPart) -> &'static str {
    match part.word {
        _ if !part.is_measured() => "absent",
        Found::Undecided => "open",
        Found::Point | Found::Bounded | Found::Throughout | Found::Nowhere => "found",
    }
}

/// The class that gives a verdict its colour.
pub(crate) fn class(word: VerdictWord) -> &'static str {
    match word {
        VerdictWord::Holds => "holds",
        VerdictWord::DoesNotHold => "fails",
        VerdictWord::Undecided => "open",
        VerdictWord::Depends => "depends",
    }
}

fn void_measurements(record: &Record) -> Vec<String> {
    let line = |round: &RoundPart| {
        let (reason, cell) = (round.void.as_ref()?, record.cells.get(round.cell)?);
        Some(format!("round {}, {} under {}: {reason}", round.round + 1, cell.contender, cell.condition))
    };
    record.rounds.iter().filter_map(line).collect()
}

/// `2026-11-24 09:41:07`, in UTC.
pub fn utc(wall_us: u64) -> String {
    let micros = i64::try_from(wall_us).unwrap_or(i64::MAX);
    match jiff::Timestamp::from_microsecond(micros) {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => "an unknown time".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_between_backticks_is_code_and_nothing_is_markup() {
        assert_eq!(with_code("set `retry<b>` or <i>"), "set <code>retry&lt;b&gt;</code> or &lt;i&gt;");
        assert_eq!(with_code("plain"), "plain");
    }
}
