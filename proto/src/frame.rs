//! The frame: a message with its kind and its correlation id, as TCP, UDP and WebSocket carry it.
//!
//! On a TCP stream, and alone in a UDP datagram:
//!
//! ```text
//! offset  bytes  what
//!      0      4  length of all that follows, big-endian
//!      4      4  correlation id, big-endian: chosen by the caller, repeated in every answer
//!      8      1  kind
//!      9      …  the protobuf message that the kind names
//! ```
//! A datagram may be filled up with zeros behind its frame. A call that says how much time it has
//! left has 0x40 added to its kind, and 4 bytes behind it: microseconds, big-endian.
//!
//! A binary WebSocket message is the same without the length: the message has its own. A text
//! message is `{"id":7,"kind":"quote_request","body":{"symbol":"AAAA"}}`, with
//! `"time_left_us":250000` before the body where the call says it.
//!
//! No I/O here: bytes in, frames out. Nothing is allocated on the word of a length prefix.

mod kind;

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;
use serde_json::value::RawValue;

pub use kind::Kind;

/// Bytes before the payload, at least.
pub const HEADER_BYTES: usize = 9;
/// What the length prefix does not count: itself.
const PREFIX_BYTES: usize = 4;
/// Bytes of a UDP datagram, header and all, at most: passes every path that carries QUIC (RFC 9000,
/// section 14).
pub const DATAGRAM_BYTES_MAX: usize = 1_200;

/// Bytes of the largest frame in a QUIC datagram: a packet of 1 200 bytes (the smallest that every
/// path carries, RFC 9000, section 14), without its header of at most 25 bytes, its tag of 16 and
/// the datagram's own 3.
pub const QUIC_DATAGRAM_BYTES_MAX: usize = 1_156;
/// Correlation id and kind: the least that a length prefix may say.
const LENGTH_MIN: usize = HEADER_BYTES - PREFIX_BYTES;
/// Added to the kind of a call that says how much time it has left.
const HAS_TIME_LEFT: u8 = 0x40;
/// Bytes of that time.
pub const TIME_LEFT_BYTES: usize = 4;

/// One message with its kind and its correlation id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Chosen by the caller, repeated in every answer.
    pub id: u32,
    /// What the payload is.
    pub kind: Kind,
    /// Of a call that says it: the time after which nobody waits for its answer.
    pub time_left: Option<Duration>,
    /// The message, in the encoding that the carrier has.
    pub payload: Bytes,
}

/// Bytes that are not made of frames; a stream of them cannot be used any more.
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
    /// The length prefix is less than what every frame has.
    #[error(
        "a frame of {length} bytes is too short to hold a correlation id and a kind ({LENGTH_MIN} bytes), \
         and the time left where its kind says so ({TIME_LEFT_BYTES} bytes)"
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
    /// A datagram or a message that is cut short, or has something behind its frame that is not
    /// zeros.
    #[error("{bytes} bytes are not one whole frame")]
    NotOne {
        /// How many bytes came.
        bytes: usize,
    },
    /// A text message that is no frame.
    #[error("not a frame of the form {{\"id\":1,\"kind\":\"quote_request\",\"body\":{{…}}}}: {reason}")]
    Text {
        /// What is wrong with it.
        reason: String,
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
        Frame::from_message(buffer.split_to(length).freeze()).map(Some)
    }

    /// Reads a datagram, which is one whole frame, and zeros behind it if it was filled up.
    ///
    /// # Errors
    /// Where it is not.
    pub fn from_datagram(datagram: &[u8]) -> Result<Frame, FrameError> {
        let mut buffer = BytesMut::from(datagram);
        match Frame::take(&mut buffer, datagram.len())? {
            Some(frame) if buffer.iter().all(|byte| *byte == 0) => Ok(frame),
            _ => Err(FrameError::NotOne { bytes: datagram.len() }),
        }
    }

    /// Reads a binary message: correlation id, kind, payload.
    ///
    /// # Errors
    /// Where it is too short, or its kind is unknown.
    pub fn from_message(mut message: Bytes) -> Result<Frame, FrameError> {
        let too_short = FrameError::TooShort { length: message.len() };
        if message.len() < LENGTH_MIN {
            return Err(too_short);
        }
        let id = message.get_u32();
        let byte = message.get_u8();
        let unknown = FrameError::UnknownKind { kind: byte };
        if let Some(kind) = Kind::from_byte(byte) {
            return Ok(Frame { id, kind, time_left: None, payload: message });
        }
        let call = Kind::from_byte(byte & !HAS_TIME_LEFT).filter(|kind| kind.is_call());
        let kind = call.ok_or(unknown)?;
        let time_left = message.try_get_u32().map_err(|_| too_short)?;
        let time_left = Some(Duration::from_micros(u64::from(time_left)));
        Ok(Frame { id, kind, time_left, payload: message })
    }

    /// Reads a text message; the payload is the JSON of its body.
    ///
    /// # Errors
    /// Where it is not a frame.
    pub fn from_text(text: &Bytes) -> Result<Frame, FrameError> {
        let envelope: Envelope =
            serde_json::from_slice(text).map_err(|error| FrameError::Text { reason: error.to_string() })?;
        let Envelope { id, kind, time_left_us, body } = envelope;
        if time_left_us.is_some() && !kind.is_call() {
            let reason = format!("{} has no time_left_us: only calls have", kind.name());
            return Err(FrameError::Text { reason });
        }
        let time_left = time_left_us.map(|us| Duration::from_micros(u64::from(us)));
        let payload = body.map(|body| text.slice_ref(body.get().as_bytes())).unwrap_or_default();
        Ok(Frame { id, kind, time_left, payload })
    }
}

