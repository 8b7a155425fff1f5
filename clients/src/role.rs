//! The client process: calls the market, or receives flows. It opens what it is told, loads it
//! round by round, and says what came of it. The engine is instantiated here, once for each
//! protocol.

use std::io::{BufRead, stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clock::Clock;
use proto::data::DataSet;
use proto::{Capability, Operation};
use serde::{Deserialize, Serialize};
use terms::role::{Means, Order, Progress, Role, RoleError, answer, next_order, say_progress, say_ready};
use terms::{
    Activity, Amount, Outcome, Registry, SetAbsences, Shape, TlsOptions, Workload, asks_second_market,
    operations, orders,
};

use crate::balanced::Balanced;
use crate::cold::Cold;
use crate::conformance::{self, CaseResult};
use crate::connection::in_time;
use crate::in_steps::InSteps;
use crate::load::{Calls, Engine, Flows, Job, Kept, Live, Look, Pushes, Round, Sessions};
use crate::market::Checked;
use crate::protocols::{VisitEach, visit_each};
use crate::{CallError, Connection, Connector, Endpoint, MarketConnection, Names, Tls, local_runtime};

mod start;

pub use start::{Open, ReceiveFlows};

/// How often a client says how it is going.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);
/// Replies compared whole at the end.
const AUDIT_SAMPLE: usize = 50;
/// Time for each.
const AUDIT_TIME_MAX: Duration = Duration::from_secs(5);
/// Time for all: of a server that answers slowly, fewer are compared.
const AUDIT_TIME_IN_ALL_MAX: Duration = Duration::from_secs(30);

/// A client of the market.
#[derive(Debug)]
pub struct Caller;

impl Role for Caller {
    const NAME: &'static str = "caller";
    type Start = Box<Open>;
    /// How the conformance cases went.
    type Ready = Vec<CaseResult>;
    type Order = CallerOrder;
}

orders! {
    /// What a client of the market can be told.
    pub enum CallerOrder of Caller {
        /// Open connections.
        Connect(Connect) -> (),
        /// Who is not on the list of markets, and when.
        Absences(SetAbsences) -> (),
        /// Load.
        Round(Round) -> RoundResult,
        /// Compare replies.
        Audit(Audit) -> Audited,
    }
}

/// A receiver of flows.
#[derive(Debug)]
pub struct Receiver;

impl Role for Receiver {
    const NAME: &'static str = "receiver";
    type Start = ReceiveFlows;
    /// Where flows may be sent, each to its own place.
    type Ready = Vec<std::net::SocketAddr>;
    type Order = ReceiverOrder;
}

orders! {
    /// What a receiver of flows can be told.
    pub enum ReceiverOrder of Receiver {
        /// Be ready for a connection a flow.
        Connect(Connect) -> (),
        /// Receive.
        Round(Round) -> RoundResult,
    }
}

/// Open these connections, in place of those that were open: what listens on others would be sent
/// to as well.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Connect {
    /// Connections and calls in flight.
    pub shape: Shape,
    /// How much a call over them asks for; what the workload says, where it is absent.
    pub amount: Option<Amount>,
}

/// Compare a sample of replies whole, outside the timing.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Audit;

/// What a round came to.
#[derive(Debug, Serialize, Deserialize)]
pub struct RoundResult {
    /// What was counted.
    pub outcome: Box<Outcome>,
    /// Allocations in it, warm-up included, in a build that counts them.
    pub allocations: Option<u64>,
}

/// What a comparison of replies came to.
#[derive(Debug, Serialize, Deserialize)]
pub struct Audited {
    /// How many were compared whole.
    pub compared: usize,
    /// The first that was wrong.
    pub wrong: Option<String>,
}

/// Calls the market until the end of the input.
///
/// # Errors
/// Where it cannot go on, with why.
pub fn call(open: &Open, input: &mut dyn BufRead, means: Means) -> Result<(), RoleError> {
    // This thread only passes messages; it shares a core with the work rather than disturb the
    // servers'.
    let core = *open.cores.first().ok_or_else(|| RoleError("no core for the client".to_owned()))?;
    (means.pin)(core).map_err(RoleError::during("pinning the client"))?;
    let endpoint = |address, tls: &Option<(TlsOptions, Vec<u8>)>, names| {
        let tls = tls.as_ref().map(|(options, root)| Tls::to_market(*options, root)).transpose()?;
        Ok::<_, RoleError>(Endpoint {
            tls,
            congestion: Some(open.congestion),
            names,
            ..Endpoint::from(address)
        })
    };
    let names = Names::asked_of(&open.name_servers, open.tries_next);
    let first = endpoint(open.address, &open.tls, names)?;
    let others = open.replicas.iter().map(|replica| endpoint(replica.address, &replica.tls, None));
    let others = others.collect::<Result<_, _>>()?;
    visit_each(open.carriage, first, others, Client { open, input, means })
}

