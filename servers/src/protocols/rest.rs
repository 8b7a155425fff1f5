//! REST: resources over HTTP/1.1 and HTTP/2, in JSON or protobuf by content negotiation, with the
//! caching headers, the errors (RFC 9457) and the OpenAPI description that a public API has.

pub mod dynamic;
mod negotiation;
pub(crate) mod problem;
mod ticks;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use prost::Message;
use proto::MarketResult;
use proto::encoding::Encoding;
use proto::mask;
use proto::v1::{
    History, HistoryRequest, Order, OrderReceipt, OrderRequest, Portfolio, PortfolioRequest, Quote,
    QuoteRequest, Quotes, QuotesRequest,
};
use quinn::Endpoint;
use serde::{Deserialize, Serialize};
use utoipa::openapi::OpenApi as OpenApiDocument;
use utoipa::{IntoParams, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::accept::Listener;
use crate::http_server::{self, Versions};
use crate::{Limits, Market, Shutdown, http3_server};
use negotiation::{accepted, content_encoding};
use problem::{Problem, ProblemDocument};

/// The field that carries an order's key.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// What [`deadline::HTTP_HEADER`] is.
const TIME_LEFT: &str = "Microseconds that the caller waits for the answer.";

/// Serves until `shutdown`, then drains.
pub async fn serve(listener: Listener, market: Arc<Market>, limits: Limits, shutdown: Shutdown) {
    http_server::serve(listener, router(market, limits), Versions::Both, limits, shutdown).await;
}

/// The same over HTTP/3.
pub async fn serve_http3(endpoint: Endpoint, market: Arc<Market>, limits: Limits, shutdown: Shutdown) {
    http3_server::serve(endpoint, router(market, limits), limits, shutdown).await;
}

/// The whole API, with its description at `/openapi.json`.
pub(super) fn router(market: Arc<Market>, limits: Limits) -> Router {
    let (routes, document) = api().split_for_parts();
    let document = document.to_pretty_json().unwrap_or_default();
    routes
        .route("/openapi.json", axum::routing::get(async move || json_text(document.clone())))
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "no such resource: see /openapi.json"))
        .method_not_allowed_fallback(async || {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "this resource has no such method: see /openapi.json",
            )
        })
        .with_state(Api::new(market, limits))
}

/// The description of the API: checked in as `proto/openapi.json`, served at `/openapi.json`.
pub fn openapi() -> OpenApiDocument {
    api().into_openapi()
}

#[derive(OpenApi)]
#[openapi(info(
    title = "The wirebench market",
    version = "1",
    description = "Reads are frozen at the seed."
))]
struct ApiInfo;

fn api() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(ApiInfo::openapi())
        .routes(routes!(quotes))
        .routes(routes!(quote))
        .routes(routes!(portfolio))
        .routes(routes!(history))
        .routes(routes!(place_order))
        .routes(routes!(ticks::ticks))
}

#[derive(Clone)]
struct Api {
    market: Arc<Market>,
    limits: Limits,
    /// Reads never change, so that one tag a representation serves them all.
    etags: [HeaderValue; 2],
}

impl Api {
    fn new(market: Arc<Market>, limits: Limits) -> Api {
        // A number in hexadecimal and a word: always a header's value.
        let etag = |encoding| {
            let tag = format!("\"{:x}-{encoding}\"", market.data().seed());
            HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("\"\""))
        };
        Api { etags: [etag("json"), etag("protobuf")], market, limits }
    }

    fn etag(&self, encoding: Encoding) -> &HeaderValue {
        &self.etags[match encoding {
            Encoding::Json => 0,
            Encoding::Protobuf => 1,
        }]
    }

    /// Answers a read: in the encoding asked for, or with "not modified".
    fn read<M: Message + Serialize>(
        &self,
        headers: &HeaderMap,
        shared: Caching,
        answer: MarketResult<M>,
    ) -> Result<Response, Problem> {
        let encoding = accepted(headers)?;
        let body = encoding.encode(&answer?);
        Ok(self.cached(headers, encoding, shared, body))
    }

    fn cached(&self, asked: &HeaderMap, encoding: Encoding, shared: Caching, body: bytes::Bytes) -> Response {
        let etag = self.etag(encoding);
        let current = asked.get(header::IF_NONE_MATCH).is_some_and(|known| matches(known, etag));
        let mut response = if current {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            encoded(StatusCode::OK, encoding, body)
        };
        let headers = response.headers_mut();
        headers.insert(header::ETAG, etag.clone());
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(shared.directive()));
        headers.insert(header::VARY, HeaderValue::from_static("accept"));
        response
    }
}

/// Whether a list of entity tags names this one, by the weak comparison of RFC 9110.
fn matches(known: &HeaderValue, etag: &HeaderValue) -> bool {
    let known = known.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    known.map(|tag| tag.strip_prefix(b"W/").unwrap_or(tag)).any(|tag| tag == b"*" || tag == etag.as_bytes())
}

/// Who may keep a reply.
#[derive(Debug, Clone, Copy)]
enum Caching {
    /// Any cache.
    Public,
    /// The caller's own.
    Private,
}

impl Caching {
    fn directive(self) -> &'static str {
        match self {
            Caching::Public => "public, max-age=1",
            Caching::Private => "private, max-age=1",
        }
    }
}

/// One quote.
#[utoipa::path(get, path = "/v1/quotes/{symbol}", params(("symbol" = String, Path, example = "AAAA"),
        ("Time-Left-Us" = Option<u64>, Header, description = TIME_LEFT)),
    responses((status = 200, body = Quote), (status = 304), (status = 404, body = ProblemDocument),
        (status = 504, body = ProblemDocument)))]
