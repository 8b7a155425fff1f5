//! A subscriber that comes back: what it does about a connection that is lost, or that says nothing
//! any more. The same for every protocol, so that what is compared is what a protocol lets it do.

use std::rc::Rc;
use terms::{Manners, REST_BEFORE_RECONNECTION};

use futures::stream::StreamExt as _;
use proto::v1::{SubscribeRequest, Tick};
use tokio::task::coop::consume_budget;

use super::ears::Ears;
use crate::connection::{CallError, Connector, in_time};
use crate::limits::CONNECT_TIME_MAX;
use crate::market::{MarketConnection, Subscribe as _, TickStream};

/// One subscriber, over one connection after the other.
pub(super) struct Subscriber<K: Connector> {
    connector: K,
    manners: Manners,
    /// Its subscription and what carries it; `None` while it has none.
    current: Option<(K::Connection, TickStream)>,
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
        Ok(Subscriber { connector, manners, current: Some((connection, ticks)), ears, nth, last: None })
    }

    /// Listens, and comes back, until it is dropped.
    pub(super) async fn listen(mut self) {
        loop {
            match self.next().await {
                Some(Ok(tick)) => {
                    self.last = Some(tick.sequence);
                    self.ears.hear(self.nth, &tick);
                    // A library that has a thousand of them at once does not let others go first.
                    consume_budget().await;
                }
                Some(Err(error)) => self.reconnect(&error).await,
                None => {
                    let ended = CallError::Reset("the server ended the subscription".to_owned());
                    self.reconnect(&ended).await;
                }
            }
        }
    }

    /// The next tick, or that it was waited for in vain.
    async fn next(&mut self) -> Option<Result<Tick, CallError>> {
        let (connection, ticks) = self.current.as_mut()?;
        let polls = connection.polls();
        let mut next = async || match polls {
            true => self.ears.in_rounds(ticks.next()).await,
            false => ticks.next().await,
        };
        let Some(patience) = self.manners.notices else { return next().await };
        loop {
            if let Ok(next) = clock::limit(patience, next()).await {
                return next;
            }
            if self.ears.is_owed(self.nth, patience) {
                return Some(Err(CallError::TimedOut));
            }
            // Nothing is due: it is no silence, and nobody looks at the clock for it until
            // something is.
            tokio::select! {
                next = next() => return next,
                () = self.ears.something_is_due() => {}
            }
        }
    }

    async fn reconnect(&mut self, why: &CallError) {
        self.ears.note(why);
        // A silence began with the last tick, and was noticed when patience ended.
        let silence = self.manners.notices.filter(|_| matches!(why, CallError::TimedOut));
        let lost_at = self.ears.silent_since(silence.unwrap_or_default());
        // Closed first, whatever it is: kept until there is another, it would keep its port from
        // it.
        self.current = None;
        loop {
            clock::pause(REST_BEFORE_RECONNECTION).await;
            match self.again().await {
                Ok(current) => {
                    self.ears.count_reconnection(lost_at);
                    self.current = Some(current);
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
            None => in_time(CONNECT_TIME_MAX, again).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use std::sync::Arc;

    use clock::Clock;
    use proto::data::DataSet;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::protocols::tcp::TcpConnector;

    /// Else ten thousand of them would hold twenty thousand ports in a restart, and look for free
    /// ones for longer than for a server.
    #[test]
    fn a_lost_connection_is_closed_before_another_is_had() {
        let runtime = crate::local_runtime().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let connector = TcpConnector { endpoint: listener.local_addr().unwrap().into() };
            let ears = Rc::new(Ears::new(Clock::System, DataSet::new(1), Arc::default()));
            let subscriber = Subscriber::open(connector, Manners::default(), ears).await.unwrap();
            let (mut connection, _) = listener.accept().await.unwrap();
            // Nobody is there any more: there will be no other connection.
            drop(listener);
            tokio::task::spawn_local(subscriber.listen());
            connection.shutdown().await.unwrap();
            let mut request = Vec::new();
            let closed = clock::limit(Duration::from_secs(10), connection.read_to_end(&mut request)).await;
            assert!(closed.is_ok(), "it is still open");
        });
    }
}
