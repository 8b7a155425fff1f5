//! The run of a plan: one server and one client process a contender, all up together; rounds interleaved, so
//! that a noisy second hurts all alike.

pub mod agent;
mod balancer;
pub(crate) mod disturbance;
mod foreign;
mod held;
mod message;
mod meters;
mod network;
mod pair;
mod repeats;
mod restart;
mod scale_out;
mod start;
mod workload;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, bail};
use clients::conformance::CaseResult;
use clients::load::{Model, Outcome, Round};
use clock::{Mono, Precision};
use lab::cores::Layout;
use lab::wan::{self, WayCount};
use servers::MarketConfig;
use servers::between::Policy;
use servers::flow::Sent;

pub use held::{Held, Memory};
pub use message::Progress;
pub use meters::{EndUse, Wire};
pub use network::LinkUsed;
pub(crate) use network::Network;
pub(crate) use pair::{Pair, Place, Taken};
use repeats::Repeats;
pub use restart::{Restarted, Storm};
pub use scale_out::{Evened, Kind, ScaledOut, Trial as ScaleOutTrial};
pub(crate) use start::Setup;
pub(crate) use workload::largest_reply_bytes;

use crate::capacity::{self, Capacity, Trial};
use crate::plan::{Extent, Plan};
use crate::scenario::{Activity, Condition, Contender, Link, Scenario};

/// Ticks that a measured market emits: enough for the conformance cases, too few to cost anything.
const TICKS_PER_S: f64 = 10.0;
/// Trials of a search that are disturbed from outside are repeated so often.
const TRIAL_REPEATS_MAX: usize = 2;

/// One measurement: a cell in a round.
#[derive(Debug, Clone)]
pub struct Measurement {
    /// Which round, from 0.
    pub round: usize,
    /// Which cell of the plan.
    pub cell: usize,
    /// What the client counted.
    pub outcome: Outcome,
    /// What the client used in the measured time.
    pub client: EndUse,
    /// What the server used, likewise.
    pub server: EndUse,
    /// What crossed between them.
    pub wire: Wire,
    /// What the sender of each flow did.
    pub sent: Vec<Sent>,
    /// What a router did to packets from servers to clients.
    pub way: Option<WayCount>,
    /// Why it does not count, where it does not.
    pub void: Option<String>,
}

/// How one contender did in the conformance cases.
#[derive(Debug, Clone)]
pub struct Conformance {
    /// Who.
    pub contender: String,
    /// Each case.
    pub cases: Vec<CaseResult>,
    /// Replies compared whole after the last round; `None` where the run ended before.
    pub compared_whole: Option<usize>,
}

/// What a run gave.
#[derive(Debug)]
pub struct Results {
    /// All measurements, in the order in which they were made.
    pub measurements: Vec<Measurement>,
    /// The conformance of each contender.
    pub conformance: Vec<Conformance>,
    /// What connections take in memory, contender by contender.
    pub held: Vec<Held>,
    /// How subscribers came back to servers that were restarted, likewise.
    pub restarted: Vec<Restarted>,
    /// How load lay when servers joined others, likewise.
    pub scaled_out: Vec<ScaledOut>,
    /// What the searches for capacity came to, by cell.
    pub capacities: Vec<(usize, Capacity)>,
    /// What the contenders talked over; `None` where it could not be built.
    pub link: Option<LinkUsed>,
    /// The run was stopped before its end.
    pub partial: bool,
}

/// Whoever shows how a run is going.
pub trait Watcher {
    /// Something begins that has no measure: starting, checking.
    fn stage(&mut self, what: &str);
    /// A measurement begins.
    fn measuring(&mut self, plan: &Plan, round: usize, cell: usize, done: usize);
    /// How it is going.
    fn progress(&mut self, progress: &Progress);
    /// A measurement was void, and is taken again.
    fn void(&mut self, reason: &str);
    /// A round is complete.
    fn round_done(&mut self, plan: &Plan, round: usize);
}

