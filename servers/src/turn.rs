//! Turns. A loop that takes what is ready in a fixed order would never come to the last of it while
//! the first is always ready: events that a server pushes have so many places in a turn, then the
//! peer is listened to. And one thread serves everybody: whoever has made a large reply lets others
//! go on before it makes another.

/// Events that are served before the peer is listened to again.
const EVENTS_A_TURN: u32 = 64;

/// What is left of a turn.
#[derive(Debug)]
pub(crate) struct Turn {
    left: u32,
}

impl Default for Turn {
    fn default() -> Turn {
        Turn { left: EVENTS_A_TURN }
    }
}

impl Turn {
    /// Whether another event may be served.
    pub(crate) fn has_room(&self) -> bool {
        self.left > 0
    }

    /// One was served.
    pub(crate) fn take(&mut self) {
        self.left = self.left.saturating_sub(1);
    }

    /// Ready once the turn is over: the last branch of a loop, behind the peer's, so that whatever
    /// the peer has sent was taken before.
    pub(crate) async fn over(&self) {
        if self.has_room() {
            std::future::pending::<()>().await;
        }
    }
}

/// A reply of so many bytes takes about as long to make as a hundred small ones.
const LARGE_BYTES: usize = 64 << 10;

/// Lets others go on, where so many bytes were made in one go.
pub(crate) async fn after_making(bytes: usize) {
    if bytes > LARGE_BYTES {
        tokio::task::yield_now().await;
    }
}
