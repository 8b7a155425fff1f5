//! Any gRPC method: a message that is encoded already, and the messages that come back, counted and
//! not decoded. A call ends with its status (`docs/PROTOCOL-HTTP2.md` of gRPC).

use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderValue, Method};
use http_body_util::{BodyExt as _, Full};
use percent_encoding::percent_decode;
use terms::HttpVersion;

use super::http::for_library;
use crate::connection::{CallError, Connection, Connector, ReplyFacts, Unsupported};
use crate::endpoint::Endpoint;
use crate::http_client::HttpConnection;
use crate::http_errors::failure;
use crate::http_request::HttpRequest;
use crate::reply_body::CountedBody;

/// Bytes before each message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;
/// The names of statuses, by their numbers (gRPC's `statuscodes.md`).
const STATUSES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Opens connections to a gRPC server.
#[derive(Debug, Clone)]
pub struct GrpcMethodConnector {
    /// The server.
    pub endpoint: Endpoint,
}

/// A call of a method.
#[derive(Debug, Clone)]
pub struct GrpcCall {
    /// `http://HOST:PORT/package.Service/Method`.
    pub uri: http::Uri,
    /// Metadata.
    pub headers: HeaderMap,
    /// The request's messages, encoded; several where the client streams.
    pub messages: Vec<Bytes>,
    /// Whether the server answers with a stream of messages, which may have none.
    pub streams: bool,
}

/// A call, ready to be made.
#[derive(Debug)]
pub struct PreparedCall {
    request: HttpRequest,
    streams: bool,
}

/// An open connection.
pub struct GrpcMethodConnection(HttpConnection<Full<Bytes>>);

impl Connector for GrpcMethodConnector {
    type Connection = GrpcMethodConnection;

    async fn connect(&self) -> Result<GrpcMethodConnection, CallError> {
        HttpConnection::open(&self.endpoint, HttpVersion::Http2).await.map(GrpcMethodConnection)
    }

    fn in_flight_max(&self) -> Option<usize> {
        HttpVersion::Http2.in_flight_max()
    }
}

impl Connection for GrpcMethodConnection {
    type Request = GrpcCall;
    type Prepared = PreparedCall;
    type Reply = ReplyFacts;

    fn prepare(&self, call: &GrpcCall) -> Result<PreparedCall, Unsupported> {
        let mut headers = call.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
        let mut body = BytesMut::new();
        for message in &call.messages {
            let length = u32::try_from(message.len())
                .map_err(|_| Unsupported("a message of more than 4 GB".to_owned()))?;
            body.put_u8(0);
            body.put_u32(length);
            body.put_slice(message);
        }
        let request =
            HttpRequest { method: Method::POST, uri: call.uri.clone(), headers, body: body.freeze() };
        Ok(PreparedCall { request: for_library(&request, HttpVersion::Http2)?, streams: call.streams })
    }

    async fn call(&self, call: &PreparedCall, _: Option<Duration>) -> Result<ReplyFacts, CallError> {
        let _taken = self.0.taken();
        let reply = self.0.send(call.request.build(None)).await.map_err(|error| failure(&error))?;
        let (head, mut body) = reply.into_parts();
        if head.status != http::StatusCode::OK {
            return Err(CallError::Protocol(format!("status {} is not gRPC's", head.status)));
        }
        let mut counted = CountedBody::default();
        let mut trailers = None;
        while let Some(frame) = body.frame().await {
            match frame.map_err(|error| failure(&error))?.into_data() {
                Ok(data) => counted.add(data.len())?,
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
        }
        // Where nothing but a status came, it is in the head.
        let fields =
            trailers.as_ref().filter(|fields| fields.contains_key("grpc-status")).unwrap_or(&head.headers);
        match status_of(fields) {
            None => Err(CallError::Protocol("a reply without a grpc-status".to_owned())),
            Some(0) if counted.bytes() < PREFIX_BYTES && !call.streams => {
                Err(CallError::Protocol("a reply of status 0 without a message".to_owned()))
            }
            Some(0) => Ok(ReplyFacts { status: Some(0), bytes: counted.bytes(), phases: None }),
            Some(status) => Err(failed(status, fields, counted.bytes())),
        }
    }

    fn facts(reply: ReplyFacts) -> ReplyFacts {
        reply
    }

    async fn place(&self) {
        self.0.place().await;
    }

    fn is_open(&self) -> bool {
        self.0.is_open()
    }
}

fn status_of(fields: &HeaderMap) -> Option<u16> {
    fields.get("grpc-status")?.to_str().ok()?.parse().ok()
}

/// What a status other than 0 means for a call, with its message.
fn failed(status: u16, fields: &HeaderMap, bytes: usize) -> CallError {
    let name = STATUSES.get(usize::from(status)).copied().unwrap_or("unknown");
    let message =
        fields.get("grpc-message").map(|message| percent_decode(message.as_bytes()).decode_utf8_lossy());
    let message = message.map(|message| format!(": {message}")).unwrap_or_default();
    CallError::Status { status, bytes, what: format!("grpc-status {status} {name}{message}") }
}

/// Makes one call and collects the bytes of its reply's messages: for what a load must know before
/// it begins.
///
/// # Errors
/// As [`Connection::call`].
pub async fn messages(endpoint: &Endpoint, call: &GrpcCall) -> Result<Vec<Bytes>, CallError> {
    let connection = GrpcMethodConnector { endpoint: endpoint.clone() }.connect().await?;
    let prepared = connection.prepare(call)?;
    let reply = connection.0.exchange(prepared.request.build(None)).await?;
    if let Some(status) = status_of(reply.headers()).filter(|status| *status != 0) {
        return Err(failed(status, reply.headers(), 0));
    }
    split(reply.into_body())
}

/// The messages of a body: each behind whether it is compressed, and its length.
///
/// # Errors
/// Where one is compressed, or is not all there.
pub fn split(mut body: Bytes) -> Result<Vec<Bytes>, CallError> {
    let wrong = || CallError::Protocol("a message that is compressed, or cut short".to_owned());
    let mut messages = Vec::new();
    while !body.is_empty() {
        let (prefix, rest) = body.split_first_chunk::<PREFIX_BYTES>().ok_or_else(wrong)?;
        let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
        if prefix[0] != 0 || length > rest.len() {
            return Err(wrong());
        }
        body.advance(PREFIX_BYTES);
        messages.push(body.split_to(length));
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_split_at_their_lengths() {
        let split = |bytes: &'static [u8]| split(Bytes::from_static(bytes)).ok();
        let found = split(b"\0\0\0\0\x02ab\0\0\0\0\0\0\0\0\0\x01c").unwrap();
        assert_eq!(found, [&b"ab"[..], b"", b"c"]);
        assert_eq!(split(b""), Some(Vec::new()));
        for wrong in [&b"\x01\0\0\0\x02ab"[..], b"\0\0\0\0\x03ab", b"\0\xff\xff\xff\xffab", b"\0\0\0\0\0\0\0"]
        {
            assert_eq!(split(wrong), None, "{}", wrong.escape_ascii());
        }
    }
}
