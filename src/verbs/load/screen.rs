//! What is shown while a load goes on: a live screen on a terminal, plain lines elsewhere. All to
//! stderr.

use std::collections::VecDeque;
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clients::load::{Live, Look, Round};
use clock::{Clock, Mono};
use indicatif::{ProgressBar, ProgressStyle};
use terms::{Failure, Model, Stage, text};

use super::outcome::without_password;
use super::{Load, per_second};
use crate::ending::say;

/// How often the screen is drawn.
const DRAWN_EVERY: Duration = Duration::from_millis(250);
/// How often a line is said where there is no terminal.
const SAID_EVERY: Duration = Duration::from_secs(10);
/// Points of the curves: one a second.
const CURVE_POINTS: usize = 40;
/// Heights of a curve's points.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Shows a load until it is done.
pub(super) fn show(load: &Load<'_>, round: &Round, live: &[Arc<Live>], done: &AtomicBool) {
    let is_searching = load.options.find_capacity;
    let clock = Clock::System;
    let stages = load.options.stages.as_ref().map(|stages| stages.0.clone()).unwrap_or_default();
    let mut screen = Screen {
        stages,
        round: *round,
        stop: &load.stop,
        seconds: VecDeque::new(),
        last: (round.start + round.warm_up, Look::default()),
    };
    if std::io::stderr().is_terminal() {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        while !done.load(Ordering::Relaxed) {
            bar.set_message(screen.draw(clock.now(), &Look::at(live)));
            bar.tick();
            std::thread::park_timeout(DRAWN_EVERY);
        }
        bar.finish_and_clear();
    } else if !is_searching {
        say(&format!("loading {} {} …", without_password(&load.options.target), screen.how_long()));
        let mut next = clock.now() + SAID_EVERY;
        while !done.load(Ordering::Relaxed) {
            let now = clock.now();
            if now >= next {
                say(&screen.line(now, &Look::at(live)));
                next = now + SAID_EVERY;
            }
            std::thread::park_timeout(next.since(now));
        }
    }
}

/// What is drawn.
struct Screen<'a> {
    round: Round,
    /// Whether an end was asked for.
    stop: &'a AtomicBool,
    stages: Vec<Stage>,
    /// p50 and p99 of each second of the measured time, in ns.
    seconds: VecDeque<[Option<u64>; 2]>,
    /// The last full second, and what was seen at its end.
    last: (Mono, Look),
}

impl Screen<'_> {
    fn how_long(&self) -> String {
        match self.round.calls_max {
            Some(calls) => format!("with {} calls", text::count(calls)),
            None => format!("for {:?}", self.round.warm_up + self.round.duration),
        }
    }

    /// Where the load stands.
    fn stage(&self, now: Mono) -> String {
        let measured_from = self.round.start + self.round.warm_up;
        let end = measured_from + self.round.duration;
        match self.round.calls_max {
            _ if self.stop.load(Ordering::Relaxed) => {
                "told to stop: waiting for the last replies, at most for the time-out".to_owned()
            }
            _ if now < measured_from => format!("warming up, {} left", text::about(measured_from.since(now))),
            Some(calls) => format!("measuring {} calls", text::count(calls)),
            None if now < end => format!("measuring, {} left", text::about(end.since(now))),
            None => "waiting for the last replies".to_owned(),
        }
    }

    fn rate(&self, now: Mono, look: &Look) -> String {
        let measured =
            now.since(self.round.start + self.round.warm_up).min(self.round.duration).as_secs_f64();
        let reached = if measured > 0.0 { (look.ok() as f64 / measured).round() } else { 0.0 };
        let mut end = self.round.start + self.round.warm_up;
        let stage = self.stages.iter().find(|stage| {
            end = end + stage.duration;
            now < end
        });
        if let Some(stage) = stage {
            return format!("{} asked", stage.in_words());
        }
        match self.round.model {
            Model::Open { rate_per_s, .. } => {
                format!("{} asked, {} reached", per_second(rate_per_s), per_second(reached))
            }
            Model::Closed => format!("{} reached", per_second(reached)),
        }
    }

    fn failures(look: &Look) -> String {
        let kinds = Failure::ALL.into_iter().filter(|kind| look.failed(*kind) > 0);
        let kinds: Vec<_> = kinds.map(|kind| format!("{} {kind}", text::count(look.failed(kind)))).collect();
        if kinds.is_empty() { "0 failed".to_owned() } else { format!("failed: {}", kinds.join(", ")) }
    }

    fn line(&self, now: Mono, look: &Look) -> String {
        let quantile = |share| look.response_ns(share).map_or_else(|| "–".to_owned(), micros);
        format!(
            "{} · {} · p50 {} · p99 {} · {}",
            self.stage(now),
            self.rate(now, look),
            quantile(0.5),
            quantile(0.99),
            Screen::failures(look)
        )
    }

    /// The whole screen: where it stands, rate, the course of p50 and p99, failures, lag.
    fn draw(&mut self, now: Mono, look: &Look) -> String {
        let whole = Duration::from_secs(1);
        if now.since(self.last.0) >= whole {
            let second = look.since(&self.last.1);
            self.seconds.push_back([0.5, 0.99].map(|share| second.response_ns(share)));
            if self.seconds.len() > CURVE_POINTS {
                self.seconds.pop_front();
            }
            self.last = (now, look.clone());
        }
        let row = |nth: usize, share: f64| {
            let values: Vec<Option<u64>> = self.seconds.iter().map(|second| second[nth]).collect();
            let value = look.response_ns(share).map_or_else(|| "–".to_owned(), micros);
            format!("{value:>9}  {}", curve(&values))
        };
        let lag = look.lag_ns(0.99).map_or_else(|| "–".to_owned(), micros);
        [
            self.stage(now),
            format!("  rate  {}", self.rate(now, look)),
            format!("  p50   {}", row(0, 0.5)),
            format!("  p99   {}", row(1, 0.99)),
            format!("  lag   {lag:>9}  at p99, the client's own"),
            format!("  {} ok, {}", text::count(look.ok()), Screen::failures(look)),
        ]
        .join("\n")
    }
}

fn micros(ns: u64) -> String {
    text::micros(ns as f64 / 1e3)
}

/// Values as bars, from nothing to the largest.
fn curve(values: &[Option<u64>]) -> String {
    let largest = values.iter().flatten().max().copied().unwrap_or(1).max(1);
    let bar = |value: &Option<u64>| match value {
        Some(value) => {
            BARS[((value * BARS.len() as u64).div_ceil(largest) as usize).clamp(1, BARS.len()) - 1]
        }
        None => ' ',
    };
    values.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_goes_from_nothing_to_the_largest() {
        assert_eq!(curve(&[Some(1), None, Some(400), Some(800)]), "▁ ▄█");
        assert_eq!(curve(&[]), "");
    }
}
