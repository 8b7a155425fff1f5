//! Replies that are made and not sent yet: a peer that asks and does not read would have a server
//! hold them all. There is one budget a connection, past which its next call waits, and one for all
//! connections of the process, past which calls are refused.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use proto::Fault;
use proto::v1::FaultCode;
use tokio::sync::Notify;

use crate::Limits;

/// Bytes that a connection may have waiting although the process has no room: so small calls are
/// answered however many others do not read.
const OWN_BYTES: usize = 16 << 10;
/// A piece of a body that is this small is not followed on its way out: a connection has so many at
/// most as it may have calls in flight.
const SMALL_BYTES: usize = 1 << 10;

/// Bytes that wait on all connections of this process.
static WAITING_IN_ALL: AtomicUsize = AtomicUsize::new(0);

/// The replies of one connection.
#[derive(Debug, Clone)]
pub(crate) struct Replies(Arc<Connection>);

#[derive(Debug)]
struct Connection {
    waiting: AtomicUsize,
    /// Told whenever something was sent.
    sent: Notify,
    max: usize,
    in_all_max: usize,
}

impl Replies {
    pub(crate) fn new(limits: &Limits) -> Replies {
        Replies(Arc::new(Connection {
            waiting: AtomicUsize::new(0),
            sent: Notify::new(),
            max: limits.outbound_bytes_max,
            in_all_max: limits.outbound_bytes_in_all_max,
        }))
    }

    /// Whether another call may be answered: then its reply may be as large as a reply is.
    pub(crate) fn has_room(&self) -> bool {
        let waiting = self.0.waiting.load(Ordering::Relaxed);
        waiting < self.0.max && (waiting < OWN_BYTES || self.has_room_in_all())
    }

    fn has_room_in_all(&self) -> bool {
        WAITING_IN_ALL.load(Ordering::Relaxed) < self.0.in_all_max
    }

    /// Waits until there is room.
    pub(crate) async fn room(&self) {
        while !self.has_room() {
            let sent = self.0.sent.notified();
            if self.has_room() {
                return;
            }
            sent.await;
            // There is room also where the connection is gone: hyper looks whether a call's stream
            // still is there when the call waits, and not before it goes on.
            tokio::task::yield_now().await;
        }
    }

    /// Waits until there is room where there is none; for ever where there is.
    pub(crate) async fn room_again(&self) {
        if self.has_room() {
            std::future::pending::<()>().await;
        }
        self.room().await;
    }

    /// Counts a reply until what is given is dropped.
    ///
    /// # Errors
    /// Where the process holds too much for so large a reply.
    pub(crate) fn hold(&self, bytes: usize) -> Result<Held, Fault> {
        let own = self.0.waiting.load(Ordering::Relaxed) + bytes;
        if own > OWN_BYTES && WAITING_IN_ALL.load(Ordering::Relaxed) + bytes > self.0.in_all_max {
            return Err(no_room());
        }
        Ok(self.hold_anyway(bytes))
    }

    /// Whether the process has room for a connection that would have so many bytes waiting, for
    /// whom counts a reply when it is among others ([`Held::set`]).
    ///
    /// # Errors
    /// Where it has none.
    pub(crate) fn admits(&self, waiting: impl FnOnce() -> usize) -> Result<(), Fault> {
        if self.has_room_in_all() || waiting() <= OWN_BYTES { Ok(()) } else { Err(no_room()) }
    }

    /// Counts nothing yet.
    pub(crate) fn hold_nothing(&self) -> Held {
        self.hold_anyway(0)
    }

    fn hold_anyway(&self, bytes: usize) -> Held {
        self.0.waiting.fetch_add(bytes, Ordering::Relaxed);
        WAITING_IN_ALL.fetch_add(bytes, Ordering::Relaxed);
        Held { replies: self.clone(), bytes }
    }
}

fn no_room() -> Fault {
    let detail = "too many replies wait for callers who do not read them: try again later";
    Fault::new(FaultCode::Unavailable, detail)
}

/// Bytes that are counted as waiting.
#[derive(Debug)]
pub(crate) struct Held {
    replies: Replies,
    bytes: usize,
}

