//! What a case is: a server, a client, and what must come of it.

use std::net::SocketAddr;

use proto::encoding::Encoding;
use terms::{Carriage, Failure, HttpVersion, Streams};

/// One load against one hostile server.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    /// What the server does.
    pub(crate) name: &'static str,
    /// Starts it; it runs as long as this process.
    pub(crate) server: fn() -> SocketAddr,
    /// Who calls it.
    pub(crate) client: Client,
    /// What must come of it.
    pub(crate) expect: Expect,
    /// Megabytes that the client's memory may grow by at most.
    pub(crate) grows_mb: u64,
}

/// Megabytes that a client may grow by where nothing large is sent: its own code, connections,
/// buffers of the libraries, in a debug build.
pub(crate) const FLAT_MB: u64 = 24;
/// The same where each of its eight calls may collect a reply up to its bound, or each of its two
/// connections what it cannot send, in buffers that grow by doubling.
pub(crate) const REPLIES_MB: u64 = 128;

impl Case {
    /// A case in flat memory.
    pub(crate) const fn new(
        name: &'static str,
        server: fn() -> SocketAddr,
        client: Client,
        expect: Expect,
    ) -> Case {
        Case { name, server, client, expect, grows_mb: FLAT_MB }
    }

    /// The same, where replies or what cannot be sent may be collected up to their bound.
    pub(crate) const fn with_replies(self) -> Case {
        Case { grows_mb: REPLIES_MB, ..self }
    }
}

/// What must come of a load.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Expect {
    /// No connection is opened, and the error says this.
    NotOpened(&'static str),
    /// Calls fail, some of them in one of these ways.
    Fails(&'static [Failure]),
    /// Some calls succeed: what is hostile about the server is not in its replies.
    Works,
    /// All calls succeed.
    AllWork,
    /// It ends; what comes of it depends on what the system did first.
    Ends,
}

/// Who loads the server.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Client {
    /// `http://`, of a version.
    Http(HttpVersion),
    /// `https://`, of a version.
    Https(HttpVersion),
    /// `ws://`.
    WebSocket,
    /// `tcp://`, replies until a line's end; the request has so many bytes.
    Tcp(usize),
    /// `tls://`, the same.
    Tls,
    /// `udp://`.
    Udp,
    /// The market's calls.
    Market(Carriage),
    /// A subscriber of the market.
    Subscriber(Carriage),
    /// Orders on a session of the market.
    Session(Carriage),
}

/// REST in JSON.
pub(crate) const fn rest(http: HttpVersion) -> Carriage {
    Carriage::Rest { http, encoding: Encoding::Json, poll_every: None }
}

/// GraphQL over HTTP/1.1.
pub(crate) const GRAPHQL: Carriage = Carriage::GraphQl { http: HttpVersion::Http1, persisted: false };
/// SSE over HTTP/1.1.
pub(crate) const SSE: Carriage = Carriage::Sse { http: HttpVersion::Http1 };
/// A stream of QUIC for each call.
pub(crate) const QUIC: Carriage = Carriage::Quic { streams: Streams::PerCall };

/// Every case.
pub(crate) fn all() -> Vec<Case> {
    [
        crate::stream::CASES,
        crate::http1::CASES,
        crate::http2::CASES,
        crate::http3::CASES,
        crate::grpc::CASES,
        crate::graphql::CASES,
        crate::sse::CASES,
        crate::websocket::CASES,
        crate::frames::CASES,
        crate::udp::CASES,
        crate::tls::CASES,
        crate::quic::CASES,
    ]
    .concat()
}
