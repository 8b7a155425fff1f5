//! GraphQL: queries and the mutation in JSON over HTTP/1.1 or HTTP/2, by POST or, persisted, by GET
//! and their hash; subscriptions over a WebSocket of their own (`graphql-transport-ws`).

mod documents;

use std::time::Duration;

use bytes::Bytes;
use clock::Clock;
use futures::{SinkExt as _, StreamExt as _, stream};
use http::{HeaderMap, Response};
use http_body_util::Full;
use proto::v1::{FaultCode, History, OrderReceipt, Portfolio, Quote, Quotes, SubscribeRequest, Tick};
use proto::{Capability, Fault, Operation, Protocol, Reply};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use terms::HttpVersion;
use tokio_tungstenite::tungstenite::Message;

use super::rest;
use crate::connection::{CallError, Connection, Connector, Unsupported};
use crate::endpoint::Endpoint;
use crate::http_client::HttpConnection;
use crate::http_request::{HttpRequest, Origin, escape};
use crate::limits::{EVENT_BYTES_MAX, check_reply};
use crate::market::{OpenSession, Session, Subscribe, TickStream};
use crate::websocket_client::{self, WebSocket, closed};

const MEDIA_TYPE: &str = "application/json";

/// Opens GraphQL connections.
#[derive(Debug, Clone)]
pub struct GraphQlConnector {
    /// The server.
    pub endpoint: Endpoint,
    /// Which HTTP.
    pub http: HttpVersion,
    /// Ask by the hash of the query: reads by GET, so that a cache can keep them.
    pub persisted: bool,
}

impl Connector for GraphQlConnector {
    type Connection = GraphQlConnection;

    async fn connect(&self) -> Result<GraphQlConnection, CallError> {
        Ok(GraphQlConnection {
            http: HttpConnection::open(&self.endpoint, self.http).await?,
            origin: Origin::new(&self.endpoint, self.http),
            endpoint: self.endpoint.clone(),
            persisted: self.persisted,
        })
    }

    fn in_flight_max(&self) -> Option<usize> {
        self.http.in_flight_max()
    }
}

/// An open GraphQL connection.
pub struct GraphQlConnection {
    http: HttpConnection<Full<Bytes>>,
    origin: Origin,
    endpoint: Endpoint,
    persisted: bool,
}

/// A GraphQL request, ready to be sent.
#[derive(Debug)]
pub struct PreparedQuery {
    capability: Capability,
    request: HttpRequest,
    /// The same with the whole query, for a server that does not know its hash.
    whole: Option<HttpRequest>,
}

impl Connection for GraphQlConnection {
    type Request = Operation;
    type Prepared = PreparedQuery;
    type Reply = Reply;

    fn prepare(&self, operation: &Operation) -> Result<PreparedQuery, Unsupported> {
        let (query, variables) = documents::of(operation);
        let capability = operation.capability();
        if !self.persisted {
            let request = self.post(&json!({ "query": query, "variables": variables }))?;
            return Ok(PreparedQuery { capability, request, whole: None });
        }
        let hash: String = Sha256::digest(&query).iter().map(|byte| format!("{byte:02x}")).collect();
        let extensions = json!({ "persistedQuery": { "version": 1, "sha256Hash": hash } });
        let request = if capability == Capability::PlaceOrder {
            self.post(&json!({ "extensions": extensions, "variables": variables }))?
        } else {
            self.get(&extensions, &variables)?
        };
        let whole = json!({ "query": query, "extensions": extensions, "variables": variables });
        Ok(PreparedQuery { capability, request, whole: Some(self.post(&whole)?) })
    }

    async fn call(&self, prepared: &PreparedQuery, time_left: Option<Duration>) -> Result<Reply, CallError> {
        let begun = Clock::System.now();
        let response = self.http.exchange(prepared.request.build(time_left)).await?;
        match (decode_reply(prepared.capability, &response), &prepared.whole) {
            (Err(Refusal::NotPersisted), Some(whole)) => {
                let taken = Clock::System.now().since(begun);
                let time_left = time_left.map(|left| left.saturating_sub(taken));
                let response = self.http.exchange(whole.build(time_left)).await?;
                decode_reply(prepared.capability, &response).map_err(Refusal::into_error)
            }
            (decoded, _) => decoded.map_err(Refusal::into_error),
        }
    }

    async fn place(&self) {
        self.http.place().await;
    }

    fn is_open(&self) -> bool {
        self.http.is_open()
    }
}

impl GraphQlConnection {
    fn post(&self, body: &serde_json::Value) -> Result<HttpRequest, Unsupported> {
        self.origin.post(Protocol::GraphQl.path(), MEDIA_TYPE, body.to_string().into())
    }

    fn get(
        &self,
        extensions: &serde_json::Value,
        variables: &serde_json::Value,
    ) -> Result<HttpRequest, Unsupported> {
        let (extensions, variables) = (escape(&extensions.to_string()), escape(&variables.to_string()));
        let path = Protocol::GraphQl.path();
        self.origin.get(&format!("{path}?extensions={extensions}&variables={variables}"), MEDIA_TYPE)
    }
}

