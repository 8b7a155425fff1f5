//! A scale-out: another server joins those behind a balancer at layer 4, and connections that are open stay where they are.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::bail;
use clients::HttpVersion;
use clients::load::{Arrivals, Manners, Model, Round, Shape};
use clients::protocols::Carriage;
use clock::{Clock, Precision};
use proto::Capability;
use proto::encoding::Encoding;
use servers::MarketConfig;
use servers::between::Policy;
use servers::reference::Behaviour;

use super::message::{FromClient, FromServer, ToClient, ToServer};
use super::pair::LEAD;
use super::restart::BACK_TIME_MAX;
use super::start::{self, Client, OPEN_TIME_MAX, Server, Setup, Started};
use super::{Results, Run, Watcher};
use crate::scenario::{Access, Activity, ScaleOut, Workload};
use crate::text;

/// Time in which whoever would move by itself does; whoever has been there for longer is sent away afterwards, and newcomers are not.
const SETTLING: Duration = Duration::from_millis(500);
/// How closely it is known when everybody was back.
const COUNTED_EVERY: Duration = Duration::from_millis(5);
/// Time for a server to hear that a connection is gone.
const FAREWELL: Duration = Duration::from_millis(250);
/// Time in which calls are made, before and after.
const CALLING: Duration = Duration::from_millis(500);
/// Time in which one must be answered.
const CALL_TIME_MAX: Duration = Duration::from_secs(2);
/// Connections of the calls: of those that keep them, all; of the others, those that are open at once, at most.
const CALLERS: usize = 24;

/// How a contender's load lay at the servers when others joined them.
#[derive(Debug, Clone, PartialEq)]
pub struct ScaledOut {
    /// Who; of calls, in words.
    pub contender: String,
    /// What lay there.
    pub kind: Kind,
    /// Subscribers; or calls, about.
    pub connections: usize,
    /// One a scale-out.
    pub trials: Vec<Trial>,
}

/// What lies at servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Subscriptions that wait for ticks, each on a connection of its own, as the servers count them.
    Subscriptions,
    /// REST calls of half a second on connections that are kept, as the servers count them.
    KeptCalls,
    /// REST calls of half a second, each on a connection of its own, likewise.
    FreshCalls,
}

impl Kind {
    fn in_words(self) -> &'static str {
        match self {
            Kind::Subscriptions => "subscriptions",
            Kind::KeptCalls => "REST calls on kept connections",
            Kind::FreshCalls => "REST calls on new connections",
        }
    }
}

/// How much lay at each server, those that join last.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// Before any joined.
    pub before: Vec<u64>,
    /// Half a second after; of calls, those of the half second after.
    pub after: Vec<u64>,
    /// Once everybody had been sent away and was back; of calls nobody is.
    pub evened: Option<Evened>,
}

/// What sending everybody away came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Evened {
    /// How much lay at each server.
    pub lies: Vec<u64>,
    /// From when the balancer was told to close connections until everybody's subscription waited again.
    pub took: Duration,
}

