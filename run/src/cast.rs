//! A cast: the processes that one contender needs, on the hosts of a site. A client, and a server
//! or several; told what to do, and metered from outside.

mod fates;
mod market;
mod names;
mod start;
mod told;

use std::time::Duration;

use anyhow::{Context as _, bail};
use clients::load::{Round, record_lost_blocks};
use clients::role::{Audit, Caller, Connect, Receiver, RoundResult};
use clock::{Clock, Mono};
use lab::child::{Child, ChildError, Given, Heard};
use lab::crew::was_stopped;
use lab::meter::ProcessUse;
use lab::neighbours::{Neighbour, Neighbours};
use lab::wan::RouterCount;
use record::{EndPart, HappenedPart, WirePart};
use servers::flow::FlowTimes;
use servers::role::{
    AwaitSubscribers, Balancer, CountAllocations, Emit, MarketServer, Sender, SetPolicy, TakeArrivals,
};
use terms::role::Progress;
use terms::{Amount, Changes, Emission, Handler, Outcome, RelayPolicy, Sent, Shape, WayCount, text};

use crate::roles::Supervisor;
use crate::site::Site;

use fates::Fates;
pub(crate) use market::MarketProcess;
use names::NameProcesses;
pub(crate) use start::Setup;
pub(crate) use told::CastWork;

/// Time for a child to start, to check its server and to open its connections.
pub(crate) const OPEN_TIME_MAX: Duration = Duration::from_secs(120);
/// Time for a child to answer an order that takes no time: to set something, or to count.
pub(crate) const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);
/// From the order to start a round to its start: time to read a message and arm a timer.
pub(crate) const LEAD: Duration = Duration::from_millis(30);
/// Time that a round may take beyond its own and its last call's time-out.
pub(crate) const GRACE: Duration = Duration::from_secs(10);

/// One contender's processes.
#[derive(Debug)]
pub(crate) struct Cast {
    pub(crate) name: String,
    // The client is dropped, and so ended, first: its server then has nothing to drain.
    pub(crate) client: Client,
    pub(crate) server: Server,
    /// The connections that its client has open.
    shape: Option<Shape>,
    /// How much calls ask for, once a condition has said it.
    amount: Option<Amount>,
    /// Whether a relay stands between them.
    relayed: bool,
    /// When the first freeze of the server's behaviour began, if it was given one.
    pub(crate) origin: Option<Mono>,
    /// The other processes of markets: those behind the server, or its replicas.
    others: Vec<MarketProcess>,
    /// Whether the server stands before the markets, and is none of them.
    is_before: bool,
    /// Whether its client has a list of the markets.
    has_list: bool,
    /// Who knows their name, where they have one.
    names: Option<NameProcesses>,
    /// Whether calls are counted by market.
    counts_markets: bool,
    /// What its servers do about calls.
    work: CastWork,
    /// Whether something was to happen to the market in its last round.
    troubled: bool,
    /// Whether orders are what it is loaded with, and its ledger can be asked.
    counts_orders: bool,
}

/// The client of a cast.
#[derive(Debug)]
pub(crate) enum Client {
    /// It calls the market.
    Caller(Child<Caller>),
    /// It receives flows.
    Receiver(Child<Receiver>),
}

/// The server of a cast.
#[derive(Debug)]
pub(crate) enum Server {
    /// The market's, or a front's.
    Market(Box<MarketProcess>),
    /// A balancer's.
    Balancer(Child<Balancer>),
    /// A server that is not wirebench's, and the program's process where wirebench started it: that
    /// is what is metered.
    Foreign(Child<Supervisor>, Option<u32>),
    /// A sender of flows.
    Sender(Child<Sender>),
}

