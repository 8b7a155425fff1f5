//! The WebSocket of every client that speaks it: the handshake with its subprotocol, and what its
//! errors mean.

use http::HeaderValue;
use http::header::{HOST, SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::connection::CallError;
use crate::endpoint::{Endpoint, Stream};
use crate::limits::UNSENT_BYTES_MAX;

/// Bytes read at a time, as over TCP. The library's default of 128 KiB is zeroed before each read.
const READ_BYTES: usize = 16 << 10;

/// An open WebSocket.
pub(crate) type WebSocket = WebSocketStream<Stream>;

/// What an upgrade begins with, as it is named in TLS.
const ALPN: &[u8] = b"http/1.1";

/// Connects to a path of an endpoint and agrees on a subprotocol; none where `subprotocol` is
/// `None`. `Host` is the endpoint's address, unless a header says another. A message that comes may
/// have `message_bytes_max`.
pub(crate) async fn connect(
    endpoint: &Endpoint,
    path: &str,
    headers: &http::HeaderMap,
    subprotocol: Option<&'static str>,
    message_bytes_max: usize,
) -> Result<WebSocket, CallError> {
    let stream = endpoint.connect(Some(ALPN)).await?;
    let (scheme, address) = (if endpoint.tls.is_some() { "wss" } else { "ws" }, endpoint.address);
    let mut request =
        format!("{scheme}://{address}{path}").into_client_request().map_err(|error| failure(&error))?;
    for (name, value) in headers {
        match *name {
            HOST => drop(request.headers_mut().insert(HOST, value.clone())),
            _ => drop(request.headers_mut().append(name, value.clone())),
        }
    }
    if let Some(name) = subprotocol {
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(name));
    }
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        // Else the answers to Pings would wait without bound for a server that reads none.
        .max_write_buffer_size(UNSENT_BYTES_MAX)
        .max_message_size(Some(message_bytes_max))
        .max_frame_size(Some(message_bytes_max));
    let opened = tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await;
    Ok(opened.map_err(|error| failure(&error))?.0)
}

/// What an error of the library's means for a call.
pub(crate) fn failure(error: &Error) -> CallError {
    match error {
        Error::Io(error) => CallError::from_io(error),
        Error::ConnectionClosed | Error::AlreadyClosed => CallError::Reset(error.to_string()),
        Error::Protocol(
            tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
        ) => CallError::Reset(error.to_string()),
        Error::Capacity(_) | Error::WriteBufferFull(_) => CallError::Limit(error.to_string()),
        Error::Http(response) if response.status() == http::StatusCode::SERVICE_UNAVAILABLE => {
            CallError::Limit(error.to_string())
        }
        _ => CallError::Protocol(error.to_string()),
    }
}

/// What the server's close means for a call: 1009 is a message over its limit.
pub(crate) fn closed(message: &Message) -> CallError {
    use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
    match message {
        Message::Close(Some(frame)) if frame.code == CloseCode::Size => {
            CallError::Limit(frame.reason.to_string())
        }
        Message::Close(Some(frame)) => {
            CallError::Reset(format!("the server closed with {}: {}", u16::from(frame.code), frame.reason))
        }
        _ => CallError::Reset("the server closed the connection".to_owned()),
    }
}
