//! The streams of an HTTP/3 connection, with a bound on what the library keeps of them: a frame
//! that is no DATA it keeps until it is whole, whatever length it says (h3 0.0.8).

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use h3::error::Code;
use h3::quic::{self, ConnectionErrorIncoming, OpenStreams, StreamErrorIncoming, StreamId, WriteBuf};

use crate::Turn;

/// The type of a frame whose payload is handed on as it comes (RFC 9114, section 7.2.1).
const DATA: u64 = 0x0;

type Opened<T> = Poll<Result<T, StreamErrorIncoming>>;

/// What the streams of a connection may have, and how much of them is read before others have
/// their turn.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Bytes of a frame that is no DATA, on a stream of a request.
    pub frame_bytes_max: u64,
    /// Bytes of each stream of the connection itself.
    pub control_bytes_max: usize,
    /// Bytes of a turn on a stream of a request.
    pub turn_bytes: usize,
    /// Bytes of a turn on a stream of the connection itself.
    pub control_turn_bytes: usize,
}

/// What the other end sent is over a bound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OverBound {
    /// A frame that is no DATA.
    #[error("a frame of {0} bytes in the place of a head, of {1} that it may have")]
    Frame(u64, u64),
    /// Streams of the connection itself.
    #[error("more than {0} bytes on a stream that carries no request")]
    Control(usize),
}

impl From<OverBound> for StreamErrorIncoming {
    fn from(over: OverBound) -> StreamErrorIncoming {
        StreamErrorIncoming::Unknown(Box::new(over))
    }
}

/// What opens streams, each of which is bounded: a connection, or what it hands out for it.
pub struct BoundedOpener<O: OpenStreams<Bytes>> {
    opener: O,
    bounds: Bounds,
    /// Streams that were opened for requests that are about to be sent.
    ahead: Ahead<O::BidiStream>,
}

type Ahead<S> = Arc<Mutex<Vec<S>>>;

impl<O: OpenStreams<Bytes> + Clone> Clone for BoundedOpener<O> {
    fn clone(&self) -> BoundedOpener<O> {
        BoundedOpener { opener: self.opener.clone(), bounds: self.bounds, ahead: Arc::clone(&self.ahead) }
    }
}

impl<O: OpenStreams<Bytes>> BoundedOpener<O> {
    /// Opens the stream of the next request, once the other end allows it. Who sends a request at
    /// once, without waiting in between, has it.
    ///
    /// # Errors
    /// Where the connection is lost.
    pub async fn open_ahead(&mut self) -> Result<(), StreamErrorIncoming> {
        if self.ahead().is_empty() {
            let opened = std::future::poll_fn(|context| self.opener.poll_open_bidi(context)).await?;
            self.ahead().push(opened);
        }
        Ok(())
    }

    fn ahead(&self) -> std::sync::MutexGuard<'_, Vec<O::BidiStream>> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection whose streams are bounded.
pub fn bounded(connection: quinn::Connection, bounds: Bounds) -> BoundedOpener<h3_quinn::Connection> {
    BoundedOpener { opener: h3_quinn::Connection::new(connection), bounds, ahead: Ahead::default() }
}

impl quic::Connection<Bytes> for BoundedOpener<h3_quinn::Connection> {
    type RecvStream = Bounded<h3_quinn::RecvStream>;
    type OpenStreams = BoundedOpener<h3_quinn::OpenStreams>;

