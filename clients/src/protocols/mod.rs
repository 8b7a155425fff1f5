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

use terms::Carriage;

use crate::connection::Connector;
use crate::endpoint::Endpoint;
use crate::market::MarketConnection;

/// Calls `visit` with the connector of a carriage: the one place where a protocol's name becomes
/// its type.
pub fn visit<V: Visit>(carriage: Carriage, endpoint: impl Into<Endpoint>, visit: V) -> V::Output {
    let endpoint = endpoint.into();
    match carriage {
        Carriage::Rest { http, encoding, poll_every } => {
            visit.with(rest::RestConnector { endpoint, http, encoding, poll_every })
        }
        Carriage::GraphQl { http, persisted } => {
            visit.with(graphql::GraphQlConnector { endpoint, http, persisted })
        }
        Carriage::Grpc => visit.with(grpc::GrpcConnector { endpoint }),
        Carriage::Sse { http } => visit.with(sse::SseConnector { endpoint, http }),
        Carriage::WebSocket { encoding } => visit.with(websocket::WebSocketConnector { endpoint, encoding }),
        Carriage::Tcp => visit.with(tcp::TcpConnector { endpoint }),
        Carriage::Udp => visit.with(udp::UdpConnector::new(endpoint)),
        Carriage::Quic { streams } => visit.with(quic::QuicConnector { endpoint, streams }),
        Carriage::QuicDatagram => visit.with(quic_datagram::QuicDatagramConnector { endpoint }),
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
