//! What is found along an axis: from where on one contender is better than another, and who is cheapest where.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Record;
use super::verdict::{FAILED_SHARE_MAX, withheld};
use crate::scenario::{Axis, BreakEven, Condition, Coordinate, Map, Scenario, Sought};
use crate::statistics::{
    Pair, Place, ROUNDS_FOR_A_VERDICT, Ratio, crossing, falls, mean, mean_with_interval, means, paired_ratio,
    place,
};
use crate::text;

/// A point that was looked for, and what was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BreakEvenPart {
    /// What was looked for.
    #[serde(flatten)]
    pub break_even: BreakEven,
    /// What was measured along the axis, in its order.
    pub points: Vec<SweepPoint>,
    /// Where it is, in the axis's unit; absent where it lies beyond what was measured, or nothing can be said.
    pub at: Option<f64>,
    /// The lower end of its 95 % interval (percentile bootstrap over the rounds); absent where that lies beyond what was measured.
    pub low: Option<f64>,
    /// The upper end, likewise.
    pub high: Option<f64>,
    /// Whether it is decided on which side of it what holds.
    pub word: Found,
    /// In a sentence with the numbers.
    pub because: String,
}

impl BreakEvenPart {
    /// Whether both contenders were measured at two points of the axis: some runs leave them out.
    pub fn is_measured(&self) -> bool {
        self.points.len() > 1
    }

    /// What it came to, as people write it.
    pub fn in_words(&self) -> &'static str {
        if self.is_measured() { self.word.in_words() } else { "not measured" }
    }

    /// The class that gives it its colour on a page.
    pub(crate) fn class(&self) -> &'static str {
        match self.word {
            _ if !self.is_measured() => "absent",
            Found::Undecided => "open",
            Found::Point | Found::Throughout | Found::Nowhere => "found",
        }
    }
}

/// What a search along an axis comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// There is such a point.
    Point,
    /// One side holds all along the axis.
    Throughout,
    /// The other side does.
    Nowhere,
    /// The rounds do not say.
    Undecided,
}

impl Found {
    /// As people write it.
    pub fn in_words(self) -> &'static str {
        match self {
            Found::Point => "breaks even",
            Found::Throughout => "throughout",
            Found::Nowhere => "nowhere",
            Found::Undecided => "undecided",
        }
    }
}

/// One point of the axis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SweepPoint {
    /// Where it is.
    pub at: Coordinate,
    /// The ratio of the two figures, with its interval; absent where there were no two rounds to pair.
    pub ratio: Option<Ratio>,
    /// Cores that the contender uses less, mean of the rounds with half of its 95 % interval; where that is what is sought.
    pub cores_saved: Option<(f64, f64)>,
}

/// Who is cheapest where.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MapPart {
    /// What was asked.
    #[serde(flatten)]
    pub map: Map,
    /// A row a point of the axis.
    pub rows: Vec<MapRow>,
}

/// One point of the axis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MapRow {
    /// Where it is.
    pub at: Coordinate,
    /// A cell a tolerance.
    pub cells: Vec<MapCell>,
}

/// The cheapest contender of those that bring nothing later than a tolerance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MapCell {
    /// Who; absent where none is so quick.
    pub cheapest: Option<String>,
    /// Its figure, mean of the rounds.
    pub figure: Option<f64>,
    /// Those that are as cheap as it, as far as the rounds tell: whose 95 % interval of the ratio to it reaches down to 1.
    pub as_cheap: Vec<String>,
}

impl MapCell {
    /// Who is cheapest, and who is as cheap: `sse (as cheap: websocket)`.
    pub fn in_words(&self) -> String {
        match (&self.cheapest, self.as_cheap.is_empty()) {
            (None, _) => "nobody".to_owned(),
            (Some(name), true) => name.clone(),
            (Some(name), false) => format!("{name} (as cheap: {})", self.as_cheap.join(", ")),
        }
    }
}

