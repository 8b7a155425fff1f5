//! Lines over an axis of numbers: a contender's figure along rates, sizes or connections, with the
//! interval of each point as a band.

use std::fmt::Write as _;

use super::chart::{Axis, Size, escape, open};
use super::look::Look;

/// A line.
#[derive(Debug, Clone)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) look: Look,
    /// Rising along the axis.
    pub(super) points: Vec<Dot>,
}

/// A point of a line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dot {
    pub(super) at: f64,
    pub(super) value: f64,
    /// Half of its 95 % interval, where it has one.
    pub(super) half: f64,
}

/// What the two axes say.
pub(super) struct Axes<'a> {
    pub(super) across: &'a str,
    /// A place on the horizontal axis.
    pub(super) place: &'a dyn Fn(f64) -> String,
    /// A value on the vertical axis, with its unit.
    pub(super) value: &'a dyn Fn(f64) -> String,
    /// An interval that was found on the horizontal axis.
    pub(super) found: Option<(f64, f64)>,
}

/// Ticks of the vertical axis.
const LEVELS: f64 = 5.0;

/// Draws lines from zero up; the horizontal axis is logarithmic where it spans a factor of ten.
pub(super) fn plot(series: &[Series], axes: &Axes<'_>, size: Size, title: &str) -> String {
    let dots = || series.iter().flat_map(|series| series.points.iter());
    let highest = dots().map(|dot| dot.value + dot.half).fold(0.0_f64, f64::max);
    let mut places: Vec<f64> = dots().map(|dot| dot.at).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    let sane = highest.is_finite() && highest > 0.0;
    let (Some(first), Some(last)) = (places.first(), places.last()) else { return String::new() };
    if !sane || places.len() < 2 {
        return String::new();
    }
    let scale = Scale::of(*first, *last);
    let (left, right, top, bottom) = (70.0, size.width - size.names.max(24.0), 14.0, size.height - 38.0);
    let across = Axis::new(scale.at(*first), scale.at(*last), left + 10.0, right);
    let up = Axis::new(0.0, highest * 1.05, bottom, top);
    let x = |place: f64| across.at(scale.at(place));
    let said: Vec<String> = series.iter().map(|series| in_words(series, axes)).collect();
    let mut svg = open(size, title, &said.join("; "));
    if let Some((low, high)) = axes.found {
        let (from, to) = (x(low.clamp(*first, *last)), x(high.clamp(*first, *last)));
        let _ = write!(
            svg,
            r#"<rect class="band" x="{from:.1}" y="{top}" width="{:.1}" height="{:.1}"/>"#,
            (to - from).max(1.5),
            bottom - top
        );
    }
    even_levels(&mut svg, &up, highest, (left, right), axes.value);
    for place in &places {
        let _ = write!(
            svg,
            r#"<text class="tick" x="{:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
            x(*place),
            bottom + 18.0,
            escape(&(axes.place)(*place))
        );
    }
    for series in series {
        draw(&mut svg, series, &x, &up, axes);
    }
    if size.names > 40.0 {
        names(&mut svg, series, &up, right, (top, bottom));
    }
    let _ = write!(
        svg,
        r#"<text class="axis" x="{:.1}" y="{:.1}" text-anchor="middle">{}</text></svg>"#,
        f64::midpoint(left, right),
        size.height - 4.0,
        escape(axes.across)
    );
    svg
}

fn draw(svg: &mut String, series: &Series, x: &dyn Fn(f64) -> f64, up: &Axis, axes: &Axes<'_>) {
    let at = |dot: &Dot, value: f64| format!("{:.1} {:.1}", x(dot.at), up.at(value.max(0.0)));
    let upper = series.points.iter().map(|dot| at(dot, dot.value + dot.half));
    let lower = series.points.iter().rev().map(|dot| at(dot, dot.value - dot.half));
    let band: Vec<String> = upper.chain(lower).collect();
    let line: Vec<String> = series.points.iter().map(|dot| at(dot, dot.value)).collect();
    let _ = write!(
        svg,
        r#"<g data-s="{}"><path class="area" fill="{}" d="M{}Z"/><path class="line" {} d="M{}"/>"#,
        escape(&series.name),
        series.look.colour(),
        band.join("L"),
        series.look.stroke(),
        line.join("L")
    );
    for dot in &series.points {
        let title = format!("{}: {} at {}", series.name, (axes.value)(dot.value), (axes.place)(dot.at));
        svg.push_str(&series.look.marker((x(dot.at), up.at(dot.value)), 0.8, &title));
    }
    svg.push_str("</g>");
}

