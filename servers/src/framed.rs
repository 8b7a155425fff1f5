//! Frames on a byte stream: a TCP connection's, and each of QUIC's. Many calls in flight, answered
//! in whatever order they are done. One task a stream; everything that is ready goes out in one
//! write.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use proto::Fault;
use proto::encoding::Encoding;
use proto::frame::Frame;
use proto::v1::FaultCode;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::conversation::Conversation;
use crate::replies::Replies;
use crate::turn::{self, Turn};
use crate::{Limits, Market, Shutdown};

/// Bytes read at a time.
const READ_BYTES: usize = 16 << 10;
/// Bytes that a stream keeps for its next replies.
const KEPT_BYTES: usize = 64 << 10;

/// A byte stream of frames, and what is said on it.
pub(crate) struct Framed {
    conversation: Conversation,
    limits: Limits,
    /// What waits on the connection, of other streams too.
    replies: Replies,
    /// Frames on their way out.
    out: BytesMut,
}

impl Framed {
    /// One on a connection that has these replies.
    pub(crate) fn new(market: Arc<Market>, limits: Limits, replies: Replies) -> Framed {
        let conversation = Conversation::new(market, limits, Encoding::Protobuf, replies.clone());
        Framed { conversation, limits, replies, out: BytesMut::new() }
    }

    /// Converses until the peer ends or the server stops.
    pub(crate) async fn run<S: AsyncRead + AsyncWrite>(
        mut self,
        stream: S,
        shutdown: Shutdown,
    ) -> std::io::Result<()> {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut inbound = BytesMut::new();
        let (mut ended, mut stopping) = (false, false);
        let (mut frame_limit, mut turn, mut waiting) = (FrameLimit::default(), Turn::default(), 0);
        loop {
            let taken = self.take_frames(&mut inbound);
            turn::after_making(self.out.len().saturating_sub(waiting)).await;
            waiting = self.out.len();
            let Framed { conversation, limits, replies, out } = &mut self;
            let room = conversation.has_room(out);
            if conversation.is_broken() && !ended {
                ended = true;
                conversation.end_feeds(out);
            }
            if ended && !conversation.in_flight() && out.is_empty() {
                return writer.shutdown().await;
            }
            frame_limit.observe(taken, !ended && room && !inbound.is_empty(), limits.message_time_max);
            tokio::select! {
                biased;
                () = shutdown.cancelled(), if !stopping => {
                    (stopping, ended) = (true, true);
                    conversation.end_feeds(out);
                }
                () = &mut frame_limit.overdue, if !ended => {
                    conversation.breaks(Fault::new(FaultCode::Limit, "the rest of a frame came too late"), out);
                }
                ready = conversation.ready(room && !ended && turn.has_room()) => {
                    turn.take();
                    conversation.put(ready, out);
                }
                // After all that is ready, so that it goes out together; before more is read.
                written = writer.write_buf(out), if !out.is_empty() => {
                    written?;
                    give_back(out);
                }
                read = read_some(&mut reader, &mut inbound), if !ended && room => {
                    turn = Turn::default();
                    ended = read? == 0;
                }
                () = turn.over() => turn = Turn::default(),
                () = replies.room_again() => {}
            }
        }
    }

    /// Takes whole frames while there is room for their answers; says how many.
    fn take_frames(&mut self, inbound: &mut BytesMut) -> usize {
        let Framed { conversation, limits, out, .. } = self;
        let mut taken = 0;
        while !conversation.is_broken() && conversation.has_room(out) {
            match Frame::take(inbound, limits.message_bytes_max) {
                Ok(Some(frame)) => conversation.take(&frame, out),
                Ok(None) => break,
                Err(error) => conversation.breaks(Fault::new(FaultCode::Limit, error.to_string()), out),
            }
            taken += 1;
        }
        taken
    }
}

/// Gives back what a large reply took, once it is sent: an idle connection would keep it.
fn give_back(out: &mut BytesMut) {
    if out.is_empty() && out.capacity() > KEPT_BYTES {
        *out = BytesMut::new();
    }
}

async fn read_some<R: AsyncRead + Unpin>(reader: &mut R, inbound: &mut BytesMut) -> std::io::Result<usize> {
    inbound.reserve(READ_BYTES);
    reader.read_buf(inbound).await
}

/// The time in which a frame that began must be whole.
struct FrameLimit {
    overdue: BoxFuture<'static, ()>,
    running: bool,
}

impl Default for FrameLimit {
    fn default() -> FrameLimit {
        FrameLimit { overdue: std::future::pending().boxed(), running: false }
    }
}

impl FrameLimit {
    /// Starts with the first byte of a frame, and again only with the next frame: a byte now and
    /// then does not prolong it.
    fn observe(&mut self, frames_taken: usize, partial: bool, span: Duration) {
        if !partial && self.running {
            *self = FrameLimit::default();
        } else if partial && (!self.running || frames_taken > 0) {
            *self = FrameLimit { overdue: clock::pause(span).boxed(), running: true };
        }
    }
}