/// Runs a plan. Ends early, with what there is, when `stop` becomes true or something fails: a process, or a
/// conformance case (equal answers or no benchmark). What was measured until then is kept, marked partial. Packets that cross
/// a link go to `pcap`.
pub fn execute(
    scenario: &Scenario,
    plan: &Plan,
    market_seed: u64,
    layout: &Layout,
    pcap: Option<&Path>,
    stop: &AtomicBool,
    watcher: &mut dyn Watcher,
) -> (Results, anyhow::Result<()>) {
    let mut results = Results {
        measurements: Vec::new(),
        conformance: Vec::new(),
        held: Vec::new(),
        restarted: Vec::new(),
        scaled_out: Vec::new(),
        capacities: Vec::new(),
        link: None,
        partial: true,
    };
    let (network, used) = match Network::build(&scenario.link, plan.seed) {
        Ok(built) => built,
        Err(error) => return (results, Err(error)),
    };
    results.link = Some(used);
    if let Some(file) = pcap
        && let Err(error) = network.capture(file)
    {
        return (results, Err(error));
    }
    let congestion = network.congestion();
    let run = Run { scenario, plan, market_seed, place: Place { layout, network, congestion }, stop };
    let ended = run.to_the_end(&mut results, watcher);
    (results, ended)
}

/// What does not change during a run.
struct Run<'a> {
    scenario: &'a Scenario,
    plan: &'a Plan,
    market_seed: u64,
    place: Place<'a>,
    stop: &'a AtomicBool,
}

