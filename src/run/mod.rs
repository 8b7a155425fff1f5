//! The run of a plan: one server and one client process a contender, all up together; rounds interleaved, so
//! that a noisy second hurts all alike.

pub mod agent;
pub(crate) mod disturbance;
mod message;
mod network;
mod workload;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clients::conformance::CaseResult;
use clients::load::{Emission, Outcome, Round, Shape};
use clock::{Clock, Mono};
use lab::child::Child;
use lab::cores::Layout;
use lab::meter::{CoreShares, CoreTime, HostCount, ProcessUse};
use proto::Capability;
use servers::{Limits, MarketConfig};

pub use message::Progress;
use message::{Emit, FromClient, FromServer, Open, Serve, ToClient, ToServer};
pub use network::LinkUsed;
use network::Network;
pub(crate) use workload::largest_reply_bytes;

use crate::plan::Plan;
use crate::scenario::{Contender, Scenario};

/// From the order to start a round to its start: time to read a message and arm a timer.
const LEAD: Duration = Duration::from_millis(30);
/// Time for a child to start, to check its server and to open its connections.
const OPEN_TIME_MAX: Duration = Duration::from_secs(120);
/// Time that a round may take beyond its own and its last call's time-out.
const GRACE: Duration = Duration::from_secs(30);
/// Ticks that a measured market emits: enough for the conformance cases, too few to cost anything.
const TICKS_PER_S: f64 = 10.0;
/// Void measurements that are taken again, in shares of all that are planned: a run must end on a noisy machine too.
const REPEATS_MAX_PER_MEASUREMENT: f64 = 0.3;
/// A measured connection is idle while the others have their turn, and must not be closed for it.
const IDLE_TIME_MAX: Duration = Duration::from_secs(3_600);

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
    /// Why it does not count, where it does not.
    pub void: Option<String>,
}

/// What one end used in the measured time, and what happened to its core.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct EndUse {
    /// Processor time, waits and switches of the process.
    pub process: ProcessUse,
    /// Its processor time as a share of the time.
    pub own_share: f64,
    /// The share of the time in which its core was busy, with whatever.
    pub busy_share: f64,
    /// The share in which its core handled packets and timers; in `busy_share` too.
    pub softirq_share: f64,
    /// The share that the hypervisor took.
    pub steal_share: f64,
    /// The share that processes other than the two ends and the command used.
    pub foreign_share: f64,
}

/// What crossed between the ends in the measured time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wire {
    /// As the client's host counts it; on loopback that is both ways, and others' too.
    pub client: HostCount,
    /// As the server's host counts it, which on loopback is the same.
    pub server: HostCount,
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

/// A contender's two processes.
struct Pair {
    name: String,
    // The client is dropped, and so ended, first: its server then has nothing to drain.
    client: Child<ToClient, FromClient>,
    server: Child<ToServer, FromServer>,
    /// The connections that its client has open.
    shape: Option<Shape>,
}

/// Runs a plan. Ends early, with what there is, when `stop` becomes true or something fails: a process, or a
/// conformance case (equal answers or no benchmark). What was measured until then is kept, marked partial.
pub fn execute(
    scenario: &Scenario,
    plan: &Plan,
    market_seed: u64,
    layout: &Layout,
    stop: &AtomicBool,
    watcher: &mut dyn Watcher,
) -> (Results, anyhow::Result<()>) {
    let mut results =
        Results { measurements: Vec::new(), conformance: Vec::new(), link: None, partial: true };
    let network = match Network::build(scenario.link) {
        Ok((network, used)) => {
            results.link = Some(used);
            network
        }
        Err(error) => return (results, Err(error.into())),
    };
    let run = Run { scenario, plan, market_seed, layout, network, stop };
    let ended = run.to_the_end(&mut results, watcher);
    (results, ended)
}

/// What does not change during a run.
struct Run<'a> {
    scenario: &'a Scenario,
    plan: &'a Plan,
    market_seed: u64,
    layout: &'a Layout,
    network: Network,
    stop: &'a AtomicBool,
}

