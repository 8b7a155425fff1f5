//! Lines along the seconds of a load, from zero up. Where there is no value a line has a gap.

use std::fmt::Write as _;

use terms::text;

use super::chart::{Axis, Size, escape, open};
use super::plot::{even_levels, step};

/// For a page: two of these stand one above the other.
pub(super) const LOW: Size = Size { width: 760.0, height: 250.0, names: 24.0 };
/// For a phone.
pub(super) const LOW_NARROW: Size = Size { width: 350.0, height: 230.0, names: 12.0 };
/// Points up to which each is marked.
const MARKED_MAX: usize = 60;

/// A line.
#[derive(Debug, Clone)]
pub(super) struct Course {
    pub(super) name: &'static str,
    /// A variable of the style sheet.
    pub(super) colour: &'static str,
    pub(super) dashed: bool,
    /// Seconds and values; nothing where there is no value.
    pub(super) points: Vec<(f64, Option<f64>)>,
}

/// What a chart says beside its lines.
pub(super) struct Frame<'a> {
    pub(super) title: &'a str,
    /// What the vertical axis shows.
    pub(super) up: &'a str,
    /// A value with its unit.
    pub(super) value: &'a dyn Fn(f64) -> String,
    /// How many seconds there are.
    pub(super) seconds: f64,
    /// Stretches that are shaded, in seconds.
    pub(super) shaded: &'a [(f64, f64)],
}

