//! The streams of an HTTP/3 connection, with a bound on what the library keeps of them: a frame
//! that is no DATA it keeps until it is whole, whatever length it says.

use std::task::{Context, Poll};

use bytes::Bytes;
use h3::error::Code;
use h3::quic::{self, ConnectionErrorIncoming, OpenStreams, StreamErrorIncoming, StreamId, WriteBuf};

use crate::limits::{CONTROL_BYTES_MAX, CONTROL_TURN_BYTES, HEAD_BYTES_MAX, TURN_BYTES};
use crate::turns::Turn;

/// The type of a frame whose payload is handed on as it comes (RFC 9114, section 7.2.1).
const DATA: u64 = 0x0;

type Opened<T> = Poll<Result<T, StreamErrorIncoming>>;

/// What a server sent is over a bound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OverBound {
    /// A frame that is no DATA.
    #[error("a frame of {0} bytes in the place of a head, of {HEAD_BYTES_MAX} that it may have")]
    Frame(u64),
    /// Streams of the connection itself.
    #[error("more than {CONTROL_BYTES_MAX} bytes on a stream that carries no reply")]
    Control,
}

impl From<OverBound> for StreamErrorIncoming {
    fn from(over: OverBound) -> StreamErrorIncoming {
        StreamErrorIncoming::Unknown(Box::new(over))
    }
}

/// What opens streams, each of which is bounded: a connection, or what it hands out for it.
#[derive(Clone)]
pub(crate) struct BoundedOpener<O>(O);

/// A connection whose streams are bounded.
pub(crate) fn bounded(connection: quinn::Connection) -> BoundedOpener<h3_quinn::Connection> {
    BoundedOpener(h3_quinn::Connection::new(connection))
}

impl quic::Connection<Bytes> for BoundedOpener<h3_quinn::Connection> {
    type RecvStream = Bounded<h3_quinn::RecvStream>;
    type OpenStreams = BoundedOpener<h3_quinn::OpenStreams>;

