//! What a stream brings, in turns: a server that sends as fast as it can does not keep one
//! connection reading while others, and the clock, wait.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use streams::Turn;

use crate::http2_heads::HeadsCounted;
use crate::limits::TURN_BYTES;

/// A stream that is read in turns.
#[derive(Debug)]
pub struct InTurns<S> {
    stream: S,
    turn: Turn,
    heads: Option<HeadsCounted>,
}

impl<S> InTurns<S> {
    pub(crate) fn new(stream: S) -> InTurns<S> {
        InTurns { stream, turn: Turn::of(TURN_BYTES), heads: None }
    }

    /// The same, with the heads of HTTP/2 counted in what is read.
    pub(crate) fn counting(self, heads: HeadsCounted) -> InTurns<S> {
        InTurns { heads: Some(heads), ..self }
    }

    /// The stream itself.
    #[cfg(test)]
    pub(crate) fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for InTurns<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.turn.is_over(context) {
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let new = &buffer.filled()[before..];
        self.turn.read(read.is_ready().then_some(new.len()));
        if let Some(heads) = &mut self.heads {
            heads.read(new)?;
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for InTurns<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[test]
    fn a_stream_without_end_leaves_others_their_turn() {
        let runtime = crate::local_runtime().unwrap();
        runtime.block_on(async {
            let turns = std::rc::Rc::new(std::cell::Cell::new(0));
            let others = std::rc::Rc::clone(&turns);
            tokio::task::spawn_local(async move {
                for _ in 0..u32::MAX {
                    others.set(others.get() + 1);
                    tokio::task::yield_now().await;
                }
            });
            let mut read = vec![0; TURN_BYTES / 4];
            let mut endless = InTurns::new(tokio::io::repeat(7));
            for _ in 0..40 {
                endless.read_exact(&mut read).await.unwrap();
            }
            assert!(turns.get() >= 8, "{} turns", turns.get());
        });
    }
}
