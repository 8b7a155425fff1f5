//! Turns: how much a task reads before others have theirs.

use std::task::Context;

/// Wakes this task once the others had their turn, and the runtime looked for timers and sockets.
/// Woken at once, the runtime would look only after sixty of such turns.
pub fn give_way(context: &mut Context<'_>) {
    // Its first poll asks for just that, and needs no second.
    let _ = std::pin::pin!(tokio::task::yield_now()).poll(context);
}

/// What is left of a turn.
#[derive(Debug)]
pub struct Turn {
    bytes: usize,
    left: usize,
}

impl Turn {
    /// Turns of so many bytes.
    pub fn of(bytes: usize) -> Turn {
        Turn { bytes, left: bytes }
    }

    /// Whether it is over. The next one has begun then, and its task is woken for it.
    pub fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        if self.left > 0 {
            return false;
        }
        self.left = self.bytes;
        give_way(context);
        true
    }

    /// Counts what was read; `None` where there was nothing, and the others had their turn.
    pub fn read(&mut self, bytes: Option<usize>) {
        self.left = bytes.map_or(self.bytes, |bytes| self.left.saturating_sub(bytes));
    }
}
