//! How the market is called: a protocol with its options, all of them decided.

use std::net::SocketAddr;
use std::time::Duration;

use proto::encoding::Encoding;
use proto::{Protocol, Transport};

/// How the market is to be called: a protocol with its options, all of them decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "protocol", rename_all = "snake_case")]
pub enum Carriage {
    /// REST, with the HTTP version and the encoding of bodies.
    Rest {
        /// Which HTTP.
        http: HttpVersion,
        /// Which encoding.
        encoding: Encoding,
        /// How often a subscriber asks; `None` to have each request wait for a tick (long polling).
        #[serde(default)]
        poll_every: Option<Duration>,
    },
    /// GraphQL in JSON, with the HTTP version of its queries.
    #[serde(rename = "graphql")]
    GraphQl {
        /// Which HTTP.
        http: HttpVersion,
        /// Queries go by GET and their hash.
        persisted: bool,
    },
    /// gRPC; its HTTP version and encoding are given.
    Grpc,
    /// Server-sent events in JSON, and REST calls beside them, with the HTTP version of both.
    Sse {
        /// Which HTTP.
        http: HttpVersion,
    },
    /// WebSocket messages, with their encoding.
    #[serde(rename = "websocket")]
    WebSocket {
        /// Which encoding.
        encoding: Encoding,
    },
    /// TCP frames; their encoding is given.
    Tcp,
    /// The same frames in datagrams.
    Udp,
    /// The frames of TCP on QUIC streams.
    Quic {
        /// Which calls share a stream.
        streams: Streams,
    },
    /// The same frames in QUIC datagrams.
    QuicDatagram,
}

impl Carriage {
    /// The protocol.
    pub fn protocol(self) -> Protocol {
        match self {
            Carriage::Rest { .. } => Protocol::Rest,
            Carriage::GraphQl { .. } => Protocol::GraphQl,
            Carriage::Grpc => Protocol::Grpc,
            Carriage::Sse { .. } => Protocol::Sse,
            Carriage::WebSocket { .. } => Protocol::WebSocket,
            Carriage::Tcp => Protocol::Tcp,
            Carriage::Udp => Protocol::Udp,
            Carriage::Quic { .. } => Protocol::Quic,
            Carriage::QuicDatagram => Protocol::QuicDatagram,
        }
    }

    /// What carries it, with TLS or without; `None` where it is not carried so.
    pub fn transport(self, tls: bool) -> Option<Transport> {
        let transport = match (self, tls) {
            (Carriage::Rest { http: HttpVersion::Http3, .. }, _) => Transport::Quic,
            (Carriage::Quic { .. } | Carriage::QuicDatagram, _) => Transport::Quic,
            (_, true) => Transport::Tls,
            (_, false) => Transport::Plain,
        };
        self.protocol().transports().contains(&transport).then_some(transport)
    }

    /// How many calls a connection can have in flight; `None` where the protocol sets no small
    /// bound.
    pub fn in_flight_max(self) -> Option<usize> {
        match self {
            Carriage::Rest { http, .. } | Carriage::GraphQl { http, .. } | Carriage::Sse { http } => {
                http.in_flight_max()
            }
            _ => None,
        }
    }
}

/// Which HTTP a connection speaks.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
pub enum HttpVersion {
    /// HTTP/1.1 with keep-alive; one call in flight.
    #[serde(rename = "1.1")]
    Http1,
    /// HTTP/2 by prior knowledge, or agreed on in TLS; many calls in flight.
    #[serde(rename = "2")]
    Http2,
    /// HTTP/3, over QUIC; many calls in flight.
    #[serde(rename = "3")]
    Http3,
}

/// A market that somebody calls.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct MarketAt {
    /// Where it listens.
    pub address: SocketAddr,
    /// How connections are secured, and the certificate to trust (DER).
    pub tls: Option<(TlsOptions, Vec<u8>)>,
}

impl HttpVersion {
    /// How many calls a connection can have in flight.
    pub fn in_flight_max(self) -> Option<usize> {
        match self {
            HttpVersion::Http1 => Some(1),
            HttpVersion::Http2 | HttpVersion::Http3 => None,
        }
    }

    /// Its name in TLS (RFC 7301).
    pub fn alpn(self) -> &'static [u8] {
        match self {
            HttpVersion::Http1 => b"http/1.1",
            HttpVersion::Http2 => b"h2",
            HttpVersion::Http3 => b"h3",
        }
    }
}

/// Which calls share a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Streams {
    /// None: each call, subscription and session has its own.
    PerCall,
    /// All calls.
    One,
}

/// How connections are secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct TlsOptions {
    /// Which TLS.
    pub version: TlsVersion,
    /// Resume the session of an earlier connection, where there is one.
    pub resume: bool,
    /// Send the first request with the first flight of a resumed handshake; of TLS 1.3.
    pub early_data: bool,
}

impl Default for TlsOptions {
    fn default() -> TlsOptions {
        TlsOptions { version: TlsVersion::Tls13, resume: false, early_data: false }
    }
}

/// A version of TLS.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
pub enum TlsVersion {
    /// RFC 5246.
    #[serde(rename = "1.2")]
    Tls12,
    /// RFC 8446.
    #[serde(rename = "1.3")]
    Tls13,
}

/// How subscribers behave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Manners {
    /// Ask for what came after the last event that was heard, instead of what comes from now on.
    pub resumes: bool,
    /// The silence after which a connection is given up for another, while events are due; `None`
    /// to wait for ever.
    pub notices: Option<Duration>,
}

/// The pause before a subscriber that lost its subscription asks for another.
pub const REST_BEFORE_RECONNECTION: Duration = Duration::from_millis(50);
