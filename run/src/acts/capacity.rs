//! The search for the highest rate of every cell whose arrivals are given.

use anyhow::bail;
use clients::load::Round;
use judge::capacity;
use record::{ActPart, CapacityPart};
use terms::{CapacitySearch, Changes, Model};

use crate::cast::CastWork;
use crate::rounds::OnSite;
use crate::{Ended, Watcher, disturbance};

/// Trials that are disturbed from outside are repeated so often.
const TRIAL_REPEATS_MAX: usize = 2;

pub(super) fn search(
    run: &mut OnSite<'_>,
    wanted: &CapacitySearch,
    parts: &mut Vec<CapacityPart>,
    watcher: &mut dyn Watcher,
) -> anyhow::Result<()> {
    let plan = run.plan;
    for (index, cell) in plan.searched() {
        let Model::Open { arrivals, rate_per_s } = cell.condition.model else { continue };
        // Of a contender that cannot run here there is none.
        let Ok(place) = run.cast_of(&cell.contender.name) else { continue };
        run.casts[place].handle(CastWork::from(&cell.condition))?;
        run.casts[place].ask_for(cell.condition.amount);
        run.lay_link(&cell.condition);
        let capacity = capacity::search(&wanted.objective, rate_per_s, |rate_per_s| {
            if run.is_stopped() {
                bail!("stopped while searching for capacity");
            }
            let (contender, condition) = (&cell.contender.name, &cell.condition.name);
            watcher.stage(&format!("capacity of {contender} under {condition}: {rate_per_s:.0}/s"));
            let order = Round {
                model: Model::Open { arrivals, rate_per_s },
                duration: wanted.trial.max(capacity::calls_take(&wanted.objective, rate_per_s)),
                ..run.round(&cell.condition, plan.seed)
            };
            let mut load = || {
                run.site.load(
                    &mut run.casts[place],
                    cell.condition.shape,
                    order,
                    &Changes::default(),
                    &mut |_| (),
                )
            };
            let mut taken = load()?;
            for _ in 0..TRIAL_REPEATS_MAX {
                let Some((reason, _)) =
                    disturbance::void_reason(&taken, false).filter(|_| !plan.accept_noise)
                else {
                    break;
                };
                watcher.void(&reason);
                taken = load()?;
            }
            Ok(capacity::trial(&taken.outcome, rate_per_s, &wanted.objective, taken.client.own_share))
        })?;
        parts.push(CapacityPart { cell: index, capacity });
        watcher.keep(Ended::Trial(&ActPart::Capacity { capacities: parts.clone() }))?;
    }
    Ok(())
}
