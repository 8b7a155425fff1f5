//! SSE: ticks as an event stream (`text/event-stream` of the WHATWG's HTML standard), resumed by
//! `Last-Event-ID` from the ring of ticks, with a `gap` event where it holds them no longer. Beside
//! it the whole REST API, and an echo for heartbeats: what goes from the client to the server goes
//! by calls.

use std::io::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use proto::Protocol;
use proto::encoding::Encoding;
use proto::v1::{Heartbeat, SubscribeRequest};
use serde::Deserialize;

use super::rest::problem::Problem;
use super::rest::{self, read_body, split};
use crate::accept::Listener;
use crate::http_server::{self, Versions};
use crate::market::{EncodedTick, Subscription};
use crate::{Limits, Market, Shutdown};

/// The pause that a client is asked to make before it connects again, in milliseconds. It goes out
/// as the first line of the first event: some parsers (eventsource-stream) tell of it only with an
/// event that has data.
const RETRY_MS: u64 = 1_000;

/// Serves until `shutdown`, then drains: a stream ends where its last whole event does.
pub async fn serve(listener: Listener, market: Arc<Market>, limits: Limits, shutdown: Shutdown) {
    let state = Stream { market: Arc::clone(&market), limits, shutdown: shutdown.clone() };
    let streams = axum::Router::new()
        .route(Protocol::Sse.path(), axum::routing::get(ticks))
        .route("/v1/heartbeats", axum::routing::post(heartbeat))
        .with_state(state);
    let router = rest::router(market, limits).merge(streams);
    http_server::serve(listener, router, Versions::Both, limits, shutdown).await;
}

#[derive(Clone)]
struct Stream {
    market: Arc<Market>,
    limits: Limits,
    shutdown: Shutdown,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StreamQuery {
    /// At most 100, separated by commas; absent: all.
    symbols: Option<String>,
}

async fn ticks(
    State(state): State<Stream>,
    query: Result<Query<StreamQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Query(query) = query?;
    let seen = headers.get("last-event-id").map(|id| {
        id.to_str().ok().and_then(|id| id.parse().ok()).ok_or_else(|| {
            Problem::new(StatusCode::BAD_REQUEST, "Last-Event-ID is the number that an event's id gave")
        })
    });
    let symbols = split(query.symbols.as_deref().unwrap_or_default());
    let request = SubscribeRequest { symbols, after_sequence: seen.transpose()? };
    let subscription = state.market.subscribe(&request)?;
    let events = Events {
        subscription,
        next: None,
        shutdown: state.shutdown,
        keep_alive_every: state.limits.keep_alive_every,
        quiet: quiet(state.limits.keep_alive_every),
    };
    let body = stream::once(std::future::ready(Bytes::from(format!("retry: {RETRY_MS}\n"))));
    let body = body.chain(stream::unfold(events, Events::next_chunk));
    let body = Body::from_stream(body.map(Ok::<_, std::convert::Infallible>));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, body).into_response())
}

/// Answers a heartbeat with itself.
async fn heartbeat(State(state): State<Stream>, headers: HeaderMap, body: Body) -> Result<Response, Problem> {
    let body = read_body(body, &headers, &state.limits).await?;
    let heartbeat: Heartbeat = Encoding::Json
        .decode(&body)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static(Encoding::Json.media_type()))];
    Ok((headers, Encoding::Json.encode(&heartbeat)).into_response())
}

type Quiet = Pin<Box<dyn Future<Output = ()> + Send>>;

fn quiet(span: Duration) -> Quiet {
    Box::pin(clock::pause(span))
}

/// One subscriber's events.
struct Events {
    subscription: Subscription,
    /// A tick that came behind a gap, which is told first.
    next: Option<Arc<EncodedTick>>,
    shutdown: Shutdown,
    keep_alive_every: Duration,
    /// Runs out now and then, for a comment that keeps the connection up.
    quiet: Quiet,
}

impl Events {
    async fn next_chunk(mut self) -> Option<(Bytes, Events)> {
        if let Some(tick) = self.next.take() {
            return Some(self.event(&tick));
        }
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => None,
            tick = self.subscription.next() => {
                let missed = self.subscription.take_missed();
                if missed == 0 {
                    return Some(self.event(&tick));
                }
                self.next = Some(tick);
                // Without an id: a client that loses the connection here must be told again.
                let gap = format!("event: gap\ndata: {{\"missed\":{missed}}}\n\n");
                Some((gap.into(), self))
            }
            () = &mut self.quiet => {
                self.quiet = quiet(self.keep_alive_every);
                Some((Bytes::from_static(b": still here\n"), self))
            }
        }
    }

    fn event(self, tick: &EncodedTick) -> (Bytes, Events) {
        /// What stands around the data, at most.
        const AROUND: usize = 64;
        let json = tick.encoded(Encoding::Json);
        let mut out = Vec::with_capacity(AROUND + json.len());
        // Writing to a Vec cannot fail.
        let _ = write!(out, "id: {}\nevent: tick\ndata: ", tick.place());
        // JSON has no line break in it, so that one `data` line holds it.
        out.extend_from_slice(json);
        out.extend_from_slice(b"\n\n");
        (out.into(), self)
    }
}
