//! The children: this program, started again behind a hidden verb, as one server or one client. Synchronous
//! until pinned; one runtime a core it was given.

use std::io::{BufRead, stdin, stdout};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clients::cold::Cold;
use clients::conformance;
use clients::in_steps::InSteps;
use clients::load::{Calls, Engine, Flows, Job, Outcome, Pushes, Round, Sessions, Shape};
use clients::market::Checked;
use clients::protocols::Visit;
use clients::{Connection as _, Connector, Endpoint, MarketConnection, Tls};
use clock::{Clock, Mono};
use lab::child::{read_message, write_message};
use proto::data::DataSet;
use proto::{Capability, Operation, Transport};
use servers::between::Relay;
use servers::protocols::{Carrier, Settings};
use servers::tls::Identity;
use servers::{Market, Shutdown};

use super::foreign;
use super::message::{
    Emit, FromClient, FromServer, Open, Progress, Ready, ReceiveFlows, SendFlows, Serve, ToClient, ToServer,
};
use super::workload;
use crate::allocations;
use crate::scenario::Activity;

/// How often a client says how it is going.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);
/// How closely it is known when subscribers are there.
const SUBSCRIBERS_COUNTED_EVERY: Duration = Duration::from_millis(1);
/// Replies compared whole at the end.
const AUDIT_SAMPLE: usize = 50;

/// Which child this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Agent {
    /// One server.
    Server,
    /// One client.
    Client,
}

impl Agent {
    /// Runs to the end of the input.
    ///
    /// # Errors
    /// What went wrong; it was said on the output too.
    pub fn run(self) -> anyhow::Result<()> {
        lab::machine::raise_open_files();
        let (ran, failed) = match self {
            Agent::Server => {
                let ran = serve();
                let error = ran.as_ref().err().map(|error| format!("{error:#}"));
                (ran, error.map(|error| serde_json::json!(FromServer::Failed { error })))
            }
            Agent::Client => {
                let ran = call();
                let error = ran.as_ref().err().map(|error| format!("{error:#}"));
                (ran, error.map(|error| serde_json::json!(FromClient::Failed { error })))
            }
        };
        if let Some(message) = failed {
            // Whoever would read it may be gone.
            let _ = write_message(&mut stdout(), &message);
        }
        ran
    }
}

fn serve() -> anyhow::Result<()> {
    let first = read_message(&mut stdin().lock())?;
    match first {
        ToServer::Serve(serve) => serve_market(*serve),
        ToServer::Supervise(order) => foreign::supervise(&order),
        ToServer::Send(send) => send_flows(&send),
        ToServer::Balance(balance) => super::balancer::balance(balance),
        _ => bail!("the first message must say what to serve"),
    }
}

/// Sends flows, round after round, until the end of the input.
fn send_flows(send: &SendFlows) -> anyhow::Result<()> {
    lab::cores::pin(send.core).context("pinning the sender")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    write_message(&mut stdout(), &FromServer::ReadyToSend)?;
    let mut input = stdin().lock();
    loop {
        let reply = match read_message(&mut input) {
            Ok(ToServer::Flow(times)) => {
                let sent = servers::flow::send(&send.flows, times, send.buffer_bytes, &Clock::System);
                FromServer::Sent { flows: runtime.block_on(sent)? }
            }
            Ok(ToServer::Allocations) => FromServer::Allocations { count: allocations::count() },
            Ok(other) => bail!("a sender of flows was told {other:?}"),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        write_message(&mut stdout(), &reply)?;
    }
}

fn serve_market(serve: Serve) -> anyhow::Result<()> {
    let Serve { core, address, protocol, transport, congestion, named, relayed, market, limits } = serve;
    lab::cores::pin(core).context("pinning the server")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let shutdown = Shutdown::new();
        let market = Market::open(&market, Clock::System)?;
        let any_port = SocketAddr::new(address.ip(), 0);
        let identity = match transport {
            Transport::Plain => None,
            Transport::Tls | Transport::Quic => Some(Arc::new(Identity::generate(&[address.ip()])?)),
        };
        let carrier = identity.as_ref().map_or(Carrier::Plain, |identity| Carrier::new(transport, identity));
        let settings = Settings { limits, carrier, congestion: Some(congestion), ..Settings::default() };
        let started =
            servers::protocols::start(protocol, address, market.clone(), settings, shutdown.clone());
        let mut running = started.await.with_context(|| format!("listening on {address}"))?;
        let listening_since = Clock::System.now();
        let root = identity.map(|identity| identity.root().to_vec());
        let name_server = match address.ip() {
            IpAddr::V4(market) if named => {
                Some(servers::names::start(any_port, market, shutdown.clone()).await?.address)
            }
            _ => None,
        };
        let relay = match relayed {
            true => {
                let started =
                    Relay::start(any_port, running.address, Some(congestion), limits, shutdown.clone());
                Some(started.await?)
            }
            false => None,
        };
        let address = relay.as_ref().map_or(running.address, |relay| relay.address);
        let origin = market.origin();
        let ready = Ready { address, listening_since, root, name_server, origin, program: None };
        write_message(&mut stdout(), &FromServer::Ready(ready))?;
        let mut orders = orders(shutdown);
        loop {
            tokio::select! {
                ended = &mut running.task => {
                    ended?;
                    // Its connections ended with the server's.
                    if let Some(relay) = relay {
                        relay.task.await?;
                    }
                    return Ok(());
                }
                Some(order) = orders.recv() => {
                    let reply = match order {
                        ToServer::Serve(_) | ToServer::Supervise(_) | ToServer::Send(_) | ToServer::Balance(_) => {
                            bail!("told to serve twice")
                        }
                        ToServer::Flow(_) | ToServer::Backends(_) | ToServer::Given => {
                            bail!("a server of the market was told {order:?}")
                        }
                        ToServer::Emit(emit) => {
                            FromServer::Emitting { first_sequence: plan_ticks(&market, &emit)? }
                        }
                        ToServer::Handle(handler) => {
                            market.set_handler(handler);
                            FromServer::Handling
                        }
                        ToServer::Between(policy) => {
                            let relay = relay.as_ref().context("a relay was told what to do where there is none")?;
                            relay.policy.send_replace(policy);
                            FromServer::BetweenSet
                        }
                        ToServer::AwaitSubscribers { subscribers, within } => {
                            let (subscribers, at) = await_subscribers(&market, subscribers, within).await;
                            FromServer::Subscribers { subscribers, at }
                        }
                        ToServer::Allocations => FromServer::Allocations { count: allocations::count() },
                        ToServer::Arrivals => FromServer::Arrivals { arrivals: market.take_arrivals() },
                    };
                    write_message(&mut stdout(), &reply)?;
                }
            }
        }
    })
}

