//! What is found along an axis: from where on one contender is better than another.

use record::{BreakEvenPart, Found, Ratio, Record, SweepPoint};
use scenarios::Scenario;
use terms::{Axis, BreakEven, Condition, Coordinate, Counted, Sought, text};

use crate::finding::{Phrase, subject};
use crate::paired::against;
use crate::statistics::{
    Pair, Place, ROUNDS_FOR_A_VERDICT, crossing, falls, mean_with_interval, means, place,
};
use crate::verdict::withheld;

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
        let [own, other] = names.map(|name| (name, condition.name.as_str()));
        let pairs = record.paired_figures(own, other, metric);
        let cores: Vec<f64> = pairs.iter().map(|pair| cores_saved(*pair, at.value)).collect();
        points.push(SweepPoint {
            at: at.clone(),
            ratio: against(record, own, other, metric).map(|paired| paired.ratio()),
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
            let side = |point: &SweepPoint| {
                (point.at.value, point.ratio.as_ref().and_then(|ratio| side(sought, ratio)))
            };
            let found = Along { place, falls, sides: points.iter().map(side).collect(), n };
            let contender = subject(record, &sought.contender);
            let against = record.label(&sought.against);
            in_words(
                sought,
                &rounds,
                &found,
                &Names {
                    contender: [&contender, record.label(&sought.contender)],
                    against,
                    noun: record.counted(),
                },
            )
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
pub(super) fn along<'a>(
    scenario: &'a Scenario,
    family: &str,
    axis: Axis,
) -> Vec<(&'a Condition, &'a Coordinate)> {
    let on = |condition: &'a Condition| Some((condition, condition.on(family, axis)?));
    let mut along: Vec<_> = scenario.conditions.iter().filter_map(on).collect();
    along.sort_by(|(_, left), (_, right)| left.value.total_cmp(&right.value));
    along
}

/// On which side of what is sought a point's whole interval lies: above it, or below; `None` where
/// it straddles.
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
    /// Where each point is, and on which side it lies with its whole interval.
    sides: Vec<(f64, Option<bool>)>,
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
            // Ratios are even on a logarithmic axis; of one that begins at nothing, the way to the
            // first point is even.
            let first = rounds.iter().map(|(at, _)| *at).find(|at| *at > 0.0)?;
            let there = |value: f64| if value < first { value / first - 1.0 } else { (value / first).ln() };
            let back = |place: f64| first * if place < 0.0 { place + 1.0 } else { place.exp() };
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
            let Place { at, low, high } = place(&points, |means| crossing(&axis, &logs(means), falls))?;
            Some((Place { at: back(at), low: back(low), high: back(high) }, falls))
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
        matches!(self.sides[..], [(_, Some(first)), .., (_, Some(last))] if first != last)
    }

    /// Whether all points lie on one side: above what is sought, or below.
    fn all_lie(&self, above: bool) -> bool {
        self.sides.iter().all(|(_, side)| *side == Some(above))
    }

    /// The end of the interval from which on the contender is below at every point that was
    /// measured, where the other end lies outside of what was: the latest from which on, or the
    /// least up to which, it is the smaller one.
    fn bound(&self) -> Option<f64> {
        let Place { low, high, .. } = self.place;
        let (bound, open) = if self.falls { (high, low) } else { (low, high) };
        let is_beyond = |at: f64| if self.falls { at >= bound } else { at <= bound };
        let beyond: Vec<_> = self.sides.iter().filter(|(at, _)| is_beyond(*at)).collect();
        let is_bound = bound.is_finite() && open.is_infinite() && !beyond.is_empty();
        (is_bound && beyond.iter().all(|(_, side)| *side == Some(false))).then_some(bound)
    }
}

/// The contenders of a search as sentences say them.
struct Names<'a> {
    /// As a sentence begins with it, and within one.
    contender: [&'a str; 2],
    against: &'a str,
    noun: Counted,
}

fn in_words(
    sought: &BreakEven,
    rounds: &[(f64, Vec<Pair>)],
    found: &Along,
    names: &Names<'_>,
) -> (Found, String) {
    match sought.sought {
        Sought::CoresSaved(cores) => cores_in_words(cores, rounds, found, names),
        Sought::Crossing { metric, ratio } => {
            let is_less = Phrase::of(metric, names.noun).is_less(ratio, names.against);
            crossing_in_words(sought.axis, names.contender, &is_less, rounds, found)
        }
    }
}

