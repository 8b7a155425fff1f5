//! What a connection costs in memory: the slope over connections that are held and do nothing.

use std::time::Duration;

use clients::load::Shape;
use lab::meter::{kernel_memory, process_memory};

use super::{Pair, Place};

/// Connections that are held, one number after the other. The first fills what is allocated once.
const HELD: [usize; 4] = [64, 256, 512, 1_024];
/// Time for the last of them to be accepted and served.
const SETTLING: Duration = Duration::from_millis(250);

/// What a contender's two processes and the kernel held.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// Who.
    pub contender: String,
    /// Before any connection of the load.
    pub at_rest: Memory,
    /// With so many connections.
    pub points: Vec<(usize, Memory)>,
}

/// Bytes at an instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Memory {
    /// Of the client's process: resident and its own.
    pub client: u64,
    /// Of the server's, likewise.
    pub server: u64,
    /// Of the kernel, for both ends and everybody else: slabs and socket buffers.
    pub kernel: u64,
}

impl Place<'_> {
    pub(crate) fn memory(&self, pair: &Pair) -> std::io::Result<Memory> {
        let (client, server) = pair.pids();
        Ok(Memory {
            client: process_memory(client)?,
            server: process_memory(server)?,
            kernel: kernel_memory()?,
        })
    }

    /// Holds more and more connections, these or as many as is usual, and says what that takes; then lets them go.
    pub(crate) fn hold(
        &self,
        pair: &mut Pair,
        at_rest: Memory,
        numbers: Option<&[usize]>,
    ) -> anyhow::Result<Held> {
        let numbers = numbers.unwrap_or(&HELD);
        let mut points = Vec::with_capacity(numbers.len());
        for &connections in numbers {
            pair.connect(Shape { connections, in_flight: 1, cold: false })?;
            clock::pause_thread(SETTLING);
            points.push((connections, self.memory(pair)?));
        }
        pair.connect(Shape { connections: 1, in_flight: 1, cold: false })?;
        Ok(Held { contender: pair.name.clone(), at_rest, points })
    }
}