/// Receives flows, round after round, until the end of the input.
///
/// # Errors
/// Where it cannot go on, with why.
pub fn receive(start: &ReceiveFlows, input: &mut dyn BufRead, means: Means) -> Result<(), RoleError> {
    let ReceiveFlows { cores, address, flows, settings } = start;
    let (flows, addresses) = Flows::bind(flows, *address, settings.buffer_bytes, settings.read_bits_per_s)?;
    say_ready::<Receiver>(&mut stdout(), addresses)?;
    let mut loader = Loader { start: starter(cores, flows, means), engine: None, means };
    while let Some(order) = next_order::<Receiver>(input)? {
        match order {
            ReceiverOrder::Connect(order) => loader.connect::<Receiver>(order)?,
            ReceiverOrder::Round(order) => loader.round::<Receiver>(order)?,
        }
    }
    Ok(())
}

/// A client, once its protocol is known.
struct Client<'a> {
    open: &'a Open,
    input: &'a mut dyn BufRead,
    means: Means,
}

impl VisitEach for Client<'_> {
    type Output = Result<(), RoleError>;

    fn with<K>(self, connector: K, others: Vec<K>) -> Result<(), RoleError>
    where
        K: Connector + Send,
        K::Connection: MarketConnection,
    {
        let Client { open, input, means } = self;
        let data = DataSet::new(open.market_seed);
        let runtime = local_runtime()?;
        let protocol = open.carriage.protocol();
        let Activity::Market(capability) = open.workload.activity else {
            return Err(RoleError("a client of the market was told of flows".to_owned()));
        };
        let conformance = match (open.conformance, open.is_ours) {
            (false, _) => Vec::new(),
            (true, true) => runtime.block_on(conformance::check(&connector, protocol, &data)),
            (true, false) => runtime.block_on(conformance::check_replies(&connector, capability, &data)),
        };
        let Workload { activity, amount, .. } = open.workload;
        let operations_of = |amount| operations(activity, amount, &open.screen, &data);
        let operations = operations_of(amount);
        let requests = |order: &Connect| operations_of(order.amount.unwrap_or(amount));
        let checked = Checked(connector.clone());
        let in_steps = open.screen.in_steps;
        let (market_seed, orders) = (open.market_seed, operations.clone());
        let cores = &open.cores;
        let registry = Registry::default();
        let start: Starter<'_> = match capability {
            Capability::Subscribe => {
                starter(cores, Pushes { connector, market_seed, manners: open.manners }, means)
            }
            Capability::Session => starter(cores, Sessions { connector, orders, market_seed }, means),
            _ if in_steps => calls(open, Checked(InSteps(connector)), &requests, means),
            _ => match open.balance {
                None => calls(open, checked.clone(), &requests, means),
                Some(balance) => {
                    let markets = std::iter::once(connector).chain(others).map(Checked).collect();
                    let (registry, seed) = (registry.clone(), market_seed);
                    calls(open, Balanced { markets, balance, registry, seed }, &requests, means)
                }
            },
        };
        say_ready::<Caller>(&mut stdout(), conformance)?;
        let mut loader = Loader { start, engine: None, means };
        while let Some(order) = next_order::<Caller>(input)? {
            match order {
                CallerOrder::Connect(order) => loader.connect::<Caller>(order)?,
                CallerOrder::Absences(order) => {
                    registry.set(order.0.clone());
                    answer::<Caller, _>(&mut stdout(), &order, ())?;
                }
                CallerOrder::Round(order) => loader.round::<Caller>(order)?,
                CallerOrder::Audit(order) => {
                    let audited = if in_steps {
                        let in_steps = Checked(InSteps(checked.0.clone()));
                        runtime.block_on(audit(&in_steps, &operations, &data))
                    } else {
                        runtime.block_on(audit(&checked, &operations, &data))
                    };
                    answer::<Caller, _>(&mut stdout(), &order, audited)?;
                }
            }
        }
        Ok(())
    }
}