/// What comes back. Field names are the contract's, so that each is the message itself.
#[derive(Deserialize)]
struct Answer {
    data: Option<Fields>,
    #[serde(default)]
    errors: Vec<AnswerError>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Fields {
    quote: Option<Quote>,
    quotes: Option<Vec<Quote>>,
    portfolio: Option<Portfolio>,
    history: Option<History>,
    place_order: Option<OrderReceipt>,
    ticks: Option<Tick>,
}

#[derive(Deserialize)]
struct AnswerError {
    message: String,
    #[serde(default)]
    extensions: ErrorExtensions,
}

#[derive(Deserialize, Default)]
struct ErrorExtensions {
    #[serde(default)]
    code: String,
}

/// Why there is no reply.
enum Refusal {
    /// The server does not know the hash.
    NotPersisted,
    Error(CallError),
}

impl Refusal {
    fn into_error(self) -> CallError {
        match self {
            Refusal::NotPersisted => {
                CallError::Protocol("the server forgot a query it was just sent".to_owned())
            }
            Refusal::Error(error) => error,
        }
    }
}

fn decode_reply(capability: Capability, response: &Response<Bytes>) -> Result<Reply, Refusal> {
    check_reply(capability, response.body().len()).map_err(Refusal::Error)?;
    let answer: Answer = match serde_json::from_slice::<Answer>(response.body()) {
        Ok(answer) if response.status().is_success() || !answer.errors.is_empty() => answer,
        Err(error) if response.status().is_success() => {
            return Err(Refusal::Error(CallError::Protocol(error.to_string())));
        }
        // Refused before GraphQL came to see it.
        _ => return Err(Refusal::Error(rest::refusal(response))),
    };
    let fields = answer.fields()?;
    let reply = match capability {
        Capability::Quote => fields.quote.map(Reply::Quote),
        Capability::Quotes => fields.quotes.map(|quotes| Reply::Quotes(Quotes { quotes })),
        Capability::Portfolio => fields.portfolio.map(Reply::Portfolio),
        Capability::History => fields.history.map(Reply::History),
        Capability::PlaceOrder => fields.place_order.map(Reply::Receipt),
        Capability::Subscribe | Capability::Session => None,
    };
    reply.ok_or_else(|| Refusal::Error(CallError::Protocol("no data of what was asked".to_owned())))
}

impl Answer {
    fn fields(self) -> Result<Fields, Refusal> {
        let Some(error) = self.errors.into_iter().next() else { return Ok(self.data.unwrap_or_default()) };
        if error.message == "PersistedQueryNotFound" {
            return Err(Refusal::NotPersisted);
        }
        Err(Refusal::Error(match FaultCode::from_str_name(&error.extensions.code) {
            Some(code) => Fault::new(code, error.message).into(),
            // The library's own: the query does not fit the schema.
            None => CallError::Rejected(Fault::new(FaultCode::InvalidArgument, error.message)),
        }))
    }
}

impl Subscribe for GraphQlConnection {
    async fn subscribe(&self, request: &SubscribeRequest) -> Result<TickStream, CallError> {
        let path = format!("{}/ws", Protocol::GraphQl.path());
        let subprotocol = Some("graphql-transport-ws");
        let mut socket =
            websocket_client::connect(&self.endpoint, &path, &HeaderMap::new(), subprotocol, EVENT_BYTES_MAX)
                .await?;
        send(&mut socket, &json!({ "type": "connection_init" })).await?;
        match receive(&mut socket).await? {
            Received { kind, .. } if kind == "connection_ack" => {}
            Received { kind, .. } => {
                return Err(CallError::Protocol(format!("{kind} before connection_ack")));
            }
        }
        let variables = json!({ "symbols": request.symbols, "after_sequence": request.after_sequence });
        let payload = json!({ "query": documents::TICKS, "variables": variables });
        send(&mut socket, &json!({ "id": "1", "type": "subscribe", "payload": payload })).await?;
        Ok(Box::pin(stream::unfold(Some(socket), async |socket| {
            let mut socket = socket?;
            match next_tick(&mut socket).await {
                Ok(Some(tick)) => Some((Ok(tick), Some(socket))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        })))
    }
}

/// A message of `graphql-transport-ws`.
#[derive(Deserialize)]
struct Received {
    #[serde(rename = "type")]
    kind: String,
    payload: Option<Box<serde_json::value::RawValue>>,
}

async fn send(socket: &mut WebSocket, message: &serde_json::Value) -> Result<(), CallError> {
    let sent = socket.send(Message::text(message.to_string())).await;
    sent.map_err(|error| websocket_client::failure(&error))
}

async fn receive(socket: &mut WebSocket) -> Result<Received, CallError> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => {
                return serde_json::from_str(&text).map_err(|error| CallError::Protocol(error.to_string()));
            }
            Some(Ok(message @ Message::Close(_))) => return Err(closed(&message)),
            Some(Ok(_)) => tokio::task::coop::consume_budget().await,
            Some(Err(error)) => return Err(websocket_client::failure(&error)),
            None => return Err(closed(&Message::Close(None))),
        }
    }
}

/// The next tick; `None` where the server ended the subscription.
async fn next_tick(socket: &mut WebSocket) -> Result<Option<Tick>, CallError> {
    loop {
        let Received { kind, payload } = receive(socket).await?;
        let payload = payload.as_ref().map_or("{}", |payload| payload.get());
        match kind.as_str() {
            "next" => {
                let answer: Answer =
                    serde_json::from_str(payload).map_err(|error| CallError::Protocol(error.to_string()))?;
                let fields = answer.fields().map_err(Refusal::into_error)?;
                let none = || CallError::Protocol("no tick in what came".to_owned());
                return fields.ticks.ok_or_else(none).map(Some);
            }
            "error" => return Err(CallError::Protocol(format!("the subscription failed: {payload}"))),
            "complete" => return Ok(None),
            "ping" => send(socket, &json!({ "type": "pong" })).await?,
            _ => tokio::task::coop::consume_budget().await,
        }
    }
}

impl Session for GraphQlConnection {
    async fn session(&self) -> Result<OpenSession, Unsupported> {
        Err(Unsupported(
            "GraphQL offers no session: a subscription takes no messages once it runs".to_owned(),
        ))
    }
}
