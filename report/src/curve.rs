//! Lines of latency: against rate, up to the knee and a little beyond; and round by round.

use std::fmt::Write as _;

use terms::text;

use super::chart::{Axis, Size, escape, levels, log_ticks, open};
use super::look::Look;
use super::marks::Mark;
use super::plot::step;

/// (rate per second, µs, whether the objective was met); or (round, µs, whether it counts).
pub(super) type Dot = (f64, f64, bool);

/// One contender's trials.
#[derive(Debug, Clone)]
pub(super) struct Curve {
    pub(super) name: String,
    pub(super) look: Look,
    /// Rising in rate, or round by round.
    pub(super) points: Vec<Dot>,
    /// What the search came to, in a sentence.
    pub(super) words: String,
}

/// Draws curves, and the limit that the objective sets. A filled marker met it, a hollow one did
/// not.
pub(super) fn curves(curves: &[Curve], limit_us: Option<f64>, size: Size, title: &str) -> String {
    let points = || curves.iter().flat_map(|curve| curve.points.iter());
    let span = |values: &mut dyn Iterator<Item = f64>| {
        values.fold((f64::MAX, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)))
    };
    let (slow, fast) = span(&mut points().map(|point| point.0));
    // What is far beyond the knee is cut off: how long a queue gets in a second is no property of
    // anybody's.
    let cut = limit_us.map_or(f64::MAX, |limit| limit * 10.0);
    let (low, high) = span(&mut points().map(|point| point.1.min(cut)).chain(limit_us));
    if curves.is_empty() || high <= 0.0 {
        return String::new();
    }
    let (left, right, top, bottom) = (58.0, size.width - 24.0, 14.0, size.height - 38.0);
    let across = Axis::new((slow * 0.9).ln(), (fast * 1.1).ln(), left, right);
    let up = Axis::new((low * 0.9).ln(), (high * 1.1).ln(), bottom, top);
    let said: Vec<String> = curves.iter().map(|curve| format!("{}: {}", curve.name, curve.words)).collect();
    let mut svg = open(size, title, &said.join("; "));
    levels(&mut svg, &up, (low * 0.9, high * 1.1), (left, right));
    let mut last = f64::MIN;
    for tick in log_ticks(slow * 0.9, fast * 1.1) {
        let x = across.at(tick.ln());
        if x - last < 52.0 {
            continue;
        }
        last = x;
        let _ = write!(
            svg,
            r#"<path class="grid" d="M{x:.1} {top:.1}V{bottom:.1}"/><text class="tick" x="{x:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
            bottom + 18.0,
            text::count(tick as u64)
        );
    }
    if let Some(limit) = limit_us {
        let y = up.at(limit.ln());
        let _ = write!(svg, r#"<path class="one" stroke-dasharray="5 4" d="M{left:.1} {y:.1}H{right:.1}"/>"#);
    }
    for curve in curves {
        let at = |point: &Dot| (across.at(point.0.ln()), up.at(point.1.min(cut).ln()));
        draw(&mut svg, curve, &medians(&curve.points), &at);
    }
    let _ = write!(
        svg,
        r#"<text class="axis" x="{:.1}" y="{:.1}" text-anchor="middle">calls per second</text></svg>"#,
        f64::midpoint(left, right),
        size.height - 4.0
    );
    svg
}

/// What the horizontal axis of a time line counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Along<'a> {
    /// The axis in words.
    pub(super) words: &'a str,
    /// Where it begins.
    pub(super) from: f64,
    /// Where it ends; at the last point where nothing is said.
    pub(super) to: Option<f64>,
    /// What happened when: a mark each.
    pub(super) marks: &'a [Mark],
}

/// By rounds, from the first.
pub(super) const ROUNDS: Along<'static> = Along { words: "round", from: 1.0, to: None, marks: &[] };

