//! What was found along an axis: the two curves of a break-even point, and the map as a table.

use judge::statistics::mean_with_interval;
use record::{BreakEvenPart, MapCell, MapPart, Record, SweepPoint};
use terms::{Coordinate, text};

use super::chart::{NARROW, WIDE};
use super::look::Looks;
use super::plot::{Axes, Dot, Series, plot};

/// A break-even point.
pub(super) struct BreakEvenView {
    pub(super) title: String,
    pub(super) charts: [String; 2],
    /// Whether the chart marks a place that was found.
    pub(super) found: bool,
    /// Cores saved at each point, where that is what was sought.
    pub(super) cores: Vec<String>,
}

/// Every break-even point that has a chart; two of the same chart are one view.
pub(super) fn break_evens(record: &Record, looks: &Looks<'_>) -> Vec<BreakEvenView> {
    let mut views: Vec<BreakEvenView> = Vec::new();
    for view in record.break_evens.iter().map(|part| break_even(record, part, looks)) {
        match views.iter_mut().find(|other| other.charts == view.charts) {
            Some(other) => other.cores.extend(view.cores),
            None if view.charts[0].is_empty() => {}
            None => views.push(view),
        }
    }
    views
}

fn break_even(record: &Record, part: &BreakEvenPart, looks: &Looks<'_>) -> BreakEvenView {
    let sought = &part.break_even;
    let place = |point: &SweepPoint| sought.axis.show(point.at.value);
    let figure = sought.sought.metric();
    let series = [&sought.contender, &sought.against].map(|name| Series {
        name: name.clone(),
        look: looks.get(name),
        points: part.points.iter().filter_map(|point| dot(record, part, name, &point.at)).collect(),
    });
    let title = format!("{}, by {}", figure.in_words(record.counted()), sought.axis.in_words());
    let axes = Axes {
        across: sought.axis.in_words(),
        place: &|place| sought.axis.show(place),
        value: &|value| figure.show(value),
        found: part
            .at
            .or(part.low)
            .or(part.high)
            .map(|_| (part.low.unwrap_or(f64::MIN), part.high.unwrap_or(f64::MAX))),
    };
    let cores = part.points.iter().filter_map(|point| {
        let (mean, half) = point.cores_saved?;
        let sign = if mean < 0.0 { "−" } else { "" };
        Some(format!("at {} {sign}{:.3} ± {half:.3} cores", place(point), mean.abs()))
    });
    BreakEvenView {
        charts: [WIDE, NARROW].map(|size| plot(&series, &axes, size, &title)),
        found: axes.found.is_some(),
        cores: cores.collect(),
        title: text::capitalized(&title),
    }
}

/// A contender's figure at a point of the axis.
fn dot(record: &Record, part: &BreakEvenPart, contender: &str, at: &Coordinate) -> Option<Dot> {
    let sought = &part.break_even;
    let is_there = |cell: &&record::CellPart| {
        let on_axis = cell.axes.iter().any(|of| of.axis == at.axis && of.value == at.value);
        let family = cell.condition.strip_prefix(&sought.condition).is_some_and(|of| of.starts_with(' '));
        cell.contender == contender && on_axis && family
    };
    let cell = record.cells.iter().find(is_there)?;
    let index = record.cell(contender, &cell.condition)?;
    let values: Vec<f64> = record.figures(index, sought.sought.metric()).into_values().collect();
    let (mean, half) = mean_with_interval(&values)?;
    Some(Dot { at: at.value, value: mean, half })
}

/// Who is cheapest where.
pub(super) struct MapView {
    pub(super) sentence: String,
    pub(super) axis: &'static str,
    pub(super) tolerances: Vec<String>,
    /// A row a point of the axis: the point, and who is cheapest, with the figure and those who are
    /// as cheap under it.
    pub(super) rows: Vec<(String, Vec<(String, String)>)>,
    pub(super) words: String,
}

pub(super) fn map(record: &Record, part: &MapPart) -> MapView {
    let figure = part.map.metric;
    let cell = |cell: &MapCell| match (&cell.cheapest, cell.figure) {
        (Some(name), Some(value)) => {
            let others = match cell.as_cheap.is_empty() {
                true => String::new(),
                false => format!("; {} as cheap", cell.as_cheap.join(", ")),
            };
            (name.clone(), format!("{}{others}", figure.show(value)))
        }
        _ => ("–".to_owned(), "nobody is so quick".to_owned()),
    };
    MapView {
        sentence: part.map.sentence.clone(),
        axis: part.map.axis.in_words(),
        tolerances: part.map.tolerances_us.iter().map(|us| format!("up to {}", text::micros(*us))).collect(),
        rows: part
            .rows
            .iter()
            .map(|row| (part.map.axis.show(row.at.value), row.cells.iter().map(cell).collect()))
            .collect(),
        words: format!(
            "The contender with the least {} among those whose slowest event was no older than the head of the column. ‘As cheap’ \
             means that the 95 % interval of the ratio to the cheapest includes 1.",
            figure.in_words(record.counted())
        ),
    }
}
