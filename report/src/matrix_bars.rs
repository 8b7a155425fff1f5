//! How many cells of each contender came to what: a stacked bar a contender, as SVG. Every part has
//! its sign, its number and a title; drawn twice, for a wide page and for a phone.

use std::fmt::Write as _;

use record::matrix::{MatrixOutcome, MatrixRecord, Tone};

/// Widths that the chart is drawn for.
pub(super) const WIDE: f64 = 760.0;
pub(super) const NARROW: f64 = 350.0;

const ROW: f64 = 34.0;
const BAR: f64 = 22.0;
/// Room that a number needs in its part.
const NUMBER: f64 = 20.0;

/// The class that gives an outcome its colour.
pub(super) fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Best => "best",
        Tone::Good => "good",
        Tone::Fair => "fair",
        Tone::Bad => "bad",
        Tone::Neutral => "neutral",
    }
}

/// The counts of every contender.
pub(super) fn bars(record: &MatrixRecord, width: f64) -> String {
    let narrow = width < 500.0;
    let longest = record.columns.iter().map(|column| column.name.chars().count()).max().unwrap_or(0);
    let left = if narrow { 2.0 } else { longest as f64 * 7.2 + 14.0 };
    let row = if narrow { ROW + 14.0 } else { ROW };
    let height = 8.0 + row * record.columns.len() as f64;
    let scale = (width - left - 4.0) / record.rows.len().max(1) as f64;
    let said: Vec<String> = record.columns.iter().map(|column| in_words(record, &column.name)).collect();
    let mut svg = format!(
        r#"<svg class="chart" viewBox="0 0 {width} {height}" role="img" xmlns="http://www.w3.org/2000/svg"><title>How many cells of each contender came to what</title><desc>{}</desc>"#,
        escape(&said.join("; "))
    );
    for (nth, column) in record.columns.iter().enumerate() {
        let y = 6.0 + row * nth as f64 + if narrow { 16.0 } else { 0.0 };
        let (x, text_y, anchor) =
            if narrow { (left, y - 4.0, "start") } else { (left - 10.0, y + 15.0, "end") };
        let _ = write!(
            svg,
            r#"<text class="name" x="{x:.1}" y="{text_y:.1}" text-anchor="{anchor}">{}</text>"#,
            escape(&column.name)
        );
        let mut from = left;
        for (outcome, count) in record.counts(&column.name).into_iter().filter(|(_, count)| *count > 0) {
            from = part(&mut svg, &column.name, outcome, count, (from, y), scale);
        }
    }
    svg.push_str("</svg>");
    svg
}

/// Draws a part of a bar; gives where it ends.
fn part(
    svg: &mut String,
    contender: &str,
    outcome: &MatrixOutcome,
    count: usize,
    (x, y): (f64, f64),
    scale: f64,
) -> f64 {
    let width = count as f64 * scale;
    let class = class(outcome.tone);
    let _ = write!(
        svg,
        r#"<g><title>{}, {}: {count}</title><rect class="{class}" x="{x:.1}" y="{y:.1}" width="{:.1}" height="{BAR}"/>"#,
        escape(contender),
        escape(&outcome.name),
        (width - 1.5).max(0.5)
    );
    if width >= NUMBER {
        // The sign too, where there is room: colour is never the only carrier.
        let sign =
            if width >= 2.0 * NUMBER { format!("{} {count}", outcome.glyph) } else { count.to_string() };
        let _ = write!(
            svg,
            r#"<text class="on {class}" x="{:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
            x + width / 2.0 - 0.75,
            y + 15.5,
            escape(&sign)
        );
    }
    svg.push_str("</g>");
    x + width
}

fn in_words(record: &MatrixRecord, contender: &str) -> String {
    let counts = record.counts(contender).into_iter().filter(|(_, count)| *count > 0);
    let counts: Vec<String> = counts.map(|(outcome, count)| format!("{} {count}", outcome.name)).collect();
    format!("{contender}: {}", counts.join(", "))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