/// A text message, its body left as it stands.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    id: u32,
    kind: Kind,
    #[serde(default)]
    time_left_us: Option<u32>,
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
}

/// What stands before a frame's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHead {
    /// Chosen by the caller, repeated in every answer.
    pub id: u32,
    /// What the payload is.
    pub kind: Kind,
    /// Of a call: the time after which nobody waits for its answer, to be said.
    pub time_left: Option<Duration>,
}

impl FrameHead {
    /// Of what has all the time there is, or says nothing of it.
    pub fn of(id: u32, kind: Kind) -> FrameHead {
        FrameHead { id, kind, time_left: None }
    }

    /// Microseconds that are left, where they are said; more than fit are as good as that many.
    fn time_left_us(self) -> Option<u32> {
        let left = self.time_left.filter(|_| self.kind.is_call())?;
        Some(u32::try_from(left.as_micros()).unwrap_or(u32::MAX))
    }

    /// Bytes of it, without the length prefix.
    fn bytes(self) -> usize {
        LENGTH_MIN + self.time_left_us().map_or(0, |_| TIME_LEFT_BYTES)
    }

    fn put(self, buffer: &mut BytesMut) {
        buffer.put_u32(self.id);
        match self.time_left_us() {
            None => buffer.put_u8(self.kind as u8),
            Some(time_left_us) => {
                buffer.put_u8(self.kind as u8 | HAS_TIME_LEFT);
                buffer.put_u32(time_left_us);
            }
        }
    }

    fn put_with_length(self, buffer: &mut BytesMut, payload_bytes: usize) {
        let length = self.bytes() + payload_bytes;
        buffer.reserve(PREFIX_BYTES + length);
        buffer.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        self.put(buffer);
    }
}

/// A binary message: correlation id, kind, payload.
pub fn message(head: FrameHead, payload: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(head.bytes() + payload.len());
    head.put(&mut out);
    out.put_slice(payload);
    out.freeze()
}

/// A text message around a payload that is JSON; without a body where the payload is empty.
pub fn text(head: FrameHead, payload: &[u8]) -> Bytes {
    /// What stands around the payload, at most.
    const AROUND: usize = 96;
    let mut out = BytesMut::with_capacity(AROUND + payload.len());
    out.put_slice(b"{\"id\":");
    out.put_slice(head.id.to_string().as_bytes());
    out.put_slice(b",\"kind\":\"");
    out.put_slice(head.kind.name().as_bytes());
    out.put_slice(b"\"");
    if let Some(time_left_us) = head.time_left_us() {
        out.put_slice(b",\"time_left_us\":");
        out.put_slice(time_left_us.to_string().as_bytes());
    }
    if !payload.is_empty() {
        out.put_slice(b",\"body\":");
        out.put_slice(payload);
    }
    out.put_slice(b"}");
    out.freeze()
}

/// Appends a frame around a message.
pub fn put<M: Message>(buffer: &mut BytesMut, id: u32, kind: Kind, message: &M) {
    FrameHead::of(id, kind).put_with_length(buffer, message.encoded_len());
    // A BytesMut grows, so that it cannot be too small for the message.
    let _ = message.encode(buffer);
}

