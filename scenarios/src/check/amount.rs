//! How much a scenario asks for: numbers of a file are multiplied here before anything is made of
//! them, checked, and held to what one machine can do in a week.

use std::time::Duration;

use terms::bounds::{CELLS_MAX, MEASUREMENTS_MAX};
use terms::{ARRIVALS_MAX, Condition, Model, Workload};
use toml::Spanned;

use super::{CONNECTIONS_MAX, Check, axes};
use crate::plan::{PLAN_TIME_MAX, least_time};
use crate::profile::WireProfile;
use crate::wire::{WireCondition, WireScenario};
use crate::{Profile, ScenarioError};

/// Contenders that a file names, at most: more than a page has colours and shapes for.
const CONTENDERS_MAX: usize = 64;
/// Conditions, each combination of axes one of them.
const CONDITIONS_MAX: usize = 500;
/// Changes of a link in one measurement.
const CHANGES_MAX: usize = 100;
/// Letters of a contender's or a condition's own name.
const LABEL_LETTERS_MAX: usize = 64;
/// Calls under way at once, over all connections: each has a slot of the load engine.
const CALLS_AT_ONCE_MAX: usize = 200_000;

impl Check<'_> {
    /// Names of contenders and conditions are one short line each: they stand in tables, on
    /// terminals and in the names of axes.
    pub(super) fn labels(&self, wire: &WireScenario) -> Result<(), ScenarioError> {
        let contenders = wire.contender.get_ref();
        self.require(
            &wire.contender,
            contenders.len() <= CONTENDERS_MAX,
            "a scenario must have at most 64 contenders",
        )?;
        let names = contenders.iter().map(|contender| &contender.name);
        for name in names.chain(wire.condition.get_ref().iter().map(|condition| &condition.name)) {
            let text = name.get_ref();
            let short = (1..=LABEL_LETTERS_MAX).contains(&text.chars().count());
            let right = short && !text.contains(char::is_control);
            self.require(name, right, "a name must be one line of 1 to 64 characters")?;
        }
        Ok(())
    }

    /// Counts the conditions before any is made.
    pub(super) fn conditions_are_few(&self, wire: &WireScenario) -> Result<(), ScenarioError> {
        let points = |condition: &WireCondition| {
            condition.axes.as_ref().map_or(Some(1), |axes| axes::count(axes.get_ref()))
        };
        let mut count = Some(0_usize);
        for condition in wire.condition.get_ref() {
            count = count.zip(points(condition)).and_then(|(sum, more)| sum.checked_add(more));
            let few = count.is_some_and(|count| count <= CONDITIONS_MAX);
            let message = "a scenario must have at most 500 conditions, counting each combination of axes";
            match &condition.axes {
                Some(axes) => self.require(axes, few, message)?,
                None => self.require(&condition.name, few, message)?,
            }
            if let Some(changes) = &condition.changes {
                self.require(changes, changes.get_ref().len() <= CHANGES_MAX, "changes must be at most 100")?;
            }
        }
        Ok(())
    }

    /// Connections times calls in flight on each.
    pub(super) fn calls_at_once(
        &self,
        wire: &WireScenario,
        condition: &WireCondition,
        connections: usize,
        in_flight: usize,
    ) -> Result<(), ScenarioError> {
        let Some(at) = &condition.in_flight else { return Ok(()) };
        let calls = connections.checked_mul(in_flight);
        let few = |max| calls.is_some_and(|calls| calls <= max);
        self.require(at, few(CALLS_AT_ONCE_MAX), "connections × in_flight must be at most 200 000")?;
        let has_connections = wire.contender.get_ref().iter().any(|contender| contender.connection_per_call);
        let message = "connections × in_flight must be at most 20 000 with connection_per_call";
        self.require(at, !has_connections || few(CONNECTIONS_MAX), message)
    }

    /// Cells, measurements, arrivals and the time of a profile: said at its own key where it has
    /// one, else at the conditions.
    pub(super) fn amount(
        &self,
        list: &Spanned<Vec<WireCondition>>,
        wire: &WireProfile,
        profile: &Profile,
        conditions: &[Condition],
        workload: &Workload,
    ) -> Result<(), ScenarioError> {
        let cells = profile.conditions.len().checked_mul(profile.contenders.len());
        let cells = cells.filter(|cells| *cells <= CELLS_MAX);
        let many = format!("conditions × contenders must be at most {CELLS_MAX}");
        self.require(list, cells.is_some(), &many)?;
        let rounds = usize::try_from(profile.rounds).unwrap_or(usize::MAX);
        let measurements = cells.and_then(|cells| cells.checked_mul(rounds));
        let few = measurements.is_some_and(|number| number <= MEASUREMENTS_MAX);
        let many =
            format!("conditions × contenders × rounds must be at most {MEASUREMENTS_MAX} measurements");
        match &wire.rounds {
            Some(rounds) => self.require(rounds, few, &many)?,
            None => self.require(list, few, &many)?,
        }
        let at_duration = |right, message: &str| match &wire.duration {
            Some(duration) => self.require(duration, right, message),
            None => self.require(list, right, message),
        };
        let time = least_time(measurements.unwrap_or(usize::MAX), profile.warm_up, profile.duration);
        at_duration(
            time <= PLAN_TIME_MAX,
            "rounds × (warm_up + duration) over all cells must be at most a week",
        )?;
        let measured = conditions.iter().filter(|condition| profile.conditions.contains(&condition.name));
        let most = measured.filter_map(|condition| rate(condition.model)).chain(workload.ticks_per_s);
        let most = most.fold(0.0, f64::max);
        let longest: Duration = profile.warm_up.max(profile.duration);
        let few = most * longest.as_secs_f64() <= ARRIVALS_MAX;
        at_duration(few, "rate_per_s × duration must be at most 100 000 000 arrivals")
    }
}

fn rate(model: Model) -> Option<f64> {
    match model {
        Model::Open { rate_per_s, .. } => Some(rate_per_s),
        Model::Closed => None,
    }
}