/// What a stretch of load came to, at both ends.
#[derive(Debug)]
pub(crate) struct Taken {
    /// When its warm-up began.
    pub(crate) start: Mono,
    pub(crate) outcome: Outcome,
    /// Orders that it added to the market's ledger, where these are counted; warm-up included.
    pub(crate) orders: Option<u64>,
    /// Calls that came to markets while something happened to them.
    pub(crate) calls_in_trouble: Option<u64>,
    /// Calls that came to each market, slice by slice of the measured time; empty where there is
    /// one.
    pub(crate) calls_by_market: Vec<Vec<u64>>,
    /// What the sender of each flow did.
    pub(crate) sent: Vec<Sent>,
    pub(crate) client: EndPart,
    pub(crate) server: EndPart,
    pub(crate) wire: WirePart,
    /// How late the router was, where the link has one.
    pub(crate) router: Option<RouterCount>,
    /// What became of the packets from servers to clients there.
    pub(crate) way: Option<WayCount>,
    /// How late the meters were read, at either end.
    pub(crate) read_late: Duration,
    /// The end whose process was stopped and went on meanwhile.
    pub(crate) stopped: Option<&'static str>,
    /// What happened to the processes of markets, and when.
    pub(crate) happened: Vec<HappenedPart>,
    /// Who else used most processor time, warm-up and waiting included.
    pub(crate) busiest: Option<Neighbour>,
}

impl Client {
    pub(crate) fn pid(&self) -> u32 {
        match self {
            Client::Caller(child) => child.pid(),
            Client::Receiver(child) => child.pid(),
        }
    }

    fn ensure_running(&mut self) -> Result<(), ChildError> {
        match self {
            Client::Caller(child) => child.ensure_running(),
            Client::Receiver(child) => child.ensure_running(),
        }
    }

    /// Opens these connections, and waits until they are.
    pub(crate) fn connect(&mut self, order: Connect) -> Result<(), ChildError> {
        match self {
            Client::Caller(child) => child.ask(order, OPEN_TIME_MAX),
            Client::Receiver(child) => child.ask(order, OPEN_TIME_MAX),
        }
    }

    /// Begins a round.
    pub(crate) fn begin(&mut self, round: Round) -> Result<Given<Round>, ChildError> {
        match self {
            Client::Caller(child) => child.give(round),
            Client::Receiver(child) => child.give(round),
        }
    }

    /// Waits for what comes of a round next; `None` where nothing comes in time.
    fn hear_perhaps(
        &mut self,
        round: &Given<Round>,
        within: Duration,
    ) -> Result<Option<Heard<RoundResult>>, ChildError> {
        match self {
            Client::Caller(child) => child.hear_perhaps(round, within),
            Client::Receiver(child) => child.hear_perhaps(round, within),
        }
    }

    /// The same, where something must come.
    fn hear(&mut self, round: &Given<Round>, within: Duration) -> Result<Heard<RoundResult>, ChildError> {
        match self {
            Client::Caller(child) => child.hear(round, within),
            Client::Receiver(child) => child.hear(round, within),
        }
    }
}

impl Server {
    /// The process whose use is the server's.
    pub(crate) fn pid(&self) -> u32 {
        match self {
            Server::Market(market) => market.child.pid(),
            Server::Balancer(child) => child.pid(),
            Server::Foreign(child, program) => program.unwrap_or_else(|| child.pid()),
            Server::Sender(child) => child.pid(),
        }
    }

    fn ensure_running(&mut self) -> Result<(), ChildError> {
        match self {
            Server::Market(market) => market.child.ensure_running(),
            Server::Balancer(child) => child.ensure_running(),
            Server::Foreign(child, _) => child.ensure_running(),
            Server::Sender(child) => child.ensure_running(),
        }
    }

    /// The market's; nothing else can be told what it is about to be told.
    fn market(&mut self) -> anyhow::Result<&mut Child<MarketServer>> {
        Ok(&mut self.process()?.child)
    }

    /// The market's process.
    fn process(&mut self) -> anyhow::Result<&mut MarketProcess> {
        match self {
            Server::Market(market) => Ok(market),
            Server::Balancer(_) => bail!("a balancer is no server of the market"),
            Server::Foreign(..) => bail!("a server that is not wirebench's cannot be told what to do"),
            Server::Sender(_) => bail!("a sender of flows is no server of the market"),
        }
    }

