//! Connections to the servers behind the balancer: kept ones of HTTP/1.1, and those of HTTP/2 that
//! a client has for itself.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response};
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;

use crate::Limits;

/// Time for a server to accept a connection.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(1);
/// Kept connections of HTTP/1.1 to a server.
const KEPT_MAX: usize = 256;

/// What became of a request.
pub(super) enum Delivery {
    /// It has an answer, whose body comes.
    Answered(Response<Answer>),
    /// No byte of it was sent.
    NotSent(Request<Body>),
    /// Some of it was sent, and no answer came.
    Broke,
}

/// Connections of HTTP/1.1 to all servers, which carry anybody's requests, one at a time.
#[derive(Debug, Default)]
pub(super) struct Upstreams(Mutex<HashMap<SocketAddr, Arc<Upstream>>>);

impl Upstreams {
    /// Sends a request to a server.
    pub(super) async fn send(&self, server: SocketAddr, request: Request<Body>) -> Delivery {
        let upstream = {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let make = || Arc::new(Upstream { server, kept: Mutex::default() });
            Arc::clone(known.entry(server).or_insert_with(make))
        };
        upstream.send_http1(request).await
    }
}

/// Connections of HTTP/2, which one client's requests share: a client that reads no answers, or has
/// as many calls in flight as a connection may have, holds up nobody else.
#[derive(Debug, Default)]
pub(super) struct OfOneClient(Mutex<HashMap<SocketAddr, Arc<OneOfHttp2>>>);

/// The connection to one server, where there is one: who opens it has the others wait for it.
type OneOfHttp2 = tokio::sync::Mutex<Option<http2::SendRequest<Body>>>;

impl OfOneClient {
    /// Sends a request to a server.
    pub(super) async fn send(
        &self,
        server: SocketAddr,
        mut request: Request<Body>,
        limits: &Limits,
    ) -> Delivery {
        let one = {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(known.entry(server).or_default())
        };
        // A connection that is open may be going away: then a new one is tried.
        for _ in 0..2 {
            let mut sender = {
                let mut open = one.lock().await;
                match open.as_ref().filter(|sender| !sender.is_closed()) {
                    Some(sender) => sender.clone(),
                    None => match connect_http2(server, limits).await {
                        Ok(sender) => open.insert(sender).clone(),
                        Err(error) => {
                            tracing::debug!("connecting to {server}: {error}");
                            return Delivery::NotSent(request);
                        }
                    },
                }
            };
            if sender.ready().await.is_err() {
                continue;
            }
            match sender.try_send_request(request).await {
                Ok(response) => return Delivery::Answered(response.map(|body| Answer::new(body, None))),
                Err(error) => match unsent(error) {
                    Delivery::NotSent(unsent) => request = unsent,
                    sent => return sent,
                },
            }
        }
        Delivery::NotSent(request)
    }
}

#[derive(Debug)]
struct Upstream {
    server: SocketAddr,
    /// Those that carry nothing now.
    kept: Mutex<Vec<http1::SendRequest<Body>>>,
}

impl Upstream {
    async fn send_http1(self: Arc<Self>, mut request: Request<Body>) -> Delivery {
        loop {
            let (mut sender, is_new) = match self.kept().await {
                Some(sender) => (sender, false),
                None => match connect_http1(self.server).await {
                    Ok(sender) => (sender, true),
                    Err(error) => {
                        tracing::debug!("connecting to {}: {error}", self.server);
                        return Delivery::NotSent(request);
                    }
                },
            };
            match sender.try_send_request(request).await {
                Ok(response) => {
                    let upstream = Arc::clone(&self);
                    return Delivery::Answered(
                        response.map(|body| Answer::new(body, Some((sender, upstream)))),
                    );
                }
                // A kept connection may end at any time: then another is tried, and at last a new
                // one.
                Err(error) => match unsent(error) {
                    Delivery::NotSent(unsent) if !is_new => request = unsent,
                    sent => return sent,
                },
            }
        }
    }

