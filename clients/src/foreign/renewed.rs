//! Connections as a load asks for them: there within a time, and each for so many calls.

use std::cell::Cell;
use std::time::Duration;

use crate::connection::{CallError, Connection, Connector, ReplyFacts, Unsupported};

/// Opens connections within a time, each of which is for so many calls.
#[derive(Debug, Clone)]
pub(super) struct Renewed<K> {
    pub(super) connector: K,
    /// Time in which a connection must be there.
    pub(super) opening_time: Duration,
    /// Calls that a connection is for; `None` where that has no bound.
    pub(super) calls_max: Option<u64>,
}

impl<K: Connector> Renewed<K> {
    fn renewed(&self, connection: K::Connection) -> RenewedConnection<K::Connection> {
        RenewedConnection { connection, left: Cell::new(self.calls_max.unwrap_or(u64::MAX)) }
    }
}

impl<K: Connector> Connector for Renewed<K> {
    type Connection = RenewedConnection<K::Connection>;

    async fn connect(&self) -> Result<Self::Connection, CallError> {
        self.connector.connect().await.map(|connection| self.renewed(connection))
    }

    async fn connect_for_one_call(&self) -> Result<Self::Connection, CallError> {
        self.connector.connect_for_one_call().await.map(|connection| self.renewed(connection))
    }

    fn opening_time(&self) -> Duration {
        self.opening_time
    }

    fn in_flight_max(&self) -> Option<usize> {
        self.connector.in_flight_max()
    }
}

/// A connection that is not open any more once it had its calls.
pub(super) struct RenewedConnection<C> {
    connection: C,
    /// Calls that can still be made on it.
    left: Cell<u64>,
}

impl<C: Connection> Connection for RenewedConnection<C> {
    type Request = C::Request;
    type Prepared = C::Prepared;
    type Reply = C::Reply;

    fn prepare(&self, request: &C::Request) -> Result<C::Prepared, Unsupported> {
        self.connection.prepare(request)
    }

    async fn call(&self, prepared: &C::Prepared, time_left: Option<Duration>) -> Result<C::Reply, CallError> {
        self.connection.call(prepared, time_left).await
    }

    fn is_open(&self) -> bool {
        self.left.get() > 0 && self.connection.is_open()
    }

    fn facts(reply: C::Reply) -> ReplyFacts {
        C::facts(reply)
    }

    /// A call is counted before it waits, so that no more wait here than the connection is for.
    fn place(&self) -> impl Future<Output = ()> {
        self.left.set(self.left.get().saturating_sub(1));
        self.connection.place()
    }

    const LISTENS_IDLE: bool = C::LISTENS_IDLE;

    fn idle(&self) -> impl Future<Output = ()> {
        self.connection.idle()
    }

    fn late_replies(&self) -> u64 {
        self.connection.late_replies()
    }
}
