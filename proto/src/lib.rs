//! The contract: what the market says, in every encoding, and the answers it must give.
//!
//! The messages of `market.proto`, their JSON and protobuf codecs, the TCP frame, the seeded data
//! set, and the reply expected of every read, so that a client can judge a server without asking
//! it. No sockets, no tokio, no clock: time and randomness are arguments.

pub mod data;
pub mod deadline;
pub mod encoding;
pub mod flow;
pub mod frame;
pub mod json;
pub mod mask;
mod operation;
mod protocol;

pub use operation::{Capability, Fault, MarketResult, Operation, Reply, WrongReply, shortened};
pub use protocol::{MARKET_NAME, Protocol, SERVER_NAME, Transport};

/// The messages generated from `market.proto` (package `wirebench.market.v1`).
#[allow(missing_docs, reason = "generated; the documentation stands in market.proto")]
#[allow(clippy::all, clippy::pedantic, reason = "generated")]
pub mod v1 {
    include!("generated/market.rs");
}

/// The descriptor set of `market.proto` and what it imports, for gRPC reflection.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!("generated/market.binpb");

/// Bounds of the contract itself, the same for every protocol; a request past one gets a [`Fault`].
pub mod bounds {
    /// Symbols in one `quotes` or `subscribe` request.
    pub const SYMBOLS_MAX: usize = 100;
    /// Candles in one `history` request.
    pub const CANDLES_MAX: u32 = 10_000;
    /// Shares in one order.
    pub const QUANTITY_MAX: u32 = 1_000_000;
    /// Bytes of an idempotency key.
    pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 128;
    /// Time for which a UDP subscription or session lives when it is not renewed.
    pub const LEASE: std::time::Duration = std::time::Duration::from_secs(10);
    /// Paths in a field mask.
    pub const MASK_PATHS_MAX: usize = 64;
}
