//! A contender's two processes: started, told what to do, and metered from outside.

use std::time::Duration;

use anyhow::{Context as _, bail};
use clients::load::{Emission, Outcome, Round, Shape};
use clock::{Clock, Mono};
use lab::child::{Child, ChildError};
use lab::cores::Layout;
use lab::hosts::Host;
use lab::wan::{self, RouterCount, WayCount};
use proto::flow::Congestion;
use servers::between::Policy;
use servers::flow::{FlowTimes, Sent};
use servers::{Handler, MarketConfig};

use super::message::{Emit, FromClient, FromServer, Progress, Serve, ToClient, ToServer};
use super::meters::{EndUse, Wire};
use super::network::Network;
use super::start::{
    Client, OPEN_TIME_MAX, Server, arrivals, connect, count_subscribers, ready, unexpected,
    unexpected_of_server,
};
use crate::allocations;
use crate::text;

/// From the order to start a round to its start: time to read a message and arm a timer.
pub(super) const LEAD: Duration = Duration::from_millis(30);
/// Time that a round may take beyond its own and its last call's time-out.
const GRACE: Duration = Duration::from_secs(30);

/// Where pairs run.
pub(crate) struct Place<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) network: Network,
    /// Of contenders that state none.
    pub(crate) congestion: Congestion,
}

/// A contender's two processes.
pub(crate) struct Pair {
    pub(super) name: String,
    // The client is dropped, and so ended, first: its server then has nothing to drain.
    pub(super) client: Client,
    pub(super) server: Server,
    /// The connections that its client has open.
    pub(super) shape: Option<Shape>,
    /// Whether it sends flows.
    pub(super) has_flows: bool,
    /// Whether a relay stands between them.
    pub(super) relayed: bool,
    /// When the first freeze of the server's behaviour began, if it was given one.
    pub(crate) origin: Option<Mono>,
    /// Of a server that is not wirebench's: the program, which is what is metered.
    pub(super) program: Option<u32>,
    /// What the market's handlers do.
    pub(super) handler: Handler,
    /// How its server was told to serve, and where it listens; of one that is not wirebench's nothing.
    pub(super) serve: Option<Box<Serve>>,
}

/// What a stretch of load came to, at both ends.
pub(crate) struct Taken {
    /// When its warm-up began.
    pub(crate) start: Mono,
    pub(crate) outcome: Outcome,
    /// What the sender of each flow did.
    pub(crate) sent: Vec<Sent>,
    pub(crate) client: EndUse,
    pub(crate) server: EndUse,
    pub(crate) wire: Wire,
    /// How late the router was, where the link has one.
    pub(crate) router: Option<RouterCount>,
    /// What became of the packets from servers to clients there.
    pub(crate) way: Option<WayCount>,
}

