//! Everything that listens: the market, once; a file a protocol that carries it; servers with known
//! answers.
//!
//! A protocol file holds carriage and nothing else: no timing, no statistics, no business logic.
//! What every public server needs (limits, idle time-outs, a graceful stop) stands once, in
//! [`limits`] and `accept`.

pub mod accept;
pub mod background;
pub mod between;
mod conversation;
pub mod flow;
mod framed;
mod front;
mod http3_server;
mod http_server;
mod leftover;
pub mod limits;
mod linger;
pub mod market;
pub mod names;
pub mod protocols;
mod quic_server;
pub mod reference;
mod replies;
pub mod role;
mod socket;
pub mod tls;
mod turn;
mod upgrades;

pub use limits::Limits;
pub use market::{Market, MarketConfig};
/// Tells servers to stop: accept no more, finish what is in flight, close.
pub use tokio_util::sync::CancellationToken as Shutdown;