/// Appends a frame around a message that is encoded already.
pub fn put_encoded(buffer: &mut BytesMut, head: FrameHead, payload: &[u8]) {
    head.put_with_length(buffer, payload.len());
    buffer.put_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_frame() -> impl Strategy<Value = Frame> {
        let time_left = proptest::option::of(any::<u32>());
        let payload = proptest::collection::vec(any::<u8>(), 0..200);
        (any::<u32>(), 0..Kind::ALL.len(), time_left, payload).prop_map(|(id, kind, time_left, payload)| {
            let kind = Kind::ALL[kind];
            let time_left = time_left.filter(|_| kind.is_call());
            let time_left = time_left.map(|us| Duration::from_micros(u64::from(us)));
            Frame { id, kind, time_left, payload: payload.into() }
        })
    }

    #[test]
    fn a_datagram_is_one_whole_frame() {
        let mut datagram = BytesMut::new();
        put_encoded(&mut datagram, FrameHead::of(7, Kind::Quote), b"abc");
        let frame = Frame::from_datagram(&datagram).unwrap();
        assert_eq!((frame.id, frame.kind, &frame.payload[..]), (7, Kind::Quote, &b"abc"[..]));
        for cut in 0..datagram.len() {
            assert!(Frame::from_datagram(&datagram[..cut]).is_err(), "{cut} bytes of it");
        }
        datagram.put_u8(0);
        assert!(Frame::from_datagram(&datagram).is_ok(), "filled up");
        datagram.put_u8(1);
        assert!(Frame::from_datagram(&datagram).is_err(), "something behind it");
    }

    #[test]
    fn messages_round_trip_as_text_and_as_bytes() {
        let head =
            FrameHead { time_left: Some(Duration::from_millis(250)), ..FrameHead::of(9, Kind::QuoteRequest) };
        let frame = Frame::from_text(&text(head, br#"{"symbol":"A"}"#)).unwrap();
        assert_eq!(frame.time_left, head.time_left);
        assert_eq!(
            (frame.id, frame.kind, &frame.payload[..]),
            (9, Kind::QuoteRequest, &br#"{"symbol":"A"}"#[..])
        );
        assert_eq!(Frame::from_text(&text(FrameHead::of(9, Kind::Cancel), b"")).unwrap().payload, "");
        assert_eq!(Frame::from_message(message(head, &frame.payload)).unwrap(), frame);
        for wrong in [
            "",
            "[]",
            "{}",
            r#"{"id":1}"#,
            r#"{"id":1,"kind":"nothing"}"#,
            r#"{"id":-1,"kind":"end"}"#,
            r#"{"id":1,"kind":"renew","time_left_us":1}"#,
            r#"{"id":1,"kind":"quote_request","time_left_us":-1}"#,
        ] {
            let error = Frame::from_text(&Bytes::from(wrong)).unwrap_err().to_string();
            assert!(error.contains("quote_request"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn frames_round_trip_however_the_stream_is_cut(
            frames in proptest::collection::vec(any_frame(), 0..8), cut in 1_usize..64,
        ) {
            let mut stream = BytesMut::new();
            for frame in &frames {
                let head = FrameHead { id: frame.id, kind: frame.kind, time_left: frame.time_left };
                put_encoded(&mut stream, head, &frame.payload);
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
    fn only_a_call_says_how_much_time_it_has_left() {
        let read = |kind: u8, rest: &[u8]| Frame::from_message([&[0, 0, 0, 1, kind], rest].concat().into());
        assert_eq!(read(0x45, &[0, 0, 0, 9]).unwrap().time_left, Some(Duration::from_micros(9)));
        assert_eq!(read(0x45, &[0, 0, 0]), Err(FrameError::TooShort { length: 8 }));
        for kind in [0x40, 0x46, 0x48, 0x4a, 0xc1] {
            assert_eq!(read(kind, &[0; 4]), Err(FrameError::UnknownKind { kind }));
        }
        let long = FrameHead { time_left: Some(Duration::MAX), ..FrameHead::of(1, Kind::QuoteRequest) };
        assert_eq!(long.time_left_us(), Some(u32::MAX));
        assert_eq!(FrameHead { kind: Kind::Quote, ..long }.time_left_us(), None);
    }

    #[test]
    fn the_bytes_are_as_documented() {
        let mut buffer = BytesMut::new();
        let head = FrameHead::of(7, Kind::QuoteRequest);
        put_encoded(&mut buffer, head, b"\x0a\x01A");
        assert_eq!(&buffer[..], b"\x00\x00\x00\x08\x00\x00\x00\x07\x01\x0a\x01A");
        let hurried = FrameHead { time_left: Some(Duration::from_micros(258)), ..head };
        assert_eq!(message(hurried, b"\x0a\x01A"), &b"\x00\x00\x00\x07\x41\x00\x00\x01\x02\x0a\x01A"[..]);
        let said = br#"{"id":7,"kind":"quote_request","time_left_us":258,"body":{}}"#;
        assert_eq!(text(hurried, b"{}"), &said[..]);
    }
}
