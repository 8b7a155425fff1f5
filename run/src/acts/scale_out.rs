//! A scale-out: another server joins those behind a balancer at layer 4, and connections that are
//! open stay where they are.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::bail;
use clients::load::Round;
use clients::role::{Caller, Connect};
use clock::{Clock, Precision};
use lab::child::{Child, Heard};
use lab::crew::Crew;
use lab::topology::SERVERS;
use proto::Capability;
use proto::encoding::Encoding;
use record::{ActPart, Evened, LoadKind, ScaleOutPart, ScaleOutTrial};
use servers::MarketConfig;
use servers::reference::Behaviour;
use servers::role::{AwaitSubscribers, Balancer, CountGiven, SetBackends, SetPolicy, TakeArrivals};
use terms::{
    Access, Activity, Arrivals, Carriage, HttpVersion, Manners, Model, RelayPolicy, ScaleOut, Shape,
    Workload, text,
};

use super::restart::BACK_TIME_MAX;
use crate::cast::{ANSWER_TIME_MAX, GRACE, LEAD, MarketProcess, OPEN_TIME_MAX, Setup};
use crate::rounds::OnSite;
use crate::{Ended, Watcher};

/// Time in which whatever would move by itself does; connections older than this are closed
/// afterwards, and newer ones are not.
const SETTLING: Duration = Duration::from_millis(500);
/// How closely it is known when everybody was back.
const COUNTED_EVERY: Duration = Duration::from_millis(5);
/// Time for a server to hear that a connection is gone.
const FAREWELL: Duration = Duration::from_millis(250);
/// Time in which calls are made, before and after.
const CALLING: Duration = Duration::from_millis(500);
/// Time in which one must be answered.
const CALL_TIME_MAX: Duration = Duration::from_secs(2);
/// Connections of the calls: of those that keep them, all; of the others, those that are open at
/// once, at most.
const CALLERS: usize = 24;

/// What load is called in records and on screens, where it is not a contender's subscriptions.
fn in_words(load: LoadKind) -> &'static str {
    match load {
        LoadKind::Subscriptions => "subscriptions",
        LoadKind::KeptCalls => "REST calls on kept connections",
        LoadKind::FreshCalls => "REST calls on new connections",
    }
}

/// Has servers join the others of every contender; at last of REST calls.
pub(super) fn scale_out(
    run: &OnSite<'_>,
    asked: &ScaleOut,
    parts: &mut Vec<ScaleOutPart>,
    watcher: &mut dyn Watcher,
) -> anyhow::Result<()> {
    let contenders = run.plan.contenders_once();
    // Of contenders that cannot run here there are no casts.
    let contenders: Vec<_> = contenders.into_iter().filter(|of| run.cast_of(&of.name).is_ok()).collect();
    let subscribers = contenders.iter().filter_map(|contender| {
        Some((contender.name.clone(), LoadKind::Subscriptions, contender.access()?.clone()))
    });
    let rest = contenders.iter().find_map(|contender| Some(calls_over(contender.access()?)));
    let calls = rest.iter().flat_map(|access| {
        [LoadKind::KeptCalls, LoadKind::FreshCalls]
            .map(|load| (in_words(load).to_owned(), load, access.clone()))
    });
    for (name, load, access) in subscribers.chain(calls) {
        watcher.stage(&format!("having a server join those of {name}"));
        let mut fleet = Fleet::open(run, &name, &access, load, asked)?;
        let mut trials = Vec::new();
        for nth in 0..asked.times {
            if run.is_stopped() {
                return Ok(());
            }
            let seed = run.plan.seed.wrapping_add(u64::from(nth));
            let tried = match load {
                LoadKind::Subscriptions => fleet.subscriptions(asked),
                LoadKind::KeptCalls => fleet.calls(asked, false, seed),
                LoadKind::FreshCalls => fleet.calls(asked, true, seed),
            };
            // The cause is looked for while the fleet is there: its processes go with it.
            trials.push(run.or_its_cause(tried)?);
            // What there is stays, whatever the next one comes to.
            if trials.len() > 1 {
                parts.pop();
            }
            let servers = [asked.from, asked.to];
            parts.extend(judge::acts::scale_out_part(&name, load, asked.connections, servers, &trials));
            let so_far = ActPart::ScaleOut { asked: asked.clone(), scale_outs: parts.clone() };
            watcher.keep(Ended::Trial(&so_far))?;
        }
    }
    Ok(())
}

/// REST with nothing beside it, over whatever carries a contender.
fn calls_over(access: &Access) -> Access {
    let carriage = Carriage::Rest { http: HttpVersion::Http1, encoding: Encoding::Json, poll_every: None };
    Access { carriage, manners: Manners::default(), ..access.clone() }
}

/// A cast of several servers, one balancer before them, and one client.
struct Fleet {
    name: String,
    crew: Crew,
    // The client is dropped, and so ended, first: then nobody is left to drain for.
    client: Child<Caller>,
    balancer: Child<Balancer>,
    servers: Vec<(SocketAddr, MarketProcess)>,
}

