//! What a contender's connections take in memory.

use record::{MemoryPart, MemoryPoint};

use crate::statistics::{slope, slope_uncertainty};

/// Memory of a contender with no connection, and with so many: what one more takes is the slope of
/// a least-squares line.
pub fn memory_part(contender: &str, at_rest: MemoryPoint, points: Vec<MemoryPoint>) -> MemoryPart {
    let of = |bytes: fn(&MemoryPoint) -> u64| {
        let points = points.iter().map(|point| (point.connections as f64, bytes(point) as f64));
        points.collect::<Vec<_>>()
    };
    let all = of(|point| point.client_bytes + point.server_bytes + point.kernel_bytes);
    MemoryPart {
        contender: contender.to_owned(),
        client_at_rest_bytes: at_rest.client_bytes,
        server_at_rest_bytes: at_rest.server_bytes,
        client_bytes_per_connection: slope(&of(|point| point.client_bytes)),
        server_bytes_per_connection: slope(&of(|point| point.server_bytes)),
        kernel_bytes_per_connection: slope(&of(|point| point.kernel_bytes)),
        bytes_per_connection: slope(&all),
        bytes_per_connection_uncertainty: slope_uncertainty(&all),
        points,
    }
}
