//! Two records, or repeats of each: what became better, what worse, and how sure that is.

mod plans;
mod text;

use record::{Ratio, Record, RoundPart, VerdictWord};
use serde::Serialize;
use terms::text::count;
use terms::{Expression, FAILED_SHARE_MAX, Figure, Point, Rule, Value, calls_needed, printable};

use crate::apply;
use crate::statistics::{ROUNDS_FOR_A_VERDICT, mean, mean_with_interval, ratio_of_rounds, ratio_of_runs};

pub use plans::differences;
pub use text::summary;

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
pub struct FigureChange {
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
    /// Whether the interval contains what differs from run to run.
    pub of_runs: bool,
}

/// Two sides of one scenario.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunComparison {
    /// Which.
    pub scenario: String,
    /// Runs of the old side.
    pub old_runs: usize,
    /// Of the new one.
    pub new_runs: usize,
    /// Why no word can rest on this, where a side's run is void.
    pub void: Option<String>,
    /// How the plans differ, where they do and were compared all the same.
    pub differences: Vec<String>,
    /// What must be known of cells that fail calls, or of which nothing can be compared.
    pub notes: Vec<String>,
    /// Every figure of every cell that both have.
    pub rows: Vec<FigureChange>,
}

/// Compares repeats of one plan with repeats of another; each side has at least one.
pub fn compare(old: &[Record], new: &[Record], differences: Vec<String>) -> RunComparison {
    let void = old.iter().chain(new).find_map(|record| record.void.clone());
    let (mut rows, mut notes) = (Vec::new(), Vec::new());
    for (contender, condition) in all_cells(old, new) {
        let before = rows.len();
        let failing = [old, new].into_iter().any(|records| fails_too_much(records, &contender, &condition));
        for path in COMPARED {
            let Ok(figure) = Figure::parse(path) else { continue };
            let of = |records| figures(records, &contender, &condition, figure);
            let (old, new) = (of(old), of(new));
            if let Some((ratio, of_runs)) = ratio(&new, &old) {
                let withheld = void.is_some() || failing;
                rows.push(FigureChange {
                    contender: contender.clone(),
                    condition: condition.clone(),
                    figure: path,
                    old: mean(&old.concat()),
                    new: mean(&new.concat()),
                    word: if withheld { Word::Undecided } else { word(&ratio, figure, of_runs) },
                    of_runs,
                    ratio,
                });
            }
        }
        let here = |note: String| format!("{contender} under {condition}: {note}");
        if failing && let Some([old, new]) = failed_shares([old, new], &contender, &condition) {
            let [old, new] = [old, new].map(crate::percent);
            notes.push(here(format!(
                "{old} of the calls failed in the old, {new} in the new: that comes first"
            )));
        }
        if rows.len() == before {
            notes.push(here("no figure counts in two rounds of each side".to_owned()));
        }
    }
    let scenario = new.first().map(|record| record.scenario.name.clone()).unwrap_or_default();
    RunComparison { scenario, old_runs: old.len(), new_runs: new.len(), void, differences, notes, rows }
}

/// What a threshold came to.
#[derive(Debug, Default, PartialEq)]
pub struct Held {
    /// Sentences of the cells in which it is true of the new side: of its whole interval, not only
    /// of its middle.
    pub failed: Vec<String>,
    /// Sentences of the cells that have the figure, and not enough to judge it by: a gate needs
    /// data, so that these fail it too.
    pub lacking: Vec<String>,
    /// Sentences of the cells in which there was nothing to hold to it.
    pub unjudged: Vec<String>,
    /// Cells in which it was judged.
    pub judged: usize,
}

impl Held {
    /// Whether the threshold failed: it is past in a cell, or that cannot be known.
    pub fn has_failed(&self) -> bool {
        self.judged == 0 || !self.failed.is_empty() || !self.lacking.is_empty()
    }

    /// Adds another scenario's cells.
    pub fn extend(&mut self, other: Held) {
        self.failed.extend(other.failed);
        self.lacking.extend(other.lacking);
        self.unjudged.extend(other.unjudged);
        self.judged += other.judged;
    }
}

