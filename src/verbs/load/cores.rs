//! Which cores a load's workers are pinned to.

use lab::cores::HeldCore;

use super::options::Options;
use crate::ending::{UsageError, say};

/// The cores that the workers are pinned to, held so that another load takes others.
pub(super) struct Cores {
    pub(super) cores: Vec<usize>,
    pub(super) pinned: bool,
    _held: Vec<HeldCore>,
}

impl Cores {
    /// Takes those that are asked for, or the last that no other load has.
    ///
    /// # Errors
    /// Where there are not so many, or this process may not use one.
    pub(super) fn of(options: &Options) -> anyhow::Result<Cores> {
        let allowed = lab::cores::allowed()?;
        let workers = usize::from(options.workers);
        if workers > allowed.len() {
            let message = format!("--workers {workers}: this process may only use {} cores", allowed.len());
            return Err(UsageError(message).into());
        }
        let unpinned = || Cores { cores: vec![0; workers], pinned: false, _held: Vec::new() };
        if options.no_pin {
            return Ok(unpinned());
        }
        if let Some(wrong) = options.core.iter().find(|core| !allowed.contains(core)) {
            let allowed = allowed.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
            return Err(UsageError(format!("--core {wrong}: this process may use {allowed}")).into());
        }
        if !options.core.is_empty() {
            let held = options.core.iter().filter_map(|core| lab::cores::hold(*core)).collect();
            return Ok(Cores { cores: options.core.clone(), pinned: true, _held: held });
        }
        // The last cores: what listens on this machine is more often on the first.
        let free = allowed.into_iter().rev().filter_map(|core| Some((core, lab::cores::hold(core)?)));
        let (cores, held): (Vec<_>, Vec<_>) = free.take(workers).unzip();
        if cores.len() < workers {
            say(
                "other loads have the cores of this machine: this one is pinned to none, and its figures may be theirs too",
            );
            return Ok(unpinned());
        }
        Ok(Cores { cores, pinned: true, _held: held })
    }
}