    /// Allocations so far; not asked for in a build that does not count them.
    fn allocations(&mut self) -> anyhow::Result<Option<u64>> {
        if lab::allocations::count().is_none() {
            return Ok(None);
        }
        Ok(match self {
            Server::Market(market) => market.child.ask(CountAllocations, ANSWER_TIME_MAX)?,
            Server::Balancer(_) => return Ok(None),
            Server::Foreign(child, _) => child.ask(CountAllocations, ANSWER_TIME_MAX)?,
            Server::Sender(child) => child.ask(CountAllocations, ANSWER_TIME_MAX)?,
        })
    }
}

impl Site<'_> {
    /// Has a cast load, and reads its meters at the ends of the measured time. The start of `round`
    /// is set here, and so is the first sequence of its emission. Link and market change as they
    /// are told.
    pub(crate) fn load(
        &self,
        cast: &mut Cast,
        shape: Shape,
        mut round: Round,
        changes: &Changes,
        tell: &mut dyn FnMut(&Progress),
    ) -> anyhow::Result<Taken> {
        let clock = Clock::System;
        cast.connect(shape)?;
        cast.renew(round.seed)?;
        let orders_before = if cast.counts_orders { Some(cast.orders()?) } else { None };
        let _ = (self.topology.take_router_count(), cast.was_stopped());
        let others_before = Neighbours::read();
        round.start = clock.now() + LEAD;
        let (start, measured_from) = (round.start, round.start + round.warm_up);
        let end = measured_from + round.duration;
        self.topology.change(changes.link.iter().map(|(after, ways)| (measured_from + *after, *ways)));
        cast.trouble(measured_from, &changes.market)?;
        cast.leave_the_list(measured_from, &changes.market)?;
        cast.count_markets(measured_from, round.duration)?;
        let mut fates = Fates::of(&changes.market, measured_from);
        if let Some(emission) = round.emission {
            let span = round.warm_up + round.duration;
            round.emission = Some(cast.emit(Emit { start, span, seed: round.seed, emission })?);
        }
        let allocated_before = cast.server.allocations()?;
        let loading = cast.client.begin(round)?;
        let sending = match &mut cast.server {
            Server::Sender(sender) => Some(sender.give(FlowTimes { start, measured_from, until: end })?),
            Server::Market(_) | Server::Balancer(_) | Server::Foreign(..) => None,
        };
        self.crew.pause_until(measured_from)?;
        let mut read_late = clock.now().since(measured_from);
        let before = self.read(cast)?;
        let mut after = None;
        let RoundResult { mut outcome, allocations } = loop {
            let now = clock.now();
            fates.come(now, cast, self)?;
            if now >= end && after.is_none() {
                read_late = read_late.max(now.since(end));
                after = Some(self.read(cast)?);
            }
            let last = end + round.time_out + GRACE;
            let heard = match after {
                None => {
                    let next = fates.next().map_or(end, |next| next.min(end));
                    cast.client.hear_perhaps(&loading, next.since(clock.now()))?
                }
                Some(_) => Some(cast.client.hear(&loading, last.since(now))?),
            };
            match heard {
                Some(Heard::Progress(progress)) => tell(&progress),
                Some(Heard::Done(result)) => break result,
                None => {}
            }
        };
        let after = match after {
            Some(after) => after,
            None => {
                // A flow whose peer reset it ends before its time; the meters are of all of it, and
                // so are the link's changes. What happens to processes ends before that, too.
                while let Some(next) = fates.next() {
                    self.crew.pause_until(next)?;
                    fates.come(clock.now(), cast, self)?;
                }
                self.crew.pause_until(end)?;
                self.read(cast)?
            }
        };
        let sent = match sending {
            Some(sending) => cast.sent(&sending, &mut outcome, round.time_out)?,
            None => Vec::new(),
        };
        let orders = match orders_before {
            Some(before) => Some(cast.orders()?.saturating_sub(before)),
            None => None,
        };
        if !changes.market.is_empty() {
            // The next round opens its connections anew: who lost one is with another market.
            cast.shape = None;
        }
        let calls_in_trouble = cast.calls_in_trouble()?;
        let calls_by_market = cast.calls_by_market()?;
        let (mut client, mut server) = (after.client_part(&before), after.server_part(&before));
        // Counted over warm-up and measured time; the measured time's share of them.
        let measured = round.duration.as_secs_f64() / (round.warm_up + round.duration).as_secs_f64();
        let of_server = cast.server.allocations()?.zip(allocated_before);
        client.allocations = allocations.map(|count| count as f64 * measured);
        // A process that took another's place begins to count anew.
        let grew = of_server.and_then(|(after, before): (u64, u64)| after.checked_sub(before));
        server.allocations = grew.map(|count| count as f64 * measured);
        Ok(Taken {
            start,
            outcome: *outcome,
            orders,
            calls_in_trouble,
            calls_by_market,
            sent,
            client,
            server,
            wire: after.wire_part(&before, self.topology.is_loopback()),
            router: self.topology.take_router_count(),
            way: after.way.zip(before.way).map(|(after, before)| after.since(&before)),
            read_late,
            stopped: cast.was_stopped(),
            happened: fates.happened(),
            busiest: Neighbours::read().busiest_since(&others_before),
        })
    }
}

