//! The highest rates: a chart a condition, and a line a cell.

use record::{ActPart, CapacityPart, Record};

use crate::chart::{NARROW, WIDE};
use crate::curve::{Curve, curves};
use crate::look::Looks;

/// A line a cell.
pub(super) fn lines(record: &Record, parts: &[CapacityPart]) -> Vec<String> {
    let line = |part: &CapacityPart| {
        let cell = &record.cells[part.cell];
        format!("capacity {:<20}{}: {}", cell.contender, cell.condition, part.capacity.in_words())
    };
    parts.iter().map(line).collect()
}

/// What the searches for capacity under one condition came to.
pub(crate) struct CapacityView {
    pub(crate) objective: String,
    pub(crate) charts: [String; 2],
    pub(crate) lines: Vec<(String, String)>,
}

pub(crate) fn capacity(record: &Record, condition: &str, looks: &Looks<'_>) -> Option<CapacityView> {
    let here =
        |part: &&CapacityPart| record.cells.get(part.cell).is_some_and(|cell| cell.condition == condition);
    let searched = record.acts.iter().flat_map(|act| match act {
        ActPart::Capacity { capacities } => &capacities[..],
        ActPart::Hold { .. } | ActPart::Restart { .. } | ActPart::ScaleOut { .. } => &[],
    });
    let parts: Vec<&CapacityPart> = searched.filter(here).collect();
    let first = &parts.first()?.capacity;
    let curve = |part: &&CapacityPart| {
        let name = record.cells[part.cell].contender.clone();
        let trials = part.capacity.trials.iter().filter(|trial| trial.client_kept_up);
        let mut points: Vec<(f64, f64, bool)> =
            trials.map(|trial| (trial.rate_per_s, trial.held_us, trial.met)).collect();
        points.sort_by(|left, right| left.0.total_cmp(&right.0));
        Curve { look: looks.get(&name), name, points, words: part.capacity.in_words() }
    };
    let all: Vec<Curve> = parts.iter().map(curve).collect();
    let draw = |size| curves(&all, first.limit_us(), size, &format!("{} at each rate", first.objective));
    Some(CapacityView {
        objective: first.objective.clone(),
        charts: [draw(WIDE), draw(NARROW)],
        lines: all.iter().map(|curve| (curve.name.clone(), curve.words.clone())).collect(),
    })
}
