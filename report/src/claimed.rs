//! Charts of the figures that claims judge under a condition, where no other chart shows them.

use judge::statistics::mean_with_interval;
use record::Record;
use scenarios::Scenario;
use terms::{Claim, Figure, Test, text};

use super::chart::{NARROW, WIDE};
use super::figure_bars::{FigureBar, figure_bars};
use super::look::Looks;

/// A chart a figure that is judged here: a title, and the chart for each width.
pub(super) fn charts(record: &Record, condition: &str, looks: &Looks<'_>) -> Vec<(String, [String; 2])> {
    let here =
        |claim: &&Claim| claim.cells().any(|(_, of)| of == condition) && record.left_out(claim).is_none();
    let claims: Vec<&Claim> = record.verdicts.iter().map(|verdict| &verdict.claim).filter(here).collect();
    let mut figures: Vec<Figure> = Vec::new();
    for figure in claims.iter().map(|claim| claim.figure()) {
        // What a call costs has a chart of its own.
        if figure != Figure::CpuPerCall && !figures.contains(&figure) {
            figures.push(figure);
        }
    }
    let chart = |figure: Figure| {
        let bounds = claims.iter().filter_map(|claim| match &claim.test {
            Test::Absolute { holds } if holds.figure == figure => Some(holds.limit()),
            _ => None,
        });
        let title = text::capitalized(&figure.in_words(record.counted()));
        let (bars, bound) = (bars(record, condition, figure, looks), bounds.min_by(f64::total_cmp));
        let show =
            |value: f64| if value.is_finite() { figure.show(value) } else { beyond(figure).to_owned() };
        let draw = |size| figure_bars(&bars, bound.map(|at| (at, "claimed")), &show, size, &title);
        (title.clone(), [draw(WIDE), draw(NARROW)])
    };
    figures.into_iter().map(chart).filter(|(_, charts)| !charts[0].is_empty()).collect()
}

/// The mean of a figure over the rounds, contender by contender, the baseline's twin left out.
fn bars(record: &Record, condition: &str, figure: Figure, looks: &Looks<'_>) -> Vec<FigureBar> {
    let twin = Scenario::again(&record.plan.baseline);
    let cells = record.cells.iter().enumerate();
    let cells = cells.filter(|(_, cell)| cell.condition == condition && cell.contender != twin);
    let bar = |(index, cell): (usize, &record::CellPart)| {
        let counted: Vec<f64> = record.figures(index, figure).into_values().collect();
        let all = || -> Vec<f64> {
            let rounds = record.rounds.iter().filter(|round| round.cell == index);
            rounds.filter_map(|round| round.figure(figure)).collect()
        };
        let void = counted.is_empty();
        let values = if void { all() } else { counted };
        let mean = (!values.is_empty()).then(|| judge::mean(&values))?;
        Some(FigureBar {
            name: cell.contender.clone(),
            look: looks.get(&cell.contender).faint_if(void),
            value: mean,
            interval: mean_with_interval(&values).map(|(mean, half)| (mean - half, mean + half)),
        })
    };
    cells.filter_map(bar).collect()
}
/// A value beyond every bound, in a word: of a time a failure, or an end that did not come.
fn beyond(figure: Figure) -> &'static str {
    match figure {
        Figure::TimeToMove | Figure::TimeToRecover | Figure::LastCall => "never",
        _ => "failed",
    }
}
