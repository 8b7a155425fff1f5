//! Charts as SVG, drawn by hand: colours are CSS variables, so that they follow the reader's light
//! or dark; each is drawn twice, for a wide page and for a phone, because text that scales with a
//! picture cannot be read. Why no library: see `docs/ARCHITECTURE.md`.

use std::fmt::Write as _;

use terms::text;

use super::look::Look;

/// How large a chart is, in its own units; text is 12 of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) width: f64,
    pub(super) height: f64,
    /// Room at the right for names at the ends of lines.
    pub(super) names: f64,
}

/// For a page.
pub(super) const WIDE: Size = Size { width: 760.0, height: 380.0, names: 130.0 };
/// For a phone.
pub(super) const NARROW: Size = Size { width: 350.0, height: 300.0, names: 12.0 };

/// A line of a percentile chart.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) look: Look,
    /// (share below, µs), rising.
    pub(super) points: Vec<(f64, f64)>,
}

/// A bar of a cost chart.
#[derive(Debug, Clone)]
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) look: Look,
    /// µs of each part, in the order of the parts' names.
    pub(super) parts: [f64; 2],
    /// Half the 95 % interval of the sum, in µs.
    pub(super) half_interval: Option<f64>,
}

/// Shares of the percentile axis that carry a label and, where a line reaches them, a marker.
const LABELLED: [(f64, &str); 4] = [(0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p99.9")];

/// Response time by percentile; both axes logarithmic: each step to the right leaves a tenth of the
/// calls.
pub(super) fn percentiles(lines: &[Line], size: Size, title: &str) -> String {
    let values = || lines.iter().flat_map(|line| line.points.iter());
    let (low, high) =
        values().fold((f64::MAX, 0.0_f64), |(low, high), (_, value)| (low.min(*value), high.max(*value)));
    if lines.is_empty() || high <= 0.0 {
        return String::new();
    }
    let last = values().fold(0.9_f64, |last, (share, _)| last.max(*share));
    let plot = Plot { left: 58.0, right: size.width - size.names, top: 14.0, bottom: size.height - 38.0 };
    let across = Axis::new(depth(0.5), depth(last), plot.left, plot.right);
    let up = Axis::new((low * 0.92).ln(), (high * 1.08).ln(), plot.bottom, plot.top);
    let mut svg = open(size, title, &described(lines));
    levels(&mut svg, &up, (low * 0.92, high * 1.08), (plot.left, plot.right));
    for (share, label) in LABELLED.into_iter().filter(|(share, _)| *share <= last + 1e-9) {
        let x = across.at(depth(share));
        let _ = write!(
            svg,
            r#"<path class="grid" d="M{x:.1} {:.1}V{:.1}"/><text class="tick" x="{x:.1}" y="{:.1}" text-anchor="middle">{label}</text>"#,
            plot.top,
            plot.bottom,
            plot.bottom + 18.0
        );
    }
    for line in lines {
        draw_line(&mut svg, line, &across, &up);
    }
    if size.names > 40.0 {
        name_the_ends(&mut svg, lines, &across, &up, &plot);
    }
    let _ = write!(
        svg,
        r#"<text class="axis" x="{:.1}" y="{:.1}" text-anchor="middle">percentile of response time</text></svg>"#,
        f64::midpoint(plot.left, plot.right),
        size.height - 4.0
    );
    svg
}

/// Lines across at round values of a logarithmic axis of times, labelled at the left.
pub(super) fn levels(svg: &mut String, up: &Axis, (low, high): (f64, f64), (left, right): (f64, f64)) {
    for tick in log_ticks(low, high) {
        let y = up.at(tick.ln());
        let _ = write!(
            svg,
            r#"<path class="grid" d="M{left:.1} {y:.1}H{right:.1}"/><text class="tick" x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
            left - 8.0,
            y + 4.0,
            tick_label(tick)
        );
    }
}

fn draw_line(svg: &mut String, line: &Line, across: &Axis, up: &Axis) {
    let at = |(share, value): &(f64, f64)| (across.at(depth(*share)), up.at(value.ln()));
    let path: Vec<String> = line
        .points
        .iter()
        .map(|point| {
            let (x, y) = at(point);
            format!("{x:.1} {y:.1}")
        })
        .collect();
    let name = escape(&line.name);
    let _ = write!(
        svg,
        r#"<g data-s="{name}"><path class="line" {} d="M{}"/>"#,
        line.look.stroke(),
        path.join("L")
    );
    for (share, label) in LABELLED {
        let Some(point) = line.points.iter().find(|(other, _)| (other - share).abs() < 1e-9) else {
            continue;
        };
        let title = format!("{}: {label} {}", line.name, text::micros(point.1));
        svg.push_str(&line.look.marker(at(point), 1.0, &title));
    }
    svg.push_str("</g>");
}

/// Names at the ends of the lines, pushed apart where they would overlap.
fn name_the_ends(svg: &mut String, lines: &[Line], across: &Axis, up: &Axis, plot: &Plot) {
    const STEP: f64 = 15.0;
    let mut ends: Vec<(f64, f64, &Line)> = lines
        .iter()
        .filter_map(|line| {
            line.points.last().map(|(share, value)| (up.at(value.ln()), across.at(depth(*share)), line))
        })
        .collect();
    ends.sort_by(|left, right| left.0.total_cmp(&right.0));
    let mut y = plot.top;
    let spare = |left: usize| plot.bottom - STEP * left as f64;
    let count = ends.len();
    for (nth, (end, x, line)) in ends.into_iter().enumerate() {
        y = end.min(spare(count - nth - 1)).max(y);
        let _ = write!(
            svg,
            r#"<g data-s="{5}"><path class="lead" stroke="{0}" d="M{1:.1} {end:.1}L{2:.1} {y:.1}"/><text class="name" x="{3:.1}" y="{4:.1}">{5}</text></g>"#,
            line.look.colour(),
            x + 6.0,
            plot.right + 12.0,
            plot.right + 15.0,
            y + 4.0,
            escape(&line.name)
        );
        y += STEP;
    }
}

/// Room at the left of a wide chart for the longest of these names.
pub(super) fn room_for_names<'a>(names: impl Iterator<Item = &'a str>) -> f64 {
    /// Of a letter of the page's type, on average.
    const LETTER: f64 = 7.2;
    const ROOM_MIN: f64 = 130.0;
    let longest = names.map(|name| name.chars().count()).max().unwrap_or(0);
    (longest as f64 * LETTER + 14.0).max(ROOM_MIN)
}

/// Cost per call: two parts, their sum, and its interval.
pub(super) fn stacked_bars(bars: &[Bar], parts: [&str; 2], size: Size, title: &str) -> String {
    const ROW: f64 = 34.0;
    let highest = bars.iter().map(|bar| bar.parts.iter().sum::<f64>() + bar.half_interval.unwrap_or(0.0));
    let highest = highest.fold(0.0_f64, f64::max);
    if highest <= 0.0 {
        return String::new();
    }
    let narrow = size.width < 500.0;
    let left = if narrow { 4.0 } else { room_for_names(bars.iter().map(|bar| &bar.name[..])) };
    let row = if narrow { ROW + 14.0 } else { ROW };
    let size = Size { height: 12.0 + row * bars.len() as f64, ..size };
    let across = Axis::new(0.0, highest, left, size.width - 92.0);
    let said: Vec<String> =
        bars.iter().map(|bar| format!("{}: {}", bar.name, text::micros(bar.parts.iter().sum()))).collect();
    let mut svg = open(size, title, &said.join("; "));
    for (nth, bar) in bars.iter().enumerate() {
        let y = 8.0 + row * nth as f64 + if narrow { 14.0 } else { 0.0 };
        let colour = bar.look.colour();
        let (name_x, name_y, anchor) =
            if narrow { (left, y - 4.0, "start") } else { (left - 10.0, y + 15.0, "end") };
        let _ = write!(
            svg,
            r#"<text class="name" x="{name_x:.1}" y="{name_y:.1}" text-anchor="{anchor}">{}</text>"#,
            escape(&bar.name)
        );
        let mut from = 0.0;
        for (part, value) in bar.parts.iter().enumerate() {
            let (x, end) = (across.at(from), across.at(from + value));
            let _ = write!(
                svg,
                r#"<rect class="part{part}" x="{x:.1}" y="{y:.1}" width="{:.1}" height="20" fill="{colour}"><title>{}, {}: {}</title></rect>"#,
                (end - x - if part == 0 { 1.5 } else { 0.0 }).max(0.5),
                escape(&bar.name),
                parts[part],
                text::micros(*value)
            );
            from += value;
        }
        let mut end = across.at(from);
        if let Some(half) = bar.half_interval {
            let (low, high) = (across.at((from - half).max(0.0)), across.at(from + half));
            let _ = write!(
                svg,
                r#"<path class="whisker" d="M{low:.1} {m:.1}H{high:.1}M{low:.1} {a:.1}v8M{high:.1} {a:.1}v8"/>"#,
                m = y + 10.0,
                a = y + 6.0
            );
            end = end.max(high);
        }
        let _ = write!(
            svg,
            r#"<text class="value" x="{:.1}" y="{:.1}">{}</text>"#,
            end + 7.0,
            y + 15.0,
            text::micros(from)
        );
    }
    svg.push_str("</svg>");
    svg
}

/// How deep in the tail a share lies: 0 for all calls, 1 for a tenth of them beyond, 2 for a
/// hundredth.
fn depth(share: f64) -> f64 {
    -(1.0 - share).log10()
}

struct Plot {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

/// A straight scale from values to places.
pub(super) struct Axis {
    from: f64,
    place: f64,
    scale: f64,
}

impl Axis {
    pub(super) fn new(from: f64, to: f64, place: f64, end: f64) -> Axis {
        let span = if to > from { to - from } else { 1.0 };
        Axis { from, place, scale: (end - place) / span }
    }

    pub(super) fn at(&self, value: f64) -> f64 {
        self.place + (value - self.from) * self.scale
    }
}

/// 1, 2 and 5 of each power of ten within the range; finer where that gives fewer than three.
pub(super) fn log_ticks(low: f64, high: f64) -> Vec<f64> {
    let within = |factors: &[f64]| -> Vec<f64> {
        (-3..9)
            .flat_map(|power| factors.iter().map(move |factor| factor * 10_f64.powi(power)))
            .filter(|tick| (low..=high).contains(tick))
            .collect()
    };
    let coarse = within(&[1.0, 2.0, 5.0]);
    if coarse.len() >= 3 { coarse } else { within(&[1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]) }
}

/// Ratios that a scale around 1 is labelled with: few, and 1 always among them.
pub(super) fn ratio_ticks(low: f64, high: f64) -> Vec<f64> {
    let within = |ratios: &[f64]| {
        ratios.iter().copied().filter(|tick| (low..=high).contains(tick)).collect::<Vec<_>>()
    };
    let wide = within(&[0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0]);
    let middle = within(&[0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.4, 1.6, 2.0]);
    if wide.len() >= 5 {
        wide
    } else if middle.len() >= 3 {
        middle
    } else {
        within(&[0.92, 0.94, 0.96, 0.98, 1.0, 1.02, 1.04, 1.06, 1.08])
    }
}

pub(super) fn tick_label(micros: f64) -> String {
    let (value, unit) = match micros {
        value if value >= 1e6 => (value / 1e6, "s"),
        value if value >= 1e3 => (value / 1e3, "ms"),
        value => (value, "µs"),
    };
    format!("{} {unit}", (value * 100.0).round() / 100.0)
}

pub(super) fn open(size: Size, title: &str, description: &str) -> String {
    format!(
        r#"<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}. {}" xmlns="http://www.w3.org/2000/svg">"#,
        size.width,
        size.height,
        escape(title),
        escape(description)
    )
}

fn described(lines: &[Line]) -> String {
    let each = lines.iter().map(|line| {
        let points = LABELLED.iter().filter_map(|(share, label)| {
            let point = line.points.iter().find(|(other, _)| (other - share).abs() < 1e-9)?;
            Some(format!("{label} {}", text::micros(point.1)))
        });
        format!("{}: {}", line.name, points.collect::<Vec<_>>().join(", "))
    });
    each.collect::<Vec<_>>().join("; ")
}

pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_labelled_even_in_a_narrow_range() {
        assert_eq!(log_ticks(90.0, 1_100.0), [100.0, 200.0, 500.0, 1_000.0]);
        assert!(log_ticks(110.0, 260.0).len() >= 3);
        assert_eq!(tick_label(1_500.0), "1.5 ms");
    }

    #[test]
    fn names_at_the_ends_stay_inside_and_apart() {
        let lines: Vec<Line> = (0..8)
            .map(|nth| Line {
                name: format!("n{nth}"),
                look: Look::PLAIN,
                points: vec![(0.5, 100.0), (0.99, 200.0 + nth as f64)],
            })
            .collect();
        let svg = percentiles(&lines, WIDE, "t");
        let places: Vec<f64> = svg
            .split(r#"class="name" x=""#)
            .skip(1)
            .map(|rest| rest.split("y=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap())
            .collect();
        assert_eq!(places.len(), 8);
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] >= 14.9), "{places:?}");
        assert!(places.iter().all(|y| *y > 10.0 && *y < WIDE.height - 20.0), "{places:?}");
    }

    #[test]
    fn a_chart_says_in_words_what_it_shows() {
        let line = Line { name: "a<b".into(), look: Look::PLAIN, points: vec![(0.5, 100.0), (0.9, 150.0)] };
        let svg = percentiles(&[line], NARROW, "response");
        assert!(svg.contains(r#"role="img" aria-label="response. a&lt;b: p50 100 µs, p90 150 µs""#));
    }
}
