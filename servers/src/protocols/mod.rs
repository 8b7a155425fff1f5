//! A file a protocol: how the market is carried. Each has `serve(listener, market, limits, shutdown)`.

pub mod graphql;
pub mod grpc;
pub mod rest;
pub mod sse;
pub mod tcp;
pub mod udp;
pub mod websocket;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use proto::Protocol;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::{Limits, Market, Shutdown};

/// A server that is listening.
#[derive(Debug)]
pub struct Running {
    /// Where: the port is the real one, also where port 0 was asked for.
    pub address: SocketAddr,
    /// Ends when the server has drained after its shutdown.
    pub task: JoinHandle<()>,
}

/// How servers are to serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The bounds.
    pub limits: Limits,
    /// GraphQL: show the GraphiQL page, whose scripts the browser fetches from unpkg.com. Default false.
    pub graphiql: bool,
}

impl From<Limits> for Settings {
    fn from(limits: Limits) -> Settings {
        Settings { limits, ..Settings::default() }
    }
}

/// Binds and serves the market behind a protocol, on the current tokio runtime.
///
/// # Errors
/// The system's, where it refuses the address.
pub async fn start(
    protocol: Protocol,
    address: SocketAddr,
    market: Arc<Market>,
    settings: impl Into<Settings>,
    shutdown: Shutdown,
) -> io::Result<Running> {
    let Settings { limits, graphiql } = settings.into();
    match protocol {
        Protocol::Rest => over_tcp(address, |on| rest::serve(on, market, limits, shutdown)).await,
        Protocol::GraphQl => {
            over_tcp(address, |on| graphql::serve(on, market, limits, graphiql, shutdown)).await
        }
        Protocol::Grpc => over_tcp(address, |on| grpc::serve(on, market, limits, shutdown)).await,
        Protocol::Sse => over_tcp(address, |on| sse::serve(on, market, limits, shutdown)).await,
        Protocol::WebSocket => over_tcp(address, |on| websocket::serve(on, market, limits, shutdown)).await,
        Protocol::Tcp => over_tcp(address, |on| tcp::serve(on, market, limits, shutdown)).await,
        Protocol::Udp => {
            let socket = udp::bind(address)?;
            let address = socket.local_addr()?;
            Ok(Running { address, task: tokio::spawn(udp::serve(socket, market, limits, shutdown)) })
        }
    }
}

async fn over_tcp<F>(address: SocketAddr, serve: impl FnOnce(TcpListener) -> F) -> io::Result<Running>
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    Ok(Running { address, task: tokio::spawn(serve(listener)) })
}
