//! Ratios with their intervals: a forest plot, with the rounds behind each interval.

use std::fmt::Write as _;

use record::Ratio;
use terms::text;

use super::chart::{Axis, Size, escape, open, ratio_ticks, room_for_names};
use super::look::Look;

/// One contender against the baseline.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) look: Look,
    pub(super) ratio: Ratio,
    /// Round by round.
    pub(super) rounds: Vec<f64>,
    /// Whether the difference stands after adjusting for the number of comparisons.
    pub(super) differs: bool,
}

/// Draws rows around 1. In the band, up to `detectable` either way, a difference would be missed
/// more than once in five.
pub(super) fn forest(rows: &[Row], detectable: Option<f64>, size: Size, title: &str) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let narrow = size.width < 500.0;
    let (left, step) =
        if narrow { (8.0, 44.0) } else { (room_for_names(rows.iter().map(|row| &row.name[..])), 28.0) };
    let right = size.width - if narrow { 12.0 } else { 150.0 };
    let ends = rows.iter().flat_map(|row| [row.ratio.low, row.ratio.high, row.ratio.ratio]);
    let spread = ends.map(|end| end.ln().abs()).fold(0.05, f64::max).min(3.0) * 1.08;
    let across = Axis::new(-spread, spread, left, right);
    let at = |ratio: f64| across.at(ratio.ln().clamp(-spread, spread));
    let bottom = 12.0 + step * rows.len() as f64;
    let said: Vec<String> =
        rows.iter().map(|row| format!("{}: {}", row.name, in_words(&row.ratio))).collect();
    let mut svg = open(Size { height: bottom + 22.0, ..size }, title, &said.join("; "));
    if let Some(detectable) = detectable {
        let (from, to) = (at(1.0 / detectable), at(detectable));
        let _ = write!(
            svg,
            r#"<rect class="band" x="{from:.1}" y="6" width="{:.1}" height="{:.1}"/>"#,
            to - from,
            bottom - 6.0
        );
    }
    let mut labelled = vec![at(1.0)];
    let ticks = ratio_ticks((-spread).exp(), spread.exp()).into_iter();
    for tick in ticks.filter(|tick| apart(at(*tick), *tick, &mut labelled)) {
        let (x, class) = (at(tick), if (tick - 1.0).abs() < 1e-9 { "one" } else { "grid" });
        let _ = write!(
            svg,
            r#"<path class="{class}" d="M{x:.1} 6V{bottom:.1}"/><text class="tick" x="{x:.1}" y="{:.1}" text-anchor="middle">{} ×</text>"#,
            bottom + 16.0,
            (tick * 100.0).round() / 100.0
        );
    }
    for (nth, row) in rows.iter().enumerate() {
        let y = 8.0 + step * (nth as f64 + if narrow { 0.72 } else { 0.5 });
        draw_row(&mut svg, row, y, &at, (left, right, narrow));
    }
    svg.push_str("</svg>");
    svg
}

/// Whether a label at `x` has room beside those that are there; 1 always has.
fn apart(x: f64, tick: f64, labelled: &mut Vec<f64>) -> bool {
    const LABEL: f64 = 46.0;
    let room = labelled.iter().all(|other| (other - x).abs() >= LABEL);
    labelled.extend(room.then_some(x));
    room || (tick - 1.0).abs() < 1e-9
}

fn draw_row(
    svg: &mut String,
    row: &Row,
    y: f64,
    at: &dyn Fn(f64) -> f64,
    (left, right, narrow): (f64, f64, bool),
) {
    let colour = row.look.colour();
    for round in &row.rounds {
        let _ = write!(
            svg,
            r#"<circle class="round" cx="{:.1}" cy="{y:.1}" r="2.4" fill="{colour}"/>"#,
            at(*round)
        );
    }
    let (low, high, middle) = (at(row.ratio.low), at(row.ratio.high), at(row.ratio.ratio));
    let words = in_words(&row.ratio);
    let _ = write!(
        svg,
        r#"<path class="interval" stroke="{colour}" d="M{low:.1} {y:.1}H{high:.1}M{low:.1} {a:.1}v8M{high:.1} {a:.1}v8"/>{}"#,
        row.look.marker((middle, y), 1.0, &format!("{}: {words}", row.name)),
        a = y - 4.0,
    );
    let star = if row.differs { " *" } else { "" };
    let (name_x, name_y, anchor) =
        if narrow { (left, y - 12.0, "start") } else { (left - 12.0, y + 4.0, "end") };
    let (words_x, words_anchor) = if narrow { (right, "end") } else { (right + 12.0, "start") };
    let _ = write!(
        svg,
        r#"<text class="name" x="{name_x:.1}" y="{name_y:.1}" text-anchor="{anchor}">{}</text><text class="tick" x="{words_x:.1}" y="{name_y:.1}" text-anchor="{words_anchor}">{words}{star}</text>"#,
        escape(&row.name)
    );
}

fn in_words(ratio: &Ratio) -> String {
    let [middle, low, high] = [ratio.ratio, ratio.low, ratio.high].map(text::ratio);
    format!("{middle} × ({low}–{high})")
}

#[cfg(test)]
mod tests {
    use judge::statistics::paired_ratio;

    use super::*;
    use crate::chart::{NARROW, WIDE};

    #[test]
    fn a_forest_says_in_words_what_it_shows_and_stays_inside() {
        let rounds = vec![1.2, 1.3, 1.25, 900.0];
        let pairs: Vec<(f64, f64)> = rounds[..3].iter().map(|ratio| (*ratio, 1.0)).collect();
        let ratio = paired_ratio(&pairs).unwrap();
        let row = Row { name: "a<b".into(), look: Look::PLAIN, ratio, rounds, differs: true };
        for size in [WIDE, NARROW] {
            let svg = forest(std::slice::from_ref(&row), Some(1.1), size, "ratios");
            assert!(svg.contains(r#"role="img" aria-label="ratios. a&lt;b: 1.25 × ("#), "{svg}");
            let places = svg.split("cx=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
            let inside = |place: &str| (0.0..=size.width).contains(&place.parse::<f64>().unwrap());
            assert!(places.into_iter().all(inside), "{svg}");
        }
    }
}
