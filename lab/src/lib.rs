//! The laboratory: child processes that never outlive the command, pinning, meters, hosts and the cable between
//! them, and what this machine is.
//!
//! It knows nothing of protocols, scenarios or statistics.

pub mod child;
pub mod cores;
pub mod hosts;
pub mod machine;
pub mod meter;
pub mod probe;
pub mod stalls;