/// Looks for a point.
pub(super) fn break_even(record: &Record, scenario: &Scenario, sought: &BreakEven) -> BreakEvenPart {
    let metric = sought.sought.metric();
    let names = [&sought.contender[..], &sought.against[..]];
    let along = along(scenario, &sought.condition, sought.axis);
    let mut points = Vec::new();
    let mut rounds: Vec<(f64, Vec<Pair>)> = Vec::new();
    let mut measured: Vec<&str> = Vec::new();
    for (condition, at) in along {
        if names.iter().any(|name| record.cell(name, &condition.name).is_none()) {
            continue;
        }
        let pairs = record.paired_figures(&sought.contender, &sought.against, &condition.name, metric);
        let cores: Vec<f64> = pairs.iter().map(|pair| cores_saved(*pair, at.value)).collect();
        points.push(SweepPoint {
            at: at.clone(),
            ratio: paired_ratio(&pairs),
            cores_saved: mean_with_interval(&cores)
                .filter(|_| matches!(sought.sought, Sought::CoresSaved(_))),
        });
        rounds.push((at.value, pairs));
        measured.push(&condition.name);
    }
    let n = rounds.iter().map(|(_, pairs)| pairs.len()).min().unwrap_or(0);
    let found = search(sought, &rounds);
    let withheld = measured.iter().find_map(|condition| withheld(record, &names, condition));
    let why_not = if withheld.is_some() {
        withheld
    } else if points.len() < 2 {
        Some("fewer than two points of the axis were measured in this run".to_owned())
    } else if n < ROUNDS_FOR_A_VERDICT {
        Some(format!("a point of the axis has {n} rounds, and needs {ROUNDS_FOR_A_VERDICT}"))
    } else {
        None
    };
    let (word, because) = match (why_not, found) {
        (Some(because), _) => (Found::Undecided, because),
        (None, None) => (Found::Undecided, "a point has no figures to compare".to_owned()),
        (None, Some((place, falls))) => {
            let sides: Vec<Option<bool>> =
                points.iter().map(|point| side(sought, point.ratio.as_ref()?)).collect();
            let found = Along { place, falls, sides, n };
            in_words(sought, &rounds, &found, record.noun())
        }
    };
    let finite = |value: f64| value.is_finite().then_some(value);
    let [at, low, high] = match found {
        Some((Place { at, low, high }, _)) if word != Found::Undecided => [at, low, high].map(finite),
        _ => [None; 3],
    };
    BreakEvenPart { break_even: sought.clone(), points, at, low, high, word, because }
}

/// The points of a condition's axis, from its beginning on.
fn along<'a>(scenario: &'a Scenario, family: &str, axis: Axis) -> Vec<(&'a Condition, &'a Coordinate)> {
    let on = |condition: &'a Condition| Some((condition, condition.on(family, axis)?));
    let mut along: Vec<_> = scenario.conditions.iter().filter_map(on).collect();
    along.sort_by(|(_, left), (_, right)| left.value.total_cmp(&right.value));
    along
}