impl Place<'_> {
    /// Has a pair load, and reads its meters at the ends of the measured time. The start of `round` is set here, and so is
    /// the first sequence of its emission. The link changes after these times of the measured time.
    pub(crate) fn load(
        &self,
        pair: &mut Pair,
        shape: Shape,
        mut round: Round,
        changes: &[(Duration, wan::Link)],
        tell: &mut dyn FnMut(&Progress),
    ) -> anyhow::Result<Taken> {
        let clock = Clock::System;
        let network = &self.network;
        pair.connect(shape)?;
        let _ = network.take_router_count();
        round.start = clock.now() + LEAD;
        let (start, measured_from) = (round.start, round.start + round.warm_up);
        let end = measured_from + round.duration;
        network.change(changes.iter().map(|(after, ways)| (measured_from + *after, *ways)));
        if let Some(emission) = round.emission {
            let span = round.warm_up + round.duration;
            round.emission = Some(pair.emit(Emit { start, span, seed: round.seed, emission })?);
        }
        let allocated_before = pair.server_allocations()?;
        pair.client.send(&ToClient::Round(round))?;
        if pair.has_flows {
            pair.server.send(&ToServer::Flow(FlowTimes { start, measured_from, until: end }))?;
        }
        clock::pause_thread(measured_from.since(clock.now()));
        let before = self.read(pair)?;
        let mut after = None;
        loop {
            let now = clock.now();
            if now >= end && after.is_none() {
                after = Some(self.read(pair)?);
            }
            let last = end + round.time_out + GRACE;
            let wait = if after.is_none() { end.since(now) } else { last.since(now) };
            let (mut outcome, allocations) = match pair.client.receive(wait) {
                Ok(FromClient::Progress(progress)) => {
                    tell(&progress);
                    pair.server.ensure_running()?;
                    continue;
                }
                Ok(FromClient::Result { outcome, allocations }) => (*outcome, allocations),
                Ok(other) => bail!("the client of {}: {}", pair.name, unexpected(other)),
                Err(ChildError::Silent { .. }) if after.is_none() => continue,
                Err(error) => return Err(error.into()),
            };
            let after = match after {
                Some(after) => after,
                None => {
                    // A flow whose peer reset it ends before its time; the meters are of all of it, and so are the link's changes.
                    clock::pause_thread(end.since(clock.now()));
                    self.read(pair)?
                }
            };
            let sent = pair.sent(&mut outcome, round.time_out)?;
            let wire = Wire {
                client: after.client_host.since(&before.client_host),
                server: after.server_host.since(&before.server_host),
            };
            let (mut client, mut server) = (after.client_use(&before), after.server_use(&before));
            // Counted over warm-up and measured time; the measured time's share of them.
            let measured = round.duration.as_secs_f64() / (round.warm_up + round.duration).as_secs_f64();
            let of_server = pair.server_allocations()?.zip(allocated_before);
            client.allocations = allocations.map(|count| count as f64 * measured);
            server.allocations = of_server.map(|(after, before)| (after - before) as f64 * measured);
            let router = network.take_router_count();
            let way = after.way.zip(before.way).map(|(after, before)| after.since(&before));
            return Ok(Taken { start, outcome, sent, client, server, wire, router, way });
        }
    }
}

impl Pair {
    /// Checks that both processes still run.
    pub(super) fn ensure_running(&mut self) -> anyhow::Result<()> {
        self.server.ensure_running()?;
        Ok(self.client.ensure_running()?)
    }

    /// Of the client and the server.
    pub(super) fn pids(&self) -> (u32, u32) {
        (self.client.pid(), self.served_by())
    }

    /// The process whose use is the server's.
    fn served_by(&self) -> u32 {
        self.program.unwrap_or_else(|| self.server.pid())
    }

    /// Has the client open these connections, unless they are open; says whether it did.
    pub(super) fn connect(&mut self, shape: Shape) -> anyhow::Result<bool> {
        if self.shape == Some(shape) {
            return Ok(false);
        }
        connect(&self.name, &mut self.client, shape)?;
        self.shape = Some(shape);
        Ok(true)
    }

    /// Has the market's handlers do this, unless they do.
    pub(super) fn handle(&mut self, handler: Handler) -> anyhow::Result<()> {
        if self.handler == handler {
            return Ok(());
        }
        self.server.send(&ToServer::Handle(handler))?;
        match self.server.receive(OPEN_TIME_MAX)? {
            FromServer::Handling => self.handler = handler,
            other => bail!("the server of {}: {}", self.name, unexpected_of_server(other)),
        }
        Ok(())
    }

    /// Has the relay do this from now on; without effect where none stands between.
    pub(super) fn between(&mut self, policy: Policy) -> anyhow::Result<()> {
        if !self.relayed {
            return Ok(());
        }
        self.server.send(&ToServer::Between(policy))?;
        match self.server.receive(OPEN_TIME_MAX)? {
            FromServer::BetweenSet => Ok(()),
            other => bail!("the server of {}: {}", self.name, unexpected_of_server(other)),
        }
    }

    /// Forgets that connections are open, where a relay may have silenced them or made them old: the next round opens others.
    pub(super) fn forget_connections(&mut self) {
        if self.relayed {
            self.shape = None;
        }
    }

