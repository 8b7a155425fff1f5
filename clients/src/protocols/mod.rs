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
    visit_each(carriage, endpoint.into(), Vec::new(), Only(visit))
}

/// The same with a connector for each of several endpoints.
pub fn visit_each<V: VisitEach>(
    carriage: Carriage,
    first: Endpoint,
    others: Vec<Endpoint>,
    visit: V,
) -> V::Output {
    let each = (first, others);
    match carriage {
        Carriage::Rest { http, encoding, poll_every } => {
            with_each(each, visit, |endpoint| rest::RestConnector { endpoint, http, encoding, poll_every })
        }
        Carriage::GraphQl { http, persisted } => {
            with_each(each, visit, |endpoint| graphql::GraphQlConnector { endpoint, http, persisted })
        }
        Carriage::Grpc => with_each(each, visit, |endpoint| grpc::GrpcConnector { endpoint }),
        Carriage::Sse { http } => with_each(each, visit, |endpoint| sse::SseConnector { endpoint, http }),
        Carriage::WebSocket { encoding } => {
            with_each(each, visit, |endpoint| websocket::WebSocketConnector { endpoint, encoding })
        }
        Carriage::Tcp => with_each(each, visit, |endpoint| tcp::TcpConnector { endpoint }),
        Carriage::Udp => with_each(each, visit, udp::UdpConnector::new),
        Carriage::Quic { streams } => {
            with_each(each, visit, |endpoint| quic::QuicConnector { endpoint, streams })
        }
        Carriage::QuicDatagram => {
            with_each(each, visit, |endpoint| quic_datagram::QuicDatagramConnector { endpoint })
        }
    }
}

fn with_each<K, V: VisitEach>(
    (first, others): (Endpoint, Vec<Endpoint>),
    visit: V,
    connector: impl Fn(Endpoint) -> K,
) -> V::Output
where
    K: Connector + Send,
    K::Connection: MarketConnection,
{
    visit.with(connector(first), others.into_iter().map(connector).collect())
}

/// A visit of one endpoint.
struct Only<V>(V);

impl<V: Visit> VisitEach for Only<V> {
    type Output = V::Output;

    fn with<K>(self, first: K, _: Vec<K>) -> V::Output
    where
        K: Connector + Send,
        K::Connection: MarketConnection,
    {
        self.0.with(first)
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

/// Something to do with the connectors of several endpoints, of one kind, whichever it is.
pub trait VisitEach {
    /// What comes of it.
    type Output;

    /// Does it.
    fn with<K>(self, first: K, others: Vec<K>) -> Self::Output
    where
        K: Connector + Send,
        K::Connection: MarketConnection;
}
