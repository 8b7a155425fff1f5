//! Two records, or repeats of each: what became better, what worse, and how sure that is.

mod plans;
mod text;

use serde::Serialize;

use crate::expression::{Distribution, Expression, Figure, Point, Value};
use crate::record::{Record, RoundPart, VerdictWord, apply};
use crate::scenario::Rule;
use crate::statistics::{
    REPEATS_FOR_VARIANCE, ROUNDS_FOR_A_VERDICT, Ratio, mean, mean_with_interval, ratio_of_rounds,
    ratio_of_runs,
};

pub use plans::differences;

/// The figures that are compared in every cell, by their paths.
const COMPARED: [&str; 4] = ["cpu_per_call", "response.p50", "response.p99", "bytes_per_call"];
/// How near two figures must be to count as the same.
pub const MARGIN: f64 = 0.05;

/// What a figure has become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// Better by more than chance.
    Better,
    /// Worse by more than chance.
    Worse,
    /// The same to within the margin.
    Same,
    /// The rounds do not say.
    Undecided,
}

/// A figure of a cell, old and new.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Who.
    pub contender: String,
    /// Under what.
    pub condition: String,
    /// The figure's path.
    pub figure: &'static str,
    /// The mean of the old rounds: µs, bytes.
    pub old: f64,
    /// Of the new ones.
    pub new: f64,
    /// New over old.
    pub ratio: Ratio,
    /// What it has become.
    pub word: Word,
}

/// Two sides of one scenario.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Which.
    pub scenario: String,
    /// Runs of the old side.
    pub old_runs: usize,
    /// Of the new one.
    pub new_runs: usize,
    /// Whether the intervals contain what differs from run to run.
    pub between_runs: bool,
    /// How the plans differ, where they do and were compared all the same.
    pub differences: Vec<String>,
    /// Every figure of every cell that both have.
    pub rows: Vec<Row>,
}

/// Compares repeats of one plan with repeats of another; each side has at least one.
pub fn compare(old: &[Record], new: &[Record], differences: Vec<String>) -> Comparison {
    let between_runs = old.len().max(new.len()) >= REPEATS_FOR_VARIANCE;
    let mut rows = Vec::new();
    for cell in new.iter().take(1).flat_map(|record| &record.cells) {
        for path in COMPARED {
            let Ok(figure) = Figure::parse(path) else { continue };
            let of = |records| figures(records, &cell.contender, &cell.condition, figure);
            let (old, new) = (of(old), of(new));
            if let Some(ratio) = ratio(&new, &old) {
                rows.push(Row {
                    contender: cell.contender.clone(),
                    condition: cell.condition.clone(),
                    figure: path,
                    old: mean(&old.concat()),
                    new: mean(&new.concat()),
                    word: word(&ratio, figure, between_runs),
                    ratio,
                });
            }
        }
    }
    let scenario = new.first().map(|record| record.scenario.name.clone()).unwrap_or_default();
    Comparison { scenario, old_runs: old.len(), new_runs: new.len(), between_runs, differences, rows }
}

/// The sentences of an expression that is true of the new side, in any cell: of its whole interval, not only of its middle.
pub fn regressions(old: &[Record], new: &[Record], threshold: &Expression) -> Vec<String> {
    let cells = new.iter().take(1).flat_map(|record| &record.cells).filter(|cell| cell.merged.is_some());
    let regression = |cell: &crate::record::CellPart| {
        let of = |records| figures(records, &cell.contender, &cell.condition, threshold.figure);
        let (figure, value) = (threshold.figure, threshold.value);
        let shown = match value {
            Value::Change(change) => {
                let ratio = ratio(&of(new), &of(old))?;
                let limit = 1.0 + change;
                let past = if threshold.above { ratio.low > limit } else { ratio.high < limit };
                past.then(|| {
                    format!(
                        "{:.3} × the old (95 % interval {:.3} to {:.3})",
                        ratio.ratio, ratio.low, ratio.high
                    )
                })?
            }
            Value::Absolute(_) => {
                let (middle, half) = mean_with_interval(&of(new).concat())?;
                let near = if threshold.above { middle - half } else { middle + half };
                threshold
                    .is_true_of(near)
                    .then(|| format!("{} ± {}", figure.show(middle), figure.show(half)))?
            }
        };
        Some(format!("{} of {} under {}: {shown}", threshold.text, cell.contender, cell.condition))
    };
    cells.filter_map(regression).collect()
}

/// A figure of a cell: run by run, round by round; void rounds left out.
fn figures(records: &[Record], contender: &str, condition: &str, figure: Figure) -> Vec<Vec<f64>> {
    let of_a_run = |record: &Record| {
        let cell = record.cell(contender, condition);
        let rounds = record.rounds.iter().filter(|round| Some(round.cell) == cell && round.void.is_none());
        rounds.filter_map(|round| of_round(round, figure)).collect()
    };
    records.iter().map(of_a_run).collect()
}

/// A figure of a round; `None` where there were too few calls to give it.
fn of_round(round: &RoundPart, figure: Figure) -> Option<f64> {
    let per_call = |total: f64| (round.counts.ok > 0).then(|| total / round.counts.ok as f64);
    match figure {
        Figure::Time(distribution, point) => {
            let quantiles = match distribution {
                Distribution::Response => &round.response_us,
                Distribution::Lag => &round.lag_us,
                Distribution::Wait => &round.wait_us,
                Distribution::Service => &round.service_us,
            };
            match point {
                Point::Percentile(share) => quantiles.shown(share),
                _ => (quantiles.n > 0).then(|| point.of(quantiles)),
            }
        }
        Figure::CpuPerCall => per_call(round.client.cpu_us + round.server.cpu_us),
        Figure::ClientCpuPerCall => per_call(round.client.cpu_us),
        Figure::ServerCpuPerCall => per_call(round.server.cpu_us),
        Figure::BytesPerCall => per_call(round.wire.total.bytes as f64),
        Figure::Failed => Some(round.counts.failed_share()),
        Figure::RatePerS => Some(round.counts.ok_per_s),
    }
}

/// New over old; of runs where there are enough to say how runs differ, else of rounds.
fn ratio(new: &[Vec<f64>], old: &[Vec<f64>]) -> Option<Ratio> {
    let run_means = |runs: &[Vec<f64>]| {
        runs.iter().filter(|run| !run.is_empty()).map(|run| mean(run)).collect::<Vec<_>>()
    };
    ratio_of_runs(&run_means(new), &run_means(old)).or_else(|| ratio_of_rounds(&new.concat(), &old.concat()))
}

fn word(ratio: &Ratio, figure: Figure, of_runs: bool) -> Word {
    let enough = of_runs || ratio.n >= ROUNDS_FOR_A_VERDICT;
    let (below, above) = (ratio.high < 1.0, ratio.low > 1.0);
    match apply(Rule::SameWithin(MARGIN), ratio).0 {
        _ if !enough => Word::Undecided,
        VerdictWord::Holds => Word::Same,
        _ if below => {
            if figure.less_is_better() {
                Word::Better
            } else {
                Word::Worse
            }
        }
        _ if above => {
            if figure.less_is_better() {
                Word::Worse
            } else {
                Word::Better
            }
        }
        _ => Word::Undecided,
    }
}
