//! What a contender's connections take in memory.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::run::{Held, Memory};
use crate::statistics::{slope, slope_uncertainty};

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
    /// Half of its 95 % interval, by what the points are off a straight line; absent of fewer than three.
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

impl MemoryPart {
    pub(super) fn of(held: &Held) -> MemoryPart {
        let points = |of: fn(&Memory) -> u64| {
            let points =
                held.points.iter().map(|(connections, memory)| (*connections as f64, of(memory) as f64));
            points.collect::<Vec<_>>()
        };
        let slope = |of| slope(&points(of));
        let all = |memory: &Memory| memory.client + memory.server + memory.kernel;
        MemoryPart {
            contender: held.contender.clone(),
            client_at_rest_bytes: held.at_rest.client,
            server_at_rest_bytes: held.at_rest.server,
            client_bytes_per_connection: slope(|memory| memory.client),
            server_bytes_per_connection: slope(|memory| memory.server),
            kernel_bytes_per_connection: slope(|memory| memory.kernel),
            bytes_per_connection: slope(all),
            bytes_per_connection_uncertainty: slope_uncertainty(&points(all)),
            points: held
                .points
                .iter()
                .map(|(connections, memory)| MemoryPoint {
                    connections: *connections,
                    client_bytes: memory.client,
                    server_bytes: memory.server,
                    kernel_bytes: memory.kernel,
                })
                .collect(),
        }
    }
}
