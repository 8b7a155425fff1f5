//! Servers that wirebench did not start: their replies are counted and not decoded.

pub mod http;
pub mod tcp;
pub mod udp;
pub mod websocket;

use ::http::HeaderMap;
use bytes::Bytes;
use proto::Operation;
use terms::{Carriage, HttpVersion, Shape};

use crate::connection::{Connection, Connector};
use crate::endpoint::Endpoint;
use crate::load::{Calls, Engine, EngineError};
use crate::market::{Checked, MarketConnection};
use crate::protocols::{Visit, visit};

/// What a server that wirebench did not start is sent, and how.
#[derive(Debug)]
pub enum Request {
    /// HTTP, in a version.
    Http(HttpVersion, http::HttpRequest),
    /// A message to a WebSocket, at a path and with headers.
    WebSocket {
        /// Path and query.
        path: String,
        /// Sent when it is opened.
        headers: HeaderMap,
        /// The message.
        message: String,
    },
    /// A datagram.
    Udp(Bytes),
    /// Bytes, and where a reply ends.
    Tcp(Bytes, tcp::ReplyEnd),
    /// Calls of the market, every reply decoded and checked.
    Market(Carriage, Vec<Operation>),
}

/// Opens all connections of a load on a server that wirebench did not start. The engine is
/// instantiated here, once for each kind of request.
///
/// # Errors
/// As [`Engine::start`].
pub fn open(
    request: Request,
    endpoint: Endpoint,
    cores: &[usize],
    shape: Shape,
    pin: fn(usize) -> std::io::Result<()>,
) -> Result<Engine, EngineError> {
    match request {
        Request::Http(version, request) => {
            start(http::HttpConnector { endpoint, version }, vec![request], cores, shape, pin)
        }
        Request::WebSocket { path, headers, message } => {
            let connector = websocket::RawWebSocketConnector { endpoint, path, headers };
            start(connector, vec![message], cores, shape, pin)
        }
        Request::Udp(datagram) => {
            let connector = udp::RawUdpConnector { address: endpoint.address };
            start(connector, vec![datagram], cores, shape, pin)
        }
        Request::Tcp(bytes, end) => {
            start(tcp::RawTcpConnector { endpoint, end }, vec![bytes], cores, shape, pin)
        }
        Request::Market(carriage, operations) => {
            visit(carriage, endpoint, OfTheMarket { operations, cores, shape, pin })
        }
    }
}

fn start<K>(
    connector: K,
    requests: Vec<<K::Connection as Connection>::Request>,
    cores: &[usize],
    shape: Shape,
    pin: fn(usize) -> std::io::Result<()>,
) -> Result<Engine, EngineError>
where
    K: Connector + Send,
    <K::Connection as Connection>::Request: Clone + Send + 'static,
{
    let with_key = |request: &<K::Connection as Connection>::Request, _| request.clone();
    Engine::start(
        cores,
        &Calls { connector, requests, policy: None, deadline: None, with_key, apart: Vec::new() },
        shape,
        pin,
    )
}

struct OfTheMarket<'a> {
    operations: Vec<Operation>,
    cores: &'a [usize],
    shape: Shape,
    pin: fn(usize) -> std::io::Result<()>,
}

impl Visit for OfTheMarket<'_> {
    type Output = Result<Engine, EngineError>;

    fn with<K>(self, connector: K) -> Result<Engine, EngineError>
    where
        K: Connector + Send,
        K::Connection: MarketConnection,
    {
        start(Checked(connector), self.operations, self.cores, self.shape, self.pin)
    }
}
