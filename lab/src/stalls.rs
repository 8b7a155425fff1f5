//! A probe that does nothing: where even that is interrupted, something takes the cores unseen.

use std::time::Duration;

use clock::{Clock, Mono};

/// A gap between two readings of the clock that is a stall: more than any interrupt takes.
pub const STALL_MIN: Duration = Duration::from_micros(300);

/// Time that a busy thread on each core did not get.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stalls {
    /// As a share of the time on all cores.
    pub share: f64,
    /// The longest gap.
    pub longest: Duration,
}

impl Stalls {
    /// Reads the clock again and again on every core at once; where a reading is late, something
    /// else had the core.
    pub fn watch(cores: &[usize], span: Duration) -> Stalls {
        let watch = |core: usize| {
            let clock = Clock::System;
            // Unpinned it is a less exact reading, and still one.
            let _ = crate::cores::pin(core);
            let end = clock.now() + span;
            lost(std::iter::from_fn(|| Some(clock.now()).filter(|now| *now < end)))
        };
        let found: Vec<(Duration, Duration)> = std::thread::scope(|scope| {
            let watchers: Vec<_> = cores.iter().map(|core| scope.spawn(move || watch(*core))).collect();
            watchers.into_iter().filter_map(|watcher| watcher.join().ok()).collect()
        });
        let lost: Duration = found.iter().map(|(lost, _)| *lost).sum();
        Stalls {
            share: lost.as_secs_f64() / (span.as_secs_f64() * cores.len().max(1) as f64),
            longest: found.iter().map(|(_, longest)| *longest).max().unwrap_or_default(),
        }
    }
}

/// All that was lost between readings, and the longest gap.
fn lost(readings: impl Iterator<Item = Mono>) -> (Duration, Duration) {
    let (mut lost, mut longest, mut last) = (Duration::ZERO, Duration::ZERO, None);
    for now in readings {
        let gap = last.map_or(Duration::ZERO, |last| now.since(last));
        if gap > STALL_MIN {
            lost += gap;
            longest = longest.max(gap);
        }
        last = Some(now);
    }
    (lost, longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_between_readings_are_stalls_where_they_are_long() {
        let readings = [0, 100, 200, 700, 800, 1_300, 3_300].map(|us: u64| Mono(us * 1_000));
        let (all, longest) = lost(readings.into_iter());
        assert_eq!((all.as_micros(), longest.as_micros()), (3_000, 2_000));
    }
}