impl Cast {
    /// Checks that both processes still run.
    pub(crate) fn ensure_running(&mut self) -> anyhow::Result<()> {
        self.server.ensure_running()?;
        self.others.iter_mut().try_for_each(|market| market.child.ensure_running())?;
        self.names.as_mut().map_or(Ok(()), NameProcesses::ensure_running)?;
        Ok(self.client.ensure_running()?)
    }

    /// What the server used so far, all of its processes together: a front and the markets behind
    /// it, or markets and who knows their name, are one server to its clients.
    pub(crate) fn server_use(&self) -> std::io::Result<ProcessUse> {
        let server = match &self.server {
            Server::Market(market) => market.used()?,
            Server::Balancer(_) | Server::Foreign(..) | Server::Sender(_) => {
                ProcessUse::read(self.server.pid())?
            }
        };
        let names = self.names.iter().map(NameProcesses::used);
        let others = self.others.iter().map(MarketProcess::used).chain(names);
        others.into_iter().try_fold(server, |all, used| Ok(all.and(&used?)))
    }

    /// The other processes that are the server's.
    fn others(&self) -> impl Iterator<Item = u32> {
        self.others.iter().map(|market| market.child.pid()).chain(self.names.iter().map(NameProcesses::pid))
    }

    /// Which end's process was stopped and went on since this was last asked. (A program of
    /// somebody else's is its supervisor's to wait for.)
    fn was_stopped(&self) -> Option<&'static str> {
        let servers = std::iter::once(self.server.pid()).chain(self.others());
        let ends = std::iter::once(("client", self.client.pid())).chain(servers.map(|pid| ("server", pid)));
        // All are asked: what is not asked for is told next time.
        let stopped: Vec<&'static str> =
            ends.filter_map(|(end, pid)| was_stopped(pid).then_some(end)).collect();
        stopped.first().copied()
    }

    /// Has the client open these connections, unless they are open; says whether it did.
    pub(crate) fn connect(&mut self, shape: Shape) -> anyhow::Result<bool> {
        if self.shape == Some(shape) {
            return Ok(false);
        }
        if let Some(names) = &mut self.names {
            names.forget()?;
        }
        self.client.connect(Connect { shape, amount: self.amount })?;
        self.shape = Some(shape);
        Ok(true)
    }

    /// Has calls ask for so much from now on: the client prepares others, and opens its connections
    /// anew for them.
    pub(crate) fn ask_for(&mut self, amount: Amount) {
        if self.amount != Some(amount) {
            (self.amount, self.shape) = (Some(amount), None);
        }
    }

    /// Has the relay do this from now on; without effect where none stands between.
    pub(crate) fn set_policy(&mut self, policy: RelayPolicy) -> anyhow::Result<()> {
        if self.relayed {
            self.server.market()?.ask(SetPolicy(policy), ANSWER_TIME_MAX)?;
        }
        Ok(())
    }

    /// Forgets that connections are open, where a relay may have silenced them or made them old, or
    /// where they remember how markets did or where they are: the next round opens others.
    pub(crate) fn forget_connections(&mut self) {
        if self.relayed || self.has_list || self.names.is_some() {
            self.shape = None;
        }
    }

    /// Has the server emit; says what.
    fn emit(&mut self, emit: Emit) -> anyhow::Result<Emission> {
        let first_sequence = self.server.market()?.ask(emit, ANSWER_TIME_MAX)?;
        Ok(Emission { first_sequence, ..emit.emission })
    }

    /// What the senders of a round's flows did; what they sent and nobody received is counted as
    /// missed.
    fn sent(
        &mut self,
        sending: &Given<FlowTimes>,
        outcome: &mut Outcome,
        time_out: Duration,
    ) -> anyhow::Result<Vec<Sent>> {
        let Server::Sender(sender) = &mut self.server else { return Ok(Vec::new()) };
        let sent = loop {
            if let Heard::Done(sent) = sender.hear(sending, time_out + GRACE)? {
                break sent;
            }
        };
        if sent.len() != outcome.flows.len() {
            bail!("{} sent {} flows, and {} came", self.name, sent.len(), outcome.flows.len());
        }
        let lost =
            sent.iter().zip(&outcome.flows).map(|(sent, came)| sent.blocks.saturating_sub(came.blocks));
        let lost = lost.sum();
        record_lost_blocks(outcome, lost, time_out);
        Ok(sent)
    }

    /// Compares replies whole, outside the timing; says how many.
    pub(crate) fn audit(&mut self) -> anyhow::Result<usize> {
        // Replies are compared, and not failures that were asked for.
        let handler = Handler { fails: 0.0, loses: 0.0, ..self.work.handler };
        let willing = CastWork { handler, ..CastWork::default() };
        if willing != self.work {
            self.handle(willing)?;
        }
        let Client::Caller(caller) = &mut self.client else { return Ok(0) };
        let audited = caller.ask(Audit, OPEN_TIME_MAX)?;
        match audited.wrong {
            None => Ok(audited.compared),
            Some(wrong) => bail!("{} answers wrongly: {wrong}", self.name),
        }
    }

    /// Waits until so many subscriptions wait for ticks at the server; says since when.
    pub(crate) fn await_subscribers(&mut self, subscribers: usize, within: Duration) -> anyhow::Result<Mono> {
        let order = AwaitSubscribers { subscribers, within };
        let there = self.server.market()?.ask(order, within + ANSWER_TIME_MAX)?;
        if there.subscribers < subscribers {
            self.ensure_running()?;
            let [there, awaited] = [there.subscribers, subscribers].map(|number| text::count(number as u64));
            bail!("of {} only {there} subscribers were there in time, of the {awaited} awaited", self.name)
        }
        Ok(there.at)
    }

    /// Kills the server with everybody's connections, leaves nobody there for a while, and starts
    /// another that listens where it did; says when it was killed, and since when the other
    /// listens.
    pub(crate) fn restart(&mut self, site: &Site<'_>, down: Duration) -> anyhow::Result<(Mono, Mono)> {
        let market = self.server.process()?;
        let killed = market.kill()?;
        site.crew.pause_until(killed + down)?;
        Ok((killed, market.start_again(site, self.work.handler)?))
    }

    /// When calls came to a server with a behaviour, since this was last asked.
    pub(crate) fn arrivals(&mut self) -> anyhow::Result<Vec<Mono>> {
        self.server.market()?.ask(TakeArrivals, ANSWER_TIME_MAX).context("asking when calls came")
    }
}