/// Holds the new side to a threshold, cell by cell. A cell that has lost the figure fails it.
pub fn hold(old: &[Record], new: &[Record], threshold: &Expression) -> Held {
    let mut held = Held::default();
    for (contender, condition) in all_cells(old, new) {
        let sides: &[&[Record]] = match threshold.value {
            Value::Change(_) => &[new, old],
            Value::Absolute(_) => &[new],
        };
        let few = sides.iter().find_map(|side| too_few(side, &contender, &condition, threshold.figure));
        let (here, of) = (new, |records| figures(records, &contender, &condition, threshold.figure));
        let (old, new) = (of(old), of(new));
        let named = format!("{} of {contender} under {condition}", threshold.text);
        match (past(&old, &new, threshold), few) {
            (Some(Past::No), _) => held.judged += 1,
            (Some(Past::Yes(how)), _) => {
                held.judged += 1;
                held.failed.push(format!("{named}: {how}"));
            }
            (None, Some(few)) => held.lacking.push(format!("{named} cannot be judged: {few}")),
            (None, None) if new.concat().is_empty() && !old.concat().is_empty() => {
                held.failed.push(format!("{named}: the new side has no such figure any more"));
            }
            (None, None) if every_call_failed(here, &contender, &condition) => {
                held.failed.push(format!("{named}: every call failed"));
            }
            (None, None) => held.unjudged.push(format!("{named}: there is no such figure")),
        }
    }
    held
}

/// What a side lacks to be held to a threshold, where it has something of the figure: calls beyond
/// a percentile, or rounds.
fn too_few(side: &[Record], contender: &str, condition: &str, figure: Figure) -> Option<String> {
    let cells = side.iter().filter_map(|record| Some((record, record.cell(contender, condition)?)));
    let rounds: Vec<&RoundPart> =
        cells.flat_map(|(record, cell)| record.counted_rounds(cell, figure).into_values()).collect();
    if let Figure::Time(distribution, Point::Percentile(share)) = figure {
        let of = |round: &&RoundPart| {
            distribution.of(&round.response_us, &round.lag_us, &round.wait_us, &round.service_us).n
        };
        if let Some(fewest) = rounds.iter().map(of).min().filter(|calls| !printable(*calls, share)) {
            let [calls, needed] = [fewest, calls_needed(share)].map(count);
            return Some(format!("{calls} calls a round, {needed} needed"));
        }
    }
    let with = rounds.iter().filter(|round| round.figure(figure).is_some()).count();
    (with == 1).then(|| "1 round, 2 needed".to_owned())
}

/// Whether a side is past a threshold.
enum Past {
    No,
    Yes(String),
}

fn past(old: &[Vec<f64>], new: &[Vec<f64>], threshold: &Expression) -> Option<Past> {
    let (is_past, how) = match threshold.value {
        // A call that failed is beyond every bound, and beyond every other call.
        Value::Change(_) if has_failed(new) => (threshold.above, FAILED_THERE.to_owned()),
        Value::Change(_) if has_failed(old) => {
            (!threshold.above, "in the old the call there is one that failed".to_owned())
        }
        Value::Change(change) => {
            let changed = ratio(new, old).map(|(ratio, _)| [ratio.low, ratio.ratio, ratio.high]);
            let [low, middle, high] = changed.or_else(|| ratio_of_means(&new.concat(), &old.concat()))?;
            let limit = 1.0 + change;
            let is_past = if threshold.above { low > limit } else { high < limit };
            let interval = format!("95 % interval {low:.3} to {high:.3}");
            (is_past, format!("{middle:.3} × the old ({interval})"))
        }
        Value::Absolute(_) if has_failed(new) => (threshold.above, FAILED_THERE.to_owned()),
        Value::Absolute(_) => {
            let (middle, half) = mean_with_interval(&new.concat())?;
            let near = if threshold.above { middle - half } else { middle + half };
            let show = |value| threshold.figure.show(value);
            (threshold.is_true_of(near), format!("{} ± {}", show(middle), show(half)))
        }
    };
    Some(if is_past { Past::Yes(how) } else { Past::No })
}

