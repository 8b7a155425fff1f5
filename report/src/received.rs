//! What subscribers received of what was due, along the measured time: a row for each contender,
//! and its gaps shaded.

use record::SlicePart;
use terms::text;

use super::along::{BarRow, Rows, TimeBar, bars_along};
use super::chart::Size;
use super::look::Look;
use super::marks::Mark;

/// A contender's row.
#[derive(Debug, Clone)]
pub(super) struct Received {
    pub(super) name: String,
    /// What the chart calls it.
    pub(super) label: String,
    pub(super) look: Look,
    /// By when events were due, in order.
    pub(super) slices: Vec<SlicePart>,
}

impl Received {
    fn totals(&self) -> (u64, u64) {
        let sum = |of: fn(&SlicePart) -> u64| self.slices.iter().map(of).sum();
        (sum(|slice| slice.arrivals), sum(|slice| slice.failed))
    }

    fn row(&self, seconds: f64) -> BarRow {
        let (due, missed) = self.totals();
        let bar = |(nth, slice): (usize, &SlicePart)| TimeBar {
            from_s: slice.from_s,
            to_s: self.slices.get(nth + 1).map_or(seconds, |next| next.from_s),
            base: 0.0,
            strength: 1.0,
            share: 1.0 - slice.failed as f64 / slice.arrivals.max(1) as f64,
            words: format!(
                "due from {} s: {} of {} received",
                slice.from_s,
                text::count(slice.arrivals - slice.failed),
                text::count(slice.arrivals)
            ),
        };
        BarRow {
            name: self.name.clone(),
            label: self.label.clone(),
            look: self.look,
            words: format!("{} of {}", text::count(due - missed), text::count(due)),
            bars: self.slices.iter().enumerate().map(bar).collect(),
        }
    }
}

/// Draws the rows over so many seconds; nothing where nobody missed anything.
pub(super) fn received(rows: &[Received], seconds: f64, marks: &[Mark], size: Size, title: &str) -> String {
    let misses = rows.iter().any(|row| row.totals().1 > 0);
    if !misses || seconds <= 0.0 {
        return String::new();
    }
    let rows: Vec<BarRow> = rows.iter().map(|row| row.row(seconds)).collect();
    let style = Rows { height: 20.0, shaded: true, worded: false, marks };
    bars_along(&rows, seconds, style, size, title)
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
            label: name.to_owned(),
            look: Look::PLAIN,
            slices: slices.to_vec(),
        };
        let drawn = received(&[row("whole", &whole), row("g<p", &gap)], 1.0, &[], WIDE, "Events");
        assert!(drawn.contains("whole: 20 of 20; g&lt;p: 15 of 20"), "{drawn}");
        assert!(drawn.contains("g&lt;p, due from 0.5 s: 5 of 10 received"), "{drawn}");
        assert_eq!(drawn.matches(r#"height="10.0""#).count(), 1, "half of a slice was missed");
        assert_eq!(received(&[row("whole", &whole)], 1.0, &[], WIDE, "Events"), "", "nobody missed anything");
    }
}
