//! The casts of a run on its site: how each is started, what a round tells it, and what is made of
//! what it says.

use std::sync::atomic::AtomicBool;

use anyhow::Context as _;
use clients::conformance::CaseResult;
use clients::load::Round;
use clock::{Clock, Mono, Precision};
use lab::child::ChildError;
use record::{ActPart, MemoryPoint, VoidFor};
use scenarios::{Plan, Scenario};
use servers::MarketConfig;
use terms::{Act, Activity, Changes, Condition, Contender, Link, RelayPolicy};

use crate::cast::{Cast, CastWork, Setup, Taken};
use crate::order::Casts;
use crate::site::Site;
use crate::{Measurement, On, Watcher, acts, disturbance};

/// Ticks that a measured market emits: enough for the conformance cases, too few to cost anything.
const TICKS_PER_S: f64 = 10.0;

/// The casts of a run, on its site.
pub(crate) struct OnSite<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) plan: &'a Plan,
    pub(crate) on: On<'a>,
    pub(crate) site: Site<'a>,
    pub(crate) stop: &'a AtomicBool,
    /// Those that are up.
    pub(crate) casts: Vec<Cast>,
    /// Memory of each before any connection of the load.
    pub(crate) at_rest: Vec<MemoryPoint>,
}

impl<'a> OnSite<'a> {
    pub(crate) fn new(
        scenario: &'a Scenario,
        plan: &'a Plan,
        on: &On<'a>,
        site: Site<'a>,
        stop: &'a AtomicBool,
    ) -> OnSite<'a> {
        OnSite { scenario, plan, on: *on, site, stop, casts: Vec::new(), at_rest: Vec::new() }
    }

    /// Starts a contender's processes, with the conformance cases and the ticks that these hear, or
    /// without.
    pub(crate) fn open(
        &self,
        contender: &Contender,
        conformance: bool,
    ) -> anyhow::Result<(Cast, Vec<CaseResult>)> {
        let workload = &self.scenario.workload;
        let market = MarketConfig {
            seed: self.on.market_seed,
            handler: workload.handler,
            ledger: self.on.ledgers.map(|folder| folder.join(format!("{}.sqlite", contender.name))),
            ticks_per_s: if conformance { TICKS_PER_S } else { 0.0 },
            ..MarketConfig::default()
        };
        let relayed = self.scenario.is_relayed();
        self.site.open(contender, &Setup { market, workload, conformance, relayed })
    }

    /// What the contenders talk over under a condition.
    fn link<'b>(&'b self, condition: &'b Condition) -> &'b Link {
        condition.link.as_ref().unwrap_or(&self.scenario.link)
    }

    /// Has the link do what it does under a condition.
    pub(crate) fn lay_link(&self, condition: &Condition) {
        if let Link::Wan(link) = self.link(condition) {
            self.site.lay(*link.ways);
            let behind = condition.market_link.as_ref().unwrap_or(&Link::Loopback);
            let nothing = link.ways.cleared();
            self.site.topology.lay_to_markets(if let Link::Wan(of) = behind { *of.ways } else { nothing });
        }
    }

    /// Has it neither lose nor delay, so that answers can be compared at once: what a protocol does
    /// about distance and loss is measured, and not asked for.
    fn clear_link(&self) {
        if let Link::Wan(link) = &self.scenario.link {
            self.site.lay(link.ways.cleared());
            self.site.topology.lay_to_markets(link.ways.cleared());
        }
    }

    pub(crate) fn round(&self, condition: &Condition, seed: u64) -> Round {
        Round {
            model: condition.model,
            warm_up: self.plan.warm_up,
            duration: self.plan.duration,
            time_out: self.scenario.workload.time_out,
            seed,
            start: Mono::default(),
            precision: Precision::Sleep,
            emission: self.scenario.workload.emission(condition),
            calls_max: None,
        }
    }

    /// Opens the connections that a condition asks for, unless they are open, over its link without
    /// its loss: a subscription that is lost in a datagram is nobody's to notice, and what is
    /// measured begins afterwards.
    fn connect(&self, cast: &mut Cast, condition: &Condition) -> anyhow::Result<()> {
        cast.handle(CastWork::from(condition))?;
        cast.ask_for(condition.amount);
        let Link::Wan(link) = self.link(condition) else { return cast.connect(condition.shape).map(drop) };
        self.site.lay(link.ways.lossless());
        if cast.connect(condition.shape)? {
            // So that what was sent last has arrived.
            self.site.crew.pause_until(Clock::System.now() + link.round_trip())?;
        }
        Ok(())
    }

    /// What changes under a condition.
    fn changes(&self, condition: &Condition) -> anyhow::Result<Changes> {
        let ways = match self.link(condition) {
            Link::Wan(link) => Some(*link.ways),
            Link::Loopback | Link::Cable => None,
        };
        Changes::parse(&condition.changes, ways).map_err(anyhow::Error::msg)
    }

    fn take(
        &self,
        cast: &mut Cast,
        round: usize,
        condition: &Condition,
        watcher: &mut dyn Watcher,
    ) -> anyhow::Result<Taken> {
        // The same schedule for every contender of a round, another in each round.
        let order = self.round(condition, self.plan.seed.wrapping_add(round as u64));
        // As old in every round, and none that the one before has silenced.
        cast.forget_connections();
        self.connect(cast, condition)?;
        self.lay_link(condition);
        let policy = condition.between.as_ref().map_or(RelayPolicy::Passes, |between| between.policy);
        cast.set_policy(policy)?;
        let tell = &mut |progress: &terms::role::Progress| watcher.progress(progress);
        let taken = self.site.load(cast, condition.shape, order, &self.changes(condition)?, tell)?;
        // While the others have their turn nobody reconnects.
        cast.set_policy(RelayPolicy::Passes)?;
        Ok(taken)
    }

    /// What was done; where it failed because a process was killed or is stopped, that is the
    /// error: whoever talked with it only saw what came of that.
    pub(crate) fn or_its_cause<T>(&self, done: anyhow::Result<T>) -> anyhow::Result<T> {
        done.map_err(|error| match error.downcast_ref::<ChildError>() {
            Some(ChildError::Gone { .. } | ChildError::Stopped { .. } | ChildError::ToldToStop) => error,
            _ => self.site.crew.cause().map_or(error, anyhow::Error::from),
        })
    }

    /// The place of a contender's cast.
    pub(crate) fn cast_of(&self, contender: &str) -> anyhow::Result<usize> {
        let place = self.casts.iter().position(|cast| cast.name == contender);
        place.context("a contender without processes")
    }
}