/// Where one contender uses so many cores less than another.
fn cores_in_words(
    cores: f64,
    rounds: &[(f64, Vec<Pair>)],
    found: &Along,
    names: &Names<'_>,
) -> (Found, String) {
    let Along { place: Place { at, low, high }, n, .. } = *found;
    let Names { contender: [contender, _], against, noun } = names;
    let highest = text::plain_number(rounds[rounds.len() - 1].0);
    let rate = |value: f64| format!("{} {noun}s/s", text::rounded(value));
    let from = format!("extrapolated from {highest} {noun}s/s, the highest rate measured; {n} rounds");
    let plural = if cores == 1.0 { "core" } else { "cores" };
    let saves = format!("{contender} saves {} {plural} over {against}", text::plain_number(cores));
    match (low.is_finite(), high.is_finite()) {
        (true, true) => {
            let interval = format!("{}–{}", text::rounded(low), rate(high));
            (Found::Point, format!("{saves} at {} ({interval}; {from})", rate(at)))
        }
        (false, _) => (
            Found::Nowhere,
            format!("{contender} saves no core over {against} at any rate: a {noun} costs more CPU ({from})"),
        ),
        (true, false) => {
            (Found::Undecided, format!("{saves} not below {}, and perhaps at no rate ({from})", rate(low)))
        }
    }
}

/// Where one contender's figure becomes the smaller one: whose, and that it is, as in `gRPC`,
/// `costs less CPU per call than REST`.
fn crossing_in_words(
    axis: Axis,
    [contender, within]: [&str; 2],
    is_less: &str,
    rounds: &[(f64, Vec<Pair>)],
    found: &Along,
) -> (Found, String) {
    let Along { place: Place { at, low, high }, falls, n, .. } = *found;
    let (from, to) = (rounds[0].0, rounds[rounds.len() - 1].0);
    let range = format!("from {} to {}", axis.place(from), axis.place(to));
    let below = format!("{contender} {is_less}");
    let end = |value: f64, beyond: &str, last: f64| match value.is_finite() {
        true => show_end(axis, value),
        false => format!("{beyond} {}", axis.show(last)),
    };
    let interval = format!(
        "95 % interval {} to {}, {n} rounds at each of {} points",
        end(low, "below", from),
        end(high, "above", to),
        rounds.len()
    );
    let (side, on, at_worst) =
        if falls { ("from", " on", "at the latest") } else { ("up to", "", "at least") };
    if let Some(bound) = found.bound() {
        let bound = show_place(axis, bound);
        return (Found::Bounded, format!("{below} {side} {bound}{on} {at_worst} ({interval})"));
    }
    match (at.is_finite(), low == high) {
        (true, _) if found.crosses() && low.is_finite() && high.is_finite() => {
            (Found::Point, format!("{below} {side} {}{on} ({interval})", show_place(axis, at)))
        }
        // It crosses in no resample, and no point alone says otherwise.
        (false, true) if found.all_lie(false) => {
            (Found::Throughout, format!("{contender} always {is_less}, {range} ({n} rounds a point)"))
        }
        (false, true) if found.all_lie(true) => {
            (Found::Nowhere, format!("{contender} never {is_less}, {range} ({n} rounds a point)"))
        }
        _ => (
            Found::Undecided,
            format!("These rounds do not show where {within} {is_less}, if anywhere {range} ({interval})"),
        ),
    }
}

/// An end of an interval of places.
fn show_end(axis: Axis, value: f64) -> String {
    match axis {
        Axis::RatePerS => format!("{}/s", text::rounded(value)),
        Axis::HandlerWait | Axis::HandlerCpu => axis.show(value),
        _ => text::rounded(value),
    }
}

