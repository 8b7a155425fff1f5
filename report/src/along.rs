//! Bars along the measured time: a row for each contender.

use std::fmt::Write as _;

use terms::text;

use super::chart::{Axis, Size, escape, open, room_for_names};
use super::look::Look;
use super::plot::step;

/// A contender's row.
#[derive(Debug, Clone)]
pub(super) struct BarRow {
    pub(super) name: String,
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
    /// How much of the row's height it fills, from 0 to 1.
    pub(super) share: f64,
    pub(super) words: String,
}

/// How rows look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows {
    /// Height of a row.
    pub(super) height: f64,
    /// Whether what is not filled is shaded: it is something that is missing.
    pub(super) shaded: bool,
    /// Whether each row ends in its words, beside its name.
    pub(super) worded: bool,
}

/// Draws the rows over so many seconds.
pub(super) fn bars_along(rows: &[BarRow], seconds: f64, style: Rows, size: Size, title: &str) -> String {
    let Rows { height, shaded, worded } = style;
    let narrow = size.width < 500.0;
    let label = |row: &BarRow| match worded {
        true => format!("{}: {}", row.name, row.words),
        false => row.name.clone(),
    };
    let labels: Vec<String> = rows.iter().map(label).collect();
    let (left, apart) = match narrow {
        true => (4.0, height + 26.0),
        false => (room_for_names(labels.iter().map(|label| &label[..])), height + 12.0),
    };
    let bottom = 8.0 + apart * rows.len() as f64;
    let across = Axis::new(0.0, seconds, left, size.width - 24.0);
    let said: Vec<String> = rows.iter().map(|row| format!("{}: {}", row.name, row.words)).collect();
    let mut svg = open(Size { height: bottom + 38.0, ..size }, title, &said.join("; "));
    for (nth, (row, label)) in rows.iter().zip(&labels).enumerate() {
        let y = 8.0 + apart * nth as f64 + if narrow { 16.0 } else { 0.0 };
        let (x, name_y, anchor) = match narrow {
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
                r#"<rect x="{x:.1}" y="{:.1}" width="{:.1}" height="{high:.1}" fill="{}"><title>{}, {}</title></rect>"#,
                y + height - high,
                (end - x).max(0.5),
                row.look.colour(),
                escape(&row.name),
                escape(&bar.words)
            );
        }
        svg.push_str("</g>");
    }
    let every = step(seconds, 5.0);
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
        r#"<text class="axis" x="{:.1}" y="{:.1}" text-anchor="middle">seconds of the measured time</text></svg>"#,
        f64::midpoint(left, size.width - 24.0),
        bottom + 32.0
    );
    svg
}
