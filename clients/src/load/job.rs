//! What a worker of the engine does: make calls, listen to what is pushed, or both on sessions.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use proto::Operation;
use proto::data::DataSet;
use terms::{Manners, Outcome, Policy, Schedule, Shape};
use tokio::task::JoinHandle;

use super::ears::Ears;
use super::opening::open_all;
use super::subscriber::Subscriber;
use super::{Driver, Live, Round, WithKey};
use crate::connection::{CallError, Connection, Connector};
use crate::market::{Checked, MarketConnection};
use crate::session_calls::SessionConnector;

/// A kind of load, before it is opened. Each worker opens its part on its own thread.
pub trait Job: Clone + Send + 'static {
    /// What is opened.
    type Worker: Worker;

    /// Opens this worker's connections.
    ///
    /// # Errors
    /// The first connection's, or that a request cannot be prepared.
    fn open(
        &self,
        clock: Clock,
        shape: Shape,
        live: Arc<Live>,
    ) -> impl Future<Output = Result<Self::Worker, CallError>>;
}

/// An opened part of a job, kept from round to round.
pub trait Worker {
    /// Runs one round to its end. `schedule` is this worker's share of the calls.
    ///
    /// # Errors
    /// Where the system refuses a timer, or the round makes no sense.
    fn run(&self, round: &Round, schedule: &Schedule) -> impl Future<Output = io::Result<Outcome>>;
}

/// Calls: a request, a reply.
#[derive(Debug, Clone)]
pub struct Calls<K, R> {
    /// Opens the connections.
    pub connector: K,
    /// The load goes round them.
    pub requests: Vec<R>,
    /// What is done about a call that fails.
    pub policy: Option<Policy>,
    /// Time that each call has, from its schedule, and says; `None` where only the round's time-out
    /// bounds it.
    pub deadline: Option<Duration>,
    /// A request with an idempotency key, for policies that have them.
    pub with_key: WithKey<R>,
    /// Whether each request is counted apart from the others; none is where this is empty.
    pub apart: Vec<bool>,
    /// What is kept beside the whole.
    pub kept: Kept,
}

/// What a load keeps of its calls beside the whole.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// What became of calls along time.
    pub timeline: bool,
    /// When each stage of rates ends, after the start of the measured time; nothing where there are
    /// none.
    pub stage_ends: Arc<[Duration]>,
    /// The group of each request, counted from 0; there are none where this is empty.
    pub groups: Arc<[usize]>,
    /// How many single calls of each worker, at most.
    pub calls_max: usize,
}

impl<K> Job for Calls<K, <K::Connection as Connection>::Request>
where
    K: Connector + Send,
    <K::Connection as Connection>::Request: Clone + Send + 'static,
{
    type Worker = Driver<K>;

    async fn open(&self, clock: Clock, shape: Shape, live: Arc<Live>) -> Result<Driver<K>, CallError> {
        let driver = Driver::open(clock, self.connector.clone(), shape, &self.requests, live).await?;
        let driver =
            driver.counting_apart(self.apart.clone()).with_deadline(self.deadline).keeping(self.kept.clone());
        Ok(driver.with_policy(self.policy, &self.requests, self.with_key))
    }
}

impl<K: Connector> Worker for Driver<K> {
    async fn run(&self, round: &Round, schedule: &Schedule) -> io::Result<Outcome> {
        Driver::run(self, round, schedule).await
    }
}

/// Pushes: each connection is a subscriber that hears every tick.
#[derive(Debug, Clone)]
pub struct Pushes<K> {
    /// Opens the connections.
    pub connector: K,
    /// Makes the ticks that are expected.
    pub market_seed: u64,
    /// What each does about a connection that is lost, or silent.
    pub manners: Manners,
}

impl<K> Job for Pushes<K>
where
    K: Connector + Send,
    K::Connection: MarketConnection,
{
    type Worker = Subscribers;

    async fn open(&self, clock: Clock, shape: Shape, live: Arc<Live>) -> Result<Subscribers, CallError> {
        let ears = Rc::new(Ears::new(clock, DataSet::new(self.market_seed), live));
        let subscriber = || async {
            let subscriber = Subscriber::open(self.connector.clone(), self.manners, Rc::clone(&ears)).await?;
            Ok(tokio::task::spawn_local(subscriber.listen()))
        };
        let listening = open_all(shape.connections, self.connector.opening_time(), subscriber).await?;
        Ok(Subscribers { ears, listening })
    }
}

/// Subscribers that listen all the time, and are counted round by round.
pub struct Subscribers {
    ears: Rc<Ears>,
    listening: Vec<JoinHandle<()>>,
}

impl Drop for Subscribers {
    fn drop(&mut self) {
        self.listening.iter().for_each(JoinHandle::abort);
    }
}

impl Worker for Subscribers {
    async fn run(&self, round: &Round, _: &Schedule) -> io::Result<Outcome> {
        let timer = self.ears.begin(round)?;
        self.ears.finish(timer).await
    }
}

/// Sessions: each connection is one; orders are the calls, their fills the replies, and every
/// session hears every tick.
#[derive(Debug, Clone)]
pub struct Sessions<K> {
    /// Opens the connections.
    pub connector: K,
    /// The orders; the load goes round them.
    pub orders: Vec<Operation>,
    /// Makes the ticks that are expected.
    pub market_seed: u64,
}

impl<K> Job for Sessions<K>
where
    K: Connector + Send,
    K::Connection: MarketConnection,
{
    type Worker = SessionWorker<K>;

    async fn open(&self, clock: Clock, shape: Shape, live: Arc<Live>) -> Result<SessionWorker<K>, CallError> {
        // The live counters show the orders; the ticks are counted apart.
        let ears = Rc::new(Ears::new(clock.clone(), DataSet::new(self.market_seed), Arc::default()));
        let connector = Checked(SessionConnector::new(self.connector.clone(), Rc::clone(&ears)));
        let calls = Driver::open(clock, connector, shape, &self.orders, live).await?;
        Ok(SessionWorker { calls, ears })
    }
}

/// Open sessions.
pub struct SessionWorker<K: Connector>
where
    K::Connection: MarketConnection,
{
    calls: Driver<Checked<SessionConnector<K>>>,
    ears: Rc<Ears>,
}

impl<K> Worker for SessionWorker<K>
where
    K: Connector,
    K::Connection: MarketConnection,
{
    async fn run(&self, round: &Round, schedule: &Schedule) -> io::Result<Outcome> {
        if round.emission.is_none() {
            return self.calls.run(round, schedule).await;
        }
        let timer = self.ears.begin(round)?;
        let mut outcome = self.calls.run(round, schedule).await?;
        outcome.ticks = Some(Box::new(self.ears.finish(timer).await?));
        Ok(outcome)
    }
}
