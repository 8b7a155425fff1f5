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
use crate::{Conformance, Measurement, Results, Watcher};

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
/// which is partial.
pub(crate) fn play(
    plan: &Plan,
    casts: &mut dyn Casts,
    stop: &AtomicBool,
    watcher: &mut dyn Watcher,
    results: &mut Results,
) -> anyhow::Result<()> {
    let stopped = || stop.load(Ordering::Relaxed);
    let present: Vec<&Contender> =
        plan.contenders().into_iter().filter(|of| !is_absent(&of.name, results)).collect();
    if present.is_empty() {
        let why: Vec<String> = results.absent.iter().map(|(name, why)| format!("{name}: {why}")).collect();
        bail!("no contender can run on this machine: {}", why.join("; "));
    }
    for contender in &present {
        if stopped() {
            return Ok(());
        }
        watcher.stage(&format!("starting {} and checking its answers", contender.name));
        let cases = casts.start(contender)?;
        if let Some(case) = cases.iter().find(|case| case.failure.is_some()) {
            let failure = case.failure.as_deref().unwrap_or_default();
            bail!("{} fails the conformance case '{}': {failure}", contender.name, case.case);
        }
        let contender = contender.name.clone();
        results.conformance.push(Conformance { contender, cases, compared_whole: None });
    }
    let mut repeats = Repeats::of(plan);
    for (round, order) in plan.rounds.iter().enumerate() {
        for &cell in order {
            if is_absent(&plan.cells[cell].contender.name, results) {
                continue;
            }
            if stopped() {
                return Ok(());
            }
            let done = results.measurements.iter().filter(|measurement| measurement.void.is_none()).count();
            watcher.measuring(plan, round, cell, done);
            let mut measurement = casts.measure(round, cell, watcher)?;
            // A void one is kept, and taken again at once: its neighbours in time are those of its
            // round.
            while let Some(reason) = &measurement.void
                && !stopped()
                && repeats.take(cell)
            {
                watcher.void(reason);
                let again = casts.measure(round, cell, watcher)?;
                results.measurements.push(std::mem::replace(&mut measurement, again));
            }
            results.measurements.push(measurement);
        }
        watcher.round_done(plan, round);
    }
    for act in &plan.acts {
        if stopped() {
            return Ok(());
        }
        let mut part = ActPart::begun(act);
        let acted = casts.act(act, &mut part, watcher);
        if !part.is_empty() {
            results.acts.push(part);
        }
        acted?;
    }
    for conformance in &mut results.conformance {
        if stopped() {
            return Ok(());
        }
        watcher.stage(&format!("comparing replies of {} whole", conformance.contender));
        conformance.compared_whole = Some(casts.audit(&conformance.contender)?);
    }
    watcher.stage("stopping");
    results.partial = false;
    Ok(())
}

fn is_absent(name: &str, results: &Results) -> bool {
    results.absent.iter().any(|(absent, _)| absent == name)
}

#[cfg(test)]
mod tests;
