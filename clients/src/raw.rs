//! Requests as bytes, answers as they came: for experiments that send what no typed client would,
//! and want to see who refuses it. Nothing is decoded here, and nothing measured.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures::future::LocalBoxFuture;
use futures::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, HeaderValue, header};
use http_body_util::{BodyExt as _, Full, Limited};
use terms::HttpVersion;
use tokio_tungstenite::tungstenite::Message;

use crate::connection::CallError;
use crate::endpoint::Endpoint;
use crate::http_client::HttpConnection;
use crate::http_errors::failure;
use crate::limits::REPLY_BYTES_MAX;
use crate::websocket_client;

pub use crate::http_request::HttpRequest;

/// Time for one exchange, connecting included.
const EXCHANGE_TIME_MAX: Duration = Duration::from_secs(10);

/// What a server answered over HTTP.
#[derive(Debug, Clone)]
pub struct HttpAnswer {
    /// The status.
    pub status: u16,
    /// The headers, and the trailers among them.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// What a server answered over WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextAnswer {
    /// A text message.
    Text(String),
    /// It closed, with this code and reason.
    Closed(u16, String),
}

/// Sends a request on a connection of its own; must be called on a [`crate::local_runtime`].
///
/// # Errors
/// Where there is no answer.
pub fn http(
    server: SocketAddr,
    version: HttpVersion,
    request: HttpRequest,
) -> LocalBoxFuture<'static, Result<HttpAnswer, CallError>> {
    // Boxed here, so that the connection's code is compiled here.
    Box::pin(within(exchange(server, version, request)))
}

async fn exchange(
    server: SocketAddr,
    version: HttpVersion,
    mut request: HttpRequest,
) -> Result<HttpAnswer, CallError> {
    let http = HttpConnection::<Full<Bytes>>::open(&Endpoint::from(server), version).await?;
    if version == HttpVersion::Http1 {
        let host = HeaderValue::from_str(&server.to_string());
        request.headers.insert(header::HOST, host.map_err(|error| CallError::Protocol(error.to_string()))?);
        let (head, body) = http.exchange(request.build(None)).await?.into_parts();
        return Ok(HttpAnswer { status: head.status.as_u16(), headers: head.headers, body });
    }
    let (head, body) = http.send(request.build(None)).await.map_err(|error| failure(&error))?.into_parts();
    let body = Limited::new(body, REPLY_BYTES_MAX).collect().await;
    let body = body.map_err(|error| CallError::Protocol(error.to_string()))?;
    let mut headers = head.headers;
    headers.extend(body.trailers().cloned().unwrap_or_default());
    Ok(HttpAnswer { status: head.status.as_u16(), headers, body: body.to_bytes() })
}

/// Sends a text message on a WebSocket of its own, and waits for the message that answers it.
///
/// # Errors
/// Where there is no answer.
pub fn text<'a>(
    server: SocketAddr,
    path: &'a str,
    subprotocol: &'static str,
    message: String,
) -> LocalBoxFuture<'a, Result<TextAnswer, CallError>> {
    Box::pin(within(converse(server, path, subprotocol, message)))
}

async fn converse(
    server: SocketAddr,
    path: &str,
    subprotocol: &'static str,
    message: String,
) -> Result<TextAnswer, CallError> {
    let endpoint = Endpoint::from(server);
    let mut socket =
        websocket_client::connect(&endpoint, path, &HeaderMap::new(), Some(subprotocol), REPLY_BYTES_MAX)
            .await?;
    let failure = |error| websocket_client::failure(&error);
    socket.send(Message::text(message)).await.map_err(failure)?;
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => return Ok(TextAnswer::Text(text.to_string())),
            Some(Ok(Message::Close(frame))) => {
                let (code, reason) =
                    frame.map_or((1005, String::new()), |of| (of.code.into(), of.reason.to_string()));
                return Ok(TextAnswer::Closed(code, reason));
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(failure(error)),
            None => return Err(websocket_client::closed(&Message::Close(None))),
        }
    }
}

async fn within<T>(exchange: impl Future<Output = Result<T, CallError>>) -> Result<T, CallError> {
    let late = |_| Err(CallError::Protocol(format!("no answer in {} s", EXCHANGE_TIME_MAX.as_secs())));
    clock::limit(EXCHANGE_TIME_MAX, exchange).await.unwrap_or_else(late)
}
