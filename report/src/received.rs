//! What subscribers received of what was due, along the measured time: a row for each contender,
//! and its gaps shaded.

use std::fmt::Write as _;

use record::SlicePart;
use terms::text;

use super::chart::{Axis, Size, escape, open, room_for_names};
use super::look::Look;
use super::plot::step;

/// A contender's row.
#[derive(Debug, Clone)]
pub(super) struct Received {
    pub(super) name: String,
    pub(super) look: Look,
    /// By when events were due, in order.
    pub(super) slices: Vec<SlicePart>,
}

impl Received {
    fn totals(&self) -> (u64, u64) {
        let sum = |of: fn(&SlicePart) -> u64| self.slices.iter().map(of).sum();
        (sum(|slice| slice.arrivals), sum(|slice| slice.failed))
    }

    fn in_words(&self) -> String {
        let (due, missed) = self.totals();
        format!("{}: {} of {}", self.name, text::count(due - missed), text::count(due))
    }
}

/// Draws the rows over so many seconds; nothing where nobody missed anything.
pub(super) fn received(rows: &[Received], seconds: f64, size: Size, title: &str) -> String {
    let misses = rows.iter().any(|row| row.totals().1 > 0);
    if !misses || seconds <= 0.0 {
        return String::new();
    }
    const HEIGHT: f64 = 20.0;
    let narrow = size.width < 500.0;
    let (left, apart) =
        if narrow { (4.0, 46.0) } else { (room_for_names(rows.iter().map(|row| &row.name[..])), 32.0) };
    let bottom = 8.0 + apart * rows.len() as f64;
    let across = Axis::new(0.0, seconds, left, size.width - 24.0);
    let said: Vec<String> = rows.iter().map(Received::in_words).collect();
    let mut svg = open(Size { height: bottom + 38.0, ..size }, title, &said.join("; "));
    for (nth, row) in rows.iter().enumerate() {
        let y = 8.0 + apart * nth as f64 + if narrow { 16.0 } else { 0.0 };
        let (x, name_y, anchor) =
            if narrow { (left, y - 4.0, "start") } else { (left - 10.0, y + 15.0, "end") };
        let _ = write!(
            svg,
            r#"<g data-s="{0}"><text class="name" x="{x:.1}" y="{name_y:.1}" text-anchor="{anchor}">{0}</text><rect class="band" x="{left:.1}" y="{y:.1}" width="{1:.1}" height="{HEIGHT}"/>"#,
            escape(&row.name),
            across.at(seconds) - left
        );
        for (nth, slice) in row.slices.iter().enumerate() {
            let (from, to) = (slice.from_s, row.slices.get(nth + 1).map_or(seconds, |next| next.from_s));
            let share = 1.0 - slice.failed as f64 / slice.arrivals.max(1) as f64;
            let (x, end, high) = (across.at(from), across.at(to), HEIGHT * share);
            let _ = write!(
                svg,
                r#"<rect x="{x:.1}" y="{:.1}" width="{:.1}" height="{high:.1}" fill="{}"><title>{}, due from {from} s: {} of {} received</title></rect>"#,
                y + HEIGHT - high,
                (end - x).max(0.5),
                row.look.colour(),
                escape(&row.name),
                text::count(slice.arrivals - slice.failed),
                text::count(slice.arrivals)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::WIDE;

    fn slice(from_s: f64, failed: u64) -> SlicePart {
        SlicePart { from_s, arrivals: 10, failed, response_mean_us: 1.0, response_max_us: 1.0 }
    }

    #[test]
    fn a_gap_is_a_slice_that_is_not_filled() {
        let whole = [slice(0.0, 0), slice(0.5, 0)];
        let gap = [slice(0.0, 0), slice(0.5, 5)];
        let row = |name: &str, slices: &[SlicePart; 2]| Received {
            name: name.to_owned(),
            look: Look::PLAIN,
            slices: slices.to_vec(),
        };
        let drawn = received(&[row("whole", &whole), row("g<p", &gap)], 1.0, WIDE, "Events");
        assert!(drawn.contains("whole: 20 of 20; g&lt;p: 15 of 20"), "{drawn}");
        assert!(drawn.contains("g&lt;p, due from 0.5 s: 5 of 10 received"), "{drawn}");
        assert_eq!(drawn.matches(r#"height="10.0""#).count(), 1, "half of a slice was missed");
        assert_eq!(received(&[row("whole", &whole)], 1.0, WIDE, "Events"), "", "nobody missed anything");
    }
}
