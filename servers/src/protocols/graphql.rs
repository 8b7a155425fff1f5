//! GraphQL: queries and the one mutation over HTTP, subscriptions over `graphql-transport-ws`.
//! Names are those of the contract, snake_case, so that a reply is its JSON. Queries can be
//! persisted by their hash, and then be asked by GET.

mod document;
mod guard;
mod long;
mod persisted;
mod schema;
mod socket;
mod text;
mod variables;

use std::sync::Arc;

use async_graphql::http::parse_query_string;
use async_graphql::{BatchRequest, BatchResponse, ServerError};
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::get;
use axum::{Extension, Router};
use proto::Protocol;

use super::rest::read_body;
use crate::accept::Listener;
use crate::http_server::{self, Versions};
use crate::upgrades::{Upgrade, Upgrades};
use crate::{Limits, Market, Shutdown};
use guard::{Allowed, Guard};

/// Where the WebSocket of subscriptions is: beside the queries.
const SOCKET_PATH: &str = "/graphql/ws";

/// Serves until `shutdown`, then drains.
pub async fn serve(
    listener: Listener,
    market: Arc<Market>,
    limits: Limits,
    graphiql: bool,
    shutdown: Shutdown,
) {
    let state = Api { guard: Guard::new(market, &limits), limits };
    let mut router = Router::new()
        .route(Protocol::GraphQl.path(), get(query).post(execute))
        .route(SOCKET_PATH, axum::routing::any(subscribe));
    if graphiql {
        router = router.route("/", get(async || Html(graphiql_page())));
    }
    let fallback = format!("queries go to {}, subscriptions to {SOCKET_PATH}\n", Protocol::GraphQl.path());
    let router = router.fallback(async move || (StatusCode::NOT_FOUND, fallback)).with_state(state);
    http_server::serve(listener, router, Versions::Both, limits, shutdown).await;
}

/// The schema in its own language: checked in as `proto/schema.graphql`.
pub fn sdl() -> String {
    schema::sdl()
}

/// A page that fetches GraphiQL, and asks the server it came from.
fn graphiql_page() -> String {
    include_str!("graphql/graphiql.html")
        .replace("ENDPOINT", Protocol::GraphQl.path())
        .replace("SOCKET", SOCKET_PATH)
}

#[derive(Clone)]
struct Api {
    guard: Guard,
    limits: Limits,
}

/// By GET: queries only, and a cache may keep what they give.
async fn query(
    State(api): State<Api>,
    Extension(upgrades): Extension<Upgrades>,
    RawQuery(query): RawQuery,
) -> Response {
    match parse_query_string(&query.unwrap_or_default()) {
        Ok(request) => {
            let answered = api.guard.answer(request.into(), Allowed::Reads, &upgrades.replies()).await;
            respond(&answered.response, true)
        }
        Err(error) => refuse(StatusCode::BAD_REQUEST, format!("the query string: {error}")),
    }
}

async fn execute(
    State(api): State<Api>,
    Extension(upgrades): Extension<Upgrades>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let json = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| {
        value.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
    });
    if !json {
        let detail = "the body of a GraphQL request is application/json";
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail.to_owned());
    }
    let body = match read_body(body, &headers, &api.limits).await {
        Ok(body) => body,
        Err(problem) => return problem.into_response(),
    };
    let batch: BatchRequest = match serde_json::from_slice(&body) {
        Ok(batch) => batch,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, format!("not a GraphQL request: {error}")),
    };
    let max = api.limits.graphql_batch_max;
    if batch.iter().count() > max {
        return refuse(StatusCode::BAD_REQUEST, format!("a batch has at most {max} queries"));
    }
    respond(&api.guard.answer(batch, Allowed::Writes, &upgrades.replies()).await.response, false)
}

fn respond(response: &BatchResponse, cacheable: bool) -> Response {
    let body = match serde_json::to_vec(response) {
        Ok(body) => body,
        Err(error) => return refuse(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    };
    let caching = response.cache_control().value().filter(|_| cacheable && response.is_ok());
    let caching = caching.and_then(|value| HeaderValue::from_str(&value).ok());
    let headers: [(HeaderName, HeaderValue); 2] = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, caching.unwrap_or(HeaderValue::from_static("no-store"))),
    ];
    (headers, body).into_response()
}

/// What could not be executed at all.
fn refuse(status: StatusCode, detail: String) -> Response {
    let response = async_graphql::Response::from_errors(vec![ServerError::new(detail, None)]);
    let mut response = respond(&response.into(), false);
    *response.status_mut() = status;
    response
}

async fn subscribe(
    State(api): State<Api>,
    Extension(upgrades): Extension<Upgrades>,
    Upgrade(upgrade): Upgrade,
) -> Response {
    let name = socket::subprotocol();
    let upgrade = upgrade
        .protocols([name])
        .max_message_size(api.limits.message_bytes_max)
        .max_frame_size(api.limits.message_bytes_max);
    if upgrade.selected_protocol().is_none() {
        return refuse(StatusCode::BAD_REQUEST, format!("the subprotocol is {name}"));
    }
    upgrades.accept(upgrade, move |socket, shutdown| socket::serve(socket, api.guard, api.limits, shutdown))
}
