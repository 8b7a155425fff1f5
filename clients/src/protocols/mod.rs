//! A file a protocol: how the market is called. Names and shapes mirror `servers/src/protocols`.

pub mod graphql;
pub mod grpc;
pub mod quic;
pub mod quic_datagram;
pub mod rest;
pub mod sse;
pub mod tcp;
pub mod udp;
pub mod websocket;

use std::time::Duration;

use proto::encoding::Encoding;
use proto::{Protocol, Transport};
use quic::Streams;

use crate::connection::Connector;
use crate::endpoint::Endpoint;
use crate::http_client::HttpVersion;
use crate::market::MarketConnection;

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

    /// How many calls a connection can have in flight; `None` where the protocol sets no small bound.
    pub fn in_flight_max(self) -> Option<usize> {
        match self {
            Carriage::Rest { http, .. } | Carriage::GraphQl { http, .. } | Carriage::Sse { http } => {
                http.in_flight_max()
            }
            _ => None,
        }
    }

    /// Calls `visit` with the connector of this carriage: the one place where a protocol's name becomes its type.
    pub fn visit<V: Visit>(self, endpoint: impl Into<Endpoint>, visit: V) -> V::Output {
        let endpoint = endpoint.into();
        match self {
            Carriage::Rest { http, encoding, poll_every } => {
                visit.with(rest::RestConnector { endpoint, http, encoding, poll_every })
            }
            Carriage::GraphQl { http, persisted } => {
                visit.with(graphql::GraphQlConnector { endpoint, http, persisted })
            }
            Carriage::Grpc => visit.with(grpc::GrpcConnector { endpoint }),
            Carriage::Sse { http } => visit.with(sse::SseConnector { endpoint, http }),
            Carriage::WebSocket { encoding } => {
                visit.with(websocket::WebSocketConnector { endpoint, encoding })
            }
            Carriage::Tcp => visit.with(tcp::TcpConnector { endpoint }),
            Carriage::Udp => visit.with(udp::UdpConnector::new(endpoint)),
            Carriage::Quic { streams } => visit.with(quic::QuicConnector { endpoint, streams }),
            Carriage::QuicDatagram => visit.with(quic_datagram::QuicDatagramConnector { endpoint }),
        }
    }
}

/// Something to do with a connector, whichever it is.
pub trait Visit {
    /// What comes of it.
    type Output;

    /// Does it.
    fn with<K>(self, connector: K) -> Self::Output
    where
        K: Connector + Send,
        K::Connection: MarketConnection;
}
