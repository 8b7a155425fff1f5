//! Which contender is cheapest where.

use record::{MapCell, MapPart, MapRow, Record};
use scenarios::Scenario;
use terms::{FAILED_SHARE_MAX, Map};

use crate::paired::against;
use crate::statistics::mean;
use crate::sweep::along;

/// Draws the map.
pub(super) fn map_part(record: &Record, scenario: &Scenario, map: &Map) -> MapPart {
    let twin = Scenario::again(&scenario.baseline);
    let along = along(scenario, &map.condition, map.axis);
    let measured = along.into_iter().filter(|(condition, _)| {
        record.cells.iter().any(|cell| cell.condition == condition.name && cell.merged.is_some())
    });
    let rows = measured.map(|(condition, at)| {
        let mut contenders: Vec<(&str, f64, f64)> = Vec::new();
        for (index, cell) in record.cells.iter().enumerate() {
            let Some(merged) = cell.merged.as_ref().filter(|_| cell.condition == condition.name) else {
                continue;
            };
            let figures: Vec<f64> = record.figures(index, map.metric).into_values().collect();
            if cell.contender != twin
                && !figures.is_empty()
                && merged.counts.failed_share() <= FAILED_SHARE_MAX
            {
                contenders.push((&cell.contender, mean(&figures), merged.response_us.max));
            }
        }
        contenders.sort_by(|left, right| left.1.total_cmp(&right.1));
        let cell = |tolerance: &f64| {
            let quick: Vec<_> = contenders.iter().filter(|(_, _, latest)| latest <= tolerance).collect();
            let Some((cheapest, figure, _)) = quick.first() else {
                return MapCell { cheapest: None, figure: None, as_cheap: Vec::new() };
            };
            let is_as_cheap = |name: &str| {
                let at = condition.name.as_str();
                against(record, (name, at), (cheapest, at), map.metric)
                    .is_none_or(|paired| paired.ratio().low <= 1.0)
            };
            let others = quick[1..].iter().filter(|(name, _, _)| is_as_cheap(name));
            MapCell {
                cheapest: Some((*cheapest).to_owned()),
                figure: Some(*figure),
                as_cheap: others.map(|(name, _, _)| (*name).to_owned()).collect(),
            }
        };
        MapRow { at: at.clone(), cells: map.tolerances_us.iter().map(cell).collect() }
    });
    MapPart { rows: rows.collect(), map: map.clone() }
}
