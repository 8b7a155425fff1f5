//! When attempts were made again: a row for each contender, all to one scale.

use super::along::{BarRow, Rows, TimeBar, bars_along};
use super::chart::Size;
use super::look::Look;

/// A contender's retries.
#[derive(Debug, Clone)]
pub(super) struct RetryRow {
    pub(super) name: String,
    /// What the chart calls it.
    pub(super) label: String,
    pub(super) look: Look,
    /// In each 10 ms from the start of the measured time on, mean of the rounds.
    pub(super) per_10ms: Vec<f64>,
}

/// The least peak that is a picture: below it retries come one by one.
const PEAK_MIN: f64 = 5.0;
const BIN_S: f64 = 0.01;

/// Draws the rows; nothing where nobody made many again at once.
pub(super) fn retries(rows: &[RetryRow], size: Size, title: &str) -> String {
    let peak = |row: &RetryRow| row.per_10ms.iter().copied().fold(0.0, f64::max);
    let highest = rows.iter().map(peak).fold(0.0, f64::max);
    if highest < PEAK_MIN {
        return String::new();
    }
    let bins = rows.iter().map(|row| row.per_10ms.len()).max().unwrap_or(0);
    let row = |row: &RetryRow| {
        let bars = row.per_10ms.iter().enumerate().filter(|(_, count)| **count > 0.0);
        let bar = |(nth, count): (usize, &f64)| TimeBar {
            from_s: nth as f64 * BIN_S,
            to_s: (nth + 1) as f64 * BIN_S,
            base: 0.0,
            share: count / highest,
            strength: 1.0,
            words: format!("from {:.2} s: {count:.0} in 10 ms", nth as f64 * BIN_S),
        };
        BarRow {
            name: row.name.clone(),
            label: row.label.clone(),
            look: row.look,
            words: format!("{:.0}", peak(row)),
            bars: bars.map(bar).collect(),
        }
    };
    let rows: Vec<BarRow> = rows.iter().filter(|row| !row.per_10ms.is_empty()).map(row).collect();
    let style = Rows { height: 36.0, shaded: false, worded: true, marks: &[] };
    bars_along(&rows, bins as f64 * BIN_S, style, size, title)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::WIDE;

    #[test]
    fn rows_share_a_scale_and_few_retries_are_no_picture() {
        let row = |name: &str, per_10ms: [f64; 2]| RetryRow {
            name: name.to_owned(),
            label: name.to_owned(),
            look: Look::PLAIN,
            per_10ms: Vec::from(per_10ms),
        };
        let drawn = retries(&[row("none", [0.0, 480.0]), row("full", [60.0, 60.0])], WIDE, "Retries");
        assert!(drawn.contains("none: 480; full: 60"), "{drawn}");
        assert_eq!(
            (drawn.matches(r#"height="36.0""#).count(), drawn.matches(r#"height="4.5""#).count()),
            (1, 2)
        );
        assert_eq!(retries(&[row("none", [1.0, 2.0])], WIDE, "Retries"), "");
    }
}