/// What the command orders, read by a thread that waits for it; it stops the server when the command closes the pipe, or
/// dies.
pub(super) fn orders(shutdown: Shutdown) -> tokio::sync::mpsc::Receiver<ToServer> {
    let (order, orders) = tokio::sync::mpsc::channel(1);
    std::thread::spawn(move || {
        let mut input = stdin().lock();
        while let Ok(message) = read_message(&mut input) {
            if order.blocking_send(message).is_err() {
                return;
            }
        }
        shutdown.cancel();
    });
    orders
}

/// How many subscriptions wait for ticks, as soon as there are so many or the time is over, and when that was.
async fn await_subscribers(market: &Market, subscribers: usize, within: Duration) -> (usize, Mono) {
    let clock = Clock::System;
    let end = clock.now() + within;
    loop {
        let (waiting, now) = (market.ticks().waiting(), clock.now());
        if waiting >= subscribers || now >= end {
            return (waiting, now);
        }
        clock::pause(SUBSCRIBERS_COUNTED_EVERY).await;
    }
}

fn plan_ticks(market: &Market, emit: &Emit) -> anyhow::Result<u64> {
    let start = emit.start;
    let offsets = emit.emission.schedule(emit.span, emit.seed)?.offsets_ns().to_vec();
    let times = offsets.into_iter().map(move |offset| start + Duration::from_nanos(offset));
    Ok(market.emit_at(times)?)
}

fn call() -> anyhow::Result<()> {
    let mut input = stdin().lock();
    let open = match read_message(&mut input)? {
        ToClient::Open(open) => open,
        ToClient::Receive(receive) => return receive_flows(&receive, &mut input),
        _ => bail!("the first message must say what to open"),
    };
    // This thread only passes messages; it shares a core with the work rather than disturb the servers'.
    let core = *open.cores.first().context("no core for the client")?;
    lab::cores::pin(core).context("pinning the client")?;
    let tls = open.tls.as_ref().map(|(options, root)| Tls::to_market(*options, root)).transpose()?;
    let endpoint = Endpoint {
        address: open.address,
        tls,
        congestion: Some(open.congestion),
        name_server: open.name_server,
    };
    open.carriage.visit(endpoint, Client { open: &open, input: &mut input })
}

/// Receives flows, round after round, until the end of the input.
fn receive_flows(receive: &ReceiveFlows, input: &mut impl BufRead) -> anyhow::Result<()> {
    let ReceiveFlows { cores, address, flows, settings } = receive;
    let (flows, addresses) = Flows::bind(flows, *address, settings.buffer_bytes, settings.read_bits_per_s)?;
    write_message(&mut stdout(), &FromClient::Listening { addresses })?;
    obey(input, &starter(cores, flows), &|| (0, None))
}

/// A client, once its protocol is known.
struct Client<'a, I> {
    open: &'a Open,
    input: &'a mut I,
}

