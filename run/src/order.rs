//! What comes after what in a run: conformance before rounds, one contender at a time, a void
//! measurement again in its place, acts after the rounds, and at last a comparison of whole
//! replies. Pure: processes, sockets and time are somebody else's ([`Casts`]), so that the order is
//! tested without them.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::bail;
use clients::conformance::CaseResult;
use record::ActPart;
use scenarios::Plan;
use terms::{Act, Contender};

use crate::repeats::Repeats;
use crate::{Conformance, Ended, Measurement, Results, Watcher};

/// The casts of a run: each is started once, does nothing unless it is told to, and ends when this
/// is dropped.
pub(crate) trait Casts {
    /// Starts a contender's cast, and has it go through the conformance cases.
    fn start(&mut self, contender: &Contender) -> anyhow::Result<Vec<CaseResult>>;

    /// Has the cast of a cell load for one round.
    fn measure(
        &mut self,
        round: usize,
        cell: usize,
        watcher: &mut dyn Watcher,
    ) -> anyhow::Result<Measurement>;

    /// Does something beside the rounds; what came of it so far is in `part` also where it is
    /// stopped or fails.
    fn act(&mut self, act: &Act, part: &mut ActPart, watcher: &mut dyn Watcher) -> anyhow::Result<()>;

    /// Has a contender's cast compare replies whole; says how many.
    fn audit(&mut self, contender: &str) -> anyhow::Result<usize>;
}

/// Plays a plan to its end, or until it is told to stop: what there is by then stays in `results`,
/// which is partial. Whole rounds and acts that are there already are not played again.
pub(crate) fn play(
    plan: &Plan,
    casts: &mut dyn Casts,
    stop: &AtomicBool,
    watcher: &mut dyn Watcher,
    results: &mut Results,
) -> anyhow::Result<()> {
    let mut playing = Playing { plan, casts, stop, watcher, results };
    let ended = playing.all();
    if let Err(error) = &ended {
        // At once: whoever waits for a process that is stopped takes a while to end.
        playing.watcher.stage(&format!("the run ends: {error:#}"));
    }
    ended
}

/// A plan that is being played. Each part says whether it came to its end, or was told to stop.
struct Playing<'a> {
    plan: &'a Plan,
    casts: &'a mut dyn Casts,
    stop: &'a AtomicBool,
    watcher: &'a mut dyn Watcher,
    results: &'a mut Results,
}

impl Playing<'_> {
    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn all(&mut self) -> anyhow::Result<()> {
        if self.start()? && self.rounds()? && self.acts()? && self.compare()? {
            self.watcher.stage("stopping");
            self.results.partial = false;
        }
        Ok(())
    }

    fn start(&mut self) -> anyhow::Result<bool> {
        let plan = self.plan;
        let present: Vec<&Contender> =
            plan.contenders().into_iter().filter(|of| !is_absent(&of.name, self.results)).collect();
        if present.is_empty() {
            let why: Vec<String> =
                self.results.absent.iter().map(|(name, why)| format!("{name}: {why}")).collect();
            bail!("no contender can run on this machine: {}", why.join("; "));
        }
        for contender in &present {
            if self.is_stopped() {
                return Ok(false);
            }
            self.watcher.stage(&format!("starting {} and checking its answers", contender.name));
            let cases = self.casts.start(contender)?;
            if let Some(case) = cases.iter().find(|case| case.failure.is_some()) {
                let failure = case.failure.as_deref().unwrap_or_default();
                bail!("{} fails the conformance case '{}': {failure}", contender.name, case.case);
            }
            let contender = contender.name.clone();
            let checked = Conformance { contender, cases, compared_whole: None };
            self.watcher.keep(Ended::Checked(&checked))?;
            self.results.conformance.push(checked);
        }
        Ok(true)
    }

    fn rounds(&mut self) -> anyhow::Result<bool> {
        let plan = self.plan;
        let mut repeats = Repeats::of(plan);
        for kept in self.results.measurements.iter().filter(|measurement| measurement.void.is_some()) {
            repeats.take(kept.cell);
        }
        for (round, order) in plan.rounds.iter().enumerate().skip(self.results.rounds_kept) {
            for &cell in order {
                if is_absent(&plan.cells[cell].contender.name, self.results) {
                    continue;
                }
                if self.is_stopped() {
                    return Ok(false);
                }
                self.cell(round, cell, &mut repeats)?;
            }
            self.watcher.keep(Ended::Round(round))?;
            self.watcher.round_done(plan, round);
        }
        Ok(true)
    }

    /// A void measurement is kept, and taken again at once: its neighbours in time are those of its
    /// round.
    fn cell(&mut self, round: usize, cell: usize, repeats: &mut Repeats) -> anyhow::Result<()> {
        let done = self.results.measurements.iter().filter(|measurement| measurement.void.is_none()).count();
        self.watcher.measuring(self.plan, round, cell, done);
        loop {
            let measurement = self.casts.measure(round, cell, self.watcher)?;
            let void = measurement.void.clone();
            // The results have it also where it cannot be kept.
            let kept = self.watcher.keep(Ended::Measured(&measurement));
            self.results.measurements.push(measurement);
            kept?;
            match void {
                Some(reason) if !self.is_stopped() && repeats.take(cell) => self.watcher.void(&reason),
                _ => return Ok(()),
            }
        }
    }

    fn acts(&mut self) -> anyhow::Result<bool> {
        let plan = self.plan;
        for act in &plan.acts {
            let mut part = ActPart::begun(act);
            if self.results.acts.iter().any(|kept| kept.is_like(&part)) {
                continue;
            }
            if self.is_stopped() {
                return Ok(false);
            }
            let acted = self.casts.act(act, &mut part, self.watcher);
            // One that was told to stop is not whole.
            let whole = acted.is_ok() && !self.is_stopped();
            let kept = if whole { self.watcher.keep(Ended::Acted(&part)) } else { Ok(()) };
            if !part.is_empty() {
                self.results.acts.push(part);
            }
            acted.and(kept)?;
        }
        Ok(true)
    }

    fn compare(&mut self) -> anyhow::Result<bool> {
        for nth in 0..self.results.conformance.len() {
            if self.is_stopped() {
                return Ok(false);
            }
            let conformance = &mut self.results.conformance[nth];
            self.watcher.stage(&format!("comparing replies of {} whole", conformance.contender));
            conformance.compared_whole = Some(self.casts.audit(&conformance.contender)?);
        }
        Ok(true)
    }
}

fn is_absent(name: &str, results: &Results) -> bool {
    results.absent.iter().any(|(absent, _)| absent == name)
}

#[cfg(test)]
mod tests;
