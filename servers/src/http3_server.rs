//! HTTP/3 on QUIC: the same router that HTTP/1.1 and HTTP/2 serve.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::http::{HeaderValue, Request, Response, header};
use bytes::{Buf, Bytes};
use futures::stream;
use h3::error::Code;
use h3::quic;
use h3::server::{RequestResolver, RequestStream};
use http_body_util::BodyExt as _;
use quinn::{Connection, Endpoint};
use streams::http3::{BoundedOpener, Bounds, bounded};
use tokio_util::task::TaskTracker;

use crate::front::Front;
use crate::replies::Replies;
use crate::{Limits, Shutdown, quic_server};

type Resolver = RequestResolver<BoundedOpener<h3_quinn::Connection>, Bytes>;

/// Bytes of each stream of a connection itself: settings, and what is said of it later.
const CONTROL_BYTES_MAX: usize = 64 << 10;
/// Bytes that are read of a stream before others have their turn.
const TURN_BYTES: usize = 128 << 10;

/// Serves a router until `shutdown`, then drains.
pub(crate) async fn serve(endpoint: Endpoint, router: Router, limits: Limits, shutdown: Shutdown) {
    let front = Front::from(router).bound_to(endpoint.local_addr());
    quic_server::accept(endpoint, limits, shutdown.clone(), |connection| {
        let (front, shutdown) = (front.clone(), shutdown.clone());
        async move {
            if let Err(error) = converse(connection, front, &limits, shutdown).await {
                tracing::debug!("http/3 connection ended: {error}");
            }
        }
    })
    .await;
}

async fn converse(
    connection: Connection,
    front: Front,
    limits: &Limits,
    shutdown: Shutdown,
) -> Result<(), h3::error::ConnectionError> {
    let mut http = h3::server::builder()
        .max_field_section_size(limits.header_bytes_max as u64)
        .send_grease(false)
        .build(bounded(connection, bounds(limits)))
        .await?;
    let (calls, replies) = (TaskTracker::new(), Replies::new(limits));
    // Where the connection is given up, so are its calls.
    let gone = Shutdown::new();
    let _given_up = gone.clone().drop_guard();
    while let Some(accepted) = shutdown.run_until_cancelled(http.accept()).await {
        let Some(resolver) = accepted? else { break };
        let (front, replies, gone) = (front.clone(), replies.clone(), gone.clone());
        let head_time_max = limits.header_time_max;
        calls.spawn(async move {
            let answered = answer(resolver, front, &replies, head_time_max);
            let answered = gone.run_until_cancelled(answered).await;
            if let Some(Err(error)) = answered {
                tracing::debug!("http/3 call ended: {error}");
            }
        });
    }
    if shutdown.is_cancelled() {
        http.shutdown(0).await?;
    }
    calls.close();
    calls.wait().await;
    Ok(())
}

/// What the streams of a connection may have.
fn bounds(limits: &Limits) -> Bounds {
    Bounds {
        frame_bytes_max: limits.header_bytes_max as u64,
        control_bytes_max: CONTROL_BYTES_MAX,
        turn_bytes: TURN_BYTES,
        control_turn_bytes: TURN_BYTES,
    }
}

async fn answer(
    resolver: Resolver,
    front: Front,
    replies: &Replies,
    head_time_max: Duration,
) -> Result<(), h3::error::StreamError> {
    // A head that never is whole ends its stream.
    let Ok(resolved) = clock::limit(head_time_max, resolver.resolve_request()).await else {
        return Ok(());
    };
    let (request, stream) = resolved?;
    let (mut sender, receiver) = stream.split();
    let request: Request<Body> = request.map(|()| body(receiver));
    let (mut head, mut body) = front.answer(request, replies).await.into_parts();
    if let Some(bytes) = body.size_hint().exact() {
        head.headers.entry(header::CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(bytes));
    }
    sender.send_response(Response::from_parts(head, ())).await?;
    while let Some(frame) = body.frame().await {
        // A body that breaks off ends its stream without an end, which the client sees.
        let Ok(frame) = frame else { return Ok(()) };
        if let Ok(data) = frame.into_data() {
            sender.send_data(data).await?;
        }
    }
    sender.finish().await
}

/// A request's body, read when it is asked for: who reads it bounds its bytes and its time, as over
/// TCP.
fn body<S>(receiver: RequestStream<S, Bytes>) -> Body
where
    S: quic::RecvStream + Send + 'static,
{
    let wanted = Wanted { receiver, has_ended: false };
    Body::from_stream(stream::unfold(wanted, |mut wanted| async move {
        let data = wanted.receiver.recv_data().await.transpose();
        wanted.has_ended = !matches!(data, Some(Ok(_)));
        let data = data?.map(|mut data| data.copy_to_bytes(data.remaining()));
        Some((data, wanted))
    }))
}

/// A body that is wanted until this is dropped. What is left of it then is no error of the caller's
/// (RFC 9114, section 4.1), whatever the library would say.
struct Wanted<S: quic::RecvStream> {
    receiver: RequestStream<S, Bytes>,
    has_ended: bool,
}

impl<S: quic::RecvStream> Drop for Wanted<S> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.receiver.stop_sending(Code::H3_NO_ERROR);
        }
    }
}
