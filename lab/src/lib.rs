//! The laboratory: child processes that never outlive the command and are looked after, pinning,
//! meters, hosts, the cable and the links between them, and what this machine is.
//!
//! It knows nothing of protocols, scenarios or statistics.

pub mod allocations;
pub mod child;
pub mod cores;
pub mod crew;
pub mod guest;
pub mod hosts;
pub mod machine;
pub mod meter;
pub mod neighbours;
pub mod probe;
mod process;
pub mod program;
mod skip;
pub mod stalls;
pub mod topology;
pub mod wan;
mod words;

#[doc(hidden)]
pub use skip::skip;
