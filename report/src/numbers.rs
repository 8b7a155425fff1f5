//! The main table of a condition: a line a contender, figures with their intervals.

use judge::statistics::mean_with_interval;
use record::{CellPart, Merged, Record};
use terms::{Figure, Quantiles, text};

/// A contender's line of the table.
pub(super) struct Row {
    pub(super) marker: String,
    pub(super) name: String,
    /// What sentences call it; empty where that is its name.
    pub(super) label: String,
    pub(super) carriage: String,
    /// Its times are void, and those that stand here are the disturbed ones.
    pub(super) times_void: bool,
    /// Its costs are, likewise.
    pub(super) costs_void: bool,
    pub(super) ok_per_s: String,
    pub(super) failed: String,
    pub(super) cpu: String,
    pub(super) cpu_interval: String,
    pub(super) points: [Point; 3],
    pub(super) lag: Point,
    pub(super) wait: Point,
    pub(super) service: Point,
}

/// A figure, and what stands under it: the interval of the rounds' own, or another figure.
pub(super) struct Point {
    pub(super) value: String,
    pub(super) under: String,
}

pub(super) fn row(record: &Record, index: usize, cell: &CellPart, merged: &Merged, marker: String) -> Row {
    let cpu = interval(record, index, Figure::CpuPerCall);
    let failed = merged.counts.failures();
    let p50_over_p99 = |quantiles: &Quantiles| {
        let at = |share| quantiles.shown(share).map_or_else(|| "–".to_owned(), text::micros);
        Point { value: at(0.5), under: at(0.99) }
    };
    // Where every call failed, each percentile is of one that did, and no call cost anything.
    let nothing = merged.counts.all_failed();
    let shown = |share| merged.response_us.shown(share).map_or_else(|| "–".to_owned(), text::micros);
    let point = |share, metric: Option<Figure>| Point {
        value: if nothing { "failed".to_owned() } else { shown(share) },
        under: metric
            .filter(|_| !nothing)
            .and_then(|metric| interval(record, index, metric))
            .map(|(_, half)| format!("± {}", text::micros(half)))
            .unwrap_or_default(),
    };
    Row {
        marker,
        name: cell.contender.clone(),
        label: cell.label.clone().unwrap_or_default(),
        times_void: merged.times_void(),
        costs_void: merged.costs_void(),
        carriage: cell.carriage.clone(),
        ok_per_s: match merged.counts.ok_per_s {
            many if many >= 100.0 => text::plain_number(many.round()),
            few => text::three_digits(few),
        },
        failed: if failed == 0 { "0".to_owned() } else { text::count(failed) },
        cpu: if nothing {
            "–".to_owned()
        } else {
            text::micros(merged.client.cpu_us_per_call + merged.server.cpu_us_per_call)
        },
        cpu_interval: cpu
            .filter(|_| !nothing)
            .map(|(_, half)| format!("± {}", text::micros(half)))
            .unwrap_or_default(),
        points: [
            point(0.5, Some(Figure::COMPARED[1])),
            point(0.99, Some(Figure::COMPARED[2])),
            point(0.999, None),
        ],
        lag: p50_over_p99(&merged.lag_us),
        wait: p50_over_p99(&merged.wait_us),
        service: p50_over_p99(&merged.service_us),
    }
}

/// How ticks came that were pushed beside calls.
pub(super) struct TicksRow {
    pub(super) name: String,
    pub(super) received: String,
    pub(super) missed: String,
    pub(super) response: [String; 2],
    pub(super) service: [String; 2],
}

pub(super) fn ticks_row(cell: &CellPart, merged: &Merged) -> Option<TicksRow> {
    let ticks = merged.ticks.as_ref()?;
    let at = |quantiles: &Quantiles| {
        [0.5, 0.99].map(|share| quantiles.shown(share).map_or_else(|| "–".to_owned(), text::micros))
    };
    Some(TicksRow {
        name: cell.contender.clone(),
        received: text::count(ticks.counts.ok),
        missed: text::count(ticks.counts.failures()),
        response: at(&ticks.response_us),
        service: at(&ticks.service_us),
    })
}

/// The mean of the rounds with half of its 95 % interval.
pub(super) fn interval(record: &Record, cell: usize, metric: Figure) -> Option<(f64, f64)> {
    mean_with_interval(&record.figures(cell, metric).into_values().collect::<Vec<_>>())
}