/// Calls on held connections, or each on its own, as a shape has it.
fn calls<'a, K>(
    open: &'a Open,
    connector: K,
    requests: &'a dyn Fn(&Connect) -> Vec<Operation>,
    means: Means,
) -> Starter<'a>
where
    K: Connector + Send,
    K::Connection: Connection<Request = Operation>,
{
    let cold = Cold { connector: connector.clone(), clock: Clock::System };
    Box::new(move |order| {
        let (requests, policy, with_key) = (requests(order), open.policy, Operation::with_key);
        let deadline = open.deadline;
        let second = open.workload.second_market;
        let apart = second.map(|share| asks_second(&requests, share, open.market_seed)).unwrap_or_default();
        if order.shape.cold {
            let connector = cold.clone();
            starter(
                &open.cores,
                Calls { connector, requests, policy, deadline, with_key, apart, kept: Kept::default() },
                means,
            )(order)
        } else {
            let connector = connector.clone();
            starter(
                &open.cores,
                Calls { connector, requests, policy, deadline, with_key, apart, kept: Kept::default() },
                means,
            )(order)
        }
    })
}

/// Whether each of these calls needs the second market.
fn asks_second(requests: &[Operation], share: f64, market_seed: u64) -> Vec<bool> {
    let data = DataSet::new(market_seed);
    requests.iter().map(|request| asks_second_market(request, share, &data)).collect()
}

type Starter<'a> = Box<dyn Fn(&Connect) -> Result<Engine, RoleError> + 'a>;

/// Starts engines of one job.
fn starter<J: Job>(cores: &[usize], job: J, means: Means) -> Starter<'_> {
    Box::new(move |order| Ok(Engine::start(cores, &job, order.shape, means.pin)?))
}

/// An engine that is opened and loads as it is told.
struct Loader<'a> {
    start: Starter<'a>,
    engine: Option<Engine>,
    means: Means,
}

impl Loader<'_> {
    fn connect<R: Role>(&mut self, order: Connect) -> Result<(), RoleError>
    where
        Connect: Order<R, Answer = ()>,
    {
        // Closed before the others open.
        drop(self.engine.take());
        self.engine = Some((self.start)(&order)?);
        Ok(answer::<R, _>(&mut stdout(), &order, ())?)
    }

    fn round<R: Role>(&mut self, order: Round) -> Result<(), RoleError>
    where
        Round: Order<R, Answer = RoundResult>,
    {
        let Some(engine) = &self.engine else {
            return Err(RoleError("a round before its connections".to_owned()));
        };
        let before = (self.means.allocations)();
        let outcome = Box::new(run(engine, &order)?);
        let counts = (self.means.allocations)().zip(before);
        let allocations = counts.map(|(after, before)| after - before);
        Ok(answer::<R, _>(&mut stdout(), &order, RoundResult { outcome, allocations })?)
    }
}

/// Runs a round, saying now and then how it is going.
fn run(engine: &Engine, round: &Round) -> Result<Outcome, RoleError> {
    let done = AtomicBool::new(false);
    let workers = engine.live();
    std::thread::scope(|scope| {
        let teller = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                std::thread::park_timeout(PROGRESS_EVERY);
                // The round's result tells soon enough that nobody reads.
                let told = || say_progress(&mut stdout(), progress(&workers));
                if !done.load(Ordering::Relaxed) && told().is_err() {
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

/// Reads an engine's counters.
pub fn progress(workers: &[std::sync::Arc<Live>]) -> Progress {
    let look = Look::at(workers);
    let quantile = |share| look.response_ns(share).map(|ns| ns as f64 / 1e3);
    Progress { ok: look.ok(), failed: look.failures(), p50_us: quantile(0.5), p99_us: quantile(0.99) }
}

/// Compares replies whole with what they must be. Orders have no such answer; their receipts were
/// checked in each call.
async fn audit<K>(connector: &K, operations: &[Operation], data: &DataSet) -> Audited
where
    K: Connector,
    K::Connection: Connection<Request = Operation, Reply = proto::Reply>,
{
    let step = (operations.len() / AUDIT_SAMPLE).max(1);
    let mut compared = 0;
    let end = Clock::System.now() + AUDIT_TIME_IN_ALL_MAX;
    let connection = match in_time(connector.opening_time(), connector.connect()).await {
        Ok(connection) => connection,
        Err(error) => return Audited { compared: 0, wrong: Some(error.sample()) },
    };
    for operation in operations.iter().step_by(step) {
        if compared > 0 && Clock::System.now() >= end {
            break;
        }
        let Ok(right) = data.answer(operation) else { continue };
        let Ok(prepared) = connection.prepare(operation) else { continue };
        let call = clock::limit(AUDIT_TIME_MAX, connection.call(&prepared, None));
        let wrong = match call.await.unwrap_or(Err(CallError::TimedOut)) {
            Ok(reply) if reply == right => {
                compared += 1;
                continue;
            }
            Ok(_) => format!("the reply to {} differs", operation.in_words()),
            Err(error) => format!("{}: {}", operation.in_words(), error.sample()),
        };
        return Audited { compared, wrong: Some(wrong) };
    }
    Audited { compared, wrong: None }
}
