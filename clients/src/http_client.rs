//! HTTP/1.1 and HTTP/2 on hyper's connections, for every client that rides on them: one connection
//! is one TCP connection, and nothing reconnects behind the engine's back.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use terms::HttpVersion;
use tokio::task::AbortHandle;

use crate::connection::CallError;
use crate::endpoint::{Endpoint, Stream};
use crate::http_errors::failure;
use crate::http2_heads::{Heads, HeadsCounted};
use crate::limits::{CONNECTION_WINDOW_BYTES, GIVEN_UP_MAX, HEAD_BYTES_MAX, STREAM_WINDOW_BYTES};
use crate::places::{self, Places, Taken};
use crate::reply_body::{CountedBody, WholeBody};

/// One HTTP connection.
pub(crate) enum HttpConnection<B>
where
    B: Body + 'static,
{
    Http1(Http1<B>),
    Http2(Http2<B>),
}

/// hyper's half of an HTTP/1.1 connection: reads and writes when it is polled.
type Http1Driver<B> = Pin<Box<http1::Connection<TokioIo<Stream>, B>>>;

/// An HTTP/1.1 connection, driven by the one call that it can carry: no task of its own to wake and
/// be woken by.
pub(crate) struct Http1<B>
where
    B: Body + 'static,
{
    sender: RefCell<http1::SendRequest<B>>,
    /// `None` once it has ended.
    driver: RefCell<Option<Http1Driver<B>>>,
    /// A call was abandoned: the next reply would be its.
    abandoned: Cell<bool>,
}

/// An HTTP/2 connection, driven by a task of its own.
pub(crate) struct Http2<B>
where
    B: Body + 'static,
{
    sender: http2::SendRequest<B>,
    driver: AbortHandle,
    heads: Arc<Heads>,
    /// Streams that the server lets this client have open.
    places: Rc<Places>,
    /// Calls that were given up one after the other before a head came.
    given_up: Cell<usize>,
}

impl<B: Body + 'static> Drop for Http2<B> {
    fn drop(&mut self) {
        // Its driver says goodbye and ends by itself, unless it waits for a server that lets it
        // send nothing.
        if self.given_up.get() > 0 {
            self.driver.abort();
        }
    }
}

impl<B> HttpConnection<B>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Opens a connection.
    pub(crate) async fn open(
        endpoint: &Endpoint,
        version: HttpVersion,
    ) -> Result<HttpConnection<B>, CallError> {
        let stream = endpoint.connect(Some(version.alpn())).await?;
        match version {
            HttpVersion::Http1 => {
                let (sender, driver) = http1::Builder::new()
                    .writev(false)
                    .handshake(TokioIo::new(stream))
                    .await
                    .map_err(|error| failure(&error))?;
                Ok(HttpConnection::Http1(Http1 {
                    sender: RefCell::new(sender),
                    driver: RefCell::new(Some(Box::pin(driver))),
                    abandoned: Cell::new(false),
                }))
            }
            HttpVersion::Http2 => {
                let heads = Arc::new(Heads::default());
                let (sender, driver) = http2::Builder::new(TokioExecutor::new())
                    .timer(TokioTimer::new())
                    .initial_stream_window_size(STREAM_WINDOW_BYTES)
                    .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
                    .max_header_list_size(HEAD_BYTES_MAX)
                    .initial_max_send_streams(places::FIRST)
                    .handshake(TokioIo::new(stream.counting(HeadsCounted::new(Arc::clone(&heads)))))
                    .await
                    .map_err(|error| failure(&error))?;
                let places = Rc::new(Places::default());
                let (mut driver, theirs) = (Box::pin(driver), Rc::clone(&places));
                let driving = std::future::poll_fn(move |context| {
                    let driven = driver.as_mut().poll(context);
                    theirs.set_max(driver.current_max_send_streams());
                    driven
                });
                let driver = tokio::task::spawn_local(driving).abort_handle();
                Ok(HttpConnection::Http2(Http2 { sender, driver, heads, places, given_up: Cell::new(0) }))
            }
            HttpVersion::Http3 => Err(CallError::Protocol("HTTP/3 is not spoken over TCP".to_owned())),
        }
    }

    /// Waits until the server lets another request be sent.
    pub(crate) async fn place(&self) {
        if let HttpConnection::Http2(http2) = self {
            http2.places.free().await;
        }
    }

    /// Takes a place, for as long as a call is under way.
    pub(crate) fn taken(&self) -> Option<Taken> {
        match self {
            HttpConnection::Http1(_) => None,
            HttpConnection::Http2(http2) => Some(Taken::of(&http2.places)),
        }
    }

    /// Sends a request and waits for the head of its reply.
    pub(crate) async fn send(&self, request: Request<B>) -> Result<Response<Incoming>, hyper::Error> {
        match self {
            HttpConnection::Http1(http1) => {
                http1
                    .driving(std::future::poll_fn(|context| http1.sender.borrow_mut().poll_ready(context)))
                    .await?;
                let reply = http1.sender.borrow_mut().send_request(request);
                http1.driving(reply).await
            }
            HttpConnection::Http2(http2) => {
                let unless_it_comes = GivenUp(&http2.given_up);
                let reply = http2.sender.clone().send_request(request).await;
                std::mem::forget(unless_it_comes);
                http2.given_up.set(0);
                http2.heads.taken();
                reply
            }
        }
    }

    /// Sends a request and counts the bytes of its reply, which are shown in pieces and not kept.
    pub(crate) async fn count(
        &self,
        request: Request<B>,
        mut show: impl FnMut(&Bytes),
    ) -> Result<(StatusCode, usize), CallError> {
        let (unfinished, _taken) = (Unfinished(self), self.taken());
        let (head, mut body) = self.send(request).await.map_err(|error| failure(&error))?.into_parts();
        let mut counted = CountedBody::default();
        while let Some(data) = self.next_data(&mut body).await {
            let data = data?;
            show(&data);
            counted.add(data.len())?;
        }
        std::mem::forget(unfinished);
        Ok((head.status, counted.bytes()))
    }

    /// Sends a request and collects the whole reply.
    pub(crate) async fn exchange(&self, request: Request<B>) -> Result<Response<Bytes>, CallError> {
        let (unfinished, _taken) = (Unfinished(self), self.taken());
        let (head, body) = self.send(request).await.map_err(|error| failure(&error))?.into_parts();
        let response = self.collect(head, body).await?;
        std::mem::forget(unfinished);
        Ok(response)
    }

    /// Collects the rest of a reply that was sent for with [`HttpConnection::send`].
    pub(crate) async fn collect(
        &self,
        head: http::response::Parts,
        body: Incoming,
    ) -> Result<Response<Bytes>, CallError> {
        let body = match self {
            HttpConnection::Http1(http1) => http1.driving(collect(body)).await?,
            HttpConnection::Http2(_) => collect(body).await?,
        };
        Ok(Response::from_parts(head, body))
    }

    /// The next bytes of a reply's body, as they come; `None` at its end.
    pub(crate) async fn next_data(&self, body: &mut Incoming) -> Option<Result<Bytes, CallError>> {
        loop {
            let frame = match self {
                HttpConnection::Http1(http1) => http1.driving(body.frame()).await?,
                HttpConnection::Http2(_) => body.frame().await?,
            };
            match frame.map(http_body::Frame::into_data) {
                Ok(Ok(data)) => return Some(Ok(data)),
                // Trailers, or another kind of frame that is no data.
                Ok(Err(_)) => {}
                Err(error) => return Some(Err(failure(&error))),
            }
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        match self {
            HttpConnection::Http1(http1) => http1.is_open(),
            HttpConnection::Http2(http2) => !http2.sender.is_closed() && http2.given_up.get() <= GIVEN_UP_MAX,
        }
    }
}

