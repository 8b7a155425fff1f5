//! Bars along the measured time: a row for each contender.

use std::fmt::Write as _;

use super::chart::{Axis, Size, escape, open, room_for_names};
use super::look::Look;
use super::marks::Mark;
use super::plot::step;
use super::seconds::seconds_below;

/// A contender's row.
#[derive(Debug, Clone)]
pub(super) struct BarRow {
    pub(super) name: String,
    /// What the chart calls it.
    pub(super) label: String,
    pub(super) look: Look,
    /// What it comes to.
    pub(super) words: String,
    /// In their order.
    pub(super) bars: Vec<TimeBar>,
}

/// A bar over a stretch of time.
#[derive(Debug, Clone)]
pub(super) struct TimeBar {
    /// Seconds after the start of the measured time.
    pub(super) from_s: f64,
    pub(super) to_s: f64,
    /// Where it begins in the row's height, from 0 to 1.
    pub(super) base: f64,
    /// How much of that height it fills.
    pub(super) share: f64,
    /// How strong its colour is, from 0 to 1.
    pub(super) strength: f64,
    pub(super) words: String,
}

/// How rows look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a> {
    /// Height of a row.
    pub(super) height: f64,
    /// Whether what is not filled is shaded: it is something that is missing.
    pub(super) shaded: bool,
    /// Whether each row ends in its words, beside its name.
    pub(super) worded: bool,
    /// What happened meanwhile, over all rows.
    pub(super) marks: &'a [Mark],
}

/// Letters of a name that stands beside its row.
const BESIDE_MAX: usize = 22;
/// Height of a mark's name above the rows.
const MARK_HEIGHT: f64 = 16.0;

/// A dashed line where something began, one where it was over, and its name between them.
fn draw_mark(svg: &mut String, mark: &Mark, across: &Axis, top: f64, rows: impl Iterator<Item = (f64, f64)>) {
    let stretches: Vec<(f64, f64)> = std::iter::once((top, top + 12.0)).chain(rows).collect();
    // Its name may be longer than it.
    let ends = [(Some(mark.from_s), &stretches[..]), (mark.to_s, &stretches[1..])];
    for (at, stretches) in ends.into_iter().filter_map(|(at, stretches)| Some((at?, stretches))) {
        let x = across.at(at);
        let lines = stretches.iter().map(|(from, to)| format!("M{x:.1} {from:.1}V{to:.1}"));
        let path: String = lines.collect();
        let _ = write!(svg, r#"<path class="one" stroke-dasharray="5 4" d="{path}"/>"#);
    }
    let _ = write!(
        svg,
        r#"<text class="tick" x="{:.1}" y="{:.1}">{}</text>"#,
        across.at(mark.from_s) + 5.0,
        top + 10.0,
        escape(&mark.words)
    );
}

/// Draws the rows over so many seconds.
pub(super) fn bars_along(rows: &[BarRow], seconds: f64, style: Rows<'_>, size: Size, title: &str) -> String {
    let Rows { height, shaded, worded, marks } = style;
    let label = |row: &BarRow| match worded {
        true => format!("{}: {}", row.label, row.words),
        false => row.label.clone(),
    };
    let labels: Vec<String> = rows.iter().map(label).collect();
    // Names that have no room beside their rows stand above them.
    let above = size.width < 500.0 || labels.iter().any(|label| label.chars().count() > BESIDE_MAX);
    let (left, apart) = match above {
        true => (4.0, height + 26.0),
        false => (room_for_names(labels.iter().map(|label| &label[..])), height + 12.0),
    };
    // Names of neighbours stand one above the other.
    let top = 8.0 + MARK_HEIGHT * marks.len().min(2) as f64;
    let bottom = top + apart * rows.len() as f64;
    let across = Axis::new(0.0, seconds, left, size.width - 24.0);
    let said: Vec<String> = rows.iter().map(|row| format!("{}: {}", row.name, row.words)).collect();
    let said: Vec<String> = said.into_iter().chain(marks.iter().map(Mark::in_words)).collect();
    let mut svg = open(Size { height: bottom + 38.0, ..size }, title, &said.join("; "));
    let row_y = |nth: usize| top + apart * nth as f64 + if above { 16.0 } else { 0.0 };
    for (nth, (row, label)) in rows.iter().zip(&labels).enumerate() {
        let y = row_y(nth);
        let (x, name_y, anchor) = match above {
            true => (left, y - 4.0, "start"),
            false => (left - 10.0, y + height / 2.0 + 5.0, "end"),
        };
        let _ = write!(
            svg,
            r#"<g data-s="{}"><text class="name" x="{x:.1}" y="{name_y:.1}" text-anchor="{anchor}">{}</text>"#,
            escape(&row.name),
            escape(label)
        );
        let _ = match shaded {
            true => write!(
                svg,
                r#"<rect class="band" x="{left:.1}" y="{y:.1}" width="{:.1}" height="{height}"/>"#,
                across.at(seconds) - left
            ),
            false => write!(
                svg,
                r#"<path class="grid" d="M{left:.1} {:.1}H{:.1}"/>"#,
                y + height,
                size.width - 24.0
            ),
        };
        for bar in &row.bars {
            let (x, end, high) = (across.at(bar.from_s), across.at(bar.to_s), height * bar.share);
            let _ = write!(
                svg,
                r#"<rect x="{x:.1}" y="{:.1}" width="{:.1}" height="{high:.1}" fill="{}"{}><title>{}, {}</title></rect>"#,
                y + height * (1.0 - bar.base) - high,
                (end - x).max(0.5),
                row.look.colour(),
                if bar.strength < 1.0 { format!(r#" opacity="{:.2}""#, bar.strength) } else { String::new() },
                escape(&row.name),
                escape(&bar.words)
            );
        }
        svg.push_str("</g>");
    }
    for (nth, mark) in marks.iter().filter(|mark| mark.from_s <= seconds).enumerate() {
        let mark = &Mark { to_s: mark.to_s.map(|to| to.min(seconds)), ..mark.clone() };
        // Not through the names above the rows.
        let rows = (0..rows.len()).map(row_y).map(|y| (y - 2.0, y + height + 2.0));
        draw_mark(&mut svg, mark, &across, 6.0 + MARK_HEIGHT * (nth % 2) as f64, rows);
    }
    let every = step(seconds, 5.0);
    seconds_below(&mut svg, &across, (left, size.width - 24.0), seconds, every, bottom);
    svg.push_str("</svg>");
    svg
}
