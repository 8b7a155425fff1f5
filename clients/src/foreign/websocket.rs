//! Any WebSocket server that answers a text message with a message; one call in flight.

use std::cell::{Cell, RefCell};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use http::HeaderMap;
use tokio::task::coop::consume_budget;
use tokio_tungstenite::tungstenite::Message;

use super::greeting::Greeting;
use crate::connection::{CallError, Connection, Connector, ReplyFacts, Unsupported};
use crate::endpoint::Endpoint;
use crate::limits::{COUNTED_BYTES_MAX, FRAMES_A_TURN};
use crate::websocket_client::{WebSocket, closed, connect, failure};

/// Opens WebSockets to a server.
#[derive(Debug, Clone)]
pub struct RawWebSocketConnector {
    /// The server.
    pub endpoint: Endpoint,
    /// Path and query of the handshake.
    pub path: String,
    /// Headers of the handshake, a subprotocol among them.
    pub headers: HeaderMap,
    /// Whether the server speaks first.
    pub greeting: Greeting,
}

/// What a message holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Bytes),
}

impl Payload {
    /// As it is sent.
    pub(super) fn message(&self) -> Message {
        match self {
            Payload::Text(text) => Message::text(text.clone()),
            Payload::Binary(bytes) => Message::binary(bytes.clone()),
        }
    }
}

/// An open WebSocket.
pub struct RawWebSocket {
    socket: RefCell<Option<WebSocket>>,
    /// Bytes of a message that came before it was asked for.
    early: Cell<Option<usize>>,
    /// A call failed or was given up: a reply that still comes would be taken for the next one's.
    broken: Cell<bool>,
}

impl Connector for RawWebSocketConnector {
    type Connection = RawWebSocket;

    async fn connect(&self) -> Result<RawWebSocket, CallError> {
        let mut socket = connect(&self.endpoint, &self.path, &self.headers, None, COUNTED_BYTES_MAX).await?;
        self.greeting.settled(async { next_data(&mut socket).await.map(drop) }).await?;
        Ok(RawWebSocket {
            socket: RefCell::new(Some(socket)),
            early: Cell::new(None),
            broken: Cell::new(false),
        })
    }

    fn in_flight_max(&self) -> Option<usize> {
        Some(1)
    }
}

impl Connection for RawWebSocket {
    type Request = Payload;
    type Prepared = Message;
    type Reply = usize;

    const LISTENS_IDLE: bool = true;

    fn prepare(&self, payload: &Payload) -> Result<Message, Unsupported> {
        Ok(payload.message())
    }

    async fn call(&self, request: &Message, _: Option<Duration>) -> Result<usize, CallError> {
        // Taken out for the time of the call: if it is given up, the socket is gone with it, and
        // the reply too.
        let taken = self.socket.borrow_mut().take();
        let Some(mut socket) = taken else {
            return Err(CallError::Protocol("a call is in flight on this connection".to_owned()));
        };
        self.broken.set(true);
        if let Some(early) = self.early.take() {
            return Err(CallError::Protocol(format!("a message of {early} bytes before it was asked for")));
        }
        socket.send(request.clone()).await.map_err(|error| failure(&error))?;
        let bytes = next_data(&mut socket).await?;
        *self.socket.borrow_mut() = Some(socket);
        self.broken.set(false);
        Ok(bytes)
    }

    fn facts(bytes: usize) -> ReplyFacts {
        ReplyFacts { bytes, ..ReplyFacts::default() }
    }

    /// Answers Pings, and sees when the server closes: it may do so where nothing is heard of its
    /// client for a while.
    async fn idle(&self) {
        std::future::poll_fn(|context| self.look(context)).await;
    }

    fn is_open(&self) -> bool {
        let _ = self.look(&mut Context::from_waker(Waker::noop()));
        !self.broken.get()
    }
}

impl RawWebSocket {
    /// Looks at what came while no call was made; is ready once a call is under way, a message came
    /// that nobody asked for, or the connection is lost.
    fn look(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.broken.get() {
            return Poll::Ready(());
        }
        let mut socket = self.socket.borrow_mut();
        let Some(socket) = socket.as_mut() else { return Poll::Ready(()) };
        for _ in 0..FRAMES_A_TURN {
            match socket.poll_next_unpin(context) {
                Poll::Pending => {
                    // The answers to Pings.
                    let _ = socket.poll_flush_unpin(context);
                    return Poll::Pending;
                }
                Poll::Ready(Some(Ok(message @ (Message::Text(_) | Message::Binary(_))))) => {
                    // The server may close behind it.
                    self.early.set(Some(message.len()));
                }
                Poll::Ready(Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)))) => {}
                Poll::Ready(Some(Ok(Message::Close(_)) | Err(_)) | None) => {
                    self.broken.set(true);
                    return Poll::Ready(());
                }
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// The bytes of the next message that carries any.
async fn next_data(socket: &mut WebSocket) -> Result<usize, CallError> {
    loop {
        match socket.next().await {
            Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => return Ok(message.len()),
            Some(Ok(message @ Message::Close(_))) => return Err(closed(&message)),
            Some(Ok(_)) => consume_budget().await,
            Some(Err(error)) => return Err(failure(&error)),
            None => return Err(closed(&Message::Close(None))),
        }
    }
}