async fn quote(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Path(symbol) = path?;
    api.read(&headers, Caching::Public, api.market.quote(QuoteRequest { symbol }).await)
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct QuotesQuery {
    /// 1 to 100, separated by commas.
    #[param(example = "AAAA,AAAB")]
    symbols: String,
}

/// Several quotes, in the order asked.
#[utoipa::path(get, path = "/v1/quotes", params(QuotesQuery, ("Time-Left-Us" = Option<u64>, Header, description = TIME_LEFT)),
    responses((status = 200, body = Quotes), (status = 304), (status = 400, body = ProblemDocument),
        (status = 404, body = ProblemDocument), (status = 504, body = ProblemDocument)))]
async fn quotes(
    State(api): State<Api>,
    query: Result<Query<QuotesQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let symbols = split(&query?.symbols);
    api.read(&headers, Caching::Public, api.market.quotes(QuotesRequest { symbols }).await)
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct PortfolioQuery {
    /// Paths of the fields to send, separated by commas; all if absent.
    #[param(example = "cash_cents,positions.quote.last_cents")]
    fields: Option<String>,
}

/// An account's positions with their quotes and news.
#[utoipa::path(get, path = "/v1/portfolios/{account}",
    params(("account" = String, Path, example = "ACC00000"), PortfolioQuery,
        ("Time-Left-Us" = Option<u64>, Header, description = TIME_LEFT)),
    responses((status = 200, body = Portfolio), (status = 304), (status = 400, body = ProblemDocument),
        (status = 404, body = ProblemDocument), (status = 504, body = ProblemDocument)))]
async fn portfolio(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<PortfolioQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Path(account) = path?;
    let field_mask = query?.0.fields.as_deref().map(mask::parse);
    let request = PortfolioRequest { account, field_mask };
    let mask = proto::data::portfolio_mask(&request)?;
    let answer = api.market.portfolio(request).await;
    let encoding = accepted(&headers)?;
    if mask.keeps_all() || encoding == Encoding::Protobuf {
        return api.read(&headers, Caching::Private, answer);
    }
    // A cleared field would still be written in JSON, as zero: leave it out instead.
    let mut value = serde_json::to_value(answer?).unwrap_or_default();
    mask.prune(&mut value);
    Ok(api.cached(&headers, encoding, Caching::Private, value.to_string().into()))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct HistoryQuery {
    /// How many one-minute candles, the newest last: 1 to 10 000.
    #[serde(default = "candles_default")]
    #[param(default = 100)]
    n: u32,
}

fn candles_default() -> u32 {
    100
}

/// The last candles of a symbol.
#[utoipa::path(get, path = "/v1/history/{symbol}",
    params(("symbol" = String, Path, example = "AAAA"), HistoryQuery,
        ("Time-Left-Us" = Option<u64>, Header, description = TIME_LEFT)),
    responses((status = 200, body = History), (status = 304), (status = 400, body = ProblemDocument),
        (status = 404, body = ProblemDocument), (status = 504, body = ProblemDocument)))]
async fn history(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<HistoryQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Path(symbol) = path?;
    let request = HistoryRequest { symbol, n: query?.n };
    api.read(&headers, Caching::Public, api.market.history(request).await)
}

/// Places an order; once for each idempotency key.
#[utoipa::path(post, path = "/v1/orders", request_body = Order,
    params(("Idempotency-Key" = Option<String>, Header, description = "At most 128 bytes."),
        ("Time-Left-Us" = Option<u64>, Header, description = TIME_LEFT)),
    responses((status = 201, body = OrderReceipt), (status = 400, body = ProblemDocument),
        (status = 404, body = ProblemDocument), (status = 413, body = ProblemDocument),
        (status = 422, body = ProblemDocument), (status = 504, body = ProblemDocument)))]
async fn place_order(State(api): State<Api>, headers: HeaderMap, body: Body) -> Result<Response, Problem> {
    let encoding = accepted(&headers)?;
    let body = read_body(body, &headers, &api.limits).await?;
    let order: Order = content_encoding(&headers)?
        .decode(&body)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    let idempotency_key = match headers.get(IDEMPOTENCY_KEY) {
        None => String::new(),
        Some(key) => key
            .to_str()
            .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "the Idempotency-Key is not ASCII text"))?
            .to_owned(),
    };
    let receipt = api.market.place_order(OrderRequest { order: Some(order), idempotency_key }).await?;
    let mut response = encoded(StatusCode::CREATED, encoding, encoding.encode(&receipt));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

pub(super) async fn read_body(
    body: Body,
    headers: &HeaderMap,
    limits: &Limits,
) -> Result<bytes::Bytes, Problem> {
    let max = limits.message_bytes_max;
    let too_large = || Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("a body may have {max} bytes"));
    let stated = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if stated.is_some_and(|length: u64| length > max as u64) {
        return Err(too_large());
    }
    match clock::limit(limits.message_time_max, axum::body::to_bytes(body, max)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if is_too_large(&error) => Err(too_large()),
        Ok(Err(_)) => Err(Problem::new(StatusCode::BAD_REQUEST, "the body is malformed, or broke off")),
        Err(clock::Elapsed) => Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the body came too slowly")),
    }
}

fn is_too_large(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(|cause| cause.is::<http_body_util::LengthLimitError>())
}

pub(super) fn split(list: &str) -> Vec<String> {
    list.split(',').filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

fn encoded(status: StatusCode, encoding: Encoding, body: bytes::Bytes) -> Response {
    let content_type = HeaderValue::from_static(encoding.media_type());
    (status, [(header::CONTENT_TYPE, content_type)], body).into_response()
}

fn json_text(text: String) -> Response {
    encoded(StatusCode::OK, Encoding::Json, text.into())
}
