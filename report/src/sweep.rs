//! What was found along an axis: a forest plot a break-even point, and the map as a table.

use record::{BreakEvenPart, MapCell, MapPart, Record, SweepPoint};
use terms::text;

use super::chart::{NARROW, WIDE};
use super::forest::{Row, forest};

/// A break-even point.
pub(super) struct BreakEvenView {
    pub(super) title: String,
    pub(super) charts: [String; 2],
    /// Cores saved at each point, where that is what was sought.
    pub(super) cores: Vec<String>,
}

pub(super) fn break_even(record: &Record, part: &BreakEvenPart) -> BreakEvenView {
    let sought = &part.break_even;
    let place = |point: &SweepPoint| sought.axis.show(point.at.value);
    let rows: Vec<Row> = part
        .points
        .iter()
        .filter_map(|point| {
            let ratio = point.ratio?;
            Some(Row { name: place(point), nth: 0, ratio, rounds: Vec::new(), differs: false })
        })
        .collect();
    let metric = sought.sought.metric().in_words(record.counted());
    let title =
        format!("{metric} of {} against {}, by {}", sought.contender, sought.against, sought.axis.in_words());
    let cores = part.points.iter().filter_map(|point| {
        let (mean, half) = point.cores_saved?;
        Some(format!("{}: {mean:.3} ± {half:.3} cores", place(point)))
    });
    BreakEvenView {
        charts: [WIDE, NARROW].map(|size| forest(&rows, None, size, &title)),
        cores: cores.collect(),
        title,
    }
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
            "Least {}, of those that brought nothing later than the head of the column in the whole run. As cheap is whoever's 95 % \
             interval of the ratio to the cheapest reaches down to 1.",
            figure.in_words(record.counted())
        ),
    }
}
