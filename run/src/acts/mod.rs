//! Acts: what is done beside the rounds, one file each.

mod capacity;
mod hold;
mod restart;
mod scale_out;

use std::sync::atomic::Ordering;

use record::ActPart;
use terms::Act;

use crate::Watcher;
use crate::rounds::OnSite;

pub(crate) use hold::memory;

/// Does one; what came of it so far is in `part` also where it is stopped or fails.
pub(crate) fn act(
    run: &mut OnSite<'_>,
    act: &Act,
    part: &mut ActPart,
    watcher: &mut dyn Watcher,
) -> anyhow::Result<()> {
    match (act, part) {
        (Act::Hold(asked), ActPart::Hold { memory, .. }) => hold::hold(run, Some(asked), memory, watcher),
        (Act::HoldSome, ActPart::Hold { memory, .. }) => hold::hold(run, None, memory, watcher),
        (Act::Restart(restart), ActPart::Restart { restarts, .. }) => {
            restart::restart(run, restart, restarts, watcher)
        }
        (Act::ScaleOut(scale_out), ActPart::ScaleOut { scale_outs, .. }) => {
            scale_out::scale_out(run, scale_out, scale_outs, watcher)
        }
        (Act::Capacity(search), ActPart::Capacity { capacities }) => {
            capacity::search(run, search, capacities, watcher)
        }
        (
            Act::Hold(_) | Act::HoldSome | Act::Restart(_) | Act::ScaleOut(_) | Act::Capacity(_),
            ActPart::Hold { .. }
            | ActPart::Restart { .. }
            | ActPart::ScaleOut { .. }
            | ActPart::Capacity { .. },
        ) => anyhow::bail!("an act of one kind was begun as another: this is a bug"),
    }
}

impl OnSite<'_> {
    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