impl<I: BufRead> Visit for Client<'_, I> {
    type Output = anyhow::Result<()>;

    fn with<K>(self, connector: K) -> anyhow::Result<()>
    where
        K: Connector + Send,
        K::Connection: MarketConnection,
    {
        let Client { open, input } = self;
        let data = DataSet::new(open.market_seed);
        let runtime = clients::local_runtime()?;
        let protocol = open.carriage.protocol();
        let capability = match open.workload.activity {
            Activity::Market(capability) => capability,
            Activity::Flow(_) => bail!("a client of the market was told of flows"),
        };
        let conformance = match (open.conformance, open.is_ours) {
            (false, _) => Vec::new(),
            (true, true) => runtime.block_on(conformance::check(&connector, protocol, &data)),
            (true, false) => runtime.block_on(conformance::check_replies(&connector, capability, &data)),
        };
        let operations = workload::operations(&open.workload, &open.screen, &data);
        let checked = Checked(connector.clone());
        let in_steps = open.screen.in_steps;
        let (market_seed, orders) = (open.market_seed, operations.clone());
        let cores = &open.cores;
        let start: Starter<'_> = match capability {
            Capability::Subscribe => starter(cores, Pushes { connector, market_seed, manners: open.manners }),
            Capability::Session => starter(cores, Sessions { connector, orders, market_seed }),
            _ => {
                if in_steps {
                    calls(cores, Checked(InSteps(connector)), orders)
                } else {
                    calls(cores, checked.clone(), orders)
                }
            }
        };
        write_message(&mut stdout(), &FromClient::Opened { conformance })?;
        obey(input, &start, &|| {
            if in_steps {
                let in_steps = Checked(InSteps(checked.0.clone()));
                return runtime.block_on(audit(&in_steps, &operations, &data));
            }
            runtime.block_on(audit(&checked, &operations, &data))
        })
    }
}

/// Calls on held connections, or each on its own, as a shape has it.
fn calls<'a, K>(cores: &'a [usize], connector: K, requests: Vec<Operation>) -> Starter<'a>
where
    K: Connector + Send,
    K::Connection: clients::Connection<Request = Operation>,
{
    let cold = Cold { connector: connector.clone(), clock: Clock::System };
    let cold = starter(cores, Calls { connector: cold, requests: requests.clone() });
    let warm = starter(cores, Calls { connector, requests });
    Box::new(move |shape| if shape.cold { cold(shape) } else { warm(shape) })
}

/// Does what the command says, until the end of the input.
fn obey(
    input: &mut impl BufRead,
    start: &Starter<'_>,
    audit: &dyn Fn() -> (usize, Option<String>),
) -> anyhow::Result<()> {
    let mut engine = None;
    loop {
        let reply = match read_message(input) {
            Ok(ToClient::Open(_) | ToClient::Receive(_)) => bail!("opened twice"),
            Ok(ToClient::Connect { shape }) => {
                // Closed before the others open.
                drop(engine.take());
                engine = Some(start(shape)?);
                FromClient::Connected
            }
            Ok(ToClient::Round(round)) => {
                let engine = engine.as_ref().context("a round before its connections")?;
                let before = allocations::count();
                let outcome = Box::new(run(engine, &round)?);
                let counts = allocations::count().zip(before);
                FromClient::Result { outcome, allocations: counts.map(|(after, before)| after - before) }
            }
            Ok(ToClient::Audit) => {
                let (compared, wrong) = audit();
                FromClient::Audited { compared, wrong }
            }
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        write_message(&mut stdout(), &reply)?;
    }
}

type Starter<'a> = Box<dyn Fn(Shape) -> anyhow::Result<Engine> + 'a>;

/// Starts engines of one job.
fn starter<J: Job>(cores: &[usize], job: J) -> Starter<'_> {
    Box::new(move |shape| Ok(Engine::start(cores, &job, shape, lab::cores::pin)?))
}

/// Runs a round, saying now and then how it is going.
fn run(engine: &Engine, round: &Round) -> anyhow::Result<Outcome> {
    let done = AtomicBool::new(false);
    let workers = engine.live();
    std::thread::scope(|scope| {
        let teller = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                std::thread::park_timeout(PROGRESS_EVERY);
                let progress = FromClient::Progress(Progress::of(&workers));
                // The round's result tells soon enough that nobody reads.
                if !done.load(Ordering::Relaxed) && write_message(&mut stdout(), &progress).is_err() {
                    return;
                }
            }
        });
        let outcome = engine.run(round);
        done.store(true, Ordering::Relaxed);
        teller.thread().unpark();
        Ok(outcome?)
    })
}

/// Compares replies whole with what they must be. Orders have no such answer; their receipts were checked in each
/// call.
async fn audit<K>(connector: &K, operations: &[Operation], data: &DataSet) -> (usize, Option<String>)
where
    K: Connector,
    K::Connection: clients::Connection<Request = Operation, Reply = proto::Reply>,
{
    let step = (operations.len() / AUDIT_SAMPLE).max(1);
    let sample = operations.iter().step_by(step);
    let mut compared = 0;
    let connection = match connector.connect().await {
        Ok(connection) => connection,
        Err(error) => return (0, Some(error.to_string())),
    };
    for operation in sample {
        let Ok(right) = data.answer(operation) else { continue };
        let Ok(prepared) = connection.prepare(operation) else { continue };
        match connection.call(&prepared).await {
            Ok(reply) if reply == right => compared += 1,
            Ok(_) => return (compared, Some(format!("the reply to {} differs", operation.in_words()))),
            Err(error) => return (compared, Some(format!("{}: {error}", operation.in_words()))),
        }
    }
    (compared, None)
}
