//! Calls of a service that has others behind it: by a policy, over connections that are kept. The
//! handle can be sent; the connections belong to a task of the local runtime.

use std::fmt;
use std::io;
use std::rc::Rc;

use clock::Clock;
use proto::{Operation, Reply};
use terms::{Carriage, Policy};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::lane::Lane;
use crate::market::Checked;
use crate::policy::Retrier;
use crate::protocols::{Visit, visit};
use crate::{CallError, Connection, Connector, Endpoint, MarketConnection};

/// Calls that wait for the task, at most.
const WAITING_MAX: usize = 10_000;
/// Connections of a protocol that shares them among calls.
const SHARED_CONNECTIONS: usize = 4;
/// Connections of a protocol that makes one call at a time on each.
const OWN_CONNECTIONS: usize = 64;
/// Calls at a time on a connection, at most.
const IN_FLIGHT_MAX: usize = 250;

/// A service that others call through.
#[derive(Clone)]
pub struct Upstream {
    asks: mpsc::Sender<Ask>,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Upstream").finish_non_exhaustive()
    }
}

/// A call, and who waits for what comes of it.
struct Ask {
    operation: Operation,
    answer: oneshot::Sender<Result<Reply, CallError>>,
}

impl Upstream {
    /// Opens connections to a service, and calls it by a policy. Must be called on a local runtime,
    /// where the calls are made.
    ///
    /// # Errors
    /// Where the system refuses a timer.
    pub fn open(carriage: Carriage, endpoint: Endpoint, policy: Policy, seed: u64) -> io::Result<Upstream> {
        let (asks, asked) = mpsc::channel(WAITING_MAX);
        let retrier = Retrier::new(policy, Clock::System, seed)?;
        visit(carriage, endpoint, Serving { asked, retrier });
        Ok(Upstream { asks })
    }

    /// Makes a call. Dropping the future abandons it.
    ///
    /// # Errors
    /// The last attempt's, or that the policy allows none.
    pub async fn call(&self, operation: Operation) -> Result<Reply, CallError> {
        let (answer, answered) = oneshot::channel();
        let asked = self.asks.try_send(Ask { operation, answer });
        asked.map_err(|_| CallError::Limit(format!("{WAITING_MAX} calls wait already")))?;
        answered.await.unwrap_or_else(|_| Err(CallError::Reset("the service behind is closed".to_owned())))
    }
}

/// The task's half.
struct Serving {
    asked: mpsc::Receiver<Ask>,
    retrier: Retrier,
}

impl Visit for Serving {
    type Output = ();

    fn with<K>(self, connector: K)
    where
        K: Connector + Send,
        K::Connection: MarketConnection,
    {
        let Serving { mut asked, retrier } = self;
        let pool = Rc::new(Pool::of(Checked(connector)));
        let retrier = Rc::new(retrier);
        tokio::task::spawn_local(async move {
            let mut nth = 0;
            while let Some(Ask { operation, mut answer }) = asked.recv().await {
                nth += 1;
                let (pool, retrier) = (Rc::clone(&pool), Rc::clone(&retrier));
                tokio::task::spawn_local(async move {
                    let call = retrier.call(async |_| pool.attempt(nth, &operation).await);
                    tokio::select! {
                        () = answer.closed() => {}
                        result = call => drop(answer.send(result)),
                    }
                });
            }
        });
    }
}

/// Connections, and how many calls each may have.
struct Pool<K: Connector> {
    connector: K,
    lanes: Vec<(Lane<K>, Semaphore)>,
}

impl<K> Pool<K>
where
    K: Connector,
    K::Connection: Connection<Request = Operation, Reply = Reply>,
{
    fn of(connector: K) -> Pool<K> {
        let in_flight = connector.in_flight_max().unwrap_or(IN_FLIGHT_MAX).min(IN_FLIGHT_MAX);
        let lanes = if in_flight == 1 { OWN_CONNECTIONS } else { SHARED_CONNECTIONS };
        Pool { connector, lanes: (0..lanes).map(|_| (Lane::closed(), Semaphore::new(in_flight))).collect() }
    }

    async fn attempt(&self, nth: usize, operation: &Operation) -> Result<Reply, CallError> {
        let free = |(_, places): &&(Lane<K>, Semaphore)| places.available_permits() > 0;
        let usual = &self.lanes[nth % self.lanes.len()];
        let (lane, places) = if free(&usual) { usual } else { self.lanes.iter().find(free).unwrap_or(usual) };
        // It is never closed.
        let _place = places.acquire().await;
        let connection = lane.connection(&self.connector).await?;
        connection.call(&connection.prepare(operation)?).await
    }
}