    fn poll_accept_recv(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::RecvStream, ConnectionErrorIncoming>> {
        let bounds = self.bounds;
        let accepted = quic::Connection::<Bytes>::poll_accept_recv(&mut self.opener, context);
        accepted.map_ok(|stream| Bounded::control(stream, bounds))
    }

    fn poll_accept_bidi(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::BidiStream, ConnectionErrorIncoming>> {
        let bounds = self.bounds;
        let accepted = quic::Connection::<Bytes>::poll_accept_bidi(&mut self.opener, context);
        accepted.map_ok(|stream| Bounded::request(stream, bounds))
    }

    fn opener(&self) -> Self::OpenStreams {
        let opener = quic::Connection::<Bytes>::opener(&self.opener);
        BoundedOpener { opener, bounds: self.bounds, ahead: Arc::clone(&self.ahead) }
    }
}

impl<O: OpenStreams<Bytes>> OpenStreams<Bytes> for BoundedOpener<O>
where
    O::BidiStream: quic::RecvStream<Buf = Bytes>,
{
    type BidiStream = Bounded<O::BidiStream>;
    type SendStream = O::SendStream;

    fn poll_open_bidi(&mut self, context: &mut Context<'_>) -> Opened<Self::BidiStream> {
        let bounds = self.bounds;
        let ahead = self.ahead().pop();
        let opened = match ahead {
            Some(ahead) => Poll::Ready(Ok(ahead)),
            None => self.opener.poll_open_bidi(context),
        };
        opened.map_ok(|stream| Bounded::request(stream, bounds))
    }

    fn poll_open_send(&mut self, context: &mut Context<'_>) -> Opened<O::SendStream> {
        self.opener.poll_open_send(context)
    }

    fn close(&mut self, code: Code, reason: &[u8]) {
        self.opener.close(code, reason);
    }
}

/// A stream that is read in turns and to a bound.
pub struct Bounded<S> {
    stream: S,
    turn: Turn,
    bound: Bound,
}

enum Bound {
    /// Of a request and its reply: each frame that is no DATA.
    Frames(BoundedFrames),
    /// Of the connection itself, its settings and what is said of it later: all bytes; so many are
    /// left of so many.
    Bytes(usize, usize),
}

impl<S> Bounded<S> {
    fn request(stream: S, bounds: Bounds) -> Bounded<S> {
        let bound = Bound::Frames(BoundedFrames::up_to(bounds.frame_bytes_max));
        Bounded { stream, turn: Turn::of(bounds.turn_bytes), bound }
    }

    fn control(stream: S, bounds: Bounds) -> Bounded<S> {
        let Bounds { control_bytes_max: max, control_turn_bytes, .. } = bounds;
        Bounded { stream, turn: Turn::of(control_turn_bytes), bound: Bound::Bytes(max, max) }
    }
}

impl Bound {
    fn follow(&mut self, bytes: &[u8]) -> Result<(), OverBound> {
        match self {
            Bound::Frames(frames) => frames.follow(bytes),
            Bound::Bytes(left, of) => {
                *left = left.checked_sub(bytes.len()).ok_or(OverBound::Control(*of))?;
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

impl<S> quic::BidiStream<Bytes> for Bounded<S>
where
    S: quic::BidiStream<Bytes> + quic::RecvStream<Buf = Bytes>,
    S::RecvStream: quic::RecvStream<Buf = Bytes>,
{
    type SendStream = S::SendStream;
    type RecvStream = Bounded<S::RecvStream>;

    fn split(self) -> (Self::SendStream, Self::RecvStream) {
        let Bounded { stream, turn, bound } = self;
        let (sender, receiver) = stream.split();
        (sender, Bounded { stream: receiver, turn, bound })
    }
}

/// Follows the frames of a stream however it is cut: a type, a length, and a payload of that
/// length.
#[derive(Debug)]
pub struct BoundedFrames {
    /// Bytes of one that is no DATA, at most.
    max: u64,
    number: Number,
    kind: Option<u64>,
    /// Bytes of a payload that are still to come.
    payload: u64,
}

impl BoundedFrames {
    /// Frames that are no DATA may have so many bytes.
    pub fn up_to(max: u64) -> BoundedFrames {
        BoundedFrames { max, number: Number::default(), kind: None, payload: 0 }
    }

    /// Takes note of the next bytes.
    ///
    /// # Errors
    /// Where a frame is over the bound.
    pub fn follow(&mut self, mut bytes: &[u8]) -> Result<(), OverBound> {
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
                Some(kind) if kind != DATA && number > self.max => {
                    return Err(OverBound::Frame(number, self.max));
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
            let mut frames = BoundedFrames::up_to(16 << 10);
            assert_eq!(stream[..fair].chunks(cut).try_for_each(|chunk| frames.follow(chunk)), Ok(()));
            let over = stream[fair..].chunks(cut).try_for_each(|chunk| frames.follow(chunk));
            assert_eq!(over, Err(OverBound::Frame((1 << 62) - 1, 16 << 10)), "in pieces of {cut}");
        }
    }

    #[test]
    fn data_may_be_long() {
        let mut frames = BoundedFrames::up_to(16 << 10);
        let header = [0x0, 0xbf, 0xff, 0xff, 0xff];
        assert_eq!(frames.follow(&header), Ok(()));
        assert_eq!(frames.payload, (1 << 30) - 1);
    }
}
