//! HTTP/1.1 and HTTP/2 on one port, for every protocol that rides on them: one set of limits and
//! windows, so that none is favoured.

use axum::{Extension, Router};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tower::Layer as _;

use crate::accept::{Listener, accept};
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

/// Serves a router until `shutdown`, then drains.
pub(crate) async fn serve(
    listener: Listener,
    router: Router,
    versions: Versions,
    limits: Limits,
    shutdown: Shutdown,
) {
    let builder = builder(versions, &limits);
    accept(listener, limits, REFUSAL, shutdown.clone(), |stream| {
        let upgrades = Upgrades::new(shutdown.clone());
        let service = TowerToHyperService::new(Extension(upgrades.clone()).layer(router.clone()));
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
        let shutdown = shutdown.clone();
        async move {
            let _given_up = upgrades.end_when_dropped();
            let mut connection = std::pin::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = shutdown.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!("http connection ended: {error}");
            }
            upgrades.ended().await;
        }
    })
    .await;
}

fn builder(versions: Versions, limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time_max)
        .max_headers(limits.headers_max)
        .max_buf_size(limits.header_bytes_max.max(8 << 10));
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(limits.h2_stream_window_bytes)
        .initial_connection_window_size(limits.h2_connection_window_bytes)
        .max_concurrent_streams(u32::try_from(limits.in_flight_max).unwrap_or(u32::MAX))
        .max_header_list_size(u32::try_from(limits.header_bytes_max).unwrap_or(u32::MAX));
    match versions {
        Versions::Both => builder,
        Versions::Http1 => builder.http1_only(),
        Versions::Http2 => builder.http2_only(),
    }
}
