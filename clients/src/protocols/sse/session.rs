//! Sessions over SSE: events on one connection, and a REST call for each message on another.

use futures::stream;
use proto::encoding::Encoding;
use proto::v1::session_event::Event as SessionEventKind;
use proto::v1::session_request::Request as SessionRequestKind;
use proto::v1::{SessionEvent, SessionRequest};
use proto::{Operation, Reply};
use tokio::sync::mpsc;

use super::{EventSource, SseConnection, SseConnector};
use crate::connection::{CallError, Connection as _, Connector as _, Unsupported};
use crate::limits::EVENTS_WAITING_MAX;
use crate::market::{OpenSession, Session};
use crate::protocols::rest::{RestConnection, RestConnector};

impl Session for SseConnection {
    /// Events on one connection, a call for each message on another, one after the other.
    async fn session(&self) -> Result<OpenSession, Unsupported> {
        let unsupported = |error: CallError| Unsupported(error.to_string());
        let SseConnector { endpoint, http } = self.connector.clone();
        let calls = RestConnector { endpoint, http, encoding: Encoding::Json, poll_every: None };
        let calls = calls.connect().await.map_err(unsupported)?;
        let (requests, inbox) = mpsc::channel(EVENTS_WAITING_MAX);
        let (events_in, events) = mpsc::channel(EVENTS_WAITING_MAX);
        let connection = SseConnection { connector: self.connector.clone(), first: self.first.take().into() };
        tokio::task::spawn_local(talk(connection, calls, inbox, events_in));
        let events = stream::unfold(events, async |mut events| Some((events.recv().await?, events)));
        Ok(OpenSession { requests, events: Box::pin(events) })
    }
}

type EventsIn = mpsc::Sender<Result<SessionEvent, CallError>>;

/// Makes each request a call, until nobody makes requests or takes events any more: also where a
/// call is never answered, for the socket would stay open with it.
async fn talk(
    connection: SseConnection,
    calls: RestConnection,
    inbox: mpsc::Receiver<SessionRequest>,
    events: EventsIn,
) {
    let closed = events.clone();
    tokio::select! {
        biased;
        () = closed.closed() => {}
        () = answer_all(connection, calls, inbox, events) => {}
    }
}

async fn answer_all(
    connection: SseConnection,
    calls: RestConnection,
    mut inbox: mpsc::Receiver<SessionRequest>,
    events: EventsIn,
) {
    // The one that runs now; dropped, and so ended, with this.
    let mut subscription = tokio::task::JoinSet::new();
    while let Some(request) = inbox.recv().await {
        let answer = match request.request {
            Some(SessionRequestKind::Order(order)) => place(&calls, order).await.map(SessionEventKind::Fill),
            Some(SessionRequestKind::Heartbeat(heartbeat)) => {
                calls.post("/v1/heartbeats", &heartbeat).await.map(SessionEventKind::Heartbeat)
            }
            Some(SessionRequestKind::Subscribe(request)) => match connection.event_source(&request).await {
                Ok(source) => {
                    subscription.abort_all();
                    subscription.spawn_local(forward(source, events.clone()));
                    continue;
                }
                Err(error) => Err(error),
            },
            None => Err(CallError::Protocol("an empty session request".to_owned())),
        };
        if events.send(answer.map(|event| SessionEvent { event: Some(event) })).await.is_err() {
            break;
        }
    }
}

async fn place(
    calls: &RestConnection,
    order: proto::v1::OrderRequest,
) -> Result<proto::v1::OrderReceipt, CallError> {
    let prepared = calls.prepare(&Operation::PlaceOrder(order))?;
    match calls.call(&prepared, None).await? {
        Reply::Receipt(receipt) => Ok(receipt),
        other => Err(CallError::Protocol(format!("got {}", other.in_words()))),
    }
}

async fn forward(mut source: EventSource, events: EventsIn) {
    while let Some(tick) = source.next().await {
        let event = tick.map(|tick| SessionEvent { event: Some(SessionEventKind::Tick(tick)) });
        if events.send(event).await.is_err() {
            return;
        }
    }
}
