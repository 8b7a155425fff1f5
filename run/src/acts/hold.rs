//! What a connection costs in memory: connections that are held and do nothing.

use std::time::Duration;

use lab::meter::{kernel_memory, process_memory};
use record::{ActPart, MemoryPart, MemoryPoint};
use terms::{Hold, Shape};

use crate::cast::Cast;
use crate::rounds::OnSite;
use crate::{Ended, Watcher};

/// Connections that are held where nothing else is asked, one number after the other. The first
/// fills what is allocated once.
const SOME: [usize; 4] = [64, 256, 512, 1_024];
/// Time for the last of them to be accepted and served.
const SETTLING: Duration = Duration::from_millis(250);

/// Memory of a cast's processes and of the kernel, with so many connections.
pub(crate) fn memory(cast: &Cast, connections: usize) -> std::io::Result<MemoryPoint> {
    Ok(MemoryPoint {
        connections,
        client_bytes: process_memory(cast.client.pid())?,
        server_bytes: process_memory(cast.server.pid())?,
        kernel_bytes: kernel_memory()?,
    })
}

/// Has every cast hold more and more connections, and then lets them go.
pub(super) fn hold(
    run: &mut OnSite<'_>,
    asked: Option<&Hold>,
    parts: &mut Vec<MemoryPart>,
    watcher: &mut dyn Watcher,
) -> anyhow::Result<()> {
    let numbers = asked.map_or(&SOME[..], |asked| &asked.connections);
    for nth in 0..run.casts.len() {
        if run.is_stopped() {
            return Ok(());
        }
        let (at_rest, cast) = (run.at_rest[nth], &mut run.casts[nth]);
        watcher.stage(&format!("holding connections of {}", cast.name));
        let mut points = Vec::with_capacity(numbers.len());
        for &connections in numbers {
            cast.connect(Shape { connections, in_flight: 1, cold: false })?;
            clock::pause_thread(SETTLING);
            points.push(memory(cast, connections)?);
        }
        cast.connect(Shape { connections: 1, in_flight: 1, cold: false })?;
        parts.push(judge::acts::memory_part(&cast.name, at_rest, points));
        let so_far = ActPart::Hold { asked: asked.cloned(), memory: parts.clone() };
        watcher.keep(Ended::Trial(&so_far))?;
    }
    Ok(())
}