    fn poll_accept_recv(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::RecvStream, ConnectionErrorIncoming>> {
        quic::Connection::<Bytes>::poll_accept_recv(&mut self.0, context).map_ok(Bounded::control)
    }

    fn poll_accept_bidi(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::BidiStream, ConnectionErrorIncoming>> {
        quic::Connection::<Bytes>::poll_accept_bidi(&mut self.0, context).map_ok(Bounded::reply)
    }

    fn opener(&self) -> Self::OpenStreams {
        BoundedOpener(quic::Connection::<Bytes>::opener(&self.0))
    }
}

impl<O: OpenStreams<Bytes>> OpenStreams<Bytes> for BoundedOpener<O>
where
    O::BidiStream: quic::RecvStream<Buf = Bytes>,
{
    type BidiStream = Bounded<O::BidiStream>;
    type SendStream = O::SendStream;

    fn poll_open_bidi(&mut self, context: &mut Context<'_>) -> Opened<Self::BidiStream> {
        self.0.poll_open_bidi(context).map_ok(Bounded::reply)
    }

    fn poll_open_send(&mut self, context: &mut Context<'_>) -> Opened<O::SendStream> {
        self.0.poll_open_send(context)
    }

    fn close(&mut self, code: Code, reason: &[u8]) {
        self.0.close(code, reason);
    }
}

/// A stream that is read in turns and to a bound.
pub(crate) struct Bounded<S> {
    stream: S,
    turn: Turn,
    bound: Bound,
}

enum Bound {
    /// Of a reply: each frame that is no DATA.
    Frames(Frames),
    /// Of the connection itself, its settings and what the server says of it later: all bytes.
    Bytes(usize),
}

impl<S> Bounded<S> {
    fn reply(stream: S) -> Bounded<S> {
        Bounded { stream, turn: Turn::of(TURN_BYTES), bound: Bound::Frames(Frames::default()) }
    }

    fn control(stream: S) -> Bounded<S> {
        Bounded { stream, turn: Turn::of(CONTROL_TURN_BYTES), bound: Bound::Bytes(CONTROL_BYTES_MAX) }
    }
}

impl Bound {
    fn follow(&mut self, bytes: &[u8]) -> Result<(), OverBound> {
        match self {
            Bound::Frames(frames) => frames.follow(bytes),
            Bound::Bytes(left) => {
                *left = left.checked_sub(bytes.len()).ok_or(OverBound::Control)?;
                Ok(())
            }
        }
    }
}

impl<S: quic::RecvStream<Buf = Bytes>> quic::RecvStream for Bounded<S> {
    type Buf = Bytes;

    fn poll_data(&mut self, context: &mut Context<'_>) -> Opened<Option<Bytes>> {
        if self.turn.is_over(context) {
            return Poll::Pending;
        }
        let Poll::Ready(data) = self.stream.poll_data(context)? else {
            self.turn.read(None);
            return Poll::Pending;
        };
        let bytes = data.as_deref().unwrap_or_default();
        self.turn.read(Some(bytes.len()));
        self.bound.follow(bytes)?;
        Poll::Ready(Ok(data))
    }

    fn stop_sending(&mut self, error_code: u64) {
        self.stream.stop_sending(error_code);
    }

    fn recv_id(&self) -> StreamId {
        self.stream.recv_id()
    }
}

impl<S: quic::SendStream<Bytes>> quic::SendStream<Bytes> for Bounded<S> {
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Opened<()> {
        self.stream.poll_ready(context)
    }

    fn send_data<T: Into<WriteBuf<Bytes>>>(&mut self, data: T) -> Result<(), StreamErrorIncoming> {
        self.stream.send_data(data)
    }

    fn poll_finish(&mut self, context: &mut Context<'_>) -> Opened<()> {
        self.stream.poll_finish(context)
    }

    fn reset(&mut self, reset_code: u64) {
        self.stream.reset(reset_code);
    }

    fn send_id(&self) -> StreamId {
        self.stream.send_id()
    }
}

/// Where a reader stands between frames: a type, a length, and a payload of that length.
#[derive(Debug, Default)]
struct Frames {
    number: Number,
    kind: Option<u64>,
    /// Bytes of a payload that are still to come.
    payload: u64,
}

impl Frames {
    fn follow(&mut self, mut bytes: &[u8]) -> Result<(), OverBound> {
        while let Some((first, rest)) = bytes.split_first() {
            if self.payload > 0 {
                let skipped = usize::try_from(self.payload).map_or(bytes.len(), |left| left.min(bytes.len()));
                self.payload -= skipped as u64;
                bytes = &bytes[skipped..];
                continue;
            }
            bytes = rest;
            let Some(number) = self.number.add(*first) else { continue };
            match self.kind.take() {
                None => self.kind = Some(number),
                Some(kind) if kind != DATA && number > u64::from(HEAD_BYTES_MAX) => {
                    return Err(OverBound::Frame(number));
                }
                Some(_) => self.payload = number,
            }
        }
        Ok(())
    }
}

/// A variable-length integer (RFC 9000, section 16) as its bytes come.
#[derive(Debug, Default)]
struct Number {
    value: u64,
    left: u32,
}

impl Number {
    fn add(&mut self, byte: u8) -> Option<u64> {
        if self.left == 0 {
            self.left = 1 << (byte >> 6);
            self.value = u64::from(byte & 0x3f);
        } else {
            self.value = self.value << 8 | u64::from(byte);
        }
        self.left -= 1;
        (self.left == 0).then_some(self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A head of three bytes, 300 bytes of data (a length of two bytes), trailers that are said to
    /// have 2^62 - 1.
    #[test]
    fn frames_are_followed_however_the_stream_is_cut() {
        let mut stream = vec![0x1, 3, 0xff, 0xff, 0xff, 0x0, 0x41, 0x2c];
        stream.extend([0x1; 300]);
        let fair = stream.len();
        stream.push(0x1);
        stream.extend([0xff; 8]);
        for cut in [1, 2, 5, 7, 100, stream.len()] {
            let mut frames = Frames::default();
            assert_eq!(stream[..fair].chunks(cut).try_for_each(|chunk| frames.follow(chunk)), Ok(()));
            let over = stream[fair..].chunks(cut).try_for_each(|chunk| frames.follow(chunk));
            assert_eq!(over, Err(OverBound::Frame((1 << 62) - 1)), "in pieces of {cut}");
        }
    }

    #[test]
    fn data_may_be_long() {
        let mut frames = Frames::default();
        let header = [0x0, 0xbf, 0xff, 0xff, 0xff];
        assert_eq!(frames.follow(&header), Ok(()));
        assert_eq!(frames.payload, (1 << 30) - 1);
    }
}
