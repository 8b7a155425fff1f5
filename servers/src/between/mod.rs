//! What stands between clients and servers: each listens where the client connects, and has a
//! server behind it, or several.

pub mod backends;
pub mod relay;

pub use backends::Backends;
pub use relay::Relay;
