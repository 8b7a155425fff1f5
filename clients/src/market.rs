//! A connection to the market: calls whose replies are checked, subscriptions, sessions.

use std::pin::Pin;
use std::time::Duration;

use futures::stream::Stream;
use proto::v1::{SessionEvent, SessionRequest, SubscribeRequest, Tick};
use proto::{Operation, Reply};
use tokio::sync::mpsc;

use crate::connection::{CallError, Connection, Connector, Unsupported};

/// A connection that carries the market's calls.
pub trait MarketConnection: Connection<Request = Operation, Reply = Reply> + Subscribe + Session {}
impl<C: Connection<Request = Operation, Reply = Reply> + Subscribe + Session> MarketConnection for C {}

/// Ticks as they arrive, until the caller drops them or the server ends them.
pub type TickStream = Pin<Box<dyn Stream<Item = Result<Tick, CallError>>>>;

/// Server push.
pub trait Subscribe {
    /// Subscribes; ticks flow once this returns.
    fn subscribe(&self, request: &SubscribeRequest) -> impl Future<Output = Result<TickStream, CallError>>;

    /// Whether a subscription asks again and again, also where there is nothing.
    fn polls(&self) -> bool {
        false
    }
}

/// Traffic both ways.
pub trait Session {
    /// Opens a session, or says that the protocol offers none.
    fn session(&self) -> impl Future<Output = Result<OpenSession, Unsupported>>;
}

/// An open session: requests go in, events come out. Dropping it closes the session.
pub struct OpenSession {
    /// Where requests go in.
    pub requests: mpsc::Sender<SessionRequest>,
    /// What comes out.
    pub events: Pin<Box<dyn Stream<Item = Result<SessionEvent, CallError>>>>,
}

impl std::fmt::Debug for OpenSession {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("OpenSession").finish_non_exhaustive()
    }
}

/// Checks every reply of a market connection, inside its service time: no client is cheap by not
/// looking.
#[derive(Debug, Clone)]
pub struct Checked<C>(pub C);

impl<C: Connection<Request = Operation, Reply = Reply>> Connection for Checked<C> {
    type Request = Operation;
    type Prepared = (Operation, C::Prepared);
    type Reply = Reply;

    fn prepare(&self, request: &Operation) -> Result<Self::Prepared, Unsupported> {
        Ok((request.clone(), self.0.prepare(request)?))
    }

    async fn call(
        &self,
        (operation, prepared): &Self::Prepared,
        time_left: Option<Duration>,
    ) -> Result<Reply, CallError> {
        let reply = self.0.call(prepared, time_left).await?;
        operation.check(&reply)?;
        Ok(reply)
    }

    async fn place(&self) {
        self.0.place().await;
    }

    fn is_open(&self) -> bool {
        self.0.is_open()
    }

    fn late_replies(&self) -> u64 {
        self.0.late_replies()
    }
}

impl<K: Connector> Connector for Checked<K>
where
    K::Connection: Connection<Request = Operation, Reply = Reply>,
{
    type Connection = Checked<K::Connection>;

    async fn connect(&self) -> Result<Self::Connection, CallError> {
        self.0.connect().await.map(Checked)
    }

    async fn connect_for_one_call(&self) -> Result<Self::Connection, CallError> {
        self.0.connect_for_one_call().await.map(Checked)
    }

    fn in_flight_max(&self) -> Option<usize> {
        self.0.in_flight_max()
    }

    fn opening_time(&self) -> Duration {
        self.0.opening_time()
    }
}
