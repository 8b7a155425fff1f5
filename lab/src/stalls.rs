//! A probe that does nothing: where even that is interrupted, something takes the cores unseen.

use std::time::Duration;

use clock::Clock;

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
    /// Reads the clock again and again on every core at once; where a reading is late, something else had the core.
    pub fn watch(cores: &[usize], span: Duration) -> Stalls {
        let watch = |core: usize| {
            let clock = Clock::System;
            // Unpinned it is a less exact reading, and still one.
            let _ = crate::cores::pin(core);
            let (start, mut last) = (clock.now(), clock.now());
            let (mut lost, mut longest) = (Duration::ZERO, Duration::ZERO);
            while last.since(start) < span {
                let now = clock.now();
                let gap = now.since(last);
                if gap > STALL_MIN {
                    lost += gap;
                    longest = longest.max(gap);
                }
                last = now;
            }
            (lost, longest)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_lost_is_a_share_and_no_longer_than_the_time() {
        let cores = crate::cores::allowed().unwrap();
        let stalls = Stalls::watch(&cores, Duration::from_millis(50));
        assert!((0.0..=1.1).contains(&stalls.share), "{stalls:?}");
        assert!(stalls.longest.is_zero() || stalls.longest > STALL_MIN, "{stalls:?}");
    }
}