/// Names at the ends of lines, pushed apart.
fn names(svg: &mut String, series: &[Series], up: &Axis, right: f64, (top, bottom): (f64, f64)) {
    const STEP: f64 = 15.0;
    let mut ends: Vec<(f64, &Series)> =
        series.iter().filter_map(|series| Some((up.at(series.points.last()?.value), series))).collect();
    ends.sort_by(|left, right| left.0.total_cmp(&right.0));
    let count = ends.len();
    let mut y = top;
    for (nth, (end, series)) in ends.into_iter().enumerate() {
        y = end.min(bottom - STEP * (count - nth - 1) as f64).max(y);
        let _ = write!(
            svg,
            r#"<text class="name" data-s="{0}" x="{1:.1}" y="{2:.1}">{0}</text>"#,
            escape(&series.name),
            right + 12.0,
            y + 4.0
        );
        y += STEP;
    }
}

fn in_words(series: &Series, axes: &Axes<'_>) -> String {
    let points = series
        .points
        .iter()
        .map(|dot| format!("{} at {}", (axes.value)(dot.value), (axes.place)(dot.at)))
        .collect::<Vec<_>>();
    format!("{}: {}", series.name, points.join(", "))
}

/// A straight scale, or a logarithmic one; of one that begins at nothing the way to 1 is straight.
enum Scale {
    Straight,
    Logarithmic,
}

impl Scale {
    fn of(first: f64, last: f64) -> Scale {
        if last >= first.max(1.0) * 10.0 { Scale::Logarithmic } else { Scale::Straight }
    }

    fn at(&self, place: f64) -> f64 {
        match self {
            Scale::Straight => place,
            Scale::Logarithmic if place < 1.0 => place - 1.0,
            Scale::Logarithmic => place.ln(),
        }
    }
}

/// Levels that are evenly spaced from nothing to the highest value, each with its label.
pub(super) fn even_levels(
    svg: &mut String,
    up: &Axis,
    highest: f64,
    (left, right): (f64, f64),
    label: impl Fn(f64) -> String,
) {
    let every = step(highest, LEVELS);
    let levels = (0..=LEVELS as u32 + 1).map(|nth| f64::from(nth) * every);
    for level in levels.take_while(|level| *level <= highest * 1.05) {
        let y = up.at(level);
        let _ = write!(
            svg,
            r#"<path class="grid" d="M{left:.1} {y:.1}H{right:.1}"/><text class="tick" x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
            left - 6.0,
            y + 4.0,
            if level > 0.0 { label(level) } else { "0".to_owned() }
        );
    }
}

/// 1, 2 or 5 of a power of ten, so that so many fit.
pub(super) fn step(range: f64, ticks: f64) -> f64 {
    let power = 10_f64.powf((range / ticks).log10().floor());
    [1.0, 2.0, 5.0]
        .map(|factor| factor * power)
        .into_iter()
        .find(|step| range / step <= ticks)
        .unwrap_or(power * 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::{NARROW, WIDE};

    fn drawn(points: &[(f64, f64)], size: Size) -> String {
        let points = points.iter().map(|(at, value)| Dot { at: *at, value: *value, half: 1.0 }).collect();
        let series = Series { name: "a<b".into(), look: Look::PLAIN, points };
        let axes = Axes {
            across: "size",
            place: &|place| format!("{place}"),
            value: &|value| format!("{value} µs"),
            found: Some((2.0, 30.0)),
        };
        plot(&[series], &axes, size, "CPU")
    }

    #[test]
    fn a_plot_says_in_words_what_it_shows_and_stays_inside() {
        for size in [WIDE, NARROW] {
            let svg = drawn(&[(1.0, 10.0), (10.0, 20.0), (1_000.0, 30.0)], size);
            assert!(
                svg.contains(r#"aria-label="CPU. a&lt;b: 10 µs at 1, 20 µs at 10, 30 µs at 1000""#),
                "{svg}"
            );
            assert!(!svg.contains("NaN") && svg.contains("class=\"band\""), "{svg}");
        }
    }

    #[test]
    fn what_has_no_line_has_no_plot() {
        assert!(drawn(&[(1.0, 10.0)], WIDE).is_empty() && drawn(&[], WIDE).is_empty());
        assert!(drawn(&[(1.0, -5.0), (2.0, -5.0)], WIDE).is_empty());
        assert_eq!([step(19.6, 4.0), step(2.0, 10.0), step(0.5, 10.0)], [5.0, 0.2, 0.05]);
    }
}
