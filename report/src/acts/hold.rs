//! Memory of idle connections: a table, and the same in words.

use record::{MemoryPart, MemoryPoint, Record};
use scenarios::Scenario;
use terms::{Hold, text};

use crate::chart::{NARROW, Size, WIDE};
use crate::look::Looks;
use crate::plot::{Axes, Dot, Series, plot};

/// The table.
pub(crate) struct HoldView {
    pub(crate) rows: Vec<MemoryRow>,
    /// From how many to how many connections were held.
    pub(crate) held: String,
    /// Memory against connections, for each width.
    pub(crate) charts: [String; 2],
}

pub(super) fn view(parts: &[MemoryPart], looks: &Looks<'_>) -> HoldView {
    let points = parts.iter().flat_map(|part| &part.points).map(|point| point.connections as u64);
    let (fewest, most) = (points.clone().min().unwrap_or(0), points.max().unwrap_or(0));
    HoldView {
        rows: parts.iter().map(memory_row).collect(),
        held: format!("{} to {}", text::count(fewest), text::count(most)),
        charts: [WIDE, NARROW].map(|size| memory(parts, looks, size)),
    }
}

/// Memory of both ends and the kernel beyond what the line through it has at no connection, against
/// connections held.
fn memory(parts: &[MemoryPart], looks: &Looks<'_>, size: Size) -> String {
    let series = |part: &MemoryPart| {
        let all = |point: &MemoryPoint| {
            point.client_bytes as f64 + point.server_bytes as f64 + point.kernel_bytes as f64
        };
        let beyond = |point: &MemoryPoint| all(point) - part.bytes_per_connection * point.connections as f64;
        let n = part.points.len().max(1) as f64;
        let at_none = part.points.iter().map(beyond).sum::<f64>() / n;
        let dot = |point: &MemoryPoint| Dot {
            at: point.connections as f64,
            value: (all(point) - at_none).max(0.0) / f64::from(1 << 20),
            half: 0.0,
        };
        let points = part.points.iter().map(dot).collect();
        Series { name: part.contender.clone(), look: looks.get(&part.contender), points }
    };
    let series: Vec<Series> = parts.iter().map(series).collect();
    let axes = Axes {
        across: "idle connections",
        place: &|place| text::plain_number(place),
        value: &|mebibytes| format!("{mebibytes:.0} MiB"),
        found: None,
    };
    plot(&series, &axes, size, "Memory of idle connections")
}

/// Memory per idle connection, contender by contender, the cheapest first, in a sentence.
pub(super) fn number(record: &Record, hold: &Hold, parts: &[MemoryPart]) -> String {
    let twin = Scenario::again(&record.plan.baseline);
    let mut parts: Vec<&MemoryPart> = parts.iter().filter(|part| part.contender != twin).collect();
    parts.sort_by(|left, right| left.bytes_per_connection.total_cmp(&right.bytes_per_connection));
    let prices =
        parts.iter().map(|part| format!("{} over {}", memory_in_words(part), record.label(&part.contender)));
    format!(
        "An idle connection costs {} (memory of both ends and the kernel; the slope over {} numbers of connections up to {})",
        prices.collect::<Vec<_>>().join(", "),
        hold.connections.len(),
        text::count(hold.connections.last().copied().unwrap_or(0) as u64)
    )
}

/// What a contender's connections take in memory: a line of the table.
pub(crate) struct MemoryRow {
    pub(crate) name: String,
    /// Client and server.
    pub(crate) at_rest: [String; 2],
    pub(crate) per_connection: [String; 2],
    pub(crate) kernel: String,
    /// All three, with half of its interval.
    pub(crate) all: String,
}

/// `41.2 ± 0.3 KiB`.
fn memory_in_words(part: &MemoryPart) -> String {
    let half = part.bytes_per_connection_uncertainty.map(|half| format!(" ± {:.1}", half / 1024.0));
    format!("{:.1}{} KiB", part.bytes_per_connection / 1024.0, half.unwrap_or_default())
}

fn memory_row(part: &MemoryPart) -> MemoryRow {
    let mebibytes = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
    let kibibytes = |bytes: f64| format!("{:.1} KiB", bytes / 1024.0);
    MemoryRow {
        name: part.contender.clone(),
        at_rest: [part.client_at_rest_bytes, part.server_at_rest_bytes].map(mebibytes),
        per_connection: [part.client_bytes_per_connection, part.server_bytes_per_connection].map(kibibytes),
        kernel: kibibytes(part.kernel_bytes_per_connection),
        all: memory_in_words(part),
    }
}
