//! HTTP/1.1 and HTTP/2 on one port, for every protocol that rides on them: one set of limits and
//! windows, so that none is favoured.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;

use crate::accept::{Listener, accept};
use crate::front::Front;
use crate::replies::Replies;
use crate::upgrades::Upgrades;
use crate::{Limits, Shutdown};

/// Without a length: the close that follows ends the body.
const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n\
content-type: application/problem+json\r\n\r\n{\"title\":\"too many open connections\",\"status\":503}";

/// Which HTTP versions a server speaks on its port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Versions {
    /// HTTP/1.1 only: what is upgraded from it.
    Http1,
    /// HTTP/1.1, and HTTP/2 by prior knowledge.
    Both,
    /// HTTP/2 by prior knowledge only.
    Http2,
}

/// Serves a router, or one behind a front with a check, until `shutdown`, then drains.
pub(crate) async fn serve(
    listener: Listener,
    front: impl Into<Front>,
    versions: Versions,
    limits: Limits,
    shutdown: Shutdown,
) {
    let builders = Arc::new(Builders::new(&limits));
    let front = front.into().bound_to(listener.socket.local_addr());
    accept(listener, limits, REFUSAL, shutdown.clone(), |stream| {
        let (io, replies) = (TokioIo::new(stream), Replies::new(&limits));
        let upgrades = Upgrades::new(shutdown.clone(), replies.clone());
        let (builders, front, shutdown) = (Arc::clone(&builders), front.clone(), shutdown.clone());
        let upgrades_in = upgrades.clone();
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            let (front, replies) = (front.clone(), replies.clone());
            request.extensions_mut().insert(upgrades_in.clone());
            async move { Ok::<_, Infallible>(front.answer(request, &replies).await) }
        });
        async move {
            let _given_up = upgrades.end_when_dropped();
            match versions {
                Versions::Http1 => {
                    let connection = builders.http1.serve_connection(io, service).with_upgrades();
                    drive(connection, |connection| connection.graceful_shutdown(), shutdown).await;
                }
                Versions::Http2 => {
                    let connection = builders.http2.serve_connection(io, service);
                    drive(connection, |connection| connection.graceful_shutdown(), shutdown).await;
                }
                Versions::Both => {
                    let connection = builders.both.serve_connection_with_upgrades(io, service);
                    drive(connection, |connection| connection.graceful_shutdown(), shutdown).await;
                }
            }
            upgrades.ended().await;
        }
    })
    .await;
}

/// Serves a connection until it ends, or is drained after `shutdown`; `drain` has it end.
async fn drive<C, E>(connection: C, drain: impl FnOnce(Pin<&mut C>), shutdown: Shutdown)
where
    C: Future<Output = Result<(), E>>,
    E: std::fmt::Display,
{
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            drain(connection.as_mut());
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("http connection ended: {error}");
    }
}

/// The libraries' settings: the same limits and windows whichever version is spoken.
struct Builders {
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
    both: auto::Builder<TokioExecutor>,
}

impl Builders {
    fn new(limits: &Limits) -> Builders {
        let (headers_max, buffer) = (limits.headers_max, limits.header_bytes_max.max(8 << 10));
        let streams_max = u32::try_from(limits.in_flight_max).unwrap_or(u32::MAX);
        let header_list_max = u32::try_from(limits.header_bytes_max).unwrap_or(u32::MAX);
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_time_max)
            .max_headers(headers_max)
            .max_buf_size(buffer);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .initial_stream_window_size(limits.h2_stream_window_bytes)
            .initial_connection_window_size(limits.h2_connection_window_bytes)
            .max_concurrent_streams(streams_max)
            .max_header_list_size(header_list_max);
        let mut both = auto::Builder::new(TokioExecutor::new());
        both.http1()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_time_max)
            .max_headers(headers_max)
            .max_buf_size(buffer);
        both.http2()
            .timer(TokioTimer::new())
            .initial_stream_window_size(limits.h2_stream_window_bytes)
            .initial_connection_window_size(limits.h2_connection_window_bytes)
            .max_concurrent_streams(streams_max)
            .max_header_list_size(header_list_max);
        Builders { http1, http2, both }
    }
}
