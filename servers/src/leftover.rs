//! A request's body that nobody wants to the end: what is left of it is read and thrown away, so
//! that whoever sends it hears the answer (413, 404, 415), and the connection goes on. Over HTTP/2
//! the stream could be reset instead (RFC 9113, section 8.1), for which curl forgets the answer.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::{Request, Version, header};
use bytes::{Buf as _, Bytes};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, SizeHint};

use crate::front::is_grpc;

/// The caller is silent for so long: it has stopped, or is too slow.
const SILENCE_MAX: Duration = Duration::from_millis(500);
/// All of it, however fast it comes.
const TIME_MAX: Duration = Duration::from_secs(10);
/// Bytes that are thrown away, at most; behind them the connection is closed.
const BYTES_MAX: usize = 256 << 20;

/// Whether what nobody reads of a request's body is read here. A stream of HTTP/3 is told that its
/// rest is not wanted, and nothing is lost with it; gRPC's clients know that too, and their streams
/// stay open for as long as they like.
pub(crate) fn is_drained<B: Body>(request: &Request<B>) -> bool {
    let is_reset = request.version() > Version::HTTP_2
        || (request.version() == Version::HTTP_2 && is_grpc(request.headers()));
    !is_reset && !request.body().is_end_stream()
}

/// A body, the rest of which is read when it is dropped.
#[derive(Debug)]
pub(crate) struct Leftover<B: Body<Data = Bytes> + Send + Unpin + 'static> {
    /// `None` once it has ended.
    body: Option<B>,
    /// The caller sends it only when it is asked to (RFC 9110, section 10.1.1), and was not yet.
    awaits_a_word: bool,
}

impl<B: Body<Data = Bytes> + Send + Unpin + 'static> Leftover<B> {
    pub(crate) fn of(request: Request<B>) -> Request<Leftover<B>> {
        let awaits_a_word = request.headers().contains_key(header::EXPECT);
        request.map(|body| Leftover { body: Some(body), awaits_a_word })
    }
}

impl<B: Body<Data = Bytes> + Send + Unpin + 'static> Body for Leftover<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.awaits_a_word = false;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(context);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl<B: Body<Data = Bytes> + Send + Unpin + 'static> Drop for Leftover<B> {
    fn drop(&mut self) {
        let left = self.body.take().filter(|body| !body.is_end_stream() && !self.awaits_a_word);
        if let (Some(body), Ok(runtime)) = (left, tokio::runtime::Handle::try_current()) {
            runtime.spawn(clock::limit(TIME_MAX, drain(body)));
        }
    }
}

async fn drain<B: Body<Data = Bytes> + Unpin>(mut body: B) {
    let mut bytes = 0;
    while bytes < BYTES_MAX
        && let Ok(Some(Ok(frame))) = clock::limit(SILENCE_MAX, body.frame()).await
    {
        bytes += frame.data_ref().map_or(0, |data| data.remaining());
    }
}