impl<B> Http1<B>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Runs a future that waits for this connection, and the connection with it. Whatever the
    /// future waits for is done by the connection, which is polled before it: so the future itself
    /// needs no waker. What the connection has done already (it is ready, the body came with the
    /// head) costs no poll of it.
    async fn driving<F: Future>(&self, future: F) -> F::Output {
        let mut future = std::pin::pin!(future);
        let mut done = || future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        std::future::poll_fn(|context| {
            if let Poll::Ready(output) = done() {
                return Poll::Ready(output);
            }
            self.poll(context);
            done()
        })
        .await
    }

    fn poll(&self, context: &mut Context<'_>) {
        let mut driver = self.driver.borrow_mut();
        let ended = driver.as_mut().is_some_and(|driver| driver.as_mut().poll(context).is_ready());
        if ended {
            // How it ended is told to the call in flight, if there is one.
            *driver = None;
        }
    }

    /// Looks whether the server has closed it meanwhile.
    fn is_open(&self) -> bool {
        self.poll(&mut Context::from_waker(Waker::noop()));
        !self.abandoned.get() && self.driver.borrow().is_some()
    }
}

/// Marks an HTTP/1.1 connection whose call ended early, by an error or by being dropped.
struct Unfinished<'a, B: Body + 'static>(&'a HttpConnection<B>);

impl<B: Body + 'static> Drop for Unfinished<'_, B> {
    fn drop(&mut self) {
        if let HttpConnection::Http1(http1) = self.0 {
            http1.abandoned.set(true);
        }
    }
}

/// Counts a call that was dropped before its reply's head came.
struct GivenUp<'a>(&'a Cell<usize>);

impl Drop for GivenUp<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

async fn collect(mut body: Incoming) -> Result<Bytes, CallError> {
    let mut whole = WholeBody::default();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(|error| failure(&error))?.into_data() {
            whole.add(data)?;
        }
    }
    Ok(whole.bytes())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt as _;
    use http_body_util::Full;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::http_request::Origin;

    /// The library keeps each call for when the server lets it open a stream, and the socket too
    /// when nobody uses it any more.
    #[test]
    fn a_server_that_lets_no_stream_be_opened_is_given_up() {
        let runtime = crate::local_runtime().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let endpoint = Endpoint::from(listener.local_addr().unwrap());
            let version = HttpVersion::Http2;
            let opening = HttpConnection::<Full<Bytes>>::open(&endpoint, version);
            let (http, accepted) = tokio::join!(opening, listener.accept());
            let (http, mut server) = (http.unwrap(), accepted.unwrap().0);
            // SETTINGS_MAX_CONCURRENT_STREAMS is 0.
            server.write_all(b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00").await.unwrap();
            // Its acknowledgement comes behind the client's own settings.
            let mut read = Vec::new();
            while !read.ends_with(b"\x00\x00\x00\x04\x01\x00\x00\x00\x00") {
                assert!(server.read_buf(&mut read).await.unwrap() > 0);
            }
            let request = Origin::new(&endpoint, version).get("/", "*/*").unwrap();
            for _ in 0..=GIVEN_UP_MAX {
                assert!(http.is_open());
                assert!(http.exchange(request.build(None)).now_or_never().is_none());
            }
            assert!(!http.is_open());
            drop(http);
            let closed = clock::limit(Duration::from_secs(10), server.read_to_end(&mut read)).await;
            assert!(closed.is_ok(), "it is still open");
        });
    }
}