impl Run<'_> {
    /// Has servers join the others of every contender, where the plan has it; at last of REST calls.
    pub(super) fn scale_out(&self, results: &mut Results, watcher: &mut dyn Watcher) -> anyhow::Result<()> {
        let Some(asked) = &self.plan.scale_out else { return Ok(()) };
        let contenders = self.plan.contenders_once();
        let subscribers = contenders.iter().filter_map(|contender| {
            let access = contender.access()?.clone();
            Some((contender.name.clone(), Kind::Subscriptions, access))
        });
        let rest = contenders.iter().find_map(|contender| Some(calls_over(contender.access()?)));
        let calls = rest.iter().flat_map(|access| {
            [Kind::KeptCalls, Kind::FreshCalls].map(|kind| (kind.in_words().to_owned(), kind, access.clone()))
        });
        for (contender, kind, access) in subscribers.chain(calls) {
            watcher.stage(&format!("having a server join those of {contender}"));
            let mut fleet = self.fleet(&contender, &access, kind, asked)?;
            let place = results.scaled_out.len();
            let (connections, trials) = (asked.connections, Vec::new());
            results.scaled_out.push(ScaledOut { contender, kind, connections, trials });
            for nth in 0..asked.times {
                let seed = self.plan.seed.wrapping_add(u64::from(nth));
                if self.stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
                let trial = match kind {
                    Kind::Subscriptions => fleet.subscriptions(asked)?,
                    Kind::KeptCalls => fleet.calls(asked, false, seed)?,
                    Kind::FreshCalls => fleet.calls(asked, true, seed)?,
                };
                results.scaled_out[place].trials.push(trial);
            }
        }
        Ok(())
    }

    fn fleet(&self, name: &str, access: &Access, kind: Kind, asked: &ScaleOut) -> anyhow::Result<Fleet> {
        let (capability, behaviour) = match kind {
            Kind::Subscriptions => (Capability::Subscribe, None),
            // It keeps account of when calls came, and answers at once.
            Kind::KeptCalls | Kind::FreshCalls => (Capability::Quote, Some(Behaviour::fixed(Duration::ZERO))),
        };
        let workload = Workload { activity: Activity::Market(capability), ..self.scenario.workload.clone() };
        let market =
            MarketConfig { seed: self.market_seed, ticks_per_s: 0.0, behaviour, ..MarketConfig::default() };
        let setup = Setup { market, workload: &workload, conformance: false, relayed: false };
        let start = |nth: usize| {
            let Started { server, ready, .. } =
                self.place.start_server(&format!("{name}, number {}", nth + 1), access, &setup)?;
            anyhow::Ok((ready.address, server))
        };
        let servers = (0..asked.to).map(start).collect::<anyhow::Result<Vec<_>>>()?;
        let (balancer, ready) = self.place.start_balancer(name, access, Vec::new())?;
        let (client, _) = self.place.start_client(name, access, &setup, ready)?;
        Ok(Fleet { name: name.to_owned(), client, balancer, servers })
    }
}

/// REST with nothing beside it, over whatever carries a contender.
fn calls_over(access: &Access) -> Access {
    let carriage = Carriage::Rest { http: HttpVersion::Http1, encoding: Encoding::Json, poll_every: None };
    Access { carriage, manners: Manners::default(), ..access.clone() }
}

/// Several servers, one balancer before them, and one client.
struct Fleet {
    name: String,
    // The client is dropped, and so ended, first: then nobody is left to drain for.
    client: Client,
    balancer: Server,
    servers: Vec<(SocketAddr, Server)>,
}

impl Fleet {
    /// All subscribe, others join, and everybody is sent away.
    fn subscriptions(&mut self, asked: &ScaleOut) -> anyhow::Result<Trial> {
        let all = asked.connections as u64;
        self.balance(asked.from)?;
        let shape = Shape { connections: asked.connections, in_flight: 1, cold: false };
        start::connect(&self.name, &mut self.client, shape)?;
        let before = self.await_all(all, None)?;
        self.balance(asked.to)?;
        clock::pause_thread(SETTLING);
        let after = self.lies()?;
        let given = self.given()?.iter().sum::<u64>();
        let sent_away = Clock::System.now();
        self.order(&ToServer::Between(Policy::Closes(SETTLING)))?;
        self.await_all(all, Some(given + all))?;
        let took = Clock::System.now().since(sent_away);
        self.order(&ToServer::Between(Policy::Passes))?;
        clock::pause_thread(FAREWELL);
        Ok(Trial { before, after, evened: Some(Evened { lies: self.lies()?, took }) })
    }

    /// Calls, others join, and as many calls again.
    fn calls(&mut self, asked: &ScaleOut, cold: bool, seed: u64) -> anyhow::Result<Trial> {
        self.balance(asked.from)?;
        start::connect(&self.name, &mut self.client, Shape { connections: CALLERS, in_flight: 1, cold })?;
        let before = self.call(asked.connections, seed)?;
        self.balance(asked.to)?;
        Ok(Trial { before, after: self.call(asked.connections, seed)?, evened: None })
    }

