//! The market's process: one server of one protocol, with a relay and a name server beside it where
//! a contender has them.

use std::io::stdout;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use clock::{Clock, Mono};
use proto::flow::Congestion;
use proto::{Protocol, Transport};
use serde::{Deserialize, Serialize};
use terms::role::{Means, Role, RoleError, answer, say_ready};
use terms::{Emission, Handler, Registry, Schedule, orders};
use tokio::runtime::LocalOptions;

use super::{CountAllocations, Ready, SetPolicy};
use crate::between::Relay;
use crate::market::{Backend, Behind, CountCalls, OpenBackend, Spell};
use crate::names::{self, Zone};
use crate::protocols::{Carrier, Settings};
use crate::tls::Identity;
use crate::{Limits, Market, MarketConfig, Shutdown, protocols};

/// How closely it is known when subscribers are there.
const SUBSCRIBERS_COUNTED_EVERY: Duration = Duration::from_millis(1);

/// A server of the market.
#[derive(Debug)]
pub struct MarketServer;

impl Role for MarketServer {
    const NAME: &'static str = "market";
    type Start = Box<Serve>;
    type Ready = Ready;
    type Order = MarketOrder;
}

orders! {
    /// What a server of the market can be told.
    pub enum MarketOrder of MarketServer {
        /// Emit the ticks of a round; the answer is the sequence of the first.
        Emit(Emit) -> u64,
        /// Have handlers do this from now on.
        Handle(Handler) -> (),
        /// What happens to it, and when.
        Troubles(Troubles) -> (),
        /// Begin a round: a front's policies remember nothing.
        Renew(Renew) -> (),
        /// Count calls that came in trouble.
        CallsInTrouble(CountCallsInTrouble) -> u64,
        /// Count calls in slices.
        Count(CountCalls) -> (),
        /// What was counted.
        Counted(TakeCounts) -> Vec<u64>,
        /// Count orders.
        Orders(CountOrders) -> u64,
        /// What the relay before it does.
        Policy(SetPolicy) -> (),
        /// Count subscribers.
        AwaitSubscribers(AwaitSubscribers) -> SubscriberCount,
        /// When calls came.
        Arrivals(TakeArrivals) -> Vec<Mono>,
        /// Count allocations.
        Allocations(CountAllocations) -> Option<u64>,
    }
}

/// What a server serves.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Serve {
    /// Where it runs.
    pub core: usize,
    /// Where it listens; on port 0 on any.
    pub address: SocketAddr,
    /// Behind which protocol.
    pub protocol: Protocol,
    /// What carries it.
    pub transport: Transport,
    /// Of TCP and QUIC.
    pub congestion: Congestion,
    /// Whether a name server beside it knows where it is.
    pub named: bool,
    /// Whether a relay stands before it: then that is where clients connect.
    pub relayed: bool,
    /// The market.
    pub market: MarketConfig,
    /// The markets that it calls, where it is a front.
    pub behind: Option<Behind>,
    /// Its bounds.
    pub limits: Limits,
}

/// The ticks of a round.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Emit {
    /// When the round's warm-up begins.
    pub start: Mono,
    /// Warm-up and measured time.
    pub span: Duration,
    /// The round's.
    pub seed: u64,
    /// How many, and how spaced; the first sequence is the server's to say.
    pub emission: Emission,
}

/// What happens to the market, in place of what was told before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Troubles(pub Vec<Spell>);

/// Forget what came of a front's calls so far, and draw from the round's seed.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Renew(pub u64);

/// Say how many calls came while something happened to the market.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct CountCallsInTrouble;

/// Say how many calls came in each slice that was to be counted.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct TakeCounts;

/// Say how many orders are in the ledger.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct CountOrders;

/// Say when so many subscriptions wait for ticks, or how many do after this time.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct AwaitSubscribers {
    /// Subscriptions.
    pub subscribers: usize,
    /// Time to wait for them.
    pub within: Duration,
}

/// So many subscriptions wait for ticks.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct SubscriberCount {
    /// Subscriptions.
    pub subscribers: usize,
    /// When they were counted.
    pub at: Mono,
}

/// Say when calls came, since this was last asked.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct TakeArrivals;

/// Serves until the end of the input.
///
/// # Errors
/// Where it cannot go on, with why.
pub fn serve(start: &Serve, means: Means, open_backend: OpenBackend) -> Result<(), RoleError> {
    (means.pin)(start.core).map_err(RoleError::during("pinning the server"))?;
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all();
    let serving = async {
        let shutdown = Shutdown::new();
        let backend = start.behind.as_ref().map(open_backend).transpose()?;
        let mut process = Process::open(start, backend, shutdown.clone()).await?;
        let mut orders = super::orders::<MarketServer>(shutdown);
        loop {
            tokio::select! {
                ended = &mut process.server.task => {
                    ended?;
                    // Its connections ended with the server's.
                    if let Some(relay) = process.relay {
                        relay.task.await?;
                    }
                    return Ok(());
                }
                Some(order) = orders.recv() => process.obey(order, means).await?,
            }
        }
    };
    // A front's clients stay on its thread.
    match start.behind {
        Some(_) => runtime.build_local(LocalOptions::default())?.block_on(serving),
        None => runtime.build()?.block_on(serving),
    }
}

