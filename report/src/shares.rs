//! What each of several markets had of the calls, along the measured time: a row for each
//! contender, its markets one above the other, and the one with trouble in full colour.

use terms::text;

use super::along::{BarRow, Rows, TimeBar, bars_along};
use super::chart::Size;
use super::look::Look;
use super::marks::Mark;

/// A contender's row.
#[derive(Debug, Clone)]
pub(super) struct ShareRow {
    pub(super) name: String,
    /// What the chart calls it.
    pub(super) label: String,
    pub(super) look: Look,
    /// Of each market, calls in each slice.
    pub(super) calls: Vec<Vec<u64>>,
}

/// The least that is drawn together: in fewer calls a share is chance.
const TOGETHER_S: f64 = 0.1;

impl ShareRow {
    /// `seconds` is the measured time; `troubled` the market that has trouble, from 0.
    fn row(&self, seconds: f64, troubled: usize) -> BarRow {
        let slices = self.calls.first().map_or(0, Vec::len);
        let slice_s = seconds / slices.max(1) as f64;
        let together = ((TOGETHER_S / slice_s).round() as usize).max(1);
        let mut bars = Vec::new();
        for from in (0..slices).step_by(together) {
            let to = (from + together).min(slices);
            let stretch = |market: &Vec<u64>| sum(market.iter().skip(from).take(together));
            let counts: Vec<f64> = self.calls.iter().map(stretch).collect();
            let all = counts.iter().sum::<f64>().max(1.0);
            let mut base = 0.0;
            // The one with trouble stands on the ground, where its height is seen best.
            let order = std::iter::once(troubled).chain((0..counts.len()).filter(|nth| *nth != troubled));
            for nth in order {
                let share = counts.get(nth).map_or(0.0, |count| count / all);
                let from_s = from as f64 * slice_s;
                bars.push(TimeBar {
                    from_s,
                    to_s: to as f64 * slice_s,
                    base,
                    share,
                    strength: if nth == troubled { 1.0 } else { 0.5 / (1.0 + nth as f64) },
                    words: format!(
                        "from {from_s:.1} s: market {} has {}",
                        nth + 1,
                        text::percent_of_all(share)
                    ),
                });
                base += share;
            }
        }
        let of = self.calls.get(troubled).map_or(0.0, |calls| sum(calls.iter()));
        let share = of / sum(self.calls.iter().flatten()).max(1.0);
        let words = format!("market {} has {} of all calls", troubled + 1, text::percent_of_all(share));
        BarRow { name: self.name.clone(), label: self.label.clone(), look: self.look, words, bars }
    }
}

/// Of counts that may be anybody's.
fn sum<'a>(counts: impl Iterator<Item = &'a u64>) -> f64 {
    counts.map(|count| *count as f64).sum()
}

/// Draws the rows over so many seconds; nothing where there is one market.
pub(super) fn shares(
    rows: &[ShareRow],
    seconds: f64,
    troubled: usize,
    marks: &[Mark],
    size: Size,
    title: &str,
) -> String {
    let rows: Vec<BarRow> =
        rows.iter().filter(|row| row.calls.len() > 1).map(|row| row.row(seconds, troubled)).collect();
    if rows.is_empty() {
        return String::new();
    }
    let style = Rows { height: 48.0, shaded: true, worded: false, marks };
    bars_along(&rows, seconds, style, size, title)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::WIDE;

    #[test]
    fn markets_stand_one_above_the_other_and_the_troubled_one_below() {
        let row = |calls: Vec<Vec<u64>>| ShareRow {
            name: "pick".to_owned(),
            label: "pick".to_owned(),
            look: Look::PLAIN,
            calls,
        };
        let calls = vec![vec![2; 100], vec![1; 100], vec![1; 100]];
        let drawn = shares(&[row(calls)], 1.0, 1, &[], WIDE, "Shares");
        // Ten stretches of 100 ms, three markets, a quarter of 48 px for the second.
        assert_eq!(drawn.matches(r#"height="12.0""#).count(), 20);
        assert_eq!(drawn.matches(r#"height="24.0""#).count(), 10);
        assert!(drawn.contains("market 2 has 25.0 %"), "{drawn}");
        assert_eq!(shares(&[row(vec![vec![1; 100]])], 1.0, 0, &[], WIDE, "Shares"), "");
    }
}
