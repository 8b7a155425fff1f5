//! A file a protocol: how the market is called. Names and shapes mirror `servers/src/protocols`.

pub mod grpc;
pub mod rest;
pub mod tcp;

use std::net::SocketAddr;

use proto::Protocol;
use proto::encoding::Encoding;

use crate::connection::Connector;
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
    },
    /// gRPC; its HTTP version and encoding are given.
    Grpc,
    /// TCP frames; their encoding is given.
    Tcp,
}

impl Carriage {
    /// The protocol.
    pub fn protocol(self) -> Protocol {
        match self {
            Carriage::Rest { .. } => Protocol::Rest,
            Carriage::Grpc => Protocol::Grpc,
            Carriage::Tcp => Protocol::Tcp,
        }
    }

    /// How many calls a connection can have in flight; `None` where the protocol sets no small bound.
    pub fn in_flight_max(self) -> Option<usize> {
        match self {
            Carriage::Rest { http, .. } => http.in_flight_max(),
            Carriage::Grpc | Carriage::Tcp => None,
        }
    }

    /// Calls `visit` with the connector of this carriage: the one place where a protocol's name becomes its type.
    pub fn visit<V: Visit>(self, address: SocketAddr, visit: V) -> V::Output {
        match self {
            Carriage::Rest { http, encoding } => visit.with(rest::RestConnector { address, http, encoding }),
            Carriage::Grpc => visit.with(grpc::GrpcConnector { address }),
            Carriage::Tcp => visit.with(tcp::TcpConnector { address }),
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
        K: Connector,
        K::Connection: MarketConnection;
}