/// What the process runs.
struct Process {
    market: Arc<Market>,
    server: protocols::Running,
    relay: Option<Relay>,
}

impl Process {
    /// Starts all of it, and says where it listens.
    async fn open(
        start: &Serve,
        backend: Option<Arc<dyn Backend>>,
        shutdown: Shutdown,
    ) -> Result<Process, RoleError> {
        let Serve { address, protocol, transport, congestion, limits, .. } = *start;
        let market = Market::before(backend, &start.market, Clock::System)?;
        let any_port = SocketAddr::new(address.ip(), 0);
        let identity = match transport {
            Transport::Plain => None,
            Transport::Tls | Transport::Quic => Some(Arc::new(Identity::generate(&[address.ip()])?)),
        };
        let carrier = identity.as_ref().map_or(Carrier::Plain, |identity| Carrier::new(transport, identity));
        let settings = Settings { limits, carrier, congestion: Some(congestion), ..Settings::default() };
        let started = protocols::start(protocol, address, market.clone(), settings, shutdown.clone()).await;
        let listening = format!("listening on {address}");
        let server = started.map_err(RoleError::during(&listening))?;
        let listening_since = Clock::System.now();
        let name_servers = match address.ip() {
            IpAddr::V4(market) if start.named => {
                // Who looks it up is told to forget it at once.
                let zone = Zone::new(vec![market], 0, Registry::default());
                vec![names::start(any_port, Arc::new(zone), shutdown.clone()).await?.address]
            }
            _ => Vec::new(),
        };
        let relay = match start.relayed {
            true => Some(Relay::start(any_port, server.address, Some(congestion), limits, shutdown).await?),
            false => None,
        };
        let ready = Ready {
            root: identity.map(|identity| identity.root().to_vec()),
            name_servers,
            origin: market.origin(),
            ..Ready::at(relay.as_ref().map_or(server.address, |relay| relay.address), listening_since)
        };
        say_ready::<MarketServer>(&mut stdout(), ready)?;
        Ok(Process { market, server, relay })
    }

    async fn obey(&self, order: MarketOrder, means: Means) -> Result<(), RoleError> {
        let output = &mut stdout();
        match order {
            MarketOrder::Emit(order) => answer::<MarketServer, _>(output, &order, self.emit(&order)?)?,
            MarketOrder::Handle(order) => {
                self.market.set_handler(order);
                answer::<MarketServer, _>(output, &order, ())?;
            }
            MarketOrder::Count(order) => {
                self.market.count_calls(order);
                answer::<MarketServer, _>(output, &order, ())?;
            }
            MarketOrder::Counted(order) => {
                answer::<MarketServer, _>(output, &order, self.market.counted_calls())?;
            }
            MarketOrder::Troubles(order) => {
                self.market.set_spells(&order.0);
                answer::<MarketServer, _>(output, &order, ())?;
            }
            MarketOrder::Renew(order) => {
                self.market.renew(order.0)?;
                answer::<MarketServer, _>(output, &order, ())?;
            }
            MarketOrder::CallsInTrouble(order) => {
                answer::<MarketServer, _>(output, &order, self.market.calls_in_trouble())?;
            }
            MarketOrder::Orders(order) => {
                let orders = self.market.count_orders().await;
                let orders = orders.map_err(|fault| RoleError(fault.detail))?;
                answer::<MarketServer, _>(output, &order, orders)?;
            }
            MarketOrder::Policy(order) => {
                let Some(relay) = &self.relay else {
                    return Err(RoleError("a relay was told what to do where there is none".to_owned()));
                };
                relay.policy.send_replace(order.0);
                answer::<MarketServer, _>(output, &order, ())?;
            }
            MarketOrder::AwaitSubscribers(order) => {
                let subscribers = self.await_subscribers(order).await;
                answer::<MarketServer, _>(output, &order, subscribers)?;
            }
            MarketOrder::Arrivals(order) => {
                answer::<MarketServer, _>(output, &order, self.market.take_arrivals())?;
            }
            MarketOrder::Allocations(order) => {
                answer::<MarketServer, _>(output, &order, (means.allocations)())?;
            }
        }
        Ok(())
    }

    fn emit(&self, Emit { start, span, seed, emission }: &Emit) -> Result<u64, RoleError> {
        let start = *start;
        let offsets = Schedule::of_ticks(emission, *span, *seed)?.offsets_ns().to_vec();
        let times = offsets.into_iter().map(move |offset| start + Duration::from_nanos(offset));
        Ok(self.market.emit_at(times)?)
    }

    /// How many subscriptions wait for ticks, as soon as there are so many or the time is over.
    async fn await_subscribers(
        &self,
        AwaitSubscribers { subscribers, within }: AwaitSubscribers,
    ) -> SubscriberCount {
        let clock = Clock::System;
        let end = clock.now() + within;
        loop {
            let (waiting, now) = (self.market.ticks().waiting(), clock.now());
            if waiting >= subscribers || now >= end {
                return SubscriberCount { subscribers: waiting, at: now };
            }
            clock::pause(SUBSCRIBERS_COUNTED_EVERY).await;
        }
    }
}
