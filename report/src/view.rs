//! From a record to what its page says.

use askama::Template;
use record::matrix::{MatrixRecord, MatrixVerdict};
use record::{BreakEvenPart, Found, Record, RoundPart, Verdict, VerdictWord};
use terms::REST_BEFORE_RECONNECTION;

use super::Done;
use super::acts::{self, ActViews};
use super::condition::{ConditionView, condition};
use super::facts::{environment, facts};
use super::sweep::{self, BreakEvenView, MapView};
use super::tables::{CalibrationLine, calibration};

/// The page of a scenario.
#[derive(Template)]
#[template(path = "report.html")]
pub(super) struct ScenarioPage<'a> {
    record: &'a Record,
    verdicts: Vec<VerdictView<'a>>,
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
}

/// The page of a run.
#[derive(Template)]
#[template(path = "index.html")]
pub(super) struct IndexPage<'a> {
    /// Whether the card's page lies beside it.
    card: bool,
    scenarios: Vec<(&'a Record, Vec<VerdictView<'a>>)>,
    matrices: &'a [MatrixRecord],
    started: String,
    command: &'a str,
}

struct VerdictView<'a> {
    verdict: &'a Verdict,
    word: &'static str,
    class: &'static str,
}

impl<'a> ScenarioPage<'a> {
    pub(super) fn of(record: &'a Record) -> ScenarioPage<'a> {
        let order = contenders(record);
        ScenarioPage {
            verdicts: verdicts(record),
            break_evens: record.break_evens.iter().map(|part| sweep::break_even(record, part)).collect(),
            map: record.map.as_ref().map(|part| sweep::map(record, part)),
            sections: record.conditions().into_iter().map(|name| condition(record, name, &order)).collect(),
            acts: acts::views(record),
            rest: humantime::format_duration(REST_BEFORE_RECONNECTION).to_string(),
            void: void_measurements(record),
            calibration: record.calibration.as_ref().map(calibration),
            facts: facts(record),
            environment: environment(record),
            analysis: record.scenario.analysis.split("\n\n").collect(),
            started: utc(record.started_at_us),
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
            scenarios: records.iter().map(|record| (record, verdicts(record))).collect(),
            matrices,
            started: first.map(|(started, _)| utc(started)).unwrap_or_default(),
            command: first.map(|(_, command)| command).unwrap_or_default(),
        }
    }
}

fn verdicts(record: &Record) -> Vec<VerdictView<'_>> {
    let view = |verdict| {
        let (word, class) = word_and_class(record, verdict);
        VerdictView { verdict, word, class }
    };
    record.verdicts.iter().map(view).collect()
}

/// What a claim came to in a word or two, and the class that gives it its colour.
pub(super) fn word_and_class(record: &Record, verdict: &Verdict) -> (&'static str, &'static str) {
    match record.left_out(&verdict.claim) {
        Some(_) => ("not measured", "absent"),
        None => (verdict.verdict.in_words(), class(verdict.verdict)),
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

/// The class that gives the verdict of a matrix its colour.
pub(crate) fn class_of_matrix(verdict: &MatrixVerdict) -> &'static str {
    class(verdict.verdict)
}

/// The class that gives a verdict its colour.
pub(crate) fn class(word: VerdictWord) -> &'static str {
    match word {
        VerdictWord::Holds => "holds",
        VerdictWord::DoesNotHold => "fails",
        VerdictWord::Undecided => "open",
    }
}

/// Every contender once, in the scenario's order: its place gives it one colour and one shape
/// throughout.
fn contenders(record: &Record) -> Vec<&str> {
    let mut order: Vec<&str> = Vec::new();
    for cell in &record.cells {
        if !order.contains(&cell.contender.as_str()) {
            order.push(&cell.contender);
        }
    }
    order
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
