//! Memory of connections that are held and do nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a contender's connections take in memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MemoryPart {
    /// Who.
    pub contender: String,
    /// The client's process before any connection of the load: resident and its own.
    pub client_at_rest_bytes: u64,
    /// The server's, likewise.
    pub server_at_rest_bytes: u64,
    /// What one more held connection takes of the client's process: the slope over `points`.
    pub client_bytes_per_connection: f64,
    /// Of the server's process.
    pub server_bytes_per_connection: f64,
    /// Of the kernel, for both ends together: slabs and socket buffers.
    pub kernel_bytes_per_connection: f64,
    /// All three together.
    #[serde(default)]
    pub bytes_per_connection: f64,
    /// Half of its 95 % interval, by what the points are off a straight line; absent of fewer than
    /// three.
    #[serde(default)]
    pub bytes_per_connection_uncertainty: Option<f64>,
    /// What was read.
    pub points: Vec<MemoryPoint>,
}

/// Memory with so many connections held.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MemoryPoint {
    /// Connections.
    pub connections: usize,
    /// The client's process.
    pub client_bytes: u64,
    /// The server's process.
    pub server_bytes: u64,
    /// The kernel, for both ends and everybody else.
    pub kernel_bytes: u64,
}
