//! How subscribers came back to a server that was restarted: a table, and the same in words.

use record::{MeanPart, Record, RestartPart};
use terms::text;

use crate::chart::{NARROW, WIDE};
use crate::figure_bars::{FigureBar, figure_bars};
use crate::look::Looks;

/// How long all took to come back, contender by contender, in sentences.
pub(super) fn number(record: &Record, parts: &[RestartPart]) -> String {
    let of_a_number = |parts: &[RestartPart]| {
        let (connections, times) = (parts[0].connections as u64, parts[0].storm_ms.n);
        let lengths = parts
            .iter()
            .map(|part| format!("{} over {}", seconds(&part.storm_ms), record.label(&part.contender)));
        format!(
            "All {} subscribers are back after {} ({times} restarts each)",
            text::count(connections),
            lengths.collect::<Vec<_>>().join(", ")
        )
    };
    let numbers = parts.chunk_by(|one, other| one.connections == other.connections);
    numbers.map(of_a_number).collect::<Vec<_>>().join(". ")
}

/// A contender's line.
pub(crate) struct RestartRow {
    pub(crate) name: String,
    pub(crate) down: String,
    pub(crate) subscribers: String,
    /// Restarts.
    pub(crate) n: usize,
    pub(crate) most: String,
    pub(crate) storm: String,
    pub(crate) attempts: String,
    pub(crate) peak: String,
    /// Client and server.
    pub(crate) cpu: [String; 2],
    pub(crate) dropped: String,
}

pub(super) fn restart_row(part: &RestartPart) -> RestartRow {
    RestartRow {
        name: part.contender.clone(),
        down: seconds(&part.down_ms),
        subscribers: text::count(part.connections as u64),
        n: part.storm_ms.n,
        most: seconds(&part.most_ms),
        storm: seconds(&part.storm_ms),
        attempts: with_half(&part.attempts_per_subscriber, "", 1),
        peak: with_half(&part.attempts_per_s_max, "", 0),
        cpu: [&part.client_cpu_us_per_subscriber, &part.server_cpu_us_per_subscriber]
            .map(|part| with_half(part, "µs", 0)),
        dropped: text::count(part.dropped),
    }
}

/// How long all took, a chart a number of subscribers.
pub(super) fn charts(parts: &[RestartPart], looks: &Looks<'_>) -> Vec<(String, [String; 2])> {
    let bar = |part: &RestartPart| {
        let MeanPart { mean, uncertainty, .. } = part.storm_ms;
        FigureBar {
            name: part.contender.clone(),
            look: looks.get(&part.contender),
            value: mean,
            interval: uncertainty.map(|half| (mean - half, mean + half)),
        }
    };
    let of_a_number = |parts: &[RestartPart]| {
        let title = format!("Until all {} subscribers were back", text::count(parts[0].connections as u64));
        let bars: Vec<FigureBar> = parts.iter().map(bar).collect();
        let show = |ms: f64| format!("{:.2} s", ms / 1e3);
        let charts = [WIDE, NARROW].map(|size| figure_bars(&bars, None, &show, size, &title));
        (title, charts)
    };
    let numbers = parts.chunk_by(|one, other| one.connections == other.connections);
    numbers.map(of_a_number).filter(|(_, charts)| !charts[0].is_empty()).collect()
}

/// Of a mean in ms: `1.42 ± 0.31 s`.
pub(super) fn seconds(part: &MeanPart) -> String {
    let half = part.uncertainty.map(|half| half / 1e3);
    with_half(&MeanPart { mean: part.mean / 1e3, uncertainty: half, n: part.n }, "s", 2)
}

/// `142 ± 31 µs`.
pub(super) fn with_half(part: &MeanPart, unit: &str, digits: usize) -> String {
    let show = |value: f64| match digits {
        0 => text::plain_number(value.round()),
        _ => format!("{value:.digits$}"),
    };
    let half = part.uncertainty.map(|half| format!(" ± {}", show(half))).unwrap_or_default();
    format!("{}{half} {unit}", show(part.mean)).trim_end().to_owned()
}
