//! The cases, frozen in `cases.json`: the very bytes that each contender is sent, and what a typed
//! client has to say of them. They are generated (`generate.rs`), and a test holds the two
//! together.

use serde::{Deserialize, Serialize};

/// The frozen cases, one a line.
pub(super) const FROZEN: &str = include_str!("cases.json");

/// One thing that is wrong with one message, as each contender would be sent it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    /// Its name: the field, and what is done to it.
    pub(super) name: String,
    /// What kind of thing is wrong.
    pub(super) group: String,
    /// The same as the name, in a sentence.
    pub(super) words: String,
    /// Where it comes from.
    pub(super) origin: Origin,
    /// The order that is meant, where the message means one: who places it has understood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) meant: Option<serde_json::Value>,
    pub(super) rest: Form<Rest>,
    pub(super) graphql: Form<GraphQl>,
    pub(super) grpc: Form<Grpc>,
    pub(super) websocket: Form<WebSocket>,
    /// Why a client that is generated from each contract cannot be made to send it; absent where it
    /// can.
    pub(super) refused_by: RefusedBy,
}

/// Who makes the mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Origin {
    /// The program that fills the message in: a typed client may refuse it.
    Caller,
    /// Whoever carries the bytes: no client is asked.
    Wire,
    /// Nobody: the two ends have another version of the contract, and each is right by its own.
    Version,
}

/// A message as one protocol writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Form<T> {
    Sent(T),
    /// The protocol has no such bytes; why.
    NotExpressible {
        not_expressible: String,
    },
}

/// A request over HTTP: a POST where it has a body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rest {
    pub(super) path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<String>,
    /// A header's name and value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) header: Option<(String, String)>,
}

/// The body of a POST.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GraphQl {
    pub(super) body: String,
}

/// A method, and what its request's DATA frames hold, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Grpc {
    pub(super) method: String,
    pub(super) data: String,
}

/// A text message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WebSocket {
    pub(super) text: String,
}

/// What clients in Rust that are generated from each contract refuse, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RefusedBy {
    /// Of `openapi.json`, by openapi-generator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) openapi: Option<String>,
    /// Of `schema.graphql`, by graphql_client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) graphql: Option<String>,
    /// Of `market.proto`, by prost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) protobuf: Option<String>,
}

/// The frozen cases.
pub(super) fn frozen() -> serde_json::Result<Vec<Case>> {
    serde_json::from_str(FROZEN)
}

/// Bytes in hexadecimal.
#[cfg(test)]
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes that were written in hexadecimal.
pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    Some(digits?.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}