/// A place that was interpolated: a number is worth two digits.
fn show_place(axis: Axis, value: f64) -> String {
    match axis {
        Axis::HandlerWait | Axis::HandlerCpu => axis.place(value),
        _ => axis.place_of(&text::rounded(value)),
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;
    use terms::Figure;

    use super::*;
    use crate::statistics::paired_ratio;

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
        let side = |(at, pairs): &(f64, Vec<Pair>)| (*at, side(&of, &paired_ratio(pairs).unwrap()));
        let sides = rounds.iter().map(side).collect();
        let names = Names { contender: ["new"; 2], against: "old", noun: Counted::Call };
        in_words(&of, rounds, &Along { place, falls, sides, n: 10 }, &names)
    }

    #[test]
    fn the_side_on_which_it_is_better_is_told() {
        let even = Sought::Crossing { metric: Figure::CpuPerCall, ratio: 1.0 };
        let (word, because) = found(even, &[2.0, 1.5, 0.5]);
        assert_eq!(word, Found::Point);
        assert!(
            because.starts_with("new costs less CPU per call than old from ") && because.contains("/s on ("),
            "{because}"
        );
        let (word, because) = found(even, &[0.5, 2.0, 2.0]);
        assert_eq!(word, Found::Point);
        assert!(because.contains("than old up to "), "{because}");
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

    /// 0.2 ms against 0.1, and a wait on top of both: 5 % more at a wait of 1.9 ms, less beyond.
    #[test]
    fn what_is_even_on_a_logarithmic_axis_is_found_on_one_that_begins_at_nothing() {
        let sought = sought(Sought::Crossing { metric: Figure::COMPARED[1], ratio: 1.05 });
        let point = |wait: f64| {
            (wait, (0..10).map(|nth| (wait + 200.0 + f64::from(nth % 2), wait + 100.0)).collect())
        };
        let (Place { at, low, high }, falls) = search(&sought, &[0.0, 1_000.0, 10_000.0].map(point)).unwrap();
        // It is at 1.9 ms; a straight line from 1 to 10 ms has 5.5.
        assert!(falls && (1_900.0..3_500.0).contains(&at) && low <= at && at <= high, "{low} {at} {high}");
        let (Place { at, .. }, _) = search(&sought, &[0.0, 4_000.0, 10_000.0].map(point)).unwrap();
        assert!((0.0..4_000.0).contains(&at), "{at}");
    }

    /// Ten rounds a point, of which every other says the opposite at one end: whether it has
    /// crossed before, or does beyond, is open.
    #[test]
    fn what_may_have_crossed_before_the_first_point_is_bounded_by_what_lies_beyond() {
        let even = Sought::Crossing { metric: Figure::CpuPerCall, ratio: 1.0 };
        let open_at = |nth: usize, ratios: &[f64]| {
            let mut rounds = rounds(ratios);
            for (nth, pair) in rounds[nth].1.iter_mut().enumerate() {
                pair.0 *= if nth % 2 == 0 { 0.8 } else { 1.2 };
            }
            rounds
        };
        let (word, because) = found_in(even, &open_at(0, &[1.0, 0.7, 0.5]));
        assert_eq!(word, Found::Bounded, "{because}");
        assert!(
            because.starts_with("new costs less CPU per call than old from ")
                && because.contains("/s on at the latest (95 % interval below 10/s to "),
            "{because}"
        );
        let (word, because) = found_in(even, &open_at(2, &[0.5, 0.7, 1.0]));
        assert_eq!(word, Found::Bounded, "{because}");
        assert!(because.contains("than old up to ") && because.contains("/s at least ("), "{because}");
        // Nothing is said of where it is the dearer one, nor where a point beyond is open too.
        assert_eq!(found_in(even, &open_at(0, &[1.0, 1.3, 1.5])).0, Found::Undecided);
        assert_eq!(found_in(even, &open_at(2, &[1.5, 1.3, 1.0])).0, Found::Undecided);
        assert_eq!(found_in(even, &open_at(1, &[0.9, 1.0, 0.5])).0, Found::Undecided);
    }

    /// Two contenders that cost the same everywhere: one of them is seldom said to be below from
    /// somewhere on.
    #[test]
    fn a_bound_is_seldom_found_where_nothing_crosses() {
        let mut random = ChaCha8Rng::seed_from_u64(11);
        let mut noise = || 1.0 + (0..12).map(|_| random.random_range(-0.02..0.02)).sum::<f64>();
        let even = Sought::Crossing { metric: Figure::CpuPerCall, ratio: 1.0 };
        let bounded = (0..200).filter(|_| {
            let point = |at: f64| (at, (0..10).map(|_| (noise(), noise())).collect::<Vec<Pair>>());
            matches!(found_in(even, &[5.0, 25.0, 100.0].map(point)).0, Found::Bounded | Found::Point)
        });
        // 2.5 % of the ends' intervals lie wholly below by chance, at either end of the axis: about
        // ten (it is 11; without a look at the sides, 40).
        let bounded = bounded.count();
        assert!(bounded <= 20, "{bounded} of 200");
    }

    #[test]
    fn a_core_is_saved_at_the_rate_that_proportion_says() {
        // 20 µs less a call of 100: 50 000 calls a second are a core.
        let (word, because) = found(Sought::CoresSaved(1.0), &[0.9, 0.8]);
        assert_eq!(word, Found::Point);
        assert!(
            because.starts_with("new saves 1 core over old at 5") && because.contains("\u{202f}000 calls/s"),
            "{because}"
        );
        let (word, because) = found(Sought::CoresSaved(1.0), &[1.1, 1.2]);
        assert_eq!(word, Found::Nowhere);
        assert!(because.contains("at any rate"), "{because}");
    }
}
