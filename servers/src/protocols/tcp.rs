//! TCP: length-prefixed protobuf frames, many in flight on a connection, answered in whatever order they are
//! done. One task a connection; everything that is ready goes out in one write.

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

use crate::accept::{Listener, accept};
use crate::conversation::Conversation;
use crate::{Limits, Market, Shutdown};

/// A fault frame (id 0) with code LIMIT and the detail "too many connections".
const REFUSAL: &[u8] = b"\x00\x00\x00\x1d\x00\x00\x00\x00\xff\x08\x04\x12\x14too many connections";
/// Bytes read at a time.
const READ_BYTES: usize = 16 << 10;

/// Serves until `shutdown`, then drains.
pub async fn serve(listener: Listener, market: Arc<Market>, limits: Limits, shutdown: Shutdown) {
    accept(listener, limits, REFUSAL, shutdown.clone(), |stream| {
        let connection = Connection::new(Arc::clone(&market), limits);
        let shutdown = shutdown.clone();
        async move {
            if let Err(error) = connection.run(stream, shutdown).await {
                tracing::debug!("tcp connection ended: {error}");
            }
        }
    })
    .await;
}

struct Connection {
    conversation: Conversation,
    limits: Limits,
    /// Frames on their way out.
    out: BytesMut,
}

impl Connection {
    fn new(market: Arc<Market>, limits: Limits) -> Connection {
        let conversation = Conversation::new(market, limits, Encoding::Protobuf);
        Connection { conversation, limits, out: BytesMut::new() }
    }

    async fn run<S: AsyncRead + AsyncWrite>(mut self, stream: S, shutdown: Shutdown) -> std::io::Result<()> {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut inbound = BytesMut::new();
        let (mut ended, mut stopping) = (false, false);
        let mut frame_limit = FrameLimit::default();
        loop {
            let taken = self.take_frames(&mut inbound);
            let Connection { conversation, limits, out } = &mut self;
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
                ready = conversation.ready(room && !ended) => conversation.put(ready, out),
                // After all that is ready, so that it goes out together; before more is read.
                written = writer.write_buf(out), if !out.is_empty() => { written?; }
                read = read_some(&mut reader, &mut inbound), if !ended && room => ended = read? == 0,
            }
        }
    }

    /// Takes whole frames while there is room for their answers; says how many.
    fn take_frames(&mut self, inbound: &mut BytesMut) -> usize {
        let Connection { conversation, limits, out } = self;
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
    /// Starts with the first byte of a frame, and again only with the next frame: a byte now and then does not
    /// prolong it.
    fn observe(&mut self, frames_taken: usize, partial: bool, span: Duration) {
        if !partial && self.running {
            *self = FrameLimit::default();
        } else if partial && (!self.running || frames_taken > 0) {
            *self = FrameLimit { overdue: clock::pause(span).boxed(), running: true };
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use proto::frame::Kind;

    use super::*;

    #[test]
    fn the_refusal_is_the_fault_it_says_it_is() {
        let mut bytes = BytesMut::from(REFUSAL);
        let frame = Frame::take(&mut bytes, 1024).unwrap().unwrap();
        assert!(bytes.is_empty() && frame.kind == Kind::Fault && frame.id == 0);
        let fault = proto::v1::Fault::decode(frame.payload).unwrap();
        assert_eq!((fault.code(), fault.detail.as_str()), (FaultCode::Limit, "too many connections"));
    }
}