impl Fleet {
    fn open(
        run: &OnSite<'_>,
        name: &str,
        access: &Access,
        load: LoadKind,
        asked: &ScaleOut,
    ) -> anyhow::Result<Fleet> {
        let (capability, behaviour) = match load {
            LoadKind::Subscriptions => (Capability::Subscribe, None),
            // It keeps account of when calls came, and answers at once.
            LoadKind::KeptCalls | LoadKind::FreshCalls => {
                (Capability::Quote, Some(Behaviour::fixed(Duration::ZERO)))
            }
        };
        let workload = Workload { activity: Activity::Market(capability), ..run.scenario.workload.clone() };
        let market =
            MarketConfig { seed: run.on.market_seed, ticks_per_s: 0.0, behaviour, ..MarketConfig::default() };
        let setup = Setup { market, workload: &workload, conformance: false, relayed: false };
        let start = |nth: usize| {
            let name = format!("{name}, number {}", nth + 1);
            let (market, ready) = run.site.start_market(&name, SERVERS, access, &setup, None)?;
            anyhow::Ok((ready.address, market))
        };
        let servers = (0..asked.to).map(start).collect::<anyhow::Result<Vec<_>>>()?;
        let (balancer, ready) = run.site.start_balancer(name, access)?;
        let (client, _) = run.or_its_cause(run.site.start_caller(name, access, &setup, ready, Vec::new()))?;
        Ok(Fleet { name: name.to_owned(), crew: run.site.crew.clone(), client, balancer, servers })
    }

    /// All subscribe, others join, and everybody is sent away.
    fn subscriptions(&mut self, asked: &ScaleOut) -> anyhow::Result<ScaleOutTrial> {
        let all = asked.connections as u64;
        self.balance(asked.from)?;
        let shape = Shape { connections: asked.connections, in_flight: 1, cold: false };
        self.client.ask(Connect { shape, amount: None }, OPEN_TIME_MAX)?;
        let before = self.await_all(all, None)?;
        self.balance(asked.to)?;
        clock::pause_thread(SETTLING);
        let after = self.load()?;
        let given = self.given()?.iter().sum::<u64>();
        let sent_away = Clock::System.now();
        self.balancer.ask(SetPolicy(RelayPolicy::Closes(SETTLING)), ANSWER_TIME_MAX)?;
        self.await_all(all, Some(given + all))?;
        let took_ms = Clock::System.now().since(sent_away).as_secs_f64() * 1e3;
        self.balancer.ask(SetPolicy(RelayPolicy::Passes), ANSWER_TIME_MAX)?;
        clock::pause_thread(FAREWELL);
        Ok(ScaleOutTrial { before, after, evened: Some(Evened { load: self.load()?, took_ms }) })
    }

    /// Calls, others join, and as many calls again.
    fn calls(&mut self, asked: &ScaleOut, cold: bool, seed: u64) -> anyhow::Result<ScaleOutTrial> {
        self.balance(asked.from)?;
        let shape = Shape { connections: CALLERS, in_flight: 1, cold };
        self.client.ask(Connect { shape, amount: None }, OPEN_TIME_MAX)?;
        let before = self.call(asked.connections, seed)?;
        self.balance(asked.to)?;
        Ok(ScaleOutTrial { before, after: self.call(asked.connections, seed)?, evened: None })
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
            calls_max: None,
        };
        // What came before is taken, and forgotten.
        self.arrivals()?;
        let calling = self.client.give(round)?;
        loop {
            if let Heard::Done(result) = self.client.hear(&calling, CALLING + CALL_TIME_MAX + GRACE)? {
                let failed = result.outcome.failures();
                anyhow::ensure!(failed == 0, "{}: {failed} failed behind the balancer", self.name);
                return self.arrivals();
            }
        }
    }

    /// Has the balancer give new connections to the first of the servers.
    fn balance(&mut self, servers: usize) -> anyhow::Result<()> {
        let first = self.servers.iter().take(servers).map(|(address, _)| *address).collect();
        Ok(self.balancer.ask(SetBackends(first), ANSWER_TIME_MAX)?)
    }

    /// Connections that each server was given so far.
    fn given(&mut self) -> anyhow::Result<Vec<u64>> {
        let given = self.balancer.ask(CountGiven, ANSWER_TIME_MAX)?;
        let of = |(address, _): &(SocketAddr, MarketProcess)| {
            given.iter().find(|(server, _)| server == address).map_or(0, |(_, given)| *given)
        };
        Ok(self.servers.iter().map(of).collect())
    }

    /// Calls that came to each server since this was last asked.
    fn arrivals(&mut self) -> anyhow::Result<Vec<u64>> {
        let count = |(_, server): &mut (SocketAddr, MarketProcess)| {
            Ok(server.child.ask(TakeArrivals, ANSWER_TIME_MAX)?.len() as u64)
        };
        self.servers.iter_mut().map(count).collect()
    }

    /// Subscriptions that wait for ticks at each server.
    fn load(&mut self) -> anyhow::Result<Vec<u64>> {
        let now = AwaitSubscribers { subscribers: 0, within: Duration::ZERO };
        let count = |(_, server): &mut (SocketAddr, MarketProcess)| {
            Ok(server.child.ask(now, ANSWER_TIME_MAX)?.subscribers as u64)
        };
        self.servers.iter_mut().map(count).collect()
    }

    /// Waits until so many subscriptions wait, neither more nor less, and so many connections were
    /// given, if that is asked.
    fn await_all(&mut self, subscriptions: u64, given: Option<u64>) -> anyhow::Result<Vec<u64>> {
        let clock = Clock::System;
        let end = clock.now() + BACK_TIME_MAX;
        loop {
            let load = self.load()?;
            let there: u64 = load.iter().sum();
            let moved = match given {
                Some(given) => self.given()?.iter().sum::<u64>() >= given,
                None => true,
            };
            if there == subscriptions && moved {
                return Ok(load);
            }
            if clock.now() >= end {
                self.crew.look()?;
                let [there, awaited] = [there, subscriptions].map(text::count);
                bail!("of {} {there} subscribers were there in time, of the {awaited} awaited", self.name);
            }
            self.crew.pause_until(clock.now() + COUNTED_EVERY)?;
        }
    }
}