    /// Has the client make about so many calls; says how many came to each server.
    fn call(&mut self, calls: usize, seed: u64) -> anyhow::Result<Vec<u64>> {
        let rate_per_s = calls as f64 / CALLING.as_secs_f64();
        let round = Round {
            model: Model::Open { arrivals: Arrivals::Poisson, rate_per_s },
            warm_up: Duration::ZERO,
            duration: CALLING,
            time_out: CALL_TIME_MAX,
            seed,
            start: Clock::System.now() + LEAD,
            precision: Precision::Sleep,
            emission: None,
        };
        // What came before is taken, and forgotten.
        self.arrivals()?;
        self.client.send(&ToClient::Round(round))?;
        loop {
            match self.client.receive(OPEN_TIME_MAX)? {
                FromClient::Progress(_) => {}
                FromClient::Result { outcome, .. } => {
                    let failed = outcome.failed.values().sum::<u64>();
                    anyhow::ensure!(failed == 0, "{}: {failed} failed behind the balancer", self.name);
                    return self.arrivals();
                }
                other => bail!("{}: {}", self.name, start::unexpected(other)),
            }
        }
    }

    /// Has the balancer give new connections to the first of the servers.
    fn balance(&mut self, servers: usize) -> anyhow::Result<()> {
        let first = self.servers.iter().take(servers).map(|(address, _)| *address).collect();
        self.order(&ToServer::Backends(first))
    }

    fn order(&mut self, order: &ToServer) -> anyhow::Result<()> {
        self.balancer.send(order)?;
        match self.balancer.receive(OPEN_TIME_MAX)? {
            FromServer::BetweenSet => Ok(()),
            other => bail!("the balancer of {}: {}", self.name, start::unexpected_of_server(other)),
        }
    }

    /// Connections that each server was given so far.
    fn given(&mut self) -> anyhow::Result<Vec<u64>> {
        self.balancer.send(&ToServer::Given)?;
        let given = match self.balancer.receive(OPEN_TIME_MAX)? {
            FromServer::Given { connections } => connections,
            other => bail!("the balancer of {}: {}", self.name, start::unexpected_of_server(other)),
        };
        let of = |(address, _): &(SocketAddr, Server)| {
            given.iter().find(|(server, _)| server == address).map_or(0, |(_, given)| *given)
        };
        Ok(self.servers.iter().map(of).collect())
    }

    /// Calls that came to each server since this was last asked.
    fn arrivals(&mut self) -> anyhow::Result<Vec<u64>> {
        let name = &self.name;
        self.servers.iter_mut().map(|(_, server)| Ok(start::arrivals(name, server)?.len() as u64)).collect()
    }

    /// Subscriptions that wait for ticks at each server.
    fn lies(&mut self) -> anyhow::Result<Vec<u64>> {
        let name = &self.name;
        self.servers
            .iter_mut()
            .map(|(_, server)| Ok(start::count_subscribers(name, server, 0, Duration::ZERO)?.0 as u64))
            .collect()
    }

    /// Waits until so many subscriptions wait, neither more nor less, and so many connections were given, if that is asked.
    fn await_all(&mut self, subscriptions: u64, given: Option<u64>) -> anyhow::Result<Vec<u64>> {
        let clock = Clock::System;
        let end = clock.now() + BACK_TIME_MAX;
        loop {
            let lies = self.lies()?;
            let there: u64 = lies.iter().sum();
            let moved = match given {
                Some(given) => self.given()?.iter().sum::<u64>() >= given,
                None => true,
            };
            if there == subscriptions && moved {
                return Ok(lies);
            }
            if clock.now() >= end {
                self.client.ensure_running()?;
                self.balancer.ensure_running()?;
                let [there, awaited] = [there, subscriptions].map(text::count);
                bail!("of {} {there} subscribers were there in time, of the {awaited} awaited", self.name);
            }
            clock::pause_thread(COUNTED_EVERY);
        }
    }
}
