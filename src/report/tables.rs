//! The lines of a page's tables that stand beside the main one: capacity, memory, costs by end, calibration.

use super::chart::{NARROW, WIDE};
use super::curve::{Curve, curves};
use super::view::utc;
use crate::calibrate::{self, Calibration};
use crate::record::{CapacityPart, CellPart, Distance, MemoryPart, Merged, Record};
use crate::text;
use clients::phases::Phase;

/// What the searches for capacity under one condition came to.
pub(super) struct CapacityView {
    pub(super) objective: String,
    pub(super) charts: [String; 2],
    pub(super) lines: Vec<(String, String)>,
}

pub(super) fn capacity(record: &Record, condition: &str, order: &[&str]) -> Option<CapacityView> {
    let here =
        |part: &&CapacityPart| record.cells.get(part.cell).is_some_and(|cell| cell.condition == condition);
    let parts: Vec<&CapacityPart> = record.capacities.iter().filter(here).collect();
    let first = &parts.first()?.capacity;
    let curve = |part: &&CapacityPart| {
        let name = record.cells[part.cell].contender.clone();
        let trials = part.capacity.trials.iter().filter(|trial| trial.client_kept_up);
        let mut points: Vec<(f64, f64, bool)> =
            trials.map(|trial| (trial.rate_per_s, trial.held_us, trial.met)).collect();
        points.sort_by(|left, right| left.0.total_cmp(&right.0));
        let nth = order.iter().position(|other| *other == name).unwrap_or(0);
        Curve { name, nth, points, words: part.capacity.in_words() }
    };
    let all: Vec<Curve> = parts.iter().map(curve).collect();
    let draw = |size| curves(&all, first.limit_us(), size, &format!("{} at each rate", first.objective));
    Some(CapacityView {
        objective: first.objective.clone(),
        charts: [draw(WIDE), draw(NARROW)],
        lines: all.iter().map(|curve| (curve.name.clone(), curve.words.clone())).collect(),
    })
}

/// How often a contender's calls crossed the distance: a line of the table.
pub(super) struct DistanceRow {
    pub(super) name: String,
    pub(super) predicted: String,
    /// With half of its interval.
    pub(super) measured: String,
    pub(super) response: String,
    /// Medians of the phases of [`Phase::ALL`], in their order; none of warm calls.
    pub(super) phases: Option<Vec<String>>,
    /// In a word, and its class.
    pub(super) outcome: (&'static str, &'static str),
}

pub(super) fn distance_row(cell: &CellPart) -> Option<DistanceRow> {
    let distance = cell.distance.as_ref()?;
    Some(DistanceRow {
        name: cell.contender.clone(),
        predicted: distance.predicted.map_or_else(|| "–".to_owned(), |trips| trips.to_string()),
        measured: round_trips(distance)?,
        response: text::micros(distance.round_trips? * distance.round_trip_us),
        phases: cell.merged.as_ref().filter(|merged| !merged.phases.is_empty()).map(phase_medians),
        outcome: match distance.as_predicted() {
            Some(true) => ("as predicted", "holds"),
            Some(false) => ("not as predicted", "fails"),
            None => ("not predicted", "open"),
        },
    })
}

fn phase_medians(merged: &Merged) -> Vec<String> {
    let median = |phase: Phase| {
        let part = merged.phases.iter().find(|part| part.phase == phase.name())?;
        part.time_us.shown(0.5).map(text::micros)
    };
    Phase::ALL.into_iter().map(|phase| median(phase).unwrap_or_else(|| "–".to_owned())).collect()
}

/// Round trips with half of their interval.
pub(super) fn round_trips(distance: &Distance) -> Option<String> {
    let trips = distance.round_trips?;
    Some(match distance.uncertainty {
        Some(half) => format!("{trips:.2} ± {half:.2}"),
        None => format!("{trips:.2}"),
    })
}

/// What a contender's connections take in memory: a line of the table.
pub(super) struct MemoryRow {
    pub(super) name: String,
    /// Client and server.
    pub(super) at_rest: [String; 2],
    pub(super) per_connection: [String; 2],
    pub(super) kernel: String,
    /// All three, with half of its interval.
    pub(super) all: String,
}

/// `41.2 ± 0.3 KiB`.
pub(crate) fn memory_in_words(part: &MemoryPart) -> String {
    let half = part.bytes_per_connection_uncertainty.map(|half| format!(" ± {:.1}", half / 1024.0));
    format!("{:.1}{} KiB", part.bytes_per_connection / 1024.0, half.unwrap_or_default())
}

pub(super) fn memory_row(part: &MemoryPart) -> MemoryRow {
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

/// What a call cost, by end: a contender's line of the table of costs.
pub(super) struct CostRow {
    pub(super) name: String,
    /// Client and server.
    pub(super) cpu: [String; 2],
    pub(super) busy: [String; 2],
    pub(super) switches: [String; 2],
    /// Of a build that counts them.
    pub(super) allocations: Option<[String; 2]>,
    /// To the server and to the client; both together where they were not told apart.
    pub(super) bytes: [String; 2],
    pub(super) packets: String,
    pub(super) retransmitted: String,
}

pub(super) fn cost_row(cell: &CellPart, merged: &Merged) -> CostRow {
    let ends = [&merged.client, &merged.server];
    let wire = &merged.wire;
    let bytes = match (wire.to_server_bytes_per_call, wire.to_client_bytes_per_call) {
        (Some(to_server), Some(to_client)) => [format!("{to_server:.0} B →"), format!("{to_client:.0} B ←")],
        _ => [format!("{:.0} B ⇄", wire.bytes_per_call), String::new()],
    };
    CostRow {
        name: cell.contender.clone(),
        cpu: ends.map(|end| text::micros(end.cpu_us_per_call)),
        busy: ends.map(|end| text::micros(end.core_busy_us_per_call)),
        switches: ends.map(|end| text::three_digits(end.context_switches_per_call)),
        allocations: merged
            .client
            .allocations_per_call
            .zip(merged.server.allocations_per_call)
            .map(|(client, server)| [client, server].map(text::three_digits)),
        bytes,
        packets: text::three_digits(wire.packets_per_call),
        retransmitted: match wire.retransmitted_segments_per_call {
            0.0 => "0".to_owned(),
            share => format!("{share:.1e}"),
        },
    }
}

/// A line of the table of what is known.
pub(super) struct CalibrationRow {
    pub(super) protocol: String,
    pub(super) what: String,
    pub(super) truth: String,
    pub(super) measured: String,
    pub(super) tolerance: String,
    pub(super) n: String,
    pub(super) word: &'static str,
}

pub(super) fn calibration(calibration: &Calibration) -> (String, Vec<CalibrationRow>) {
    let row = |row: &calibrate::Row| {
        let shown = |value| row.unit.show(value);
        CalibrationRow {
            protocol: row.protocol.clone(),
            what: row.what.clone(),
            truth: shown(row.truth),
            measured: shown(row.measured),
            tolerance: shown(row.tolerance),
            n: text::count(row.n),
            word: match row.outcome {
                calibrate::Outcome::Within => "within",
                calibrate::Outcome::Off => "off",
                calibrate::Outcome::TooNoisy(_) => "too noisy",
            },
        }
    };
    (utc(calibration.made_at_us), calibration.rows.iter().map(row).collect())
}
