//! What is shown while a run goes on: one live line on a terminal, plain lines elsewhere. All to
//! stderr.

use std::io::IsTerminal as _;
use std::time::Duration;

use clock::{Clock, Mono};
use indicatif::{ProgressBar, ProgressStyle};
use run::journal::Journal;
use run::{Ended, Watcher};
use scenarios::Plan;
use terms::escape::terminal_line;
use terms::role::Progress;
use terms::text;

use crate::ending::say;

/// How often a live line is drawn anew, and how often a plain one is written in a long stretch.
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
}

impl LiveScreen {
    /// A screen for a plan: says at once what it is going to do and how long that takes.
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
        LiveScreen { journal, bar, kept: None, began: clock.now(), clock, now: String::new() }
    }

    /// Takes the live line away, and gives the journal back.
    pub(crate) fn close(self) -> Journal {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
        self.journal
    }

    fn time_left(&self, plan: &Plan, done: usize) -> Duration {
        let kept = self.kept.unwrap_or_default();
        let (all, done) = (plan.measurements().saturating_sub(kept), done.saturating_sub(kept));
        if done == 0 {
            return plan.time();
        }
        let elapsed = self.clock.now().since(self.began);
        elapsed.mul_f64(all.saturating_sub(done) as f64 / done as f64)
    }
}

fn live_bar(length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_bar:.cyan/dim} {pos}/{len}\n  {msg}") {
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
            "round {}/{} · {} · {} · {left} left",
            round + 1,
            plan.rounds.len(),
            cell.contender.name,
            cell.condition.name
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

    fn void(&mut self, reason: &str) {
        let line = format!("void, measured again: {reason}");
        match &self.bar {
            Some(bar) => bar.println(terminal_line(&line)),
            None => say(&line),
        }
    }

    fn round_done(&mut self, plan: &Plan, round: usize) {
        if self.bar.is_none() {
            let done = plan.rounds[..=round].iter().map(Vec::len).sum();
            let left = text::about(self.time_left(plan, done));
            say(&format!("round {}/{} done, {left} left", round + 1, plan.rounds.len()));
        }
    }

    fn keep(&mut self, ended: Ended<'_>) -> anyhow::Result<()> {
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
