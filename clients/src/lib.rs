//! Everything that calls: a file a protocol, with the names of its counterpart in
//! `servers/src/protocols`; the load engine, once for all of them; the conformance cases.
//!
//! A protocol file holds carriage and nothing else: no timing, no retry, no statistics. This crate
//! never imports `servers`: it knows the contract, and judges replies by it.

pub mod balanced;
pub mod cold;
pub mod conformance;
pub mod connection;
pub mod endpoint;
mod exchanger;
pub mod foreign;
mod framed;
pub mod http1_client;
pub mod http2_heads;
mod http3_client;
mod http_client;
mod http_errors;
mod http_request;
pub mod in_steps;
mod lane;
mod limits;
pub mod load;
pub mod market;
pub mod multiplex;
mod names;
pub mod phases;
mod places;
mod policy;
pub mod protocols;
mod quic_client;
mod quic_socket;
pub mod raw;
mod reply_body;
pub mod role;
mod session_calls;
pub mod tls;
mod turns;
mod upstream;
mod websocket_client;

pub use connection::{CallError, Connection, Connector, Unsupported};
pub use endpoint::{Endpoint, Names, Sources};
pub use load::Engine;
pub use market::MarketConnection;
pub use policy::Retrier;
pub use tls::{ClientIdentity, Tls, Trust};
pub use upstream::Upstream;

/// Builds the runtime that clients run on: one thread, tasks that stay on it.
///
/// # Errors
/// The system's, where it refuses an epoll descriptor.
pub fn local_runtime() -> std::io::Result<tokio::runtime::LocalRuntime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
}
