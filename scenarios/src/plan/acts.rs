//! Acts in a plan: which an extent has, and how long each takes.

use std::time::Duration;

use terms::{Act, Activity, Extent, Restart, ScaleOut};

use super::{OVERHEAD_PER_CONTENDER, Plan, PlanOptions, times};
use crate::Scenario;

/// Opening and closing of a connection that is held, roughly: for the estimate.
const HELD_CONNECTION: Duration = Duration::from_micros(250);
/// Scale-outs of each contender in a quick run: one differs little from another.
const SCALE_OUTS_OF_QUICK: u32 = 2;
/// A scale-out, beside the coming and going, roughly: for the estimate.
const SCALE_OUT: Duration = Duration::from_millis(900);
/// A search for capacity, roughly: for the estimate.
const SEARCH_PER_CELL: Duration = Duration::from_secs(45);

/// What is done beside the rounds, in its order: of quick runs less, and of others some connections
/// are held where nothing else is asked.
pub(super) fn planned(scenario: &Scenario, options: &PlanOptions) -> Vec<Act> {
    let is_quick = options.extent == Extent::Quick;
    let of_extent = |act: &Act| match act.clone() {
        Act::Capacity(search) => {
            (options.capacity || options.extent == Extent::Full).then_some(Act::Capacity(search))
        }
        Act::Restart(mut restart) => {
            if is_quick {
                restart.connections.truncate(1);
            }
            Some(Act::Restart(restart))
        }
        Act::ScaleOut(mut scale_out) => {
            if is_quick {
                scale_out.times = scale_out.times.min(SCALE_OUTS_OF_QUICK);
            }
            Some(Act::ScaleOut(scale_out))
        }
        act @ (Act::Hold(_) | Act::HoldSome) => Some(act),
    };
    let mut acts: Vec<Act> = scenario.acts.iter().filter_map(of_extent).collect();
    // Over a distance a thousand connections take minutes to open, and no less memory; through a
    // relay they take its too, and of replicas those of all.
    let stands_alone = scenario.workload.replicas == 1;
    let is_direct = scenario.link.round_trip().is_none() && !scenario.is_relayed() && stands_alone;
    let has_connections = matches!(scenario.workload.activity, Activity::Market(_));
    let has_hold = acts.iter().any(|act| matches!(act, Act::Hold(_)));
    if !is_quick && is_direct && has_connections && !has_hold {
        let place = acts.iter().take_while(|act| matches!(act, Act::Capacity(_))).count();
        acts.insert(place, Act::HoldSome);
    }
    acts
}

/// How long an act takes, about.
pub(super) fn time(act: &Act, plan: &Plan) -> Duration {
    match act {
        Act::Capacity(_) => SEARCH_PER_CELL.saturating_mul(times(plan.searched().count())),
        Act::Hold(hold) => {
            let held = hold.connections.iter().fold(0_usize, |sum, number| sum.saturating_add(*number));
            HELD_CONNECTION.saturating_mul(times(held.saturating_mul(plan.contenders().len())))
        }
        // A second a contender, in runs of many minutes.
        Act::HoldSome => Duration::ZERO,
        Act::Restart(restart) => restarting(restart).saturating_mul(times(plan.contenders_once().len())),
        Act::ScaleOut(scale_out) => scaling_out(scale_out, plan.contenders_once().len()),
    }
}

/// The restarts of one contender's server.
fn restarting(Restart { connections, down, times: restarts, .. }: &Restart) -> Duration {
    let of = |number: &usize| {
        let coming = HELD_CONNECTION.saturating_mul(times(*number));
        let again = coming.saturating_add(*down).saturating_mul(*restarts);
        OVERHEAD_PER_CONTENDER.saturating_add(coming).saturating_add(again)
    };
    connections.iter().map(of).fold(Duration::ZERO, Duration::saturating_add)
}

/// The scale-outs of all contenders; as those of two more do the calls beside them.
fn scaling_out(
    ScaleOut { connections, to, times: scale_outs, .. }: &ScaleOut,
    contenders: usize,
) -> Duration {
    let coming = HELD_CONNECTION.saturating_mul(times(connections.saturating_mul(2)));
    let starting = OVERHEAD_PER_CONTENDER.saturating_mul(times(1 + to / 2));
    let outs = coming.saturating_add(SCALE_OUT).saturating_mul(*scale_outs);
    starting.saturating_add(outs).saturating_mul(times(contenders.saturating_add(2)))
}
