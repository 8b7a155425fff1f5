//! What each of several markets had of the calls, and how long it took until they left one that had
//! trouble.

use std::time::Duration;

use record::MarketsPart;
use terms::{Changes, Condition, Course, Trouble};

use crate::Measurement;
use crate::meters::micros;

/// What is looked at together: in fewer calls a share is chance.
const WINDOW: Duration = Duration::from_millis(100);
/// The share of its even share above which calls have not left a market.
const LEFT_SHARE: f64 = 0.5;
/// The share of failed calls above which somebody still calls in vain.
const IN_VAIN_SHARE: f64 = 0.05;

/// Of a measurement; `None` where there is one market.
pub(super) fn markets_part(measurement: &Measurement, condition: &Condition) -> Option<MarketsPart> {
    let calls = &measurement.calls_by_market;
    if calls.is_empty() {
        return None;
    }
    let course = &measurement.outcome.course;
    let trouble = Changes::first_of_one(&condition.changes);
    let whole = Duration::MAX;
    let (from, to) =
        trouble.as_ref().map_or((Duration::ZERO, whole), |of| (of.after + of.lasts / 2, of.end()));
    let market = trouble.as_ref().and_then(|of| of.market);
    let moved = trouble.as_ref().and_then(|of| time_to_move(calls, course, of, market?));
    let last = trouble.as_ref().and_then(|of| last_call(calls.get(market? - 1)?, course.slice, of));
    Some(MarketsPart {
        calls: calls.iter().map(|slices| slices.iter().sum()).collect(),
        shares: shares(&within(calls, course.slice, from, to)),
        time_to_move_us: moved.flatten().map(micros),
        never_moved: moved == Some(None),
        last_call_us: last.flatten().map(micros),
        called_to_the_end: last == Some(None),
    })
}

/// Calls of each market in slices that lie wholly within.
fn within(calls: &[Vec<u64>], slice: Duration, from: Duration, to: Duration) -> Vec<u64> {
    let lies = |nth: usize| slice * nth as u32 >= from && slice * (nth as u32 + 1) <= to;
    let sum = |slices: &Vec<u64>| {
        slices.iter().enumerate().filter(|(nth, _)| lies(*nth)).map(|(_, count)| count).sum()
    };
    calls.iter().map(sum).collect()
}

fn shares(calls: &[u64]) -> Vec<f64> {
    let all = calls.iter().sum::<u64>().max(1) as f64;
    calls.iter().map(|count| *count as f64 / all).collect()
}

/// From the beginning of a trouble to the end of the last window, before the trouble ends, in which
/// its market had more than half of an even share, or calls failed; a window at least, for it is
/// not known more closely. `None` where that is the last window; nothing of a trouble that is
/// shorter than one.
fn time_to_move(
    calls: &[Vec<u64>],
    course: &Course,
    trouble: &Trouble,
    market: usize,
) -> Option<Option<Duration>> {
    // A window holds whole slices, wherever it begins.
    let window = WINDOW.max(course.slice * 2);
    let windows = trouble.lasts.div_duration_f64(window) as u32;
    let even = 1.0 / calls.len() as f64;
    let has_left = |nth: u32| {
        let from = trouble.after + window * nth;
        let shares = shares(&within(calls, course.slice, from, from + window));
        let share = shares.get(market - 1).copied().unwrap_or_default();
        let due = course.slices.iter().enumerate().filter(|(nth, _)| {
            let at = course.slice * *nth as u32;
            (from..from + window).contains(&at)
        });
        let (arrivals, failed) =
            due.fold((0, 0), |(all, bad), (_, slice)| (all + slice.arrivals, bad + slice.failed));
        share <= LEFT_SHARE * even && failed as f64 <= IN_VAIN_SHARE * arrivals as f64
    };
    (windows > 0).then(|| match (0..windows).rfind(|nth| !has_left(*nth)) {
        None => Some(window),
        Some(last) => (last + 1 < windows).then(|| window * (last + 1)),
    })
}

