//! A session: orders, heartbeats and subscriptions in, fills, echoes and ticks out. Written once; a
//! protocol gives it a stream of requests and carries the stream of events.

use std::pin::Pin;
use std::sync::Arc;

use futures::stream::{self, Stream, StreamExt as _};
use proto::v1::session_event::Event;
use proto::v1::session_request::Request;
use proto::v1::{FaultCode, SessionEvent, SessionRequest};
use proto::{Fault, MarketResult};

use super::{Market, Subscription};

/// The events of a session; ends when its requests do.
pub type SessionEvents = Pin<Box<dyn Stream<Item = SessionEvent> + Send>>;

struct Session<S> {
    market: Arc<Market>,
    requests: S,
    subscription: Option<Subscription>,
}

impl Market {
    /// Opens a session over a stream of requests.
    pub fn session<S>(self: &Arc<Self>, requests: S) -> SessionEvents
    where
        S: Stream<Item = SessionRequest> + Send + Unpin + 'static,
    {
        let session = Session { market: Arc::clone(self), requests, subscription: None };
        Box::pin(stream::unfold(session, |mut session| async move {
            let event = session.next().await?;
            Some((SessionEvent { event: Some(event) }, session))
        }))
    }
}

impl<S: Stream<Item = SessionRequest> + Unpin> Session<S> {
    async fn next(&mut self) -> Option<Event> {
        loop {
            tokio::select! {
                biased;
                request = self.requests.next() => {
                    let event = self.handle(request?).await;
                    if let Some(event) = event.unwrap_or_else(|fault| Some(Event::Fault(fault.message()))) {
                        return Some(event);
                    }
                }
                tick = next_tick(&mut self.subscription) => return Some(tick),
            }
        }
    }

    /// A subscription has no answer but its ticks.
    async fn handle(&mut self, request: SessionRequest) -> MarketResult<Option<Event>> {
        match request.request {
            Some(Request::Heartbeat(heartbeat)) => Ok(Some(Event::Heartbeat(heartbeat))),
            Some(Request::Order(order)) => self.market.place_order(order).await.map(Event::Fill).map(Some),
            Some(Request::Subscribe(subscribe)) => {
                self.subscription = Some(self.market.subscribe(&subscribe)?);
                Ok(None)
            }
            None => Err(Fault::new(FaultCode::InvalidArgument, "an empty session request")),
        }
    }
}

async fn next_tick(subscription: &mut Option<Subscription>) -> Event {
    match subscription {
        None => std::future::pending().await,
        Some(subscription) => Event::Tick(subscription.next().await.tick().clone()),
    }
}
