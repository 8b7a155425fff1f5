//! The lines of a page's tables that stand beside the main one: capacity, memory, costs by end,
//! calibration.

use record::calibration::{self, Calibration};
use record::{CellPart, Distance, Merged};
use terms::{Phase, text};

use super::view::utc;

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
            share if share < 1e-5 => "< 0.00001".to_owned(),
            // Two digits that are worth something.
            share => format!("{share:.*}", (1.0 - share.log10().floor()).max(2.0) as usize),
        },
    }
}

/// A line of the table of what is known.
pub(super) struct CalibrationLine {
    pub(super) protocol: String,
    pub(super) what: String,
    pub(super) truth: String,
    pub(super) measured: String,
    pub(super) tolerance: String,
    pub(super) n: String,
    pub(super) word: &'static str,
}

pub(super) fn calibration(calibration: &Calibration) -> (String, Vec<CalibrationLine>) {
    let row = |row: &calibration::CalibrationRow| {
        let shown = |value| row.unit.show(value);
        CalibrationLine {
            protocol: row.protocol.clone(),
            what: row.what.clone(),
            truth: shown(row.truth),
            measured: shown(row.measured),
            tolerance: shown(row.tolerance),
            n: text::count(row.n),
            word: match row.outcome {
                calibration::Accuracy::Within => "within",
                calibration::Accuracy::Off => "off",
                calibration::Accuracy::TooNoisy(_) => "too noisy",
            },
        }
    };
    (utc(calibration.made_at_us), calibration.rows.iter().map(row).collect())
}