    /// Has the server emit; says what.
    fn emit(&mut self, emit: Emit) -> anyhow::Result<Emission> {
        self.server.send(&ToServer::Emit(emit))?;
        match self.server.receive(OPEN_TIME_MAX)? {
            FromServer::Emitting { first_sequence } => Ok(Emission { first_sequence, ..emit.emission }),
            other => bail!("the server of {}: {}", self.name, unexpected_of_server(other)),
        }
    }

    /// What the senders of a round's flows did; what they sent and nobody received is counted as missed.
    fn sent(&mut self, outcome: &mut Outcome, time_out: Duration) -> anyhow::Result<Vec<Sent>> {
        if !self.has_flows {
            return Ok(Vec::new());
        }
        let sent = match self.server.receive(OPEN_TIME_MAX)? {
            FromServer::Sent { flows } => flows,
            other => bail!("the sender of {}: {}", self.name, unexpected_of_server(other)),
        };
        if sent.len() != outcome.flows.len() {
            bail!("{} sent {} flows, and {} came", self.name, sent.len(), outcome.flows.len());
        }
        let lost =
            sent.iter().zip(&outcome.flows).map(|(sent, came)| sent.blocks.saturating_sub(came.blocks));
        let lost = lost.sum();
        outcome.record_lost_blocks(lost, time_out);
        Ok(sent)
    }

    /// Compares replies whole, outside the timing; says how many.
    pub(super) fn audit(&mut self) -> anyhow::Result<usize> {
        self.client.send(&ToClient::Audit)?;
        match self.client.receive(OPEN_TIME_MAX)? {
            FromClient::Audited { compared, wrong: None } => Ok(compared),
            FromClient::Audited { wrong: Some(wrong), .. } => bail!("{} answers wrongly: {wrong}", self.name),
            other => bail!("{}: {}", self.name, unexpected(other)),
        }
    }

    /// Allocations of the server so far; not asked for in a build that does not count them.
    fn server_allocations(&mut self) -> anyhow::Result<Option<u64>> {
        if allocations::count().is_none() {
            return Ok(None);
        }
        self.server.send(&ToServer::Allocations)?;
        match self.server.receive(OPEN_TIME_MAX)? {
            FromServer::Allocations { count } => Ok(count),
            other => bail!("the server of {}: {}", self.name, unexpected_of_server(other)),
        }
    }

    /// Waits until so many subscriptions wait for ticks at the server; says since when.
    pub(super) fn await_subscribers(&mut self, subscribers: usize, within: Duration) -> anyhow::Result<Mono> {
        let (there, at) = count_subscribers(&self.name, &mut self.server, subscribers, within)?;
        if there < subscribers {
            self.ensure_running()?;
            let [there, awaited] = [there, subscribers].map(|number| text::count(number as u64));
            bail!("of {} only {there} subscribers were there in time, of the {awaited} awaited", self.name)
        }
        Ok(at)
    }

    /// Kills the server with everybody's connections, leaves nobody there for a while, and starts another that listens where it did; says when it was killed, and since when the other listens.
    pub(super) fn restart(&mut self, host: Option<&Host>, down: Duration) -> anyhow::Result<(Mono, Mono)> {
        let serve =
            self.serve.as_deref().context("a server that is not wirebench's is not to be restarted")?;
        let market = MarketConfig { handler: self.handler, ..serve.market.clone() };
        let serve = Serve { market, ..serve.clone() };
        let killed = Clock::System.now();
        self.server.kill()?;
        clock::pause_thread(down.saturating_sub(Clock::System.now().since(killed)));
        self.server = Child::start(&format!("the server of {}", self.name), &["agent", "server"], host)?;
        self.server.send(&ToServer::Serve(Box::new(serve)))?;
        Ok((killed, ready(&self.name, &mut self.server)?.listening_since))
    }

    /// When calls came to a server with a behaviour, since this was last asked.
    pub(crate) fn arrivals(&mut self) -> anyhow::Result<Vec<Mono>> {
        arrivals(&self.name, &mut self.server)
    }
}