/// On which side of what is sought a point's whole interval lies: above it, or below; `None` where it straddles.
fn side(sought: &BreakEven, ratio: &Ratio) -> Option<bool> {
    let Sought::Crossing { ratio: limit, .. } = sought.sought else { return None };
    match (ratio.low > limit, ratio.high < limit) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

/// What a search along an axis showed.
struct Along {
    place: Place,
    /// Whether the contender's figure becomes the smaller one along the axis.
    falls: bool,
    /// On which side each point lies with its whole interval.
    sides: Vec<Option<bool>>,
    /// Rounds of the point with the fewest.
    n: usize,
}

/// Figures per call of the contender and of the other, at a rate.
fn cores_saved((contender, against): (f64, f64), rate_per_s: f64) -> f64 {
    (against - contender) * rate_per_s / 1e6
}

/// Where it is, and whether the contender is below from there on.
fn search(sought: &BreakEven, rounds: &[(f64, Vec<Pair>)]) -> Option<(Place, bool)> {
    if rounds.len() < 2 {
        return None;
    }
    match sought.sought {
        Sought::Crossing { ratio, .. } => {
            // Ratios are even on a logarithmic axis, unless it begins at nothing.
            let logarithmic = rounds[0].0 > 0.0;
            let there = |value: f64| if logarithmic { value.ln() } else { value };
            let back = |value: f64| if logarithmic { value.exp() } else { value };
            let axis: Vec<f64> = rounds.iter().map(|(at, _)| there(*at)).collect();
            let logs = |means: &[Pair]| -> Vec<f64> {
                // Of a resample that costs nothing, a logarithm that is still a number.
                means.iter().map(|(left, right)| (left.max(1e-9) / right.max(1e-9) / ratio).ln()).collect()
            };
            let points: Vec<Vec<Pair>> = rounds.iter().map(|(_, pairs)| pairs.clone()).collect();
            if points.iter().any(Vec::is_empty) {
                return None;
            }
            let middle = logs(&points.iter().map(|of| means(of.iter().copied())).collect::<Vec<_>>());
            if middle.iter().any(|log| !log.is_finite()) {
                return None;
            }
            let falls = match (middle.first(), middle.last()) {
                (Some(first), Some(last)) if (*first > 0.0) != (*last > 0.0) => *first > 0.0,
                _ => falls(&axis, &middle),
            };
            let found = place(&points, |means| crossing(&axis, &logs(means), falls))?;
            // Of no number, the exponential of an infinite one would be.
            let beyond = |value: f64| if value.is_finite() { back(value) } else { value };
            Some((Place { at: beyond(found.at), low: beyond(found.low), high: beyond(found.high) }, falls))
        }
        Sought::CoresSaved(cores) => {
            // Per call at the highest rate: beyond it, what is saved is in proportion to the rate.
            let highest = &rounds.last()?.1;
            let at = |means: &[Pair]| {
                let saved = cores_saved(means[0], 1.0);
                if saved > 0.0 { cores / saved } else { f64::INFINITY }
            };
            Some((place(std::slice::from_ref(highest), at)?, true))
        }
    }
}

impl Along {
    /// Whether the first and the last point lie on either side.
    fn crosses(&self) -> bool {
        matches!(self.sides[..], [Some(first), .., Some(last)] if first != last)
    }

    /// Whether all points lie on one side: above what is sought, or below.
    fn all_lie(&self, above: bool) -> bool {
        self.sides.iter().all(|side| *side == Some(above))
    }
}

fn in_words(sought: &BreakEven, rounds: &[(f64, Vec<Pair>)], found: &Along, noun: &str) -> (Found, String) {
    let Along { place: Place { at, low, high }, falls, n, .. } = *found;
    let BreakEven { axis, contender, against, .. } = sought;
    let show = |value: f64| axis.show(value);
    let (from, to) = (rounds[0].0, rounds[rounds.len() - 1].0);
    if let Sought::CoresSaved(cores) = sought.sought {
        let what = format!("{contender} uses {} core less than {against}", text::plain_number(cores));
        let rate = |value: f64| format!("{}/s", text::rounded(value));
        let extrapolated = format!(
            "in proportion to what a {noun} takes at {}, the highest rate measured; n = {n} rounds",
            show(to)
        );
        return match (low.is_finite(), high.is_finite()) {
            (true, true) => (
                Found::Point,
                format!(
                    "{what} at {} (95 % interval {} to {}), {extrapolated}",
                    rate(at),
                    rate(low),
                    rate(high)
                ),
            ),
            (false, _) => (
                Found::Nowhere,
                format!(
                    "at no rate: a {noun} over {contender} takes more processor time than over {against} ({extrapolated})"
                ),
            ),
            (true, false) => (
                Found::Undecided,
                format!("not before {} (95 %), and perhaps never: {extrapolated}", rate(low)),
            ),
        };
    }
    let Sought::Crossing { metric, ratio } = sought.sought else { return (Found::Undecided, String::new()) };
    let limit = if (ratio - 1.0).abs() < 1e-9 { String::new() } else { format!("{ratio:.2} × ") };
    let below = format!("{} of {contender} is below {limit}that of {against}", metric.in_words(noun));
    let range = format!("{} to {}", show(from), show(to));
    let end = |value: f64, beyond: &str| {
        if value.is_finite() { show_place(*axis, value) } else { beyond.to_owned() }
    };
    let interval = format!(
        "95 % interval {} to {}, n = {n} rounds a point, {} points",
        end(low, &format!("below {}", show(from))),
        end(high, &format!("above {}", show(to))),
        rounds.len()
    );
    match (at.is_finite(), low == high) {
        (true, _) if found.crosses() && low.is_finite() && high.is_finite() => {
            let side = if falls { "from" } else { "up to" };
            let on = if falls { " on" } else { "" };
            (Found::Point, format!("{below} {side} {}{on} ({interval})", show_place(*axis, at)))
        }
        // It crosses in no resample, and no point alone says otherwise.
        (false, true) if found.all_lie(false) => {
            (Found::Throughout, format!("{below} all along, from {range} (n = {n} rounds a point)"))
        }
        (false, true) if found.all_lie(true) => {
            (Found::Nowhere, format!("{below} nowhere from {range} (n = {n} rounds a point)"))
        }
        _ => (
            Found::Undecided,
            format!("it is not decided where {below}, if anywhere from {range}: {interval}"),
        ),
    }
}

/// A place that was interpolated is worth no more digits than this.
fn show_place(axis: Axis, value: f64) -> String {
    match axis {
        Axis::HandlerWait | Axis::HandlerCpu => text::micros(value),
        Axis::RatePerS => format!("{}/s", text::rounded(value)),
        _ => text::rounded(value),
    }
}

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
            let figures: Vec<f64> = record.figures(index, map.metric.figure()).into_values().collect();
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
                let pairs = record.paired_figures(name, cheapest, &condition.name, map.metric);
                paired_ratio(&pairs).is_none_or(|ratio| ratio.low <= 1.0)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Metric;

    fn sought(sought: Sought) -> BreakEven {
        BreakEven {
            card: "A4".to_owned(),
            sentence: "From where on?".to_owned(),
            condition: "rates".to_owned(),
            axis: Axis::RatePerS,
            contender: "new".to_owned(),
            against: "old".to_owned(),
            sought,
        }
    }

    /// Ten rounds a point whose ratios lie around these.
    fn rounds(ratios: &[f64]) -> Vec<(f64, Vec<Pair>)> {
        let round = |ratio: f64, nth: usize| (ratio * (100.0 + nth as f64 % 3.0), 101.0 - nth as f64 % 2.0);
        let point = |(nth, ratio): (usize, &f64)| {
            (10.0_f64.powf(nth as f64 + 1.0), (0..10).map(|nth| round(*ratio, nth)).collect())
        };
        ratios.iter().enumerate().map(point).collect()
    }

    fn found(of: Sought, ratios: &[f64]) -> (Found, String) {
        found_in(of, &rounds(ratios))
    }

    fn found_in(of: Sought, rounds: &[(f64, Vec<Pair>)]) -> (Found, String) {
        let of = sought(of);
        let (place, falls) = search(&of, rounds).unwrap();
        let sides = rounds.iter().map(|(_, pairs)| side(&of, &paired_ratio(pairs).unwrap())).collect();
        in_words(&of, rounds, &Along { place, falls, sides, n: 10 }, "call")
    }

    #[test]
    fn the_side_on_which_it_is_better_is_told() {
        let even = Sought::Crossing { metric: Metric::CpuPerCall, ratio: 1.0 };
        let (word, because) = found(even, &[2.0, 1.5, 0.5]);
        assert_eq!(word, Found::Point);
        assert!(
            because.starts_with("CPU per call of new is below that of old from ")
                && because.contains("/s on ("),
            "{because}"
        );
        let (word, because) = found(even, &[0.5, 2.0, 2.0]);
        assert_eq!(word, Found::Point);
        assert!(because.contains("is below that of old up to "), "{because}");
        assert_eq!(found(even, &[0.5, 0.6, 0.7]).0, Found::Throughout);
        assert_eq!(found(even, &[1.5, 1.6, 1.7]).0, Found::Nowhere);
        // Below at both ends, above between: from nowhere on.
        assert_eq!(found(even, &[0.5, 2.0, 0.5]).0, Found::Undecided);
        assert_eq!(found(even, &[1.0, 1.001, 0.999]).0, Found::Undecided);
        // Below nowhere in any resample, but the interval of one point alone reaches there.
        let mut touches = rounds(&[3.0, 3.0, 3.0]);
        touches[1].1[0].0 = 1.0;
        assert_eq!(side(&sought(even), &paired_ratio(&touches[1].1).unwrap()), None);
        let (word, because) = found_in(even, &touches);
        assert_eq!(word, Found::Undecided, "{because}");
    }

    #[test]
    fn a_core_is_saved_at_the_rate_that_proportion_says() {
        // 20 µs less a call of 100: 50 000 calls a second are a core.
        let (word, because) = found(Sought::CoresSaved(1.0), &[0.9, 0.8]);
        assert_eq!(word, Found::Point);
        assert!(
            because.starts_with("new uses 1 core less than old at 5") && because.contains("\u{202f}000/s"),
            "{because}"
        );
        let (word, because) = found(Sought::CoresSaved(1.0), &[1.1, 1.2]);
        assert_eq!(word, Found::Nowhere);
        assert!(because.starts_with("at no rate"), "{because}");
    }
}