impl Run<'_> {
    fn to_the_end(&self, results: &mut Results, watcher: &mut dyn Watcher) -> anyhow::Result<()> {
        let (mut pairs, mut at_rest) = (Vec::new(), Vec::new());
        self.clear_link();
        for contender in self.plan.contenders() {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            watcher.stage(&format!("starting {} and checking its answers", contender.name));
            let (pair, cases) = self.open(contender, true)?;
            if let Some(case) = cases.iter().find(|case| case.failure.is_some()) {
                let failure = case.failure.as_deref().unwrap_or_default();
                bail!("{} fails the conformance case '{}': {failure}", contender.name, case.case);
            }
            let contender = contender.name.clone();
            results.conformance.push(Conformance { contender, cases, compared_whole: None });
            at_rest.push(self.place.memory(&pair)?);
            pairs.push(pair);
        }
        let mut repeats = Repeats::of(self.plan);
        for (round, order) in self.plan.rounds.iter().enumerate() {
            for &cell in order {
                if self.stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
                let name = &self.plan.cells[cell].contender.name;
                let pair =
                    pairs.iter_mut().find(|pair| pair.name == *name).context("a cell without processes")?;
                let done =
                    results.measurements.iter().filter(|measurement| measurement.void.is_none()).count();
                watcher.measuring(self.plan, round, cell, done);
                let mut measurement = self.measure(round, cell, pair, watcher)?;
                // A void one is kept, and taken again at once: its neighbours in time are those of its round.
                while let Some(reason) = &measurement.void
                    && !self.stop.load(Ordering::Relaxed)
                    && repeats.take(cell)
                {
                    watcher.void(reason);
                    let again = self.measure(round, cell, pair, watcher)?;
                    results.measurements.push(std::mem::replace(&mut measurement, again));
                }
                results.measurements.push(measurement);
            }
            watcher.round_done(self.plan, round);
        }
        self.search(&mut pairs, results, watcher)?;
        if matches!(self.scenario.workload.activity, Activity::Flow(_)) {
            results.partial = false;
            return Ok(());
        }
        // Over a distance a thousand connections take minutes to open, and no less memory; through a relay they take its too.
        let asked = self.scenario.hold.as_ref().map(|hold| &hold.connections[..]);
        let is_direct = self.scenario.link.round_trip().is_none() && !self.scenario.is_relayed();
        let usual = self.plan.extent != Extent::Quick && is_direct;
        if asked.is_some() || usual {
            for (pair, at_rest) in pairs.iter_mut().zip(at_rest) {
                if self.stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
                watcher.stage(&format!("holding connections of {}", pair.name));
                results.held.push(self.place.hold(pair, at_rest, asked)?);
            }
        }
        self.restart(results, watcher)?;
        self.scale_out(results, watcher)?;
        if self.stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.clear_link();
        for (pair, conformance) in pairs.iter_mut().zip(&mut results.conformance) {
            watcher.stage(&format!("comparing replies of {} whole", pair.name));
            conformance.compared_whole = Some(pair.audit()?);
        }
        watcher.stage("stopping");
        results.partial = false;
        Ok(())
    }

    /// Restarts every server under its subscribers, where the plan has it: servers of their own, at other ports. The thousands of
    /// connections that were held before keep their clients' ports from a server for a minute (TIME-WAIT), and looking for free
    /// ones would take longer than coming back.
    fn restart(&self, results: &mut Results, watcher: &mut dyn Watcher) -> anyhow::Result<()> {
        let Some(asked) = &self.plan.restart else { return Ok(()) };
        for &connections in &asked.connections {
            for contender in self.plan.contenders_once() {
                let name = &contender.name;
                watcher.stage(&format!("restarting the server of {name} under {connections} subscribers"));
                let (mut pair, _) = self.open(contender, false)?;
                self.place.gather(&mut pair, connections)?;
                let place = results.restarted.len();
                let (contender, storms) = (name.clone(), Vec::new());
                results.restarted.push(Restarted { contender, connections, storms });
                for _ in 0..asked.times {
                    if self.stop.load(Ordering::Relaxed) {
                        return Ok(());
                    }
                    let storm = self.place.storm(&mut pair, connections, asked.down)?;
                    results.restarted[place].storms.push(storm);
                }
            }
        }
        Ok(())
    }

    /// Searches for the capacity of every cell whose arrivals are given, where the plan has it.
    fn search(
        &self,
        pairs: &mut [Pair],
        results: &mut Results,
        watcher: &mut dyn Watcher,
    ) -> anyhow::Result<()> {
        let (plan, scenario) = (self.plan, self.scenario);
        let Some(wanted) = scenario.capacity.as_ref().filter(|_| plan.capacity) else { return Ok(()) };
        for (index, cell) in plan.searched() {
            let Model::Open { arrivals, rate_per_s } = cell.condition.model else { continue };
            let Some(pair) = pairs.iter_mut().find(|pair| pair.name == cell.contender.name) else { continue };
            pair.handle(cell.condition.handler)?;
            self.lay_link(&cell.condition);
            let found = capacity::search(&wanted.objective, rate_per_s, |rate_per_s| {
                if self.stop.load(Ordering::Relaxed) {
                    bail!("stopped while searching for capacity");
                }
                watcher.stage(&format!(
                    "capacity of {} under {}: {rate_per_s:.0}/s",
                    pair.name, cell.condition.name
                ));
                let order = Round {
                    model: Model::Open { arrivals, rate_per_s },
                    duration: wanted.trial.max(capacity::calls_take(&wanted.objective, rate_per_s)),
                    ..self.round(&cell.condition, plan.seed)
                };
                let mut taken = self.place.load(pair, cell.condition.shape, order, &[], &mut |_| ())?;
                for _ in 0..TRIAL_REPEATS_MAX {
                    let Some(reason) = disturbance::void_reason(&taken, false).filter(|_| !plan.accept_noise)
                    else {
                        break;
                    };
                    watcher.void(&reason);
                    taken = self.place.load(pair, cell.condition.shape, order, &[], &mut |_| ())?;
                }
                Ok(Trial::of(&taken.outcome, rate_per_s, &wanted.objective, taken.client.own_share))
            })?;
            results.capacities.push((index, found));
        }
        Ok(())
    }

    /// Opens the connections that a condition asks for, unless they are open, over its link without its loss: a subscription that is
    /// lost in a datagram is nobody's to notice, and what is measured begins afterwards.
    fn connect(&self, pair: &mut Pair, condition: &Condition) -> anyhow::Result<()> {
        pair.handle(condition.handler)?;
        let Link::Wan(link) = self.link(condition) else { return pair.connect(condition.shape).map(drop) };
        self.place.network.change([(Mono::default(), link.ways.lossless())]);
        if pair.connect(condition.shape)? {
            // So that what was sent last has arrived.
            clock::pause_thread(link.round_trip());
        }
        Ok(())
    }

    /// What the contenders talk over under a condition.
    fn link<'a>(&'a self, condition: &'a Condition) -> &'a Link {
        condition.link.as_ref().unwrap_or(&self.scenario.link)
    }

    /// Has the link do what it does under a condition.
    fn lay_link(&self, condition: &Condition) {
        if let Link::Wan(link) = self.link(condition) {
            self.place.network.change([(Mono::default(), *link.ways)]);
        }
    }

    /// Has it neither lose nor delay, so that answers can be compared at once: what a protocol does about distance and loss is
    /// measured, and not asked for.
    fn clear_link(&self) {
        if let Link::Wan(link) = &self.scenario.link {
            self.place.network.change([(Mono::default(), link.ways.cleared())]);
        }
    }

    fn round(&self, condition: &Condition, seed: u64) -> Round {
        Round {
            model: condition.model,
            warm_up: self.plan.warm_up,
            duration: self.plan.duration,
            time_out: self.scenario.workload.time_out,
            seed,
            start: Mono::default(),
            precision: Precision::Sleep,
            emission: self.scenario.workload.emission(condition),
        }
    }

    /// Starts a contender's processes, with the conformance cases and the ticks that these hear, or without.
    fn open(&self, contender: &Contender, conformance: bool) -> anyhow::Result<(Pair, Vec<CaseResult>)> {
        let workload = &self.scenario.workload;
        let market = MarketConfig {
            seed: self.market_seed,
            handler: workload.handler,
            ticks_per_s: if conformance { TICKS_PER_S } else { 0.0 },
            ..MarketConfig::default()
        };
        let relayed = self.scenario.is_relayed();
        self.place.open(contender, &Setup { market, workload, conformance, relayed })
    }

    fn measure(
        &self,
        round: usize,
        cell: usize,
        pair: &mut Pair,
        watcher: &mut dyn Watcher,
    ) -> anyhow::Result<Measurement> {
        let Run { scenario, plan, .. } = *self;
        let condition = &plan.cells[cell].condition;
        // The same schedule for every contender of a round, another in each round.
        let order = self.round(condition, plan.seed.wrapping_add(round as u64));
        // As old in every round, and none that the one before has silenced.
        pair.forget_connections();
        self.connect(pair, condition)?;
        self.lay_link(condition);
        pair.between(condition.between.as_ref().map_or(Policy::Passes, |between| between.policy))?;
        let changes = match self.link(condition) {
            Link::Wan(link) => wan::parse_changes(&condition.changes, *link.ways)?,
            Link::Loopback | Link::Cable => Vec::new(),
        };
        let mut taken = self
            .place
            .load(pair, condition.shape, order, &changes, &mut |progress| watcher.progress(progress))?;
        // While the others have their turn nobody reconnects.
        pair.between(Policy::Passes)?;
        if plan.cells[cell].contender.is_target() {
            // What the server uses, wherever it runs, is foreign to us, and the contender's own.
            (taken.client.foreign_share, taken.server.foreign_share) = (0.0, 0.0);
        }
        let pushes = scenario.workload.activity.is_pushed();
        let void = if plan.accept_noise { None } else { disturbance::void_reason(&taken, pushes) };
        let Taken { outcome, client, server, wire, sent, way, .. } = taken;
        Ok(Measurement { round, cell, outcome, client, server, wire, sent, way, void })
    }
}
