//! The run of a plan: one server and one client process a contender, all up together; rounds interleaved, so
//! that a noisy second hurts all alike.

pub mod agent;
mod message;
mod workload;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clients::conformance::CaseResult;
use clients::load::{Emission, Outcome, Round, Shape};
use clock::Clock;
use lab::child::Child;
use lab::cores::Layout;
use lab::meter::{CoreTime, LOOPBACK, LinkCount, cpu_time};
use servers::{Limits, MarketConfig};

pub use message::Progress;
use message::{Emit, FromClient, FromServer, Open, Serve, ToClient, ToServer};
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
    /// Processor time of the server in the measured time.
    pub server_cpu: Duration,
    /// Processor time of the client in the measured time.
    pub client_cpu: Duration,
    /// The share of the server's core that the hypervisor took meanwhile.
    pub server_steal_share: f64,
    /// The share of the client's core likewise.
    pub client_steal_share: f64,
    /// What crossed the loopback interface in the measured time, whoever sent it.
    pub loopback: LinkCount,
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
    let mut results = Results { measurements: Vec::new(), conformance: Vec::new(), partial: true };
    let run = Run { scenario, plan, market_seed, layout, stop };
    let ended = run.to_the_end(&mut results, watcher);
    (results, ended)
}

/// What does not change during a run.
struct Run<'a> {
    scenario: &'a Scenario,
    plan: &'a Plan,
    market_seed: u64,
    layout: &'a Layout,
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
        for (round, order) in self.plan.rounds.iter().enumerate() {
            for &cell in order {
                if self.stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
                watcher.measuring(self.plan, round, cell, results.measurements.len());
                let name = &self.plan.cells[cell].contender.name;
                let pair =
                    pairs.iter_mut().find(|pair| pair.name == *name).context("a cell without processes")?;
                results.measurements.push(self.measure(round, cell, pair, watcher)?);
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
        let Run { scenario, market_seed, layout, .. } = *self;
        let name = &contender.name;
        let mut server: Child<ToServer, FromServer> =
            Child::start(&format!("the server of {name}"), &["agent", "server"])?;
        server.send(&ToServer::Serve(Box::new(Serve {
            core: layout.server,
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
            Child::start(&format!("the client of {name}"), &["agent", "client"])?;
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
        let Run { scenario, plan, layout, .. } = *self;
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
        let before = Readings::take(pair, layout)?;
        let end = start + plan.warm_up + plan.duration;
        let mut after = None;
        loop {
            let now = clock.now();
            if now >= end && after.is_none() {
                after = Some(Readings::take(pair, layout)?);
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
                None => Readings::take(pair, layout)?,
            };
            return Ok(Measurement {
                round,
                cell,
                outcome,
                server_cpu: after.server_cpu.saturating_sub(before.server_cpu),
                client_cpu: after.client_cpu.saturating_sub(before.client_cpu),
                server_steal_share: after.server_core.steal_share_since(&before.server_core),
                client_steal_share: after.client_core.steal_share_since(&before.client_core),
                loopback: after.loopback.since(&before.loopback),
            });
        }
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

/// Meters of a pair at an instant, read from outside so that it does nothing for them.
struct Readings {
    server_cpu: Duration,
    client_cpu: Duration,
    server_core: CoreTime,
    client_core: CoreTime,
    loopback: LinkCount,
}

impl Readings {
    fn take(pair: &mut Pair, layout: &Layout) -> anyhow::Result<Readings> {
        pair.server.ensure_running()?;
        pair.client.ensure_running()?;
        let client_core = *layout.client.first().context("no core for the client")?;
        Ok(Readings {
            server_cpu: cpu_time(pair.server.pid())?,
            client_cpu: cpu_time(pair.client.pid())?,
            server_core: CoreTime::read(layout.server)?,
            client_core: CoreTime::read(client_core)?,
            loopback: LinkCount::read(LOOPBACK)?,
        })
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
