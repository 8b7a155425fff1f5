//! Figures of two cells, paired by rounds, and of one cell against a bound: the ratios that are
//! judged. What other work on the machine may have done to processor times is in their intervals.

use record::Record;
use terms::Figure;

use crate::statistics::Paired;

/// How far other work on the machine may move a ratio of two contenders' processor times: twice the
/// 5 % by which it moved the mean of twenty runs beside 30 % of a core (METHODOLOGY, "What a
/// disturbance touches").
const RATIO_BESIDE_OTHER_WORK: f64 = 1.1;
/// The same of one contender's own: in those runs the means moved by 8 and 13 %.
const VALUE_BESIDE_OTHER_WORK: f64 = 1.25;

/// A contender under a condition.
type Cell<'a> = (&'a str, &'a str);

/// A cell's figure against another's. `None` for fewer than two rounds that have both, or where a
/// figure is not above zero.
pub(crate) fn against(record: &Record, left: Cell<'_>, right: Cell<'_>, figure: Figure) -> Option<Paired> {
    let pairs = record.paired_figures(left, right, figure);
    Some(widened(record, &[left, right], figure, Paired::of(&pairs)?, RATIO_BESIDE_OTHER_WORK))
}

/// A cell's figure against a bound, likewise.
pub(crate) fn against_bound(record: &Record, own: Cell<'_>, figure: Figure, bound: f64) -> Option<Paired> {
    let figures = record.figures(record.cell(own.0, own.1)?, figure);
    let pairs: Vec<(f64, f64)> = figures.into_values().map(|value| (value, bound)).collect();
    Some(widened(record, &[own], figure, Paired::of(&pairs)?, VALUE_BESIDE_OTHER_WORK))
}

/// In proportion to the rounds that were disturbed, in whichever of the cells.
fn widened(record: &Record, cells: &[Cell<'_>], figure: Figure, paired: Paired, by: f64) -> Paired {
    let share = record.disturbed_rounds(cells, figure) as f64 / paired.rounds() as f64;
    paired.widened(by.powf(share.min(1.0)))
}
