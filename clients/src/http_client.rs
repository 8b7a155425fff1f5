//! HTTP/1.1 and HTTP/2 on hyper's connections, for every client that rides on them: one connection is one TCP
//! connection, and nothing reconnects behind the engine's back.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body::Body;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use crate::connection::{CallError, connect_tcp};

/// Which HTTP a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum HttpVersion {
    /// HTTP/1.1 with keep-alive; one call in flight.
    #[serde(rename = "1.1")]
    Http1,
    /// HTTP/2 by prior knowledge; many calls in flight.
    #[serde(rename = "2")]
    Http2,
}

impl HttpVersion {
    /// How many calls a connection can have in flight.
    pub(crate) fn in_flight_max(self) -> Option<usize> {
        match self {
            HttpVersion::Http1 => Some(1),
            HttpVersion::Http2 => None,
        }
    }
}

/// Bytes of a reply's body, at most: above the largest reply of the market, below what hurts.
pub(crate) const BODY_BYTES_MAX: usize = 16 << 20;
/// Flow-control windows, equal to the servers': `servers::Limits` says why.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;

/// One HTTP connection.
pub(crate) struct HttpConnection<B> {
    sender: Sender<B>,
    /// An HTTP/1.1 call was abandoned: the next reply would be its.
    abandoned: Cell<bool>,
}

enum Sender<B> {
    Http1(RefCell<http1::SendRequest<B>>),
    Http2(http2::SendRequest<B>),
}

impl<B> HttpConnection<B>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Opens a connection and runs it in a task of its own.
    pub(crate) async fn open(
        address: SocketAddr,
        version: HttpVersion,
    ) -> Result<HttpConnection<B>, CallError> {
        let stream = TokioIo::new(connect_tcp(address).await?);
        let sender = match version {
            HttpVersion::Http1 => {
                let (sender, connection) = http1::handshake(stream).await.map_err(|error| failure(&error))?;
                tokio::task::spawn_local(connection);
                Sender::Http1(RefCell::new(sender))
            }
            HttpVersion::Http2 => {
                let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                    .timer(TokioTimer::new())
                    .initial_stream_window_size(STREAM_WINDOW_BYTES)
                    .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
                    .handshake(stream)
                    .await
                    .map_err(|error| failure(&error))?;
                tokio::task::spawn_local(connection);
                Sender::Http2(sender)
            }
        };
        Ok(HttpConnection { sender, abandoned: Cell::new(false) })
    }

    /// Sends a request and waits for the head of its reply.
    pub(crate) async fn send(&self, request: Request<B>) -> Result<Response<Incoming>, CallError> {
        self.send_raw(request).await.map_err(|error| failure(&error))
    }

    /// As [`HttpConnection::send`], with hyper's own error.
    pub(crate) async fn send_raw(&self, request: Request<B>) -> Result<Response<Incoming>, hyper::Error> {
        match &self.sender {
            Sender::Http1(sender) => {
                std::future::poll_fn(|context| sender.borrow_mut().poll_ready(context)).await?;
                let reply = sender.borrow_mut().send_request(request);
                reply.await
            }
            Sender::Http2(sender) => sender.clone().send_request(request).await,
        }
    }

    /// Sends a request and collects the whole reply.
    pub(crate) async fn exchange(&self, request: Request<B>) -> Result<Response<Bytes>, CallError> {
        let unfinished = Unfinished(self);
        let (head, body) = self.send(request).await?.into_parts();
        let body = collect(body).await?;
        std::mem::forget(unfinished);
        Ok(Response::from_parts(head, body))
    }

    pub(crate) fn is_open(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => !self.abandoned.get() && !sender.borrow().is_closed(),
            Sender::Http2(sender) => !sender.is_closed(),
        }
    }
}

/// Marks an HTTP/1.1 connection whose call ended early, by an error or by being dropped.
struct Unfinished<'a, B>(&'a HttpConnection<B>);

impl<B> Drop for Unfinished<'_, B> {
    fn drop(&mut self) {
        self.0.abandoned.set(true);
    }
}

async fn collect(mut body: Incoming) -> Result<Bytes, CallError> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| failure(&error))?.into_data() else { continue };
        if first.is_empty() {
            // Most replies come in one piece, which is then not copied.
            first = data;
            continue;
        }
        if rest.is_empty() {
            rest.extend_from_slice(&first);
        }
        rest.extend_from_slice(&data);
        if rest.len() > BODY_BYTES_MAX {
            return Err(CallError::Limit(format!("a reply of more than {BODY_BYTES_MAX} bytes")));
        }
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

/// What an error of hyper's means for a call.
pub(crate) fn failure(error: &hyper::Error) -> CallError {
    let text = in_full(error);
    if error.is_canceled() || error.is_closed() || error.is_incomplete_message() {
        return CallError::Reset(text);
    }
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            return CallError::from_io(io);
        }
        cause = inner.source();
    }
    // h2 names its reasons only in its messages, unless one depends on it.
    if text.contains("REFUSED_STREAM") || text.contains("ENHANCE_YOUR_CALM") {
        return CallError::Limit(text);
    }
    CallError::Protocol(text)
}

/// An error with its causes.
fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