impl Course {
    fn stroke(&self) -> String {
        let dash = if self.dashed { r#" stroke-dasharray="7 3""# } else { "" };
        format!(r#"stroke="var({})"{dash}"#, self.colour)
    }

    /// A piece of the line, for a legend.
    pub(super) fn sign(&self) -> String {
        format!(
            r#"<svg class="marker" viewBox="0 0 14 14" aria-hidden="true"><path class="line" {} d="M0 7H14"/></svg>"#,
            self.stroke()
        )
    }

    fn values(&self) -> impl Iterator<Item = f64> {
        self.points.iter().filter_map(|(_, value)| *value)
    }

    fn in_words(&self, frame: &Frame<'_>) -> String {
        let (low, high) =
            self.values().fold((f64::MAX, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        match self.values().next() {
            Some(_) => format!("{} from {} to {}", self.name, (frame.value)(low), (frame.value)(high)),
            None => format!("{} has no value", self.name),
        }
    }

    /// The line in pieces, and a dot where a piece is one point or points are few.
    fn draw(&self, svg: &mut String, frame: &Frame<'_>, across: &Axis, up: &Axis) {
        let _ = write!(svg, r#"<g data-s="{}">"#, escape(self.name));
        let mut path = String::new();
        let is_value = |nth: usize| self.points.get(nth).is_some_and(|(_, value)| value.is_some());
        for (nth, (at, value)) in self.points.iter().enumerate() {
            let Some(value) = *value else { continue };
            let (x, y) = (across.at(*at), up.at(value));
            let begins = nth == 0 || !is_value(nth - 1);
            let _ = write!(path, "{}{x:.1} {y:.1}", if begins { 'M' } else { 'L' });
            if self.points.len() <= MARKED_MAX || (begins && !is_value(nth + 1)) {
                let _ = write!(
                    svg,
                    r#"<circle cx="{x:.1}" cy="{y:.1}" r="2.6" fill="var({})"><title>{}: {} at {} s</title></circle>"#,
                    self.colour,
                    escape(self.name),
                    escape(&(frame.value)(value)),
                    text::three_digits(*at)
                );
            }
        }
        if !path.is_empty() {
            let _ = write!(svg, r#"<path class="line" {} d="{path}"/>"#, self.stroke());
        }
        svg.push_str("</g>");
    }
}

/// The seconds below a chart that ends at `bottom`, one in `every`, and what they are.
pub(super) fn seconds_below(
    svg: &mut String,
    across: &Axis,
    (left, right): (f64, f64),
    seconds: f64,
    every: f64,
    bottom: f64,
) {
    for tick in 0..=(seconds / every + 1e-9).floor() as u32 {
        let at = (f64::from(tick) * every * 1e3).round() / 1e3;
        let _ = write!(
            svg,
            r#"<text class="tick" x="{:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
            across.at(at),
            bottom + 14.0,
            text::plain_number(at)
        );
    }
    let _ = write!(
        svg,
        r#"<text class="axis" x="{:.1}" y="{:.1}" text-anchor="middle">seconds of the measured time</text>"#,
        f64::midpoint(left, right),
        bottom + 32.0
    );
}

/// Draws lines; nothing where there is no value above zero, or only one point in time.
pub(super) fn courses(courses: &[Course], frame: &Frame<'_>, size: Size) -> String {
    let highest = courses.iter().flat_map(Course::values).fold(0.0_f64, f64::max);
    let is_line = courses.iter().any(|course| course.points.len() > 1);
    let is_scale = highest.is_finite() && highest > 0.0;
    if !is_line || !is_scale {
        return String::new();
    }
    let (left, right, top, bottom) = (66.0, size.width - size.names, 26.0, size.height - 38.0);
    let across = Axis::new(0.0, frame.seconds, left, right);
    let up = Axis::new(0.0, highest * 1.05, bottom, top);
    let said: Vec<String> = courses.iter().map(|course| course.in_words(frame)).collect();
    let mut svg = open(size, frame.title, &said.join("; "));
    for (from, to) in frame.shaded {
        let (from, to) = (across.at(*from), across.at(to.min(frame.seconds)));
        let _ = write!(
            svg,
            r#"<rect class="band" x="{from:.1}" y="{top}" width="{:.1}" height="{:.1}"/>"#,
            (to - from).max(1.0),
            bottom - top
        );
    }
    even_levels(&mut svg, &up, highest, (left, right), |level| escape(&(frame.value)(level)));
    let every = step(frame.seconds, if size.width < 500.0 { 5.0 } else { 10.0 });
    // Parts of a second tell only where there are no whole ones.
    let every = if frame.seconds >= 3.0 { every.max(1.0) } else { every };
    seconds_below(&mut svg, &across, (left, right), frame.seconds, every, bottom + 3.0);
    courses.iter().for_each(|course| course.draw(&mut svg, frame, &across, &up));
    let _ = write!(svg, r#"<text class="axis" x="4" y="12">{}</text></svg>"#, escape(frame.up));
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(values: &[Option<f64>]) -> String {
        let points = values.iter().enumerate().map(|(nth, value)| (nth as f64 + 0.5, *value)).collect();
        let course = Course { name: "p99", colour: "--c1", dashed: false, points };
        let value = |us: f64| format!("{us} µs");
        let seconds = values.len() as f64;
        let frame =
            Frame { title: "Response", up: "response", value: &value, seconds, shaded: &[(2.0, 9.0)] };
        courses(&[course], &frame, LOW)
    }

    #[test]
    fn a_line_has_gaps_and_what_stands_alone_is_a_dot() {
        let svg = drawn(&[Some(10.0), Some(20.0), None, Some(30.0)]);
        let line = svg.split(r#"class="line""#).nth(1).unwrap().split("\"/>").next().unwrap();
        assert_eq!((line.matches('M').count(), line.matches('L').count()), (2, 1), "{line}");
        assert_eq!(svg.matches("<circle").count(), 3);
        assert!(svg.contains(r#"aria-label="Response. p99 from 10 µs to 30 µs""#), "{svg}");
        assert!(svg.contains(r#"class="band""#) && !svg.contains("NaN"), "{svg}");
    }

    #[test]
    fn what_has_no_line_has_no_chart() {
        assert!(drawn(&[]).is_empty() && drawn(&[Some(1.0)]).is_empty() && drawn(&[None, None]).is_empty());
    }
}
