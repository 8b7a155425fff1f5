//! A REST handler without types: a stand-in for what handlers in dynamic languages do with JSON,
//! for the experiment on typing. It parses a body to a value, takes the fields that it knows with a
//! default for each, and makes of them what it needs, as `String(body.account ?? "")` and
//! `Math.trunc(Number(body.quantity ?? 0))` do. It refuses what is no JSON; all else reaches the
//! market, whose own validation is that of every other protocol. It is no measure of any framework:
//! those that validate against a schema are nearer to the typed one.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use proto::MarketResult;
use proto::v1::{HistoryRequest, Order, OrderRequest, Side};
use serde::Serialize;
use serde_json::Value;

use super::problem::Problem;
use super::{IDEMPOTENCY_KEY, read_body};
use crate::accept::{Listener, listen};
use crate::http_server::{self, Versions};
use crate::protocols::Running;
use crate::{Limits, Market, Shutdown};

/// Candles where a caller does not say how many.
const CANDLES_DEFAULT: f64 = 100.0;

/// Binds and serves orders and histories, at the paths of REST.
///
/// # Errors
/// The system's, where it refuses the address.
pub fn start(
    address: SocketAddr,
    market: Arc<Market>,
    limits: Limits,
    shutdown: Shutdown,
) -> io::Result<Running> {
    let listener = Listener { socket: listen(address)?, tls: None };
    let address = listener.socket.local_addr()?;
    let router = Router::new()
        .route("/v1/orders", post(place_order))
        .route("/v1/history/{symbol}", get(history))
        .with_state((market, limits));
    let task = tokio::spawn(http_server::serve(listener, router, Versions::Both, limits, shutdown));
    Ok(Running { address, task })
}

type Shared = State<(Arc<Market>, Limits)>;

async fn place_order(
    State((market, limits)): Shared,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let body = read_body(body, &headers, &limits).await?;
    let body: Value = serde_json::from_slice(&body)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, format!("not JSON: {error}")))?;
    let order = Order {
        account: string(&body["account"]),
        symbol: string(&body["symbol"]),
        side: side(&body["side"]).into(),
        quantity: whole(number(&body["quantity"], 0.0)),
    };
    let key = headers.get(IDEMPOTENCY_KEY).and_then(|key| key.to_str().ok()).unwrap_or_default();
    let request = OrderRequest { order: Some(order), idempotency_key: key.to_owned() };
    answer(StatusCode::CREATED, market.place_order(request).await)
}

async fn history(
    State((market, _)): Shared,
    Path(symbol): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = query.unwrap_or_default();
    let last = query.split('&').rev().find_map(|pair| pair.strip_prefix("n="));
    let n = last.map_or(Value::Null, |text| Value::String(text.to_owned()));
    answer(
        StatusCode::OK,
        market.history(HistoryRequest { symbol, n: whole(number(&n, CANDLES_DEFAULT)) }).await,
    )
}

fn answer<M: Serialize>(status: StatusCode, answer: MarketResult<M>) -> Result<Response, Problem> {
    let body = serde_json::to_vec(&answer?).unwrap_or_default();
    Ok((status, [("content-type", "application/json")], body).into_response())
}

/// A value as text: nothing is the empty one.
fn string(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A value as a number, as JavaScript's `Number` makes one; nothing is the default.
fn number(value: &Value, default: f64) -> f64 {
    match value {
        Value::Null => default,
        Value::Bool(is) => f64::from(u8::from(*is)),
        Value::Number(number) => number.as_f64().unwrap_or(f64::NAN),
        Value::String(text) if text.trim().is_empty() => 0.0,
        Value::String(text) => text.trim().parse().unwrap_or(f64::NAN),
        Value::Array(items) => match &items[..] {
            [] => 0.0,
            [one] => number(one, 0.0),
            _ => f64::NAN,
        },
        Value::Object(_) => f64::NAN,
    }
}

/// Truncated; what does not fit goes to the nearest that does, and what is no number to 0, which
/// the market refuses.
fn whole(number: f64) -> u32 {
    number.trunc() as u32
}

/// By name in whatever case, or by number; anything else is nothing, which the market refuses.
fn side(value: &Value) -> Side {
    match string(value).to_lowercase().as_str() {
        "buy" | "1" => Side::Buy,
        "sell" | "2" => Side::Sell,
        _ => Side::Unspecified,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_become_what_dynamic_languages_make_of_them() {
        let quantity = |value: Value| whole(number(&value, 0.0));
        assert_eq!(
            [json!(5), json!("5"), json!(5.7), json!([5]), json!(true)].map(quantity),
            [5, 5, 5, 5, 1]
        );
        assert_eq!([json!(null), json!("five"), json!({}), json!(-5), json!([1, 2])].map(quantity), [0; 5]);
        assert_eq!(quantity(json!(1e300)), u32::MAX);
        assert_eq!((string(&json!(7)), string(&json!(null))), ("7".to_owned(), String::new()));
        assert_eq!((side(&json!("BUY")), side(&json!(9))), (Side::Buy, Side::Unspecified));
    }
}
