//! What every WebSocket of a server has: messages on their way out, and a keep-alive.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::ws::Message;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt as _, Sink, SinkExt as _};

/// Messages on their way out.
#[derive(Default)]
pub(crate) struct Outbox {
    queue: VecDeque<Message>,
    /// Bytes in the queue.
    queued: usize,
    /// Bytes that were given to the socket since it was last flushed, each message's and one more.
    unflushed: usize,
}

impl Outbox {
    pub(crate) fn push(&mut self, message: Message) {
        self.queued += size(&message);
        self.queue.push_back(message);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.unflushed == 0
    }

    /// Bytes that wait to be sent.
    pub(crate) fn waiting(&self) -> usize {
        self.queued + self.unflushed
    }

    /// Gives what is queued to the socket, and has it written. Cancel safe.
    pub(crate) async fn send<S: Sink<Message> + Unpin>(&mut self, socket: &mut S) -> Result<(), S::Error> {
        std::future::poll_fn(|context| self.poll_send(socket, context)).await
    }

    fn poll_send<S: Sink<Message> + Unpin>(
        &mut self,
        socket: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), S::Error>> {
        while !self.queue.is_empty() {
            ready!(socket.poll_ready_unpin(context))?;
            if let Some(message) = self.queue.pop_front() {
                self.queued -= size(&message);
                self.unflushed += size(&message) + 1;
                socket.start_send_unpin(message)?;
            }
        }
        ready!(socket.poll_flush_unpin(context))?;
        self.unflushed = 0;
        Poll::Ready(Ok(()))
    }
}

fn size(message: &Message) -> usize {
    match message {
        Message::Text(text) => text.len(),
        Message::Binary(bytes) | Message::Ping(bytes) | Message::Pong(bytes) => bytes.len(),
        Message::Close(_) => 0,
    }
}

/// Whether the peer was heard since the last look at it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard(Arc<AtomicBool>);

impl Heard {
    /// The peer sent something.
    pub(crate) fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Looks at a peer now and then: one who is silent is sent a Ping, and after as much time again is
/// let go.
pub(crate) struct KeepAlive {
    every: Duration,
    next: BoxFuture<'static, ()>,
    heard: Heard,
    pinged: bool,
}

/// The peer is gone, dribbles one message for ever, or reads nothing.
pub(crate) struct Gone;

impl KeepAlive {
    pub(crate) fn new(every: Duration) -> KeepAlive {
        let heard = Heard::default();
        heard.note();
        KeepAlive { every, next: clock::pause(every).boxed(), heard, pinged: false }
    }

    pub(crate) fn heard(&self) -> &Heard {
        &self.heard
    }

    /// Waits until the next look at the peer is due. Cancel safe.
    pub(crate) async fn due(&mut self) {
        Pin::new(&mut self.next).await;
    }

    /// Looks at the peer, and asks one who is silent for a sign.
    ///
    /// # Errors
    /// Where it has given none.
    pub(crate) fn look(&mut self, out: &mut Outbox) -> Result<(), Gone> {
        self.next = clock::pause(self.every).boxed();
        if self.heard.0.swap(false, Ordering::Relaxed) {
            self.pinged = false;
            return Ok(());
        }
        if self.pinged {
            return Err(Gone);
        }
        self.pinged = true;
        out.push(Message::Ping(Bytes::new()));
        Ok(())
    }
}
