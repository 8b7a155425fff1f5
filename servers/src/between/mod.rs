//! What stands between clients and servers: each listens where the client connects, and has a server behind it.

pub mod relay;

pub use relay::{HELD_BYTES_MAX, Policy, Relay};