impl Run<'_> {
    fn to_the_end(&self, results: &mut Results, watcher: &mut dyn Watcher) -> anyhow::Result<()> {
        let mut pairs = Vec::new();
        for contender in self.plan.contenders() {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            watcher.stage(&format!("starting {} and checking its answers", contender.name));
            let (pair, cases) = self.open(contender)?;
            if let Some(case) = cases.iter().find(|case| case.failure.is_some()) {
                let failure = case.failure.as_deref().unwrap_or_default();
                bail!("{} fails the conformance case '{}': {failure}", contender.name, case.case);
            }
            let contender = contender.name.clone();
            results.conformance.push(Conformance { contender, cases, compared_whole: None });
            pairs.push(pair);
        }
        let mut repeats = REPEATS_MAX_PER_MEASUREMENT * self.plan.measurements() as f64;
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
                    && repeats >= 1.0
                    && !self.stop.load(Ordering::Relaxed)
                {
                    watcher.void(reason);
                    repeats -= 1.0;
                    let again = self.measure(round, cell, pair, watcher)?;
                    results.measurements.push(std::mem::replace(&mut measurement, again));
                }
                results.measurements.push(measurement);
            }
            watcher.round_done(self.plan, round);
        }
        for (pair, conformance) in pairs.iter_mut().zip(&mut results.conformance) {
            watcher.stage(&format!("comparing replies of {} whole", pair.name));
            conformance.compared_whole = Some(pair.audit()?);
        }
        watcher.stage("stopping");
        results.partial = false;
        Ok(())
    }

    fn open(&self, contender: &Contender) -> anyhow::Result<(Pair, Vec<CaseResult>)> {
        let Run { scenario, market_seed, layout, ref network, .. } = *self;
        let name = &contender.name;
        let mut server: Child<ToServer, FromServer> =
            Child::start(&format!("the server of {name}"), &["agent", "server"], network.server_host())?;
        server.send(&ToServer::Serve(Box::new(Serve {
            core: layout.server,
            address: network.server_address(),
            protocol: contender.carriage.protocol(),
            market: MarketConfig {
                seed: market_seed,
                handler_wait: scenario.workload.handler_wait,
                handler_cpu: scenario.workload.handler_cpu,
                ticks_per_s: TICKS_PER_S,
                ..MarketConfig::default()
            },
            limits: Limits {
                idle_time_max: IDLE_TIME_MAX,
                header_time_max: IDLE_TIME_MAX,
                ..Limits::default()
            },
        })))?;
        let address = match server.receive(OPEN_TIME_MAX)? {
            FromServer::Ready { address } => address,
            other => bail!("the server of {name}: {}", unexpected_of_server(other)),
        };
        let mut client: Child<ToClient, FromClient> =
            Child::start(&format!("the client of {name}"), &["agent", "client"], network.client_host())?;
        client.send(&ToClient::Open(Open {
            cores: layout.client.clone(),
            carriage: contender.carriage,
            address,
            market_seed,
            workload: scenario.workload.clone(),
        }))?;
        match client.receive(OPEN_TIME_MAX)? {
            FromClient::Opened { conformance } => {
                Ok((Pair { name: name.clone(), client, server, shape: None }, conformance))
            }
            other => bail!("the client of {name}: {}", unexpected(other)),
        }
    }

    fn measure(
        &self,
        round: usize,
        cell: usize,
        pair: &mut Pair,
        watcher: &mut dyn Watcher,
    ) -> anyhow::Result<Measurement> {
        let Run { scenario, plan, .. } = *self;
        let clock = Clock::System;
        let condition = &plan.cells[cell].condition;
        pair.connect(condition.shape)?;
        let start = clock.now() + LEAD;
        let seed = plan.seed.wrapping_add(round as u64);
        let emission = scenario.workload.emission(condition);
        let emission = emission.map(|emission| {
            let span = plan.warm_up + plan.duration;
            pair.emit(Emit { start, span, seed, emission })
        });
        let order = Round {
            model: condition.model,
            warm_up: plan.warm_up,
            duration: plan.duration,
            time_out: scenario.workload.time_out,
            // The same schedule for every contender of a round, another in each round.
            seed,
            start,
            precision: clock::Precision::Sleep,
            emission: emission.transpose()?,
        };
        pair.client.send(&ToClient::Round(order))?;
        clock::pause_thread((start + plan.warm_up).since(clock.now()));
        let before = self.read(pair)?;
        let end = start + plan.warm_up + plan.duration;
        let mut after = None;
        loop {
            let now = clock.now();
            if now >= end && after.is_none() {
                after = Some(self.read(pair)?);
            }
            let last = end + scenario.workload.time_out + GRACE;
            let wait = if after.is_none() { end.since(now) } else { last.since(now) };
            let outcome = match pair.client.receive(wait) {
                Ok(FromClient::Progress(progress)) => {
                    watcher.progress(&progress);
                    pair.server.ensure_running()?;
                    continue;
                }
                Ok(FromClient::Result(outcome)) => *outcome,
                Ok(other) => bail!("the client of {}: {}", pair.name, unexpected(other)),
                Err(lab::child::ChildError::Silent { .. }) if after.is_none() => continue,
                Err(error) => return Err(error.into()),
            };
            let after = match after {
                Some(after) => after,
                None => self.read(pair)?,
            };
            let (client, server) = (after.client_use(&before), after.server_use(&before));
            let wire = Wire {
                client: after.client_host.since(&before.client_host),
                server: after.server_host.since(&before.server_host),
            };
            let mut measurement = Measurement { round, cell, outcome, client, server, wire, void: None };
            let pushes = scenario.workload.operation == Capability::Subscribe;
            if !plan.accept_noise {
                measurement.void = disturbance::void_reason(&measurement, pushes);
            }
            return Ok(measurement);
        }
    }

    /// Reads the meters of a pair, from outside so that it does nothing for them.
    fn read(&self, pair: &mut Pair) -> anyhow::Result<Readings> {
        pair.server.ensure_running()?;
        pair.client.ensure_running()?;
        let client_core = *self.layout.client.first().context("no core for the client")?;
        let (server, client, interface) = (pair.server.pid(), pair.client.pid(), self.network.interface());
        Ok(Readings {
            at: Clock::System.now(),
            shared_core: self.layout.shared,
            server: ProcessUse::read(server)?,
            client: ProcessUse::read(client)?,
            command: ProcessUse::read(std::process::id())?,
            server_core: CoreTime::read(self.layout.server)?,
            client_core: CoreTime::read(client_core)?,
            server_host: HostCount::read(server, interface)?,
            client_host: HostCount::read(client, interface)?,
        })
    }
}

