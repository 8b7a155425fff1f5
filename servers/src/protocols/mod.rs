//! A file a protocol: how the market is carried. Each has `serve(listener, market, limits, shutdown)`.

pub mod grpc;
pub mod rest;
pub mod tcp;

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

/// Binds and serves the market behind a protocol, on the current tokio runtime.
///
/// # Errors
/// The system's, where it refuses the address.
pub async fn start(
    protocol: Protocol,
    address: SocketAddr,
    market: Arc<Market>,
    limits: Limits,
    shutdown: Shutdown,
) -> io::Result<Running> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let task = match protocol {
        Protocol::Rest => tokio::spawn(rest::serve(listener, market, limits, shutdown)),
        Protocol::Grpc => tokio::spawn(grpc::serve(listener, market, limits, shutdown)),
        Protocol::Tcp => tokio::spawn(tcp::serve(listener, market, limits, shutdown)),
    };
    Ok(Running { address, task })
}
