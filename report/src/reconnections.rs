//! How subscribers came through what stood between them and their server: lines of a page's table,
//! and of a terminal.

use record::{CellPart, Merged, Record};
use terms::{Counted, text};

/// What became of a contender's events and connections: a line of the table.
pub(super) struct ReconnectionRow {
    pub(super) name: String,
    pub(super) lost: String,
    pub(super) late: String,
    pub(super) repeated: String,
    pub(super) reconnections: String,
    pub(super) longest_gap: String,
    pub(super) longest_silence: String,
}

/// Of cells where subscribers met a relay, or reconnected without one.
pub(super) fn reconnection_row(cell: &CellPart, merged: &Merged, noun: Counted) -> Option<ReconnectionRow> {
    let counts = &merged.counts;
    if noun != Counted::Event || (cell.between.is_none() && counts.reconnections == 0) {
        return None;
    }
    let failed = |kind: terms::Failure| counts.failed.get(kind.name()).copied().unwrap_or_default();
    let share = |count: u64| match count {
        0 => "0".to_owned(),
        _ => {
            format!("{} ({:.1} %)", text::count(count), count as f64 / counts.arrivals.max(1) as f64 * 100.0)
        }
    };
    Some(ReconnectionRow {
        name: cell.contender.clone(),
        lost: share(failed(terms::Failure::Missed)),
        late: share(failed(terms::Failure::TimedOut)),
        repeated: share(counts.duplicates),
        reconnections: text::count(counts.reconnections),
        longest_gap: text::count(counts.longest_gap),
        longest_silence: text::micros(counts.longest_silence_us),
    })
}

/// The same for a terminal.
pub(super) fn reconnection_lines(record: &Record) -> Vec<String> {
    let line = |cell: &CellPart| {
        let row = reconnection_row(cell, cell.merged.as_ref()?, record.counted())?;
        let between = cell.between.as_ref().map_or_else(String::new, |words| format!(" ({words})"));
        Some(format!(
            "reconnections {}{between}: {}: {}, lost {}, late {}, repeated {}, longest gap {} events, longest silence {}",
            cell.condition,
            row.name,
            row.reconnections,
            row.lost,
            row.late,
            row.repeated,
            row.longest_gap,
            row.longest_silence
        ))
    };
    record.cells.iter().filter_map(line).collect()
}