const FAILED_THERE: &str = "the call there is one that failed";

fn has_failed(side: &[Vec<f64>]) -> bool {
    side.iter().flatten().any(|figure| figure.is_infinite())
}

/// New over old with the ends of its interval, of figures that are nothing in some rounds and so
/// have no logarithm: as wide as the two intervals of the means allow.
fn ratio_of_means(new: &[f64], old: &[f64]) -> Option<[f64; 3]> {
    let ((new, new_half), (old, old_half)) = (mean_with_interval(new)?, mean_with_interval(old)?);
    let over = |new: f64, old: f64| match (new.max(0.0), old.max(0.0)) {
        (0.0, 0.0) => 1.0,
        (new, old) => new / old,
    };
    Some([over(new - new_half, old + old_half), over(new, old), over(new + new_half, old - old_half)])
}

/// Contender and condition of every cell that can be measured.
fn cells(records: &[Record]) -> Vec<(String, String)> {
    let first = records.iter().take(1).flat_map(|record| &record.cells);
    let measured = first.filter(|cell| cell.not_offered.is_none());
    measured.map(|cell| (cell.contender.clone(), cell.condition.clone())).collect()
}

/// The cells of the old side, and those that only the new one has.
fn all_cells(old: &[Record], new: &[Record]) -> Vec<(String, String)> {
    let mut all = cells(old);
    all.extend(cells(new).into_iter().filter(|cell| !cells(old).contains(cell)));
    all
}

/// The share of a cell's calls that failed, in all runs of each side; `None` where one has none.
fn failed_shares(sides: [&[Record]; 2], contender: &str, condition: &str) -> Option<[f64; 2]> {
    let share = |records: &[Record]| {
        let counts = |record: &Record| {
            let counts = &record.cells[record.cell(contender, condition)?].merged.as_ref()?.counts;
            Some((counts.failures(), counts.arrivals))
        };
        let all = records.iter().filter_map(counts);
        let (failed, arrivals) = all.fold((0, 0), |(some, all), (failed, of)| (some + failed, all + of));
        (arrivals > 0).then(|| failed as f64 / arrivals as f64)
    };
    let [old, new] = sides.map(share);
    Some([old?, new?])
}

fn every_call_failed(records: &[Record], contender: &str, condition: &str) -> bool {
    let cells = records.iter().filter_map(|record| Some((record, record.cell(contender, condition)?)));
    let mut merged = cells.filter_map(|(record, cell)| record.cells[cell].merged.as_ref()).peekable();
    merged.peek().is_some() && merged.all(|merged| merged.counts.all_failed())
}

fn fails_too_much(records: &[Record], contender: &str, condition: &str) -> bool {
    let merged = |record: &Record| {
        let cell = record.cell(contender, condition)?;
        Some(record.cells[cell].merged.as_ref()?.counts.failed_share() > FAILED_SHARE_MAX)
    };
    records.iter().any(|record| merged(record).unwrap_or(true))
}

/// A figure of a cell: run by run, round by round; void rounds left out.
fn figures(records: &[Record], contender: &str, condition: &str, figure: Figure) -> Vec<Vec<f64>> {
    let of_a_run = |record: &Record| {
        let cell = record.cell(contender, condition);
        cell.map(|cell| record.figures(cell, figure).into_values().collect()).unwrap_or_default()
    };
    records.iter().map(of_a_run).collect()
}

/// New over old, and whether it is of runs: where there are enough to say how runs differ; else of
/// rounds.
fn ratio(new: &[Vec<f64>], old: &[Vec<f64>]) -> Option<(Ratio, bool)> {
    let run_means = |runs: &[Vec<f64>]| {
        runs.iter().filter(|run| !run.is_empty()).map(|run| mean(run)).collect::<Vec<_>>()
    };
    let of_runs = ratio_of_runs(&run_means(new), &run_means(old)).map(|ratio| (ratio, true));
    of_runs.or_else(|| Some((ratio_of_rounds(&new.concat(), &old.concat())?, false)))
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