/// From the beginning of a trouble to the end of the last slice, before the trouble ends, in which
/// a call came to its market; to its beginning where none came. `None` where calls come to the end;
/// nothing of a trouble that is shorter than a window.
fn last_call(calls: &[u64], slice: Duration, trouble: &Trouble) -> Option<Option<Duration>> {
    let slices = calls.iter().enumerate().map(|(nth, count)| (slice * nth as u32, *count));
    let within = slices.filter(|(at, _)| *at >= trouble.after && *at + slice <= trouble.end());
    let last = within.rev().find(|(_, count)| *count > 0);
    let last = last.map_or(Duration::ZERO, |(at, _)| at + slice - trouble.after);
    (trouble.lasts > WINDOW).then(|| (last + WINDOW <= trouble.lasts).then_some(last))
}

#[cfg(test)]
mod tests {
    use terms::TroubleKind;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// A second in slices of 10 ms; the second of three markets has so many calls in a slice.
    fn moved(second: impl Fn(usize) -> u64, fails: impl Fn(usize) -> bool) -> Option<Duration> {
        let mut course = Course::over(0, 1_000 * MS);
        for (nth, slice) in course.slices.iter_mut().enumerate() {
            (slice.arrivals, slice.failed) = (10, if fails(nth) { 5 } else { 0 });
        }
        let calls = [vec![4; 100], (0..100).map(second).collect(), vec![4; 100]];
        let trouble =
            Trouble { market: Some(2), after: 200 * MS, lasts: 600 * MS, kind: TroubleKind::Freezes };
        time_to_move(&calls, &course, &trouble, 2).unwrap()
    }

    #[test]
    fn calls_have_left_where_few_come_and_none_fail() {
        let until = |end: usize| move |nth: usize| if nth < end { 4 } else { 0 };
        assert_eq!(moved(until(50), |_| false), Some(300 * MS), "30 slices behind its beginning");
        assert_eq!(moved(until(20), |_| false), Some(100 * MS), "before it began");
        assert_eq!(moved(|_| 4, |_| false), None, "never");
        assert_eq!(moved(|_| 1, |_| false), Some(100 * MS), "a ninth is less than a sixth");
        assert_eq!(moved(until(0), |nth| (20..65).contains(&nth)), Some(500 * MS), "they fail until then");
        assert_eq!(moved(until(0), |nth| nth >= 80), Some(100 * MS), "what comes later is another matter");
    }

    #[test]
    fn the_last_call_is_known_to_a_slice() {
        let trouble = Trouble { market: Some(1), after: 20 * MS, lasts: 500 * MS, kind: TroubleKind::Leaves };
        let last = |calls: &[(usize, u64)]| {
            let mut slices = vec![0; 60];
            calls.iter().for_each(|(nth, count)| slices[*nth] = *count);
            last_call(&slices, 10 * MS, &trouble)
        };
        assert_eq!(
            last(&[(1, 5), (2, 1), (30, 1)]),
            Some(Some(290 * MS)),
            "31 slices, of which 2 are before"
        );
        assert_eq!(last(&[(1, 5), (55, 5)]), Some(Some(Duration::ZERO)), "none came in the trouble");
        assert_eq!(last(&[(45, 1)]), Some(None), "they come to its end");
        let short = Trouble { lasts: 100 * MS, ..trouble };
        assert_eq!(last_call(&[1; 60], 10 * MS, &short), None);
    }

    #[test]
    fn shares_are_of_whole_slices() {
        let calls = [vec![1, 2, 3], vec![1, 6, 1]];
        assert_eq!(within(&calls, 10 * MS, 10 * MS, 29 * MS), [2, 6]);
        assert_eq!(shares(&[2, 6]), [0.25, 0.75]);
        assert_eq!(shares(&[0, 0]), [0.0, 0.0]);
    }
}
