//! WebSocket: the frames of `proto::frame` as messages, text with JSON (subprotocol
//! `wirebench.json.v1`) or binary with protobuf (`wirebench.proto.v1`); any number of calls,
//! subscriptions and sessions on a connection. permessage-deflate is not offered.

use std::sync::Arc;

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message as WsMessage, Utf8Bytes, WebSocket, close_code};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Router};
use futures::{SinkExt as _, StreamExt as _};
use prost::Message;
use proto::encoding::Encoding;
use proto::frame::{self, Frame, FrameHead, Kind};
use proto::v1::FaultCode;
use proto::{Fault, Protocol};
use serde::Serialize;
use tokio_tungstenite::tungstenite;

use crate::accept::Listener;
use crate::conversation::{Conversation, Outbound};
use crate::http_server::{self, Versions};
use crate::replies::Replies;
use crate::socket::{KeepAlive, Outbox};
use crate::turn::{self, Turn};
use crate::upgrades::{Upgrade, Upgrades};
use crate::{Limits, Market, Shutdown};

/// The subprotocol of each encoding.
const SUBPROTOCOLS: [(&str, Encoding); 2] =
    [("wirebench.json.v1", Encoding::Json), ("wirebench.proto.v1", Encoding::Protobuf)];

/// Serves until `shutdown`, then drains.
pub async fn serve(listener: Listener, market: Arc<Market>, limits: Limits, shutdown: Shutdown) {
    let router = Router::new()
        .route(Protocol::WebSocket.path(), axum::routing::any(upgrade))
        .fallback(async || {
            (StatusCode::NOT_FOUND, format!("the socket is at {}\n", Protocol::WebSocket.path()))
        })
        .with_state((market, limits));
    http_server::serve(listener, router, Versions::Http1, limits, shutdown).await;
}

async fn upgrade(
    State((market, limits)): State<(Arc<Market>, Limits)>,
    Extension(upgrades): Extension<Upgrades>,
    Upgrade(upgrade): Upgrade,
) -> Response {
    let asked = upgrade.requested_protocols().next().is_some();
    let upgrade = upgrade
        .protocols(SUBPROTOCOLS.map(|(name, _)| name))
        .max_message_size(limits.message_bytes_max)
        .max_frame_size(limits.message_bytes_max)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(WRITE_BUFFER_BYTES + BODY_BYTES_MAX);
    let selected = upgrade.selected_protocol().and_then(|name| name.to_str().ok());
    let encoding = match SUBPROTOCOLS.into_iter().find(|(name, _)| selected == Some(*name)) {
        Some((_, encoding)) => encoding,
        // Who names no subprotocol writes text by hand, or has a client that cannot name one.
        None if !asked => Encoding::Json,
        None => {
            let message = "the subprotocol is wirebench.json.v1 or wirebench.proto.v1\n";
            return (StatusCode::BAD_REQUEST, message).into_response();
        }
    };
    let conversation = Conversation::new(market, limits, encoding, Replies::new(&limits));
    let out = Messages { encoding, outbox: Outbox::default() };
    upgrades.accept(upgrade, move |socket, shutdown| Talk { conversation, limits, out }.run(socket, shutdown))
}

/// Bytes that are gathered before they are written although more could be added.
const WRITE_BUFFER_BYTES: usize = 128 << 10;
/// The largest message that is ever sent, which must fit the buffer beside the others.
const BODY_BYTES_MAX: usize = 16 << 20;

/// Frames on their way out, as messages.
struct Messages {
    encoding: Encoding,
    outbox: Outbox,
}

impl Outbound for Messages {
    fn put<M: Message + Serialize>(&mut self, id: u32, kind: Kind, message: &M) {
        self.put_encoded(id, kind, &self.encoding.encode(message));
    }

    fn put_encoded(&mut self, id: u32, kind: Kind, payload: &[u8]) {
        self.outbox.push(match self.encoding {
            Encoding::Json => {
                // Made of JSON, which is UTF-8: what is lost here is an empty message.
                let text =
                    Utf8Bytes::try_from(frame::text(FrameHead::of(id, kind), payload)).unwrap_or_default();
                WsMessage::Text(text)
            }
            Encoding::Protobuf => WsMessage::Binary(frame::message(FrameHead::of(id, kind), payload)),
        });
    }

    fn waiting(&self) -> usize {
        self.outbox.waiting()
    }
}

/// One WebSocket and what is said on it.
struct Talk {
    conversation: Conversation,
    limits: Limits,
    out: Messages,
}

