//! Cold calls: each opens a connection of its own, waits for the reply and closes it. Connecting,
//! every handshake and the call itself are in its response time, and told apart.

use std::time::Duration;

use clock::Clock;

use crate::connection::{CallError, Connection, Connector, ReplyFacts, Unsupported, in_time};
use crate::phases::{Phases, told_apart};

/// Calls of a connector, each on a new connection; and a caller, who has no connection between two
/// calls.
#[derive(Debug, Clone)]
pub struct Cold<K> {
    /// Opens the connections.
    pub connector: K,
    /// Tells the phases apart.
    pub clock: Clock,
}

/// A reply, and what its call spent in each phase.
#[derive(Debug)]
pub struct ColdReply<R> {
    /// The reply.
    pub reply: R,
    /// The phases.
    pub phases: Phases,
}

impl<K: Connector> Connector for Cold<K>
where
    <K::Connection as Connection>::Request: Clone + 'static,
{
    type Connection = Cold<K>;

    async fn connect(&self) -> Result<Cold<K>, CallError> {
        Ok(self.clone())
    }

    fn in_flight_max(&self) -> Option<usize> {
        None
    }

    fn opening_time(&self) -> Duration {
        self.connector.opening_time()
    }
}

impl<K: Connector> Connection for Cold<K>
where
    <K::Connection as Connection>::Request: Clone + 'static,
{
    type Request = <K::Connection as Connection>::Request;
    // A call is encoded on its connection; that takes microseconds of the time that is measured.
    type Prepared = Self::Request;
    type Reply = ColdReply<<K::Connection as Connection>::Reply>;

    fn prepare(&self, request: &Self::Request) -> Result<Self::Prepared, Unsupported> {
        Ok(request.clone())
    }

    async fn call(
        &self,
        request: &Self::Prepared,
        time_left: Option<Duration>,
    ) -> Result<Self::Reply, CallError> {
        let begun = self.clock.now();
        let call = async {
            let opening = self.connector.connect_for_one_call();
            // Set apart: it is large, and the call would be as large with it.
            let connection = Box::pin(in_time(self.connector.opening_time(), opening)).await?;
            let prepared = connection.prepare(request)?;
            let time_left = time_left.map(|left| left.saturating_sub(self.clock.now().since(begun)));
            connection.call(&prepared, time_left).await
        };
        let (reply, phases) = told_apart(&self.clock, call).await;
        Ok(ColdReply { reply: reply?, phases })
    }

    fn facts(reply: Self::Reply) -> ReplyFacts {
        ReplyFacts { phases: Some(reply.phases), ..<K::Connection as Connection>::facts(reply.reply) }
    }

    fn is_open(&self) -> bool {
        true
    }
}
