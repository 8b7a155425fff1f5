//! Calls of a service that has others behind it: by a policy, over connections that are kept. The
//! handle can be sent; the connections belong to a task of the local runtime.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use clock::{Clock, Mono};
use proto::{Operation, Reply};
use terms::{Carriage, Policy};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::lane::Lane;
use crate::market::Checked;
use crate::policy::Retrier;
use crate::protocols::{Visit, visit};
use crate::{CallError, Connection, Connector, Endpoint, MarketConnection};

/// Calls under way, at most: one more is refused.
const UNDER_WAY_MAX: usize = 10_000;
/// Calls that are on the connections at a time; the others wait. As many for every protocol.
const PLACES: usize = 256;
/// Calls at a time on one connection.
const IN_FLIGHT_MAX: usize = 64;

/// A service that others call through.
#[derive(Clone)]
pub struct Upstream {
    asks: mpsc::Sender<Ask>,
    time_out: Duration,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Upstream").finish_non_exhaustive()
    }
}

/// What the task is asked for.
enum Ask {
    /// A call; its deadline, which it says; who waits for what comes of it.
    Call(Operation, Option<Mono>, oneshot::Sender<Result<Reply, CallError>>),
    /// To forget what came of calls so far, and to draw from this seed.
    Renew(u64),
}

impl Upstream {
    /// Opens connections to a service, and calls it by a policy; no call takes longer than the
    /// time-out. Must be called on a local runtime, where the calls are made.
    ///
    /// # Errors
    /// Where the system refuses a timer.
    pub fn open(
        carriage: Carriage,
        endpoint: Endpoint,
        policy: Policy,
        time_out: Duration,
        seed: u64,
    ) -> io::Result<Upstream> {
        let (asks, asked) = mpsc::channel(UNDER_WAY_MAX);
        let retrier = Rc::new(Retrier::new(policy, Clock::System, seed)?);
        visit(carriage, endpoint, Serving { asked, retrier });
        Ok(Upstream { asks, time_out })
    }

    /// Makes a call, by its deadline where it has one. Dropping the future abandons it.
    ///
    /// # Errors
    /// The last attempt's, that the policy allows none, or that time is up.
    pub async fn call(&self, operation: Operation, deadline: Option<Mono>) -> Result<Reply, CallError> {
        let left = deadline.map_or(self.time_out, |deadline| deadline.since(Clock::System.now()));
        let (answer, answered) = oneshot::channel();
        let asked = self.asks.try_send(Ask::Call(operation, deadline, answer));
        asked.map_err(|_| CallError::Limit(format!("{UNDER_WAY_MAX} calls are under way already")))?;
        let closed = |_| CallError::Reset("the service behind is closed".to_owned());
        match clock::limit(self.time_out.min(left), answered).await {
            Ok(answered) => answered.map_err(closed)?,
            Err(_) => Err(CallError::TimedOut),
        }
    }

    /// Has its budget, its breaker and its limits begin anew, as they do for a load engine's
    /// round.
    ///
    /// # Errors
    /// Where its task has no room for it.
    pub fn renew(&self, seed: u64) -> Result<(), CallError> {
        let asked = self.asks.try_send(Ask::Renew(seed));
        asked.map_err(|_| CallError::Limit("the service behind is overloaded".to_owned()))
    }
}

/// The task's half.
struct Serving {
    asked: mpsc::Receiver<Ask>,
    retrier: Rc<Retrier>,
}

impl Visit for Serving {
    type Output = ();

    fn with<K>(self, connector: K)
    where
        K: Connector + Send,
        K::Connection: MarketConnection,
    {
        let Serving { mut asked, mut retrier } = self;
        let pool = Rc::new(Pool::of(Checked(connector)));
        tokio::task::spawn_local(async move {
            while let Some(ask) = asked.recv().await {
                match ask {
                    Ask::Renew(seed) => retrier = Rc::new(retrier.renewed(seed)),
                    Ask::Call(operation, deadline, mut answer) => {
                        let (pool, retrier) = (Rc::clone(&pool), Rc::clone(&retrier));
                        // As many as the places of `calls`, and no more.
                        let Ok(place) = Arc::clone(&pool.calls).try_acquire_owned() else {
                            let many = format!("{UNDER_WAY_MAX} calls are under way already");
                            drop(answer.send(Err(CallError::Limit(many))));
                            continue;
                        };
                        tokio::task::spawn_local(async move {
                            let _place = place;
                            let call = retrier.call(async |_| pool.attempt(&operation, deadline).await);
                            tokio::select! {
                                () = answer.closed() => {}
                                result = call => drop(answer.send(result)),
                            }
                        });
                    }
                }
            }
        });
    }
}

/// Connections, and how many calls each may have.
struct Pool<K: Connector> {
    connector: K,
    lanes: Vec<(Lane<K>, Semaphore)>,
    /// All their places together.
    places: Semaphore,
    /// Calls that are under way, waiting ones and pausing ones too.
    calls: Arc<Semaphore>,
    next: Cell<usize>,
}

impl<K> Pool<K>
where
    K: Connector,
    K::Connection: Connection<Request = Operation, Reply = Reply>,
{
    fn of(connector: K) -> Pool<K> {
        let in_flight = connector.in_flight_max().unwrap_or(IN_FLIGHT_MAX).min(IN_FLIGHT_MAX);
        let lanes = (0..PLACES / in_flight).map(|_| (Lane::closed(), Semaphore::new(in_flight)));
        Pool {
            connector,
            lanes: lanes.collect(),
            places: Semaphore::new(PLACES / in_flight * in_flight),
            calls: Arc::new(Semaphore::new(UNDER_WAY_MAX)),
            next: Cell::new(0),
        }
    }

    async fn attempt(&self, operation: &Operation, deadline: Option<Mono>) -> Result<Reply, CallError> {
        // None is ever closed.
        let _place = self.places.acquire().await;
        // Where a place is free, some lane has one. Connections are opened as they are needed, and
        // those that are open take turns.
        let nth = self.next.get();
        self.next.set((nth + 1) % self.lanes.len());
        let (first, second) = self.lanes.split_at(nth);
        let free = |(_, places): &&(Lane<K>, Semaphore)| places.available_permits() > 0;
        let open_first = [second, first].into_iter().flatten().filter(free);
        let Some((lane, places)) = open_first.min_by_key(|(lane, _)| !lane.is_open()) else {
            return Err(CallError::Limit("no connection has room".to_owned()));
        };
        let _in_flight = places.acquire().await;
        let connection = lane.connection(&self.connector).await?;
        let time_left = deadline.map(|deadline| deadline.since(Clock::System.now()));
        connection.call(&connection.prepare(operation)?, time_left).await
    }
}
