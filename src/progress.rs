//! What is shown while a run goes on: one live line on a terminal, plain lines elsewhere. All to
//! stderr.

use std::io::IsTerminal as _;
use std::time::Duration;

use clock::{Clock, Mono};
use indicatif::{ProgressBar, ProgressStyle};
use run::journal::Journal;
use run::{Ended, Watcher};
use scenarios::Plan;
use terms::role::Progress;
use terms::text;

use crate::ending::say;

/// How often a live line is redrawn.
const LIVE_EVERY: Duration = Duration::from_millis(120);

/// Shows a run, and keeps its journal.
pub(crate) struct LiveScreen {
    journal: Journal,
    /// The live line; `None` where there is no terminal.
    bar: Option<ProgressBar>,
    /// Measurements that an earlier start made, once it is known.
    kept: Option<usize>,
    clock: Clock,
    began: Mono,
    /// What is being measured, in words.
    now: String,
    /// Measurements that were void.
    discarded: usize,
}

impl LiveScreen {
    /// A screen for a plan: says at once what will be done and how long that takes.
    pub(crate) fn open(name: &str, plan: &Plan, journal: Journal) -> LiveScreen {
        let measurements = plan.measurements() as u64;
        say(&format!(
            "{name}: {} contenders, {} rounds, {measurements} measurements, about {}",
            plan.contenders().len(),
            plan.rounds.len(),
            text::about(plan.time())
        ));
        let clock = Clock::System;
        let bar = std::io::stderr().is_terminal().then(|| live_bar(measurements));
        LiveScreen { journal, bar, kept: None, began: clock.now(), clock, now: String::new(), discarded: 0 }
    }

    /// Takes the live line away, and gives the journal back.
    pub(crate) fn close(self) -> Journal {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
        self.journal
    }

    fn time_left(&self, plan: &Plan, done: usize) -> Duration {
        let pace = Pace {
            planned: plan.time_of_rounds().div_f64(plan.measurements().max(1) as f64),
            done: done.saturating_sub(self.kept.unwrap_or_default()),
            elapsed: self.clock.now().since(self.began),
        };
        pace.time_of(plan.measurements().saturating_sub(done)).saturating_add(plan.time_of_acts())
    }

    /// ` · 3 discarded`, where any was.
    fn discarded(&self) -> String {
        if self.discarded == 0 { String::new() } else { format!(" · {} discarded", self.discarded) }
    }
}

/// Measurements after which what was planned and what was measured have the same weight: a few say
/// little of those to come.
const PACE_MEASUREMENTS: f64 = 10.0;

/// How fast measurements go: as planned at first, and more and more as they went.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// Time that one takes by the plan.
    planned: Duration,
    /// Measurements that were made since the start, and the time that they took.
    done: usize,
    elapsed: Duration,
}

impl Pace {
    fn time_of(self, measurements: usize) -> Duration {
        let done = self.done as f64;
        let known = done / (done + PACE_MEASUREMENTS);
        let measured = self.elapsed.div_f64(done.max(1.0)).mul_f64(known);
        (measured + self.planned.mul_f64(1.0 - known)).mul_f64(measurements as f64)
    }
}

fn live_bar(length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length);
    if let Ok(style) =
        ProgressStyle::with_template("{spinner} {wide_bar:.cyan/dim} {pos}/{len}\n  {wide_msg}")
    {
        bar.set_style(style.progress_chars("━━─"));
    }
    bar.enable_steady_tick(LIVE_EVERY);
    bar
}

impl Watcher for LiveScreen {
    fn stage(&mut self, what: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(what.to_owned()),
            None => say(what),
        }
    }

    fn measuring(&mut self, plan: &Plan, round: usize, cell: usize, done: usize) {
        if done == *self.kept.get_or_insert(done) {
            self.began = self.clock.now();
        }
        let left = text::about(self.time_left(plan, done));
        let cell = &plan.cells[cell];
        self.now = format!(
            "round {}/{} · {} · {} · {left} left{}",
            round + 1,
            plan.rounds.len(),
            cell.contender.name,
            cell.condition.name,
            self.discarded()
        );
        if let Some(bar) = &self.bar {
            bar.set_position(done as u64);
            bar.set_message(self.now.clone());
        }
    }

    fn progress(&mut self, progress: &Progress) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{} · {}", self.now, in_words(progress)));
        }
    }

    /// Nothing: it is counted where it is kept. The record has each reason, and the report lists
    /// them.
    fn void(&mut self, _reason: &str) {}

    fn round_done(&mut self, plan: &Plan, round: usize) {
        if self.bar.is_none() {
            let done = plan.rounds[..=round].iter().map(Vec::len).sum();
            let left = text::about(self.time_left(plan, done));
            let (round, rounds) = (round + 1, plan.rounds.len());
            say(&format!("round {round}/{rounds} done · {left} left{}", self.discarded()));
        }
    }

    fn keep(&mut self, ended: Ended<'_>) -> anyhow::Result<()> {
        if let Ended::Measured(measurement) = &ended {
            self.discarded += usize::from(measurement.void.is_some());
        }
        Ok(self.journal.append(ended)?)
    }
}

/// Counts and percentiles so far.
pub(crate) fn in_words(progress: &Progress) -> String {
    let quantile = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), text::micros);
    let failed = match progress.failed {
        0 => String::new(),
        failed => format!(" · {} failed", text::count(failed)),
    };
    let (p50, p99) = (quantile(progress.p50_us), quantile(progress.p99_us));
    format!("{} ok{failed} · p50 {p50} · p99 {p99}", text::count(progress.ok))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLANNED: Duration = Duration::from_secs(1);

    fn left(done: usize, seconds: u64, all: usize) -> f64 {
        let pace = Pace { planned: PLANNED, done, elapsed: Duration::from_secs(seconds) };
        pace.time_of(all - done).as_secs_f64()
    }

    #[test]
    fn the_time_left_is_the_plans_at_first_and_the_measured_one_at_last() {
        assert_eq!(left(0, 0, 60), 60.0);
        // One that went quickly says little of the other 59.
        assert!((50.0..60.0).contains(&left(1, 0, 60)), "{}", left(1, 0, 60));
        // Twice as slow as planned: soon it is said.
        assert!((85.0..100.0).contains(&left(10, 20, 70)), "{}", left(10, 20, 70));
        assert!((185.0..200.0).contains(&left(100, 200, 200)), "{}", left(100, 200, 200));
        assert_eq!(left(60, 90, 60), 0.0);
    }
}