impl Pair {
    /// Has the client open these connections, unless they are open.
    fn connect(&mut self, shape: Shape) -> anyhow::Result<()> {
        if self.shape != Some(shape) {
            self.client.send(&ToClient::Connect { shape })?;
            match self.client.receive(OPEN_TIME_MAX)? {
                FromClient::Connected => self.shape = Some(shape),
                other => bail!("the client of {}: {}", self.name, unexpected(other)),
            }
        }
        Ok(())
    }

    /// Has the server emit; says what.
    fn emit(&mut self, emit: Emit) -> anyhow::Result<Emission> {
        self.server.send(&ToServer::Emit(emit))?;
        match self.server.receive(OPEN_TIME_MAX)? {
            FromServer::Emitting { first_sequence } => Ok(Emission { first_sequence, ..emit.emission }),
            other => bail!("the server of {}: {}", self.name, unexpected_of_server(other)),
        }
    }

    /// Compares replies whole, outside the timing; says how many.
    fn audit(&mut self) -> anyhow::Result<usize> {
        self.client.send(&ToClient::Audit)?;
        match self.client.receive(OPEN_TIME_MAX)? {
            FromClient::Audited { compared, wrong: None } => Ok(compared),
            FromClient::Audited { wrong: Some(wrong), .. } => bail!("{} answers wrongly: {wrong}", self.name),
            other => bail!("{}: {}", self.name, unexpected(other)),
        }
    }
}

/// Meters of a pair at an instant.
struct Readings {
    at: Mono,
    shared_core: bool,
    server: ProcessUse,
    client: ProcessUse,
    command: ProcessUse,
    server_core: CoreTime,
    client_core: CoreTime,
    server_host: HostCount,
    client_host: HostCount,
}

impl Readings {
    /// The client shares its core with the command.
    fn client_use(&self, before: &Readings) -> EndUse {
        let process = self.client.since(&before.client);
        let beside = self.command.since(&before.command).cpu;
        let server = if self.shared_core { self.server.since(&before.server).cpu } else { Duration::ZERO };
        self.end_use(before, process, beside + server, self.client_core.shares_since(&before.client_core))
    }

    fn server_use(&self, before: &Readings) -> EndUse {
        let process = self.server.since(&before.server);
        let others = self.client.since(&before.client).cpu + self.command.since(&before.command).cpu;
        let beside = if self.shared_core { others } else { Duration::ZERO };
        self.end_use(before, process, beside, self.server_core.shares_since(&before.server_core))
    }

    /// `beside`: processor time of ours that was used on the same core.
    fn end_use(&self, before: &Readings, process: ProcessUse, beside: Duration, core: CoreShares) -> EndUse {
        let share = |cpu: Duration| cpu.as_secs_f64() / self.at.since(before.at).as_secs_f64();
        // Packets that are handled while the core is otherwise idle are nobody's processor time.
        let known = share(process.cpu) + share(beside) + core.softirq;
        EndUse {
            process,
            own_share: share(process.cpu),
            busy_share: core.busy,
            softirq_share: core.softirq,
            steal_share: core.steal,
            foreign_share: (core.busy - known).max(0.0),
        }
    }
}

fn unexpected_of_server(message: FromServer) -> String {
    match message {
        FromServer::Failed { error } => error,
        other => format!("it said {other:?} out of turn"),
    }
}

fn unexpected(message: FromClient) -> String {
    match message {
        FromClient::Failed { error } => error,
        other => format!("it said {other:?} out of turn"),
    }
}
