//! The frame of the TCP protocol: how messages are told apart in a stream of bytes.
//!
//! ```text
//! offset  bytes  what
//!      0      4  length of all that follows, big-endian
//!      4      4  correlation id, big-endian: chosen by the caller, repeated in every answer
//!      8      1  kind
//!      9      …  the protobuf message that the kind names
//! ```
//! No I/O here: bytes in, frames out. Nothing is allocated on the word of a length prefix.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;

/// Bytes before the payload.
pub const HEADER_BYTES: usize = 9;
/// What the length prefix does not count: itself.
const PREFIX_BYTES: usize = 4;
/// Correlation id and kind: the least that a length prefix may say.
const LENGTH_MIN: usize = HEADER_BYTES - PREFIX_BYTES;

/// What a frame carries. Requests are below 0x80; the answer to a request is its number with that bit set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "each is the message of its name")]
pub enum Kind {
    QuoteRequest = 0x01,
    QuotesRequest = 0x02,
    PortfolioRequest = 0x03,
    HistoryRequest = 0x04,
    OrderRequest = 0x05,
    SubscribeRequest = 0x06,
    SessionRequest = 0x07,
    /// Ends the subscription or session of this id; no payload, answered by [`Kind::End`].
    Cancel = 0x08,
    Quote = 0x81,
    Quotes = 0x82,
    Portfolio = 0x83,
    History = 0x84,
    OrderReceipt = 0x85,
    Tick = 0x86,
    SessionEvent = 0x87,
    /// The subscription or session of this id is over; no payload.
    End = 0x88,
    Fault = 0xff,
}

impl Kind {
    const ALL: [Kind; 17] = [
        Kind::QuoteRequest,
        Kind::QuotesRequest,
        Kind::PortfolioRequest,
        Kind::HistoryRequest,
        Kind::OrderRequest,
        Kind::SubscribeRequest,
        Kind::SessionRequest,
        Kind::Cancel,
        Kind::Quote,
        Kind::Quotes,
        Kind::Portfolio,
        Kind::History,
        Kind::OrderReceipt,
        Kind::Tick,
        Kind::SessionEvent,
        Kind::End,
        Kind::Fault,
    ];

    fn from_byte(byte: u8) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// One message with its kind and its correlation id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Chosen by the caller, repeated in every answer.
    pub id: u32,
    /// What the payload is.
    pub kind: Kind,
    /// The protobuf message.
    pub payload: Bytes,
}

/// A stream that is not made of frames; the connection cannot be used any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The length prefix is over the limit.
    #[error("a frame of {length} bytes is over the limit of {max} bytes")]
    TooLong {
        /// What the prefix said, in bytes.
        length: usize,
        /// What is allowed, in bytes.
        max: usize,
    },
    /// The length prefix is less than a correlation id and a kind.
    #[error(
        "a frame of {length} bytes is too short to hold a correlation id and a kind ({LENGTH_MIN} bytes)"
    )]
    TooShort {
        /// What the prefix said, in bytes.
        length: usize,
    },
    /// No kind has this number.
    #[error("unknown frame kind {kind:#04x}")]
    UnknownKind {
        /// The number.
        kind: u8,
    },
}

impl Frame {
    /// Takes one whole frame from the front of `buffer`; `None` where it does not yet hold one.
    ///
    /// # Errors
    /// Where the bytes cannot be a frame of at most `length_max` bytes after the prefix.
    pub fn take(buffer: &mut BytesMut, length_max: usize) -> Result<Option<Frame>, FrameError> {
        let Some(prefix) = buffer.first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
        let length = usize::try_from(u32::from_be_bytes(*prefix)).unwrap_or(usize::MAX);
        if length > length_max {
            return Err(FrameError::TooLong { length, max: length_max });
        }
        if length < LENGTH_MIN {
            return Err(FrameError::TooShort { length });
        }
        if buffer.len() < PREFIX_BYTES + length {
            return Ok(None);
        }
        buffer.advance(PREFIX_BYTES);
        let mut body = buffer.split_to(length).freeze();
        let id = body.get_u32();
        let byte = body.get_u8();
        let kind = Kind::from_byte(byte).ok_or(FrameError::UnknownKind { kind: byte })?;
        Ok(Some(Frame { id, kind, payload: body }))
    }
}

/// Appends a frame around a message.
pub fn put<M: Message>(buffer: &mut BytesMut, id: u32, kind: Kind, message: &M) {
    let length = message.encoded_len();
    put_header(buffer, id, kind, length);
    // A BytesMut grows, so that it cannot be too small for the message.
    let _ = message.encode(buffer);
}

/// Appends a frame around a message that is encoded already.
pub fn put_encoded(buffer: &mut BytesMut, id: u32, kind: Kind, payload: &[u8]) {
    put_header(buffer, id, kind, payload.len());
    buffer.put_slice(payload);
}

fn put_header(buffer: &mut BytesMut, id: u32, kind: Kind, payload_bytes: usize) {
    buffer.reserve(HEADER_BYTES + payload_bytes);
    buffer.put_u32(u32::try_from(LENGTH_MIN + payload_bytes).unwrap_or(u32::MAX));
    buffer.put_u32(id);
    buffer.put_u8(kind as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_frame() -> impl Strategy<Value = Frame> {
        (any::<u32>(), 0..Kind::ALL.len(), proptest::collection::vec(any::<u8>(), 0..200))
            .prop_map(|(id, kind, payload)| Frame { id, kind: Kind::ALL[kind], payload: payload.into() })
    }

    proptest! {
        #[test]
        fn frames_round_trip_however_the_stream_is_cut(
            frames in proptest::collection::vec(any_frame(), 0..8), cut in 1_usize..64,
        ) {
            let mut stream = BytesMut::new();
            for frame in &frames {
                put_encoded(&mut stream, frame.id, frame.kind, &frame.payload);
            }
            let (mut buffer, mut seen) = (BytesMut::new(), Vec::new());
            for chunk in stream.chunks(cut) {
                buffer.extend_from_slice(chunk);
                while let Some(frame) = Frame::take(&mut buffer, 1024).unwrap() {
                    seen.push(frame);
                }
            }
            prop_assert_eq!(seen, frames);
            prop_assert!(buffer.is_empty());
        }

        #[test]
        fn any_bytes_give_frames_or_an_error_and_allocate_nothing(
            bytes in proptest::collection::vec(any::<u8>(), 0..256),
        ) {
            let mut buffer = BytesMut::from(&bytes[..]);
            let capacity = buffer.capacity();
            while let Ok(Some(_)) = Frame::take(&mut buffer, 64) {}
            prop_assert!(buffer.capacity() <= capacity);
        }
    }

    #[test]
    fn a_kind_is_found_by_its_number() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_byte(kind as u8), Some(kind));
        }
        assert_eq!(Kind::from_byte(0), None);
    }

    #[test]
    fn the_bytes_are_as_documented() {
        let mut buffer = BytesMut::new();
        put_encoded(&mut buffer, 7, Kind::QuoteRequest, b"\x0a\x01A");
        assert_eq!(&buffer[..], b"\x00\x00\x00\x08\x00\x00\x00\x07\x01\x0a\x01A");
    }
}