    /// A connection that can be sent to, of those that were kept.
    async fn kept(&self) -> Option<http1::SendRequest<Body>> {
        loop {
            let mut sender = self.kept.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            if sender.ready().await.is_ok() {
                return Some(sender);
            }
        }
    }

    fn keep(&self, sender: http1::SendRequest<Body>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT_MAX && !sender.is_closed() {
            kept.push(sender);
        }
    }
}

/// Asks a server for an upgrade, on a connection of its own.
pub(super) async fn upgrade(server: SocketAddr, request: Request<Body>) -> Delivery {
    let (mut sender, driver) = match handshake_http1(server).await {
        Ok(both) => both,
        Err(error) => {
            tracing::debug!("connecting to {server}: {error}");
            return Delivery::NotSent(request);
        }
    };
    tokio::spawn(drive(driver.with_upgrades()));
    match sender.try_send_request(request).await {
        Ok(response) => Delivery::Answered(response.map(|body| Answer::new(body, None))),
        Err(error) => unsent(error),
    }
}

/// What became of a request that has no answer.
fn unsent(mut error: TrySendError<Request<Body>>) -> Delivery {
    match error.take_message() {
        Some(request) => Delivery::NotSent(request),
        None => {
            tracing::debug!("a request that broke: {}", error.error());
            Delivery::Broke
        }
    }
}

async fn open(server: SocketAddr) -> std::io::Result<TokioIo<TcpStream>> {
    let late = |_| std::io::Error::from(std::io::ErrorKind::TimedOut);
    let stream = clock::limit(CONNECT_TIME_MAX, TcpStream::connect(server)).await.map_err(late)??;
    stream.set_nodelay(true)?;
    Ok(TokioIo::new(stream))
}

type Http1Driver = http1::Connection<TokioIo<TcpStream>, Body>;

async fn handshake_http1(
    server: SocketAddr,
) -> Result<(http1::SendRequest<Body>, Http1Driver), axum::BoxError> {
    Ok(http1::Builder::new().writev(false).handshake(open(server).await?).await?)
}

async fn connect_http1(server: SocketAddr) -> Result<http1::SendRequest<Body>, axum::BoxError> {
    let (sender, driver) = handshake_http1(server).await?;
    tokio::spawn(drive(driver));
    Ok(sender)
}

/// With the windows of the balancer's own end, and of every server's.
async fn connect_http2(
    server: SocketAddr,
    limits: &Limits,
) -> Result<http2::SendRequest<Body>, axum::BoxError> {
    let stream = open(server).await?;
    let (sender, driver) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(limits.h2_stream_window_bytes)
        .initial_connection_window_size(limits.h2_connection_window_bytes)
        .max_header_list_size(u32::try_from(limits.header_bytes_max).unwrap_or(u32::MAX))
        .handshake(stream)
        .await?;
    tokio::spawn(drive(driver));
    Ok(sender)
}

async fn drive(driver: impl Future<Output = Result<(), hyper::Error>>) {
    if let Err(error) = driver.await {
        tracing::debug!("a connection to a server: {error}");
    }
}

/// The body of an answer as it comes. When it has ended, a connection of HTTP/1.1 can carry another
/// request; where it is dropped before, that connection is closed.
pub(super) struct Answer {
    body: Incoming,
    carried_by: Option<(http1::SendRequest<Body>, Arc<Upstream>)>,
    ended: bool,
}

impl Answer {
    fn new(body: Incoming, carried_by: Option<(http1::SendRequest<Body>, Arc<Upstream>)>) -> Answer {
        Answer { body, carried_by, ended: false }
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let answer = self.get_mut();
        let polled = Pin::new(&mut answer.body).poll_frame(context);
        answer.ended |= matches!(polled, Poll::Ready(None));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if (self.ended || self.body.is_end_stream())
            && let Some((sender, upstream)) = self.carried_by.take()
        {
            upstream.keep(sender);
        }
    }
}