/// Why a connection ends, as its close frame says it.
type Ending = CloseFrame;

fn ending(code: u16, reason: &'static str) -> Ending {
    CloseFrame { code, reason: reason.into() }
}

impl Talk {
    async fn run(mut self, socket: WebSocket, shutdown: Shutdown) {
        let (mut writer, mut reader) = socket.split();
        let mut ending: Option<Ending> = None;
        let (mut keep_alive, mut turn) = (KeepAlive::new(self.limits.keep_alive_every), Turn::default());
        let mut waiting = 0;
        loop {
            let Talk { conversation, out, .. } = &mut self;
            turn::after_making(out.waiting().saturating_sub(waiting)).await;
            waiting = out.waiting();
            if ending.is_some() && !conversation.in_flight() && out.outbox.is_empty() {
                break;
            }
            let (open, room) = (ending.is_none(), conversation.has_room(out));
            tokio::select! {
                biased;
                () = shutdown.cancelled(), if open => {
                    conversation.end_feeds(out);
                    ending = Some(self::ending(close_code::AWAY, "the server stops"));
                }
                () = keep_alive.due() => {
                    if keep_alive.look(&mut out.outbox).is_err() {
                        return;
                    }
                }
                ready = conversation.ready(room && open && turn.has_room()) => {
                    turn.take();
                    conversation.put(ready, out);
                }
                sent = out.outbox.send(&mut writer), if !out.outbox.is_empty() => {
                    if sent.is_err() {
                        return;
                    }
                }
                message = reader.next(), if open && room => {
                    keep_alive.heard().note();
                    turn = Turn::default();
                    match message {
                        Some(Ok(message)) => ending = self.take(message),
                        Some(Err(error)) => {
                            ending = refusal(&error);
                            if ending.is_none() {
                                return;
                            }
                        }
                        None => return,
                    }
                }
                () = turn.over() => turn = Turn::default(),
            }
        }
        let goodbye = async {
            let _ = writer.send(WsMessage::Close(ending)).await;
            // The peer's own close frame, or its end, whatever still comes before it.
            while reader.next().await.is_some_and(|message| message.is_ok()) {}
        };
        let _ = clock::limit(self.limits.message_time_max.min(GOODBYE_TIME_MAX), goodbye).await;
    }

    /// Takes a message; says how the connection ends, where it must.
    fn take(&mut self, message: WsMessage) -> Option<Ending> {
        let Talk { conversation, out, .. } = self;
        let frame = match (message, out.encoding) {
            (WsMessage::Text(text), Encoding::Json) => Frame::from_text(&text.into()),
            (WsMessage::Binary(bytes), Encoding::Protobuf) => Frame::from_message(bytes),
            (WsMessage::Text(_), Encoding::Protobuf) => {
                return Some(ending(close_code::UNSUPPORTED, "wirebench.proto.v1 has binary messages"));
            }
            (WsMessage::Binary(_), Encoding::Json) => {
                return Some(ending(close_code::UNSUPPORTED, "wirebench.json.v1 has text messages"));
            }
            // The library answers a Ping, and a Close; the stream ends after it.
            (WsMessage::Ping(_) | WsMessage::Pong(_) | WsMessage::Close(_), _) => return None,
        };
        match frame {
            Ok(frame) => {
                conversation.take(&frame, out);
                None
            }
            Err(error) => {
                conversation.end_feeds(out);
                conversation.breaks(Fault::new(FaultCode::InvalidArgument, error.to_string()), out);
                Some(ending(close_code::INVALID, "a message that is no frame"))
            }
        }
    }
}

/// Time for the closing handshake.
const GOODBYE_TIME_MAX: std::time::Duration = std::time::Duration::from_secs(1);

/// The close code of RFC 6455, section 7.4.1, for what the library would not read; `None` where
/// nobody is left to be told.
fn refusal(error: &axum::Error) -> Option<Ending> {
    use tungstenite::Error;
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if let Some(error) = inner.downcast_ref::<Error>() {
            return match error {
                Error::Capacity(_) => Some(ending(close_code::SIZE, "a message over the limit")),
                Error::Utf8(_) => Some(ending(close_code::INVALID, "a text that is not UTF-8")),
                Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => None,
                Error::Protocol(_) => Some(ending(close_code::PROTOCOL, "not the protocol of RFC 6455")),
                _ => None,
            };
        }
        cause = inner.source();
    }
    None
}