impl Held {
    /// Has so many bytes counted from now on.
    pub(crate) fn set(&mut self, bytes: usize) {
        let connection = &self.replies.0;
        if bytes > self.bytes {
            connection.waiting.fetch_add(bytes - self.bytes, Ordering::Relaxed);
            WAITING_IN_ALL.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else if bytes < self.bytes {
            connection.waiting.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
            WAITING_IN_ALL.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
            connection.sent.notify_waiters();
        }
        self.bytes = bytes;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// A reply's body that is counted until the last of it is sent.
pub(crate) struct Counted<B: Body> {
    body: B,
    /// What it gave at once when it was looked at: its first piece, or that it is over.
    first: Option<Option<Result<Frame<Bytes>, B::Error>>>,
    /// Counts what has not been asked for yet.
    held: Held,
}

/// Nothing in it is pinned but the body, which need not be.
impl<B: Body + Unpin> Unpin for Counted<B> {}

impl<B> Counted<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    /// Counts a body: by its length, or by its first piece where it has no length (what gRPC
    /// encodes is held as a message until then, which is no smaller).
    ///
    /// # Errors
    /// Where the process has no room for it.
    pub(crate) async fn new(mut body: B, replies: &Replies) -> Result<Counted<B>, Fault> {
        let first = match body.size_hint().exact() {
            Some(bytes) => return Ok(Counted { body, first: None, held: replies.hold(bytes as usize)? }),
            None => at_once(&mut body).await,
        };
        let piece = first.as_ref().and_then(|first| first.as_ref()?.as_ref().ok());
        let bytes = piece.and_then(Frame::data_ref).map_or(0, Bytes::len);
        Ok(Counted { body, first, held: replies.hold(bytes)? })
    }

    /// Bytes of it that are not asked for yet.
    pub(crate) fn waiting(&self) -> usize {
        self.held.bytes
    }

    /// A body that is sent in any case, for it is smaller than what it stands for.
    pub(crate) fn small(body: B, replies: &Replies) -> Counted<B> {
        Counted { body, first: None, held: replies.hold_nothing() }
    }

    /// Counts a piece until it is sent, which is when it is dropped.
    fn follow(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        let Some(bytes) = frame.data_ref().map(Bytes::len).filter(|bytes| *bytes > SMALL_BYTES) else {
            return frame;
        };
        let left = self.held.bytes.saturating_sub(bytes);
        let held = self.held.replies.hold_anyway(bytes);
        self.held.set(left);
        frame.map_data(|data| Bytes::from_owner(Piece { data, _held: held }))
    }
}

/// What a body gives without being waited for.
async fn at_once<B>(body: &mut B) -> Option<Option<Result<Frame<Bytes>, B::Error>>>
where
    B: Body<Data = Bytes> + Unpin,
{
    std::future::poll_fn(|context| match Pin::new(&mut *body).poll_frame(context) {
        Poll::Ready(given) => Poll::Ready(Some(given)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

impl<B> Body for Counted<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let polled = match self.first.take() {
            Some(given) => Poll::Ready(given),
            None => Pin::new(&mut self.body).poll_frame(context),
        };
        polled.map_ok(|frame| self.follow(frame))
    }

    fn is_end_stream(&self) -> bool {
        match &self.first {
            Some(given) => given.is_none(),
            None => self.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self.first {
            Some(_) => SizeHint::default(),
            None => self.body.size_hint(),
        }
    }
}

struct Piece {
    data: Bytes,
    _held: Held,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http_body_util::{BodyExt as _, Full};

    use super::*;

    const MAX: usize = 100_000;

    fn replies() -> Replies {
        Replies::new(&Limits { outbound_bytes_max: MAX, ..Limits::default() })
    }

    #[tokio::test]
    async fn a_body_counts_until_its_last_piece_is_dropped() {
        let replies = replies();
        let body = Full::new(Bytes::from(vec![0; MAX]));
        let mut counted = Counted::new(body, &replies).await.unwrap();
        assert!(!replies.has_room());
        let piece = counted.frame().await.unwrap().unwrap().into_data().unwrap();
        drop(counted);
        assert!(!replies.has_room(), "the piece is not sent yet");
        let waiting = tokio::spawn({
            let replies = replies.clone();
            async move { replies.room().await }
        });
        clock::pause(Duration::from_millis(20)).await;
        assert!(!waiting.is_finished());
        drop(piece);
        waiting.await.unwrap();
        assert_eq!(replies.0.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn where_the_process_has_no_room_small_replies_go_on() {
        let replies = Replies::new(&Limits {
            outbound_bytes_in_all_max: 0,
            outbound_bytes_max: MAX,
            ..Limits::default()
        });
        assert!(replies.hold(OWN_BYTES + 1).is_err());
        let small = replies.hold(OWN_BYTES).unwrap();
        assert!(replies.hold(1).is_err());
        drop(small);
        assert!(replies.hold(1).is_ok());
    }
}
