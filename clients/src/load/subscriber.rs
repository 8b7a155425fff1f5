//! A subscriber that comes back: what it does about a connection that is lost, or that says nothing any more. The same for every
//! protocol, so that what is compared is what a protocol lets it do.

use std::rc::Rc;
use std::time::Duration;

use futures::stream::StreamExt as _;
use proto::v1::{SubscribeRequest, Tick};

use super::ears::Ears;
use crate::connection::{CallError, Connector};
use crate::market::{MarketConnection, Subscribe as _, TickStream};

/// The pause before a subscriber that lost its subscription asks for another.
pub const REST_BEFORE_RECONNECTION: Duration = Duration::from_millis(50);

/// How subscribers behave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Manners {
    /// Ask for what came after the last event that was heard, instead of what comes from now on.
    pub resumes: bool,
    /// The silence after which a connection is given up for another, while events are due; `None` to wait for ever.
    pub notices: Option<Duration>,
}

/// One subscriber, over one connection after the other.
pub(super) struct Subscriber<K: Connector> {
    connector: K,
    manners: Manners,
    connection: K::Connection,
    ticks: TickStream,
    ears: Rc<Ears>,
    /// Its place among the ears, the same for all its connections.
    nth: usize,
    /// The sequence of the last tick that it heard.
    last: Option<u64>,
}

impl<K> Subscriber<K>
where
    K: Connector,
    K::Connection: MarketConnection,
{
    /// Subscribes, from now on.
    pub(super) async fn open(
        connector: K,
        manners: Manners,
        ears: Rc<Ears>,
    ) -> Result<Subscriber<K>, CallError> {
        let connection = connector.connect().await?;
        let ticks = connection.subscribe(&SubscribeRequest::default()).await?;
        let nth = ears.join();
        Ok(Subscriber { connector, manners, connection, ticks, ears, nth, last: None })
    }

    /// Listens, and comes back, until it is dropped.
    pub(super) async fn listen(mut self) {
        loop {
            match self.next().await {
                Some(Ok(tick)) => {
                    self.last = Some(tick.sequence);
                    self.ears.hear(self.nth, &tick);
                }
                Some(Err(error)) => {
                    self.ears.note(&error);
                    self.reconnect().await;
                }
                None => self.reconnect().await,
            }
        }
    }

    /// The next tick, or that it was waited for in vain.
    async fn next(&mut self) -> Option<Result<Tick, CallError>> {
        let Some(patience) = self.manners.notices else { return self.ticks.next().await };
        loop {
            if let Ok(next) = clock::limit(patience, self.ticks.next()).await {
                return next;
            }
            if self.ears.is_owed(self.nth, patience) {
                return Some(Err(CallError::TimedOut));
            }
            // Nothing is due: it is no silence, and nobody looks at the clock for it until something is.
            tokio::select! {
                next = self.ticks.next() => return next,
                () = self.ears.something_is_due() => {}
            }
        }
    }

    async fn reconnect(&mut self) {
        loop {
            clock::pause(REST_BEFORE_RECONNECTION).await;
            match self.again().await {
                Ok((connection, ticks)) => {
                    self.ears.count_reconnection();
                    (self.connection, self.ticks) = (connection, ticks);
                    return;
                }
                Err(error) => self.ears.note(&error),
            }
        }
    }

    /// Another connection and subscription; who notices silence notices it here too.
    async fn again(&self) -> Result<(K::Connection, TickStream), CallError> {
        let request = SubscribeRequest {
            after_sequence: self.last.filter(|_| self.manners.resumes),
            ..SubscribeRequest::default()
        };
        let again = async {
            let connection = self.connector.connect().await?;
            let ticks = connection.subscribe(&request).await?;
            Ok((connection, ticks))
        };
        match self.manners.notices {
            Some(patience) => clock::limit(patience, again).await.unwrap_or(Err(CallError::TimedOut)),
            None => again.await,
        }
    }
}
