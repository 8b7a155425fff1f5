//! Frames on a byte stream: a TCP connection's, and one of QUIC's. What is ready to be sent goes
//! out in one write.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use proto::encoding::Encoding;
use proto::frame::{self, Frame, FrameError, FrameHead};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::connection::CallError;
use crate::limits::REPLY_BYTES_MAX;
use crate::multiplex::Wire;

/// Bytes read at a time.
const READ_BYTES: usize = 16 << 10;

/// Frames on a byte stream.
#[derive(Debug)]
pub struct Framed<S> {
    stream: S,
    inbound: BytesMut,
    outbound: BytesMut,
}

impl<S> Framed<S> {
    pub(crate) fn new(stream: S) -> Framed<S> {
        Framed { stream, inbound: BytesMut::new(), outbound: BytesMut::new() }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Wire for Framed<S> {
    const PAYLOAD_BYTES_MAX: usize = REPLY_BYTES_MAX;
    const LEASE: Option<Duration> = None;

    fn encoding(&self) -> Encoding {
        Encoding::Protobuf
    }

    fn push(&mut self, head: FrameHead, payload: &[u8]) {
        frame::put_encoded(&mut self.outbound, head, payload);
    }

    fn waiting(&self) -> usize {
        self.outbound.len()
    }

    fn poll_send(&mut self, context: &mut Context<'_>) -> Result<(), CallError> {
        while !self.outbound.is_empty() {
            match Pin::new(&mut self.stream).poll_write(context, &self.outbound) {
                Poll::Pending => break,
                Poll::Ready(Ok(written)) => self.outbound.advance(written),
                Poll::Ready(Err(error)) => return Err(CallError::from_io(&error)),
            }
        }
        match Pin::new(&mut self.stream).poll_flush(context) {
            Poll::Ready(Err(error)) => Err(CallError::from_io(&error)),
            _ => Ok(()),
        }
    }

    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Result<Frame, CallError>> {
        loop {
            match Frame::take(&mut self.inbound, REPLY_BYTES_MAX) {
                Ok(Some(frame)) => return Poll::Ready(Ok(frame)),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Err(not_a_frame(&error))),
            }
            self.inbound.reserve(READ_BYTES);
            let stream = Pin::new(&mut self.stream);
            match ready!(tokio_util::io::poll_read_buf(stream, context, &mut self.inbound)) {
                Ok(0) => {
                    let closed = "the server closed the connection".to_owned();
                    return Poll::Ready(Err(CallError::Reset(closed)));
                }
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(CallError::from_io(&error))),
            }
        }
    }
}

/// What bytes that are no frame mean for the calls that wait for one.
pub(crate) fn not_a_frame(error: &FrameError) -> CallError {
    match error {
        FrameError::TooLong { .. } => CallError::Limit(error.to_string()),
        _ => CallError::Protocol(error.to_string()),
    }
}