/// Draws response times along rounds, or along a round's own time. A hollow marker is a measurement
/// that does not count.
pub(super) fn time_line(curves: &[Curve], along: Along<'_>, size: Size, title: &str) -> String {
    let points = || curves.iter().flat_map(|curve| curve.points.iter());
    // Of nothing there is no logarithm: a measurement in which nothing came is no point.
    let values = points().map(|point| point.1).filter(|value| *value > 0.0);
    let (low, high) = values.fold((f64::MAX, 0.0_f64), |(low, high), of| (low.min(of), high.max(of)));
    let last = along.to.unwrap_or_else(|| points().fold(0.0_f64, |last, point| last.max(point.0)));
    if high <= 0.0 || last <= along.from {
        return String::new();
    }
    let (left, right, top, bottom) = (58.0, size.width - 24.0, 10.0, 190.0);
    let size = Size { height: bottom + 38.0, ..size };
    let across = Axis::new(along.from, last, left + 8.0, right);
    let up = Axis::new((low * 0.9).ln(), (high * 1.1).ln(), bottom, top);
    let marks = along.marks.iter().map(Mark::in_words);
    let said = curves.iter().map(|curve| format!("{}: {}", curve.name, curve.words));
    let mut svg = open(size, title, &said.chain(marks).collect::<Vec<_>>().join("; "));
    levels(&mut svg, &up, (low * 0.9, high * 1.1), (left, right));
    for tick in ticks_along(&along, last) {
        let _ = write!(
            svg,
            r#"<text class="tick" x="{:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
            across.at(tick),
            bottom + 18.0,
            text::plain_number(tick)
        );
    }
    for (nth, Mark { from_s, to_s, words }) in along.marks.iter().enumerate() {
        let to_s = to_s.filter(|to| *to <= last);
        // Names of neighbours stand one above the other.
        let (x, y) = (across.at(*from_s), bottom - 8.0 - 14.0 * (nth % 2) as f64);
        if let Some(x) = to_s.map(|to| across.at(to)) {
            let _ =
                write!(svg, r#"<path class="one" stroke-dasharray="5 4" d="M{x:.1} {top:.1}V{bottom:.1}"/>"#);
        }
        let _ = write!(
            svg,
            r#"<path class="one" stroke-dasharray="5 4" d="M{x:.1} {top:.1}V{bottom:.1}"/><text class="tick" x="{:.1}" y="{y:.1}">{}</text>"#,
            x + 5.0,
            escape(words)
        );
    }
    for curve in curves {
        let points: Vec<Dot> = curve.points.iter().copied().filter(|point| point.1 > 0.0).collect();
        let counted: Vec<Dot> = points.iter().copied().filter(|point| point.2).collect();
        let curve = Curve { points, ..curve.clone() };
        draw(&mut svg, &curve, &counted, &|point| (across.at(point.0), up.at(point.1.ln())));
    }
    let _ = write!(
        svg,
        r#"<text class="axis" x="{:.1}" y="{:.1}" text-anchor="middle">{}</text></svg>"#,
        f64::midpoint(left, right),
        size.height - 4.0,
        along.words
    );
    svg
}

/// Whole numbers, ten at most; fractions on an axis of time that has few of them.
fn ticks_along(along: &Along<'_>, last: f64) -> Vec<f64> {
    let span = last - along.from;
    let step = match along.to {
        Some(_) if span < 3.0 => step(span, 5.0),
        _ => (span / 10.0).ceil().max(1.0),
    };
    let count = (span / step + 1e-9).floor() as u32;
    (0..=count).map(|nth| ((along.from + f64::from(nth) * step) * 1e3).round() / 1e3).collect()
}

/// A line, and a marker at every point: filled, or hollow.
fn draw(svg: &mut String, curve: &Curve, line: &[Dot], at: &dyn Fn(&Dot) -> (f64, f64)) {
    let path: Vec<String> = line.iter().map(at).map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
    let _ = write!(svg, r#"<g data-s="{}">"#, escape(&curve.name));
    if !path.is_empty() {
        let _ = write!(svg, r#"<path class="line" {} d="M{}"/>"#, curve.look.stroke(), path.join("L"));
    }
    for point in &curve.points {
        let look = if point.2 { curve.look } else { curve.look.hollow() };
        let title = format!("{}: {:.1}: {}", curve.name, point.0, text::micros(point.1));
        svg.push_str(&look.marker(at(point), 0.8, &title));
    }
    svg.push_str("</g>");
}

/// The median of the trials at each rate: what the line goes through.
fn medians(points: &[Dot]) -> Vec<Dot> {
    let same_rate = points.chunk_by(|left, right| (left.0 - right.0).abs() < f64::EPSILON * left.0);
    let median = |trials: &[Dot]| {
        let mut sorted = trials.to_vec();
        sorted.sort_by(|left, right| left.1.total_cmp(&right.1));
        sorted[(sorted.len() - 1) / 2]
    };
    same_rate.map(median).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::WIDE;

    #[test]
    fn a_curve_says_in_words_what_it_shows_and_is_cut_off_beyond_the_knee() {
        let points = vec![(1_000.0, 200.0, true), (2_000.0, 400.0, true), (4_000.0, 9e8, false)];
        let curve = Curve { name: "a<b".into(), look: Look::PLAIN, points, words: "2000/s".into() };
        assert_eq!(
            medians(&[(1.0, 3.0, true), (1.0, 1.0, true), (1.0, 2.0, true), (2.0, 5.0, false)]).len(),
            2
        );
        let svg = curves(&[curve], Some(5_000.0), WIDE, "latency");
        assert!(svg.contains(r#"aria-label="latency. a&lt;b: 2000/s""#), "{svg}");
        assert!(svg.contains("5 ms") && !svg.contains("500 s"), "{svg}");
        assert!(curves(&[], None, WIDE, "t").is_empty());
    }

    #[test]
    fn a_time_line_marks_what_happened() {
        let points = vec![(0.0, 200.0, true), (2.0, 400.0, true)];
        let curve = Curve { name: "a".into(), look: Look::PLAIN, points, words: "w".into() };
        let marks = [Mark { from_s: 1.0, to_s: None, words: "cut".to_owned() }];
        let along = Along { words: "s", from: 0.0, to: Some(2.0), marks: &marks };
        let svg = time_line(&[curve], along, WIDE, "t");
        assert!(svg.contains(">cut</text>") && svg.contains(r#"aria-label="t. a: w; at 1 cut""#), "{svg}");
    }

    #[test]
    fn a_time_line_shows_void_measurements_hollow() {
        let points = vec![(1.0, 200.0, true), (1.0, 3e5, false), (2.0, 400.0, true)];
        let curve = Curve { name: "a".into(), look: Look::PLAIN, points, words: "slowest 400 µs".into() };
        let svg = time_line(std::slice::from_ref(&curve), ROUNDS, WIDE, "slowest");
        assert_eq!(svg.matches("var(--paper)").count(), 1, "{svg}");
        assert!(
            svg.contains("1.0: 300 ms") && svg.contains(r#"aria-label="slowest. a: slowest 400 µs""#),
            "{svg}"
        );
    }
}
