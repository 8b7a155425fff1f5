//! HTTP/1.1 and HTTP/2 on hyper's connections, for every client that rides on them: one connection
//! is one TCP connection, and nothing reconnects behind the engine's back.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use terms::HttpVersion;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header};
use http_body::Body;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use crate::connection::{CallError, Unsupported};
use crate::endpoint::{Endpoint, Stream};

/// Bytes of a reply's body, at most: above the largest reply of the market, below what hurts.
pub(crate) const BODY_BYTES_MAX: usize = 16 << 20;
/// Flow-control windows, equal to the servers': `servers::Limits` says why.
pub(crate) const STREAM_WINDOW_BYTES: u32 = 1 << 20;
pub(crate) const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;

/// One HTTP connection.
pub(crate) enum HttpConnection<B>
where
    B: Body + 'static,
{
    Http1(Http1<B>),
    Http2(http2::SendRequest<B>),
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
        let stream = TokioIo::new(endpoint.connect(Some(version.alpn())).await?);
        match version {
            HttpVersion::Http1 => {
                let (sender, driver) = http1::Builder::new()
                    .writev(false)
                    .handshake(stream)
                    .await
                    .map_err(|error| failure(&error))?;
                Ok(HttpConnection::Http1(Http1 {
                    sender: RefCell::new(sender),
                    driver: RefCell::new(Some(Box::pin(driver))),
                    abandoned: Cell::new(false),
                }))
            }
            HttpVersion::Http2 => {
                let (sender, driver) = http2::Builder::new(TokioExecutor::new())
                    .timer(TokioTimer::new())
                    .initial_stream_window_size(STREAM_WINDOW_BYTES)
                    .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
                    .handshake(stream)
                    .await
                    .map_err(|error| failure(&error))?;
                tokio::task::spawn_local(driver);
                Ok(HttpConnection::Http2(sender))
            }
            HttpVersion::Http3 => Err(CallError::Protocol("HTTP/3 is not spoken over TCP".to_owned())),
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
            HttpConnection::Http2(sender) => sender.clone().send_request(request).await,
        }
    }

    /// Sends a request and collects the whole reply.
    pub(crate) async fn exchange(&self, request: Request<B>) -> Result<Response<Bytes>, CallError> {
        let unfinished = Unfinished(self);
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
            HttpConnection::Http2(sender) => !sender.is_closed(),
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

/// Whom requests go to, as each HTTP version says it.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    scheme: &'static str,
    authority: String,
    version: HttpVersion,
}

impl Origin {
    pub(crate) fn new(endpoint: &Endpoint, version: HttpVersion) -> Origin {
        Origin { scheme: endpoint.http_scheme(), authority: endpoint.address.to_string(), version }
    }

    /// HTTP/1.1 names the authority in a header, HTTP/2 in the URI.
    fn uri(&self, path: &str) -> Result<Uri, Unsupported> {
        match self.version {
            HttpVersion::Http1 => path.parse().map_err(unsupported),
            HttpVersion::Http2 | HttpVersion::Http3 => {
                format!("{}://{}{path}", self.scheme, self.authority).parse().map_err(unsupported)
            }
        }
    }

    /// A GET of a path, its reply in a media type.
    pub(crate) fn get(&self, path: &str, accept: &'static str) -> Result<HttpRequest, Unsupported> {
        let (uri, headers) = (self.uri(path)?, self.headers(accept)?);
        Ok(HttpRequest { method: Method::GET, uri, headers, body: Bytes::new() })
    }

    /// A POST of a body to a path, both ways in a media type.
    pub(crate) fn post(
        &self,
        path: &str,
        media_type: &'static str,
        body: Bytes,
    ) -> Result<HttpRequest, Unsupported> {
        let (uri, mut headers) = (self.uri(path)?, self.headers(media_type)?);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        Ok(HttpRequest { method: Method::POST, uri, headers, body })
    }

    fn headers(&self, accept: &'static str) -> Result<HeaderMap, Unsupported> {
        let mut headers = HeaderMap::new();
        if self.version == HttpVersion::Http1 {
            headers.insert(header::HOST, HeaderValue::from_str(&self.authority).map_err(unsupported)?);
        }
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        Ok(headers)
    }
}

/// One HTTP request, to be sent again and again.
#[derive(Debug, Clone)]
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// The whole URI, or its path where a header names the authority.
    pub uri: Uri,
    /// Headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl HttpRequest {
    /// As hyper takes it.
    pub(crate) fn build(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

#[allow(clippy::needless_pass_by_value, reason = "it is given to map_err")]
pub(crate) fn unsupported(error: impl std::fmt::Display) -> Unsupported {
    Unsupported(format!("this cannot be an HTTP request: {error}"))
}

/// Percent-encodes what may not stand in a path segment or a query value (RFC 3986, unreserved
/// characters and the comma kept).
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~,".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Several, separated by commas.
pub(crate) fn escape_all(texts: &[String]) -> String {
    texts.iter().map(|text| escape(text)).collect::<Vec<_>>().join(",")
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

/// A reply's body, as its pieces come.
#[derive(Default)]
pub(crate) struct WholeBody {
    /// Most replies come in one piece, which is then not copied.
    first: Bytes,
    rest: BytesMut,
}

impl WholeBody {
    pub(crate) fn add(&mut self, data: Bytes) -> Result<(), CallError> {
        if self.first.is_empty() {
            self.first = data;
            return Ok(());
        }
        if self.rest.is_empty() {
            self.rest.extend_from_slice(&self.first);
        }
        self.rest.extend_from_slice(&data);
        if self.rest.len() > BODY_BYTES_MAX {
            return Err(CallError::Limit(format!("a reply of more than {BODY_BYTES_MAX} bytes")));
        }
        Ok(())
    }

    pub(crate) fn bytes(self) -> Bytes {
        if self.rest.is_empty() { self.first } else { self.rest.freeze() }
    }
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
pub(crate) fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
