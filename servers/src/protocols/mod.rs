//! A file a protocol: how the market is carried. Each has
//! `serve(listener, market, limits, shutdown)`.

pub mod graphql;
pub mod grpc;
pub mod quic;
pub mod quic_datagram;
pub mod rest;
pub mod sse;
pub mod tcp;
pub mod udp;
pub mod websocket;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use proto::flow::Congestion;
use proto::{Protocol, Transport};
use socket2::SockRef;
use tokio::task::JoinHandle;

use crate::accept::{Listener, listen};
use crate::tls::Identity;
use crate::{Limits, Market, Shutdown, quic_server};

/// A server that is listening.
#[derive(Debug)]
pub struct Running {
    /// Where: the port is the real one, also where port 0 was asked for.
    pub address: SocketAddr,
    /// Ends when the server has drained after its shutdown.
    pub task: JoinHandle<()>,
}

/// How servers are to serve.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The bounds.
    pub limits: Limits,
    /// GraphQL: show the GraphiQL page, whose scripts the browser fetches from unpkg.com. Default
    /// false.
    pub graphiql: bool,
    /// gRPC: gRPC-Web on the same port, and HTTP/1.1 for it. Default false.
    pub grpc_web: bool,
    /// What carries the protocol. Default plain text.
    pub carrier: Carrier,
    /// Who decides how much is on its way; by default the system's own choice, and cubic over QUIC.
    pub congestion: Option<Congestion>,
}

/// What carries a protocol, and who the server is where that is proven.
#[derive(Debug, Clone, Default)]
pub enum Carrier {
    /// TCP or UDP, in plain text.
    #[default]
    Plain,
    /// TLS over TCP.
    Tls(Arc<Identity>),
    /// QUIC, which has TLS within.
    Quic(Arc<Identity>),
}

impl Carrier {
    /// Of a transport, for a server who can prove to be this one.
    pub fn new(transport: Transport, identity: &Arc<Identity>) -> Carrier {
        match transport {
            Transport::Plain => Carrier::Plain,
            Transport::Tls => Carrier::Tls(Arc::clone(identity)),
            Transport::Quic => Carrier::Quic(Arc::clone(identity)),
        }
    }
}

impl From<Limits> for Settings {
    fn from(limits: Limits) -> Settings {
        Settings { limits, ..Settings::default() }
    }
}

/// Binds and serves the market behind a protocol, on the current tokio runtime.
///
/// # Errors
/// The system's, where it refuses the address; also where the protocol is not carried so.
pub async fn start(
    protocol: Protocol,
    address: SocketAddr,
    market: Arc<Market>,
    settings: impl Into<Settings>,
    shutdown: Shutdown,
) -> io::Result<Running> {
    spawn(protocol, address, market, settings.into(), shutdown)
}

/// Neither generic nor async, so that all servers are compiled here, and not again by whoever
/// starts one.
fn spawn(
    protocol: Protocol,
    address: SocketAddr,
    market: Arc<Market>,
    settings: Settings,
    shutdown: Shutdown,
) -> io::Result<Running> {
    let Settings { limits, graphiql, grpc_web, carrier, congestion } = settings;
    let tls = match carrier {
        Carrier::Quic(identity) => {
            let alpn = protocol.alpn(Transport::Quic);
            let endpoint = quic_server::bind(address, &identity, alpn, &limits, congestion)?;
            return over_quic(protocol, endpoint, market, limits, shutdown);
        }
        Carrier::Plain if protocol == Protocol::Udp => {
            let socket = udp::bind(address)?;
            let address = socket.local_addr()?;
            return Ok(Running { address, task: tokio::spawn(udp::serve(socket, market, limits, shutdown)) });
        }
        Carrier::Plain => None,
        Carrier::Tls(identity) => Some(identity.over_tcp(protocol.alpn(Transport::Tls))?),
    };
    let over = if tls.is_some() { Transport::Tls } else { Transport::Plain };
    let listener = Listener { socket: listen(address)?, tls };
    if let Some(congestion) = congestion {
        // Accepted connections have it too.
        SockRef::from(&listener.socket).set_tcp_congestion(congestion.name().as_bytes())?;
    }
    let address = listener.socket.local_addr()?;
    let task = match protocol {
        Protocol::Rest => tokio::spawn(rest::serve(listener, market, limits, shutdown)),
        Protocol::GraphQl => tokio::spawn(graphql::serve(listener, market, limits, graphiql, shutdown)),
        Protocol::Grpc => tokio::spawn(grpc::serve(listener, market, limits, grpc_web, shutdown)),
        Protocol::Sse => tokio::spawn(sse::serve(listener, market, limits, shutdown)),
        Protocol::WebSocket => tokio::spawn(websocket::serve(listener, market, limits, shutdown)),
        Protocol::Tcp => tokio::spawn(tcp::serve(listener, market, limits, shutdown)),
        Protocol::Udp | Protocol::Quic | Protocol::QuicDatagram => return Err(not_carried(protocol, over)),
    };
    Ok(Running { address, task })
}

fn over_quic(
    protocol: Protocol,
    endpoint: quinn::Endpoint,
    market: Arc<Market>,
    limits: Limits,
    shutdown: Shutdown,
) -> io::Result<Running> {
    let address = endpoint.local_addr()?;
    let task = match protocol {
        Protocol::Rest => tokio::spawn(rest::serve_http3(endpoint, market, limits, shutdown)),
        Protocol::Quic => tokio::spawn(quic::serve(endpoint, market, limits, shutdown)),
        Protocol::QuicDatagram => tokio::spawn(quic_datagram::serve(endpoint, market, limits, shutdown)),
        _ => return Err(not_carried(protocol, Transport::Quic)),
    };
    Ok(Running { address, task })
}

fn not_carried(protocol: Protocol, transport: Transport) -> io::Error {
    let message = format!("{} is not carried over {}", protocol.name(), transport.in_words());
    io::Error::new(io::ErrorKind::Unsupported, message)
}
