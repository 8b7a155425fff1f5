//! The body of a reply, as its pieces come: kept until it is whole, or counted.

use std::cell::Cell;

use bytes::{Bytes, BytesMut};

use crate::connection::CallError;
use crate::limits::{COUNTED_BYTES_MAX, REPLIES_BYTES_MAX, REPLY_BYTES_MAX};

thread_local! {
    /// Bytes of all replies of this thread that came in pieces and are not whole yet.
    static COLLECTED: Cell<usize> = const { Cell::new(0) };
}

/// A body that is decoded once it is whole.
#[derive(Default)]
pub(crate) struct WholeBody {
    /// Most replies come in one piece, which is then not copied.
    first: Bytes,
    rest: BytesMut,
    /// What of [`COLLECTED`] is this one's.
    collected: usize,
}

impl WholeBody {
    /// Adds a piece.
    ///
    /// # Errors
    /// Where it is over the limit, or all that are collected at once are.
    pub(crate) fn add(&mut self, data: Bytes) -> Result<(), CallError> {
        if self.first.is_empty() {
            self.first = data;
            return Ok(());
        }
        if self.first.len().max(self.rest.len()) + data.len() > REPLY_BYTES_MAX {
            return Err(CallError::Limit(format!("a reply of more than {REPLY_BYTES_MAX} bytes")));
        }
        let all = COLLECTED.get() + data.len();
        if all > REPLIES_BYTES_MAX {
            return Err(CallError::Limit(format!("replies of {all} bytes at once")));
        }
        COLLECTED.set(all);
        self.collected += data.len();
        if self.rest.is_empty() {
            self.rest.extend_from_slice(&self.first);
        }
        self.rest.extend_from_slice(&data);
        Ok(())
    }

    /// The whole.
    pub(crate) fn bytes(mut self) -> Bytes {
        if self.rest.is_empty() { std::mem::take(&mut self.first) } else { self.rest.split().freeze() }
    }
}

impl Drop for WholeBody {
    fn drop(&mut self) {
        COLLECTED.set(COLLECTED.get() - self.collected);
    }
}

/// A body of which only the bytes are counted.
#[derive(Default)]
pub(crate) struct CountedBody(usize);

impl CountedBody {
    /// Adds a piece of so many bytes.
    ///
    /// # Errors
    /// Where it is over the limit.
    pub(crate) fn add(&mut self, bytes: usize) -> Result<(), CallError> {
        self.0 = self.0.saturating_add(bytes);
        if self.0 > COUNTED_BYTES_MAX {
            return Err(CallError::Limit(format!("a reply of more than {COUNTED_BYTES_MAX} bytes")));
        }
        Ok(())
    }

    /// How many there were.
    pub(crate) fn bytes(&self) -> usize {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_and_all_replies_have_a_bound() {
        let piece = Bytes::from(vec![0; REPLY_BYTES_MAX / 2]);
        let mut body = WholeBody::default();
        assert!(body.add(piece.clone()).is_ok() && body.add(piece.clone()).is_ok());
        assert_eq!(COLLECTED.get(), piece.len());
        assert!(matches!(body.add(Bytes::from_static(b"x")), Err(CallError::Limit(_))));
        assert_eq!(body.bytes().len(), REPLY_BYTES_MAX);
        assert_eq!(COLLECTED.get(), 0, "it is taken");

        COLLECTED.set(REPLIES_BYTES_MAX - 1);
        let mut body = WholeBody::default();
        assert!(body.add(Bytes::from_static(b"whole")).is_ok(), "in one piece it is not collected");
        assert!(body.add(Bytes::from_static(b"x")).is_ok());
        assert!(matches!(body.add(Bytes::from_static(b"y")), Err(CallError::Limit(_))));
        drop(body);
        assert_eq!(COLLECTED.get(), REPLIES_BYTES_MAX - 1, "it is given up");
        assert!(CountedBody(COUNTED_BYTES_MAX).add(1).is_err());
    }
}