impl Casts for OnSite<'_> {
    fn start(&mut self, contender: &Contender) -> anyhow::Result<Vec<CaseResult>> {
        self.clear_link();
        let opened = self.open(contender, true);
        let opened = opened.and_then(|(cast, cases)| Ok((acts::memory(&cast, 0)?, cast, cases)));
        let (at_rest, cast, cases) = self.or_its_cause(opened)?;
        // A case that fails where a process died says nothing of the contender.
        if cases.iter().any(|case| case.failure.is_some())
            && let Some(cause) = self.site.crew.cause()
        {
            return Err(cause.into());
        }
        self.at_rest.push(at_rest);
        self.casts.push(cast);
        Ok(cases)
    }

    fn measure(
        &mut self,
        round: usize,
        cell: usize,
        watcher: &mut dyn Watcher,
    ) -> anyhow::Result<Measurement> {
        let of = &self.plan.cells[cell];
        let place = self.cast_of(&of.contender.name)?;
        let mut cast = self.casts.swap_remove(place);
        let taken = self.take(&mut cast, round, &of.condition, watcher);
        self.casts.push(cast);
        let last = self.casts.len() - 1;
        self.casts.swap(place, last);
        let mut taken = self.or_its_cause(taken)?;
        if of.contender.is_target() {
            // What the server uses, wherever it runs, is foreign to us, and the contender's own.
            (taken.client.core_foreign_share, taken.server.core_foreign_share) = (0.0, 0.0);
        }
        let pushes = self.scenario.workload.activity.is_pushed();
        let void = if self.plan.accept_noise { None } else { disturbance::void_reason(&taken, pushes) };
        let (void, void_for) = void.map_or((None, VoidFor::default()), |(why, of)| (Some(why), of));
        let Taken {
            outcome,
            orders,
            calls_in_trouble,
            calls_by_market,
            happened,
            client,
            server,
            wire,
            sent,
            way,
            ..
        } = taken;
        Ok(Measurement {
            round,
            cell,
            outcome,
            orders,
            calls_in_trouble,
            happened,
            calls_by_market,
            client,
            server,
            wire,
            sent,
            way,
            void,
            void_for,
        })
    }

    fn act(&mut self, act: &Act, part: &mut ActPart, watcher: &mut dyn Watcher) -> anyhow::Result<()> {
        let acted = acts::act(self, act, part, watcher);
        self.or_its_cause(acted)
    }

    fn audit(&mut self, contender: &str) -> anyhow::Result<usize> {
        if matches!(self.scenario.workload.activity, Activity::Flow(_)) {
            return Ok(0);
        }
        self.clear_link();
        let place = self.cast_of(contender)?;
        let audited = self.casts[place].audit();
        self.or_its_cause(audited)
    }
}
