//! Servers that wirebench did not start: their replies are counted and not decoded.

pub mod events;
pub mod expect;
pub mod greeting;
pub mod grpc;
pub mod http;
pub mod listen;
mod renewed;
pub mod tcp;
pub mod udp;
pub mod websocket;

use ::http::HeaderMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use clock::Clock;
use proto::Operation;
use terms::{Carriage, HttpVersion, Shape};

use self::renewed::Renewed;
use crate::cold::Cold;
use crate::connection::{Connection, Connector};
use crate::endpoint::Endpoint;
use crate::load::{Calls, Engine, EngineError, Kept};
use crate::market::{Checked, MarketConnection};
use crate::protocols::{Visit, visit};

/// What a server that wirebench did not start is sent, and how.
#[derive(Debug, Clone)]
pub enum Request {
    /// HTTP.
    Http {
        /// Its version.
        version: HttpVersion,
        /// Sent in turn.
        requests: Vec<http::HttpRequest>,
        /// What a right reply is.
        expect: expect::Expect,
    },
    /// A message to a WebSocket, at a path and with headers.
    WebSocket {
        /// Path and query.
        path: String,
        /// Sent when it is opened.
        headers: HeaderMap,
        /// The messages, sent in turn.
        messages: Vec<websocket::Payload>,
        /// Whether the server speaks first.
        greeting: greeting::Greeting,
    },
    /// Datagrams, sent in turn.
    Udp(Vec<Bytes>),
    /// Bytes, sent in turn, and where a reply ends.
    Tcp(Vec<Bytes>, tcp::ReplyEnd, greeting::Greeting),
    /// Calls of a gRPC method, sent in turn.
    Grpc(Vec<grpc::GrpcCall>),
    /// Calls of the market, every reply decoded and checked.
    Market(Carriage, Vec<Operation>),
}

/// Who makes the calls, and over what.
#[derive(Debug)]
pub struct Workers<'a> {
    /// The cores, one a worker.
    pub cores: &'a [usize],
    /// Connections and calls in flight.
    pub shape: Shape,
    /// Time in which each connection must be there.
    pub opening_time: Duration,
    /// Calls that each connection is for; `None` where that has no bound.
    pub calls_per_connection: Option<u64>,
    /// Runs first on each worker's thread, with its core.
    pub on_thread: fn(usize) -> std::io::Result<()>,
    /// What is kept of the calls beside the whole.
    pub kept: Kept,
    /// Set where the opening is to be given up.
    pub stop: &'a Arc<AtomicBool>,
}

/// Opens all connections of a load on a server that wirebench did not start. The engine is
/// instantiated here, once for each kind of request.
///
/// # Errors
/// As [`Engine::start`].
pub fn open(request: Request, endpoint: Endpoint, workers: &Workers<'_>) -> Result<Engine, EngineError> {
    match request {
        Request::Http { version, requests, expect } => {
            start(http::HttpConnector { endpoint, version, expect }, requests, workers)
        }
        Request::WebSocket { path, headers, messages, greeting } => {
            let connector = websocket::RawWebSocketConnector { endpoint, path, headers, greeting };
            start(connector, messages, workers)
        }
        Request::Udp(datagrams) => {
            let connector = udp::RawUdpConnector { endpoint };
            start(connector, datagrams, workers)
        }
        Request::Tcp(bytes, end, greeting) => {
            start(tcp::RawTcpConnector { endpoint, end, greeting }, bytes, workers)
        }
        Request::Grpc(calls) => start(grpc::GrpcMethodConnector { endpoint }, calls, workers),
        Request::Market(carriage, operations) => {
            visit(carriage, endpoint, OfTheMarket { operations, workers })
        }
    }
}

fn start<K>(
    connector: K,
    requests: Vec<<K::Connection as Connection>::Request>,
    workers: &Workers<'_>,
) -> Result<Engine, EngineError>
where
    K: Connector + Send,
    <K::Connection as Connection>::Request: Clone + Send + 'static,
{
    let (opening_time, calls_max) = (workers.opening_time, workers.calls_per_connection);
    let connector = Renewed { connector, opening_time, calls_max };
    if workers.shape.cold {
        begin(Cold { connector, clock: Clock::System }, requests, workers)
    } else {
        begin(connector, requests, workers)
    }
}

fn begin<K>(
    connector: K,
    requests: Vec<<K::Connection as Connection>::Request>,
    workers: &Workers<'_>,
) -> Result<Engine, EngineError>
where
    K: Connector + Send,
    <K::Connection as Connection>::Request: Clone + Send + 'static,
{
    let with_key = |request: &<K::Connection as Connection>::Request, _| request.clone();
    let kept = workers.kept.clone();
    let calls =
        Calls { connector, requests, policy: None, deadline: None, with_key, apart: Vec::new(), kept };
    Engine::start_until(workers.cores, &calls, workers.shape, workers.on_thread, workers.stop)
}

struct OfTheMarket<'a> {
    operations: Vec<Operation>,
    workers: &'a Workers<'a>,
}

impl Visit for OfTheMarket<'_> {
    type Output = Result<Engine, EngineError>;

    fn with<K>(self, connector: K) -> Result<Engine, EngineError>
    where
        K: Connector + Send,
        K::Connection: MarketConnection,
    {
        start(Checked(connector), self.operations, self.workers)
    }
}
