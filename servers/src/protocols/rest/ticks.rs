//! Ticks for whoever polls: at once, or when there is one (long polling).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::{BufMut as _, Bytes, BytesMut};
use prost::Message as _;
use proto::encoding::Encoding;
use proto::v1::TickBatch;
use serde::Deserialize;
use utoipa::IntoParams;

use super::negotiation::accepted;
use super::problem::{Problem, ProblemDocument};
use super::{Api, encoded, split};
use crate::market::EncodedTick;

/// Ticks in one answer, at most.
const LIMIT_MAX: usize = 1_000;
/// The longest that a long poll may wait.
const WAIT_MS_MAX: u64 = 30_000;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct TicksQuery {
    /// Ticks with a higher sequence than this; absent: the ones after now.
    after: Option<u64>,
    /// How long to wait for the first one, in milliseconds, at most 30 000. 0 is plain polling.
    #[serde(default)]
    wait_ms: u64,
    /// At most 100, separated by commas; absent: all.
    symbols: Option<String>,
}

/// The ticks after a sequence number.
#[utoipa::path(get, path = "/v1/ticks", params(TicksQuery),
    responses((status = 200, body = TickBatch), (status = 400, body = ProblemDocument),
        (status = 404, body = ProblemDocument)))]
pub(super) async fn ticks(
    State(api): State<Api>,
    query: Result<Query<TicksQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let encoding = accepted(&headers)?;
    let Query(query) = query?;
    let symbols = split(query.symbols.as_deref().unwrap_or_default());
    api.market.data().check_symbols(&symbols)?;
    let mut batch = Batch {
        wanted: symbols.into_iter().collect(),
        ticks: Vec::new(),
        next_after: query.after.unwrap_or_else(|| api.market.ticks().newest()),
        missed: 0,
    };
    batch.take(&api);
    if batch.ticks.is_empty() && query.wait_ms > 0 {
        let wait = Duration::from_millis(query.wait_ms.min(WAIT_MS_MAX));
        // Elapsed is no error: the answer is then an empty batch.
        let _ = clock::limit(wait, batch.wait(&api)).await;
    }
    let mut response = encoded(StatusCode::OK, encoding, batch.encode(encoding));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

struct Batch {
    wanted: HashSet<String>,
    ticks: Vec<Arc<EncodedTick>>,
    next_after: u64,
    missed: u64,
}

impl Batch {
    async fn wait(&mut self, api: &Api) {
        while self.ticks.is_empty() {
            api.market.ticks().wait_after(self.next_after).await;
            self.take(api);
        }
    }

    fn take(&mut self, api: &Api) {
        let stretch = api.market.ticks().after(self.next_after, LIMIT_MAX);
        self.missed += stretch.missed;
        if let Some(last) = stretch.ticks.last() {
            self.next_after = last.place();
        }
        let wanted =
            |tick: &Arc<EncodedTick>| self.wanted.is_empty() || self.wanted.contains(&tick.tick().symbol);
        self.ticks.extend(stretch.ticks.into_iter().filter(wanted));
    }

    /// Puts the batch around ticks that are encoded already, once for all pollers.
    fn encode(&self, encoding: Encoding) -> Bytes {
        let mut out = BytesMut::new();
        let ticks = self.ticks.iter().map(|tick| tick.encoded(encoding));
        match encoding {
            Encoding::Json => {
                out.put_slice(b"{\"ticks\":[");
                for (nth, tick) in ticks.enumerate() {
                    out.put_slice(if nth == 0 { b"" } else { b"," });
                    out.put_slice(tick);
                }
                let tail = format!("],\"next_after\":{},\"missed\":{}}}", self.next_after, self.missed);
                out.put_slice(tail.as_bytes());
            }
            Encoding::Protobuf => {
                for tick in ticks {
                    prost::encoding::encode_key(1, prost::encoding::WireType::LengthDelimited, &mut out);
                    prost::encoding::encode_varint(tick.len() as u64, &mut out);
                    out.put_slice(tick);
                }
                let rest = TickBatch { ticks: Vec::new(), next_after: self.next_after, missed: self.missed };
                // A BytesMut grows, so that it cannot be too small.
                let _ = rest.encode(&mut out);
            }
        }
        out.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{Market, MarketConfig};

    #[tokio::test]
    async fn the_pieced_batch_is_the_message() {
        let market = Market::open(&MarketConfig::default(), clock::Clock::System).unwrap();
        for sequence in 1..=3 {
            market.ticks().emit(market.data().tick(sequence));
        }
        let ticks = market.ticks().after(0, 10).ticks;
        let message =
            TickBatch { ticks: (1..=3).map(|n| market.data().tick(n)).collect(), next_after: 3, missed: 2 };
        let batch = Batch { wanted: HashSet::new(), ticks, next_after: 3, missed: 2 };
        for encoding in [Encoding::Json, Encoding::Protobuf] {
            assert_eq!(encoding.decode::<TickBatch>(&batch.encode(encoding)).unwrap(), message);
        }
    }
}
