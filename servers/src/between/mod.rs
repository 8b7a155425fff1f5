//! What stands between clients and servers: each listens where the client connects, and has a
//! server behind it, or several.

pub mod backends;
mod checks;
mod layer7;
pub mod relay;

pub use backends::Backends;
pub(crate) use checks::look_after;
pub use layer7::Layer7;
pub use relay::Relay;
