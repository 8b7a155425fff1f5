//! WebSocket: the frames as messages, text with JSON or binary with protobuf, by subprotocol; any
//! number of calls in flight on a connection.

use std::collections::VecDeque;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use http::HeaderMap;
use proto::Protocol;
use proto::encoding::Encoding;
use proto::frame::{self, Frame, FrameHead};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::connection::{CallError, Connector};
use crate::endpoint::Endpoint;
use crate::limits::{FRAMES_A_TURN, REPLY_BYTES_MAX};
use crate::multiplex::{Multiplexed, Wire};
use crate::websocket_client::{WebSocket, closed, connect, failure};
use streams::give_way;

/// Opens WebSockets.
#[derive(Debug, Clone)]
pub struct WebSocketConnector {
    /// The server.
    pub endpoint: Endpoint,
    /// How messages are written.
    pub encoding: Encoding,
}

impl Connector for WebSocketConnector {
    type Connection = Multiplexed<WebSocketWire>;

    async fn connect(&self) -> Result<Self::Connection, CallError> {
        let subprotocol = match self.encoding {
            Encoding::Json => "wirebench.json.v1",
            Encoding::Protobuf => "wirebench.proto.v1",
        };
        let path = Protocol::WebSocket.path();
        let socket =
            connect(&self.endpoint, path, &HeaderMap::new(), Some(subprotocol), REPLY_BYTES_MAX).await?;
        let encoding = self.encoding;
        Ok(Multiplexed::new(WebSocketWire { socket, encoding, outbound: VecDeque::new(), waiting: 0 }))
    }

    fn in_flight_max(&self) -> Option<usize> {
        None
    }
}

/// Frames in WebSocket messages.
pub struct WebSocketWire {
    socket: WebSocket,
    encoding: Encoding,
    outbound: VecDeque<Message>,
    /// Bytes in `outbound`, and 1 while the socket has not written all that it was given.
    waiting: usize,
}

impl Wire for WebSocketWire {
    const PAYLOAD_BYTES_MAX: usize = REPLY_BYTES_MAX;
    const LEASE: Option<Duration> = None;

    fn encoding(&self) -> Encoding {
        self.encoding
    }

    fn push(&mut self, head: FrameHead, payload: &[u8]) {
        let message = match self.encoding {
            Encoding::Json => {
                // Made of JSON, which is UTF-8: what is lost here is an empty message.
                Message::Text(Utf8Bytes::try_from(frame::text(head, payload)).unwrap_or_default())
            }
            Encoding::Protobuf => Message::Binary(frame::message(head, payload)),
        };
        self.waiting += message.len();
        self.outbound.push_back(message);
    }

    fn waiting(&self) -> usize {
        self.waiting
    }

    fn poll_send(&mut self, context: &mut Context<'_>) -> Result<(), CallError> {
        if self.waiting == 0 {
            return Ok(());
        }
        while !self.outbound.is_empty() {
            match self.socket.poll_ready_unpin(context) {
                Poll::Pending => return Ok(()),
                Poll::Ready(ready) => ready.map_err(|error| failure(&error))?,
            }
            if let Some(message) = self.outbound.pop_front() {
                self.waiting = (self.waiting - message.len()).max(1);
                self.socket.start_send_unpin(message).map_err(|error| failure(&error))?;
            }
        }
        if let Poll::Ready(flushed) = self.socket.poll_flush_unpin(context) {
            flushed.map_err(|error| failure(&error))?;
            self.waiting = 0;
        }
        Ok(())
    }

    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Result<Frame, CallError>> {
        for _ in 0..FRAMES_A_TURN {
            let message = match ready!(self.socket.poll_next_unpin(context)) {
                None => return Poll::Ready(Err(closed(&Message::Close(None)))),
                Some(Err(error)) => return Poll::Ready(Err(failure(&error))),
                Some(Ok(message)) => message,
            };
            let frame = match message {
                Message::Text(text) => Frame::from_text(&Bytes::from(text)),
                Message::Binary(bytes) => Frame::from_message(bytes),
                Message::Close(_) => return Poll::Ready(Err(closed(&message))),
                // The library answers a Ping.
                _ => continue,
            };
            return Poll::Ready(frame.map_err(|error| CallError::Protocol(error.to_string())));
        }
        // Nothing but Pings: the others have their turn.
        give_way(context);
        Poll::Pending
    }
}
