//! Servers that speak first: a greeting would be taken for the first reply, which would seem to
//! have taken no time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::connection::CallError;

/// How long the first connection of a load is listened to, for whether the server speaks first.
const LISTENS_FOR: Duration = Duration::from_millis(100);

/// What is known of who speaks first.
#[derive(Debug, Clone)]
pub struct Greeting {
    expected: bool,
    /// Whether the first connection was listened to, and nothing came.
    silent: Arc<AtomicBool>,
}

impl Greeting {
    /// The client speaks first; the first connection finds out whether that is so.
    pub fn none() -> Greeting {
        Greeting { expected: false, silent: Arc::default() }
    }

    /// The client speaks first, and nobody looks whether that is so: looking takes time, and a call
    /// that opens its own connection has none to spare.
    pub fn unsought() -> Greeting {
        Greeting { expected: false, silent: Arc::new(AtomicBool::new(true)) }
    }

    /// The server speaks first, on each connection.
    pub fn expected() -> Greeting {
        Greeting { expected: true, silent: Arc::default() }
    }

    /// Waits for the greeting where there is one, and says whether there was.
    ///
    /// # Errors
    /// That of the connection, or that the server speaks first where that is not expected.
    pub(super) async fn settled(
        &self,
        greeted: impl Future<Output = Result<(), CallError>>,
    ) -> Result<bool, CallError> {
        if self.expected {
            return greeted.await.map(|()| true);
        }
        if self.silent.load(Ordering::Relaxed) {
            return Ok(false);
        }
        match clock::limit(LISTENS_FOR, greeted).await {
            // Nothing came, or not the whole of anything; or the server closes what is idle.
            Err(_) | Ok(Err(CallError::Reset(_))) => {
                self.silent.store(true, Ordering::Relaxed);
                Ok(false)
            }
            Ok(Ok(())) => {
                let advice = "the server speaks first, and its words would be taken for a reply: --greeting waits for \
                              them on each connection";
                Err(CallError::Protocol(advice.to_owned()))
            }
            Ok(Err(error)) => Err(error),
        }
    }
}
