//! Long answers. The library holds an answer as values until it is written, which takes ten times
//! the memory of what is sent: so only so many candles are held as values at once, whoever asks.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::replies::Replies;

/// Candles of an answer that is made in one go, and needs no turn: 0.3 MB as values.
pub(super) const SHORT_CANDLES: usize = 200;
/// Candles that are held as values at once: two answers of the longest.
const CANDLES_AT_ONCE: usize = 20_000;
/// Bytes of a candle as values, with all its fields: ten thousand of them were measured at 13 MB.
pub(super) const CANDLE_BYTES: usize = 1_300;

/// Whose turn it is to have a long answer made.
#[derive(Debug, Clone)]
pub(super) struct LongAnswers(Arc<Semaphore>);

/// A turn, until the answer is written.
pub(super) type Turn = Option<OwnedSemaphorePermit>;

impl Default for LongAnswers {
    fn default() -> LongAnswers {
        LongAnswers(Arc::new(Semaphore::new(CANDLES_AT_ONCE)))
    }
}

impl LongAnswers {
    /// Waits for a connection that has room for another answer, and for a turn where this one is
    /// long. Nobody waits for room while it is his turn.
    pub(super) async fn turn(&self, candles: usize, replies: &Replies) -> Turn {
        loop {
            replies.room().await;
            if candles <= SHORT_CANDLES {
                return None;
            }
            let candles = u32::try_from(candles.min(CANDLES_AT_ONCE)).unwrap_or(u32::MAX);
            // It is never closed.
            let turn = Arc::clone(&self.0).acquire_many_owned(candles).await.ok();
            if replies.has_room() {
                return turn;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;
    use crate::Limits;

    #[test]
    fn so_many_candles_are_held_at_once_and_short_answers_go_on() {
        let (long, replies) = (LongAnswers::default(), Replies::new(&Limits::default()));
        let turn = |candles| long.turn(candles, &replies).now_or_never();
        let (first, second) = (turn(CANDLES_AT_ONCE / 2).unwrap(), turn(CANDLES_AT_ONCE / 2).unwrap());
        assert!(first.is_some() && second.is_some());
        assert!(turn(SHORT_CANDLES + 1).is_none(), "it waits");
        assert!(turn(SHORT_CANDLES).unwrap().is_none(), "it needs no turn");
        drop((first, second));
        // More than there are: all of them.
        assert!(turn(CANDLES_AT_ONCE * 3).unwrap().is_some());
    }
}
