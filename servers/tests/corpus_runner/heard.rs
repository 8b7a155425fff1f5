//! What a server said on one connection, read as far as a judgement needs it.

use bytes::{Bytes, BytesMut};
use prost::Message as _;
use proto::frame::{Frame, Kind};
use proto::v1::FaultCode;

use super::http1;
use super::http2::Http2;

/// In what form a server speaks on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speech {
    /// HTTP/1.1, or HTTP/2 where the caller began so.
    Http { by_preface: bool },
    /// Frames of RFC 6455, behind the 101.
    WebSocket,
    /// wirebench's frames on a stream.
    Frames,
    /// wirebench's frames, one a datagram.
    FrameDatagrams,
    /// Records of TLS, or packets of QUIC.
    Secured,
}

/// All that was said so far.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) speech: Speech,
    pub(crate) bytes: Vec<u8>,
    pub(crate) datagrams: Vec<Vec<u8>>,
    /// The server has ended the connection.
    pub(crate) closed: bool,
}

/// A message of a conversation, whatever carried it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// A frame of wirebench.
    Frame(Kind, Bytes),
    /// A text that is no such frame.
    Text(String),
    /// The close frame of a WebSocket, with its code.
    Close(Option<u16>),
}

impl Heard {
    pub(crate) fn new(speech: Speech) -> Heard {
        Heard { speech, bytes: Vec::new(), datagrams: Vec::new(), closed: false }
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.bytes.is_empty() && self.datagrams.is_empty()
    }

    /// The answers of HTTP/1.1 whose head has come whole.
    pub(crate) fn http1(&self) -> Vec<http1::Response> {
        match self.speech {
            Speech::Http { .. } if !self.is_http2() => http1::responses(&self.bytes, self.closed),
            _ => Vec::new(),
        }
    }

    /// What came in frames of HTTP/2.
    pub(crate) fn http2(&self) -> Option<Http2> {
        self.is_http2().then(|| Http2::read(&self.bytes))
    }

    fn is_http2(&self) -> bool {
        self.speech == (Speech::Http { by_preface: true }) && !self.bytes.starts_with(b"HTTP/1.")
    }

    /// Every status of HTTP that was said.
    pub(crate) fn statuses(&self) -> Vec<u16> {
        match self.http2() {
            Some(http2) => http2.statuses,
            None => self.http1().iter().map(|response| response.status).collect(),
        }
    }

    /// The messages of a WebSocket, and the frames of what speaks frames.
    pub(crate) fn said(&self) -> Vec<Said> {
        match self.speech {
            Speech::WebSocket => websocket_messages(&self.bytes),
            Speech::Frames => frames(&self.bytes),
            Speech::FrameDatagrams => self.datagrams.iter().flat_map(|datagram| frames(datagram)).collect(),
            Speech::Http { .. } | Speech::Secured => Vec::new(),
        }
    }
}

fn frames(bytes: &[u8]) -> Vec<Said> {
    let mut bytes = BytesMut::from(bytes);
    let next = || Frame::take(&mut bytes, 16 << 20).ok().flatten();
    std::iter::from_fn(next).map(|frame| Said::Frame(frame.kind, frame.payload)).collect()
}

/// A server's frames are not masked, and those of ours are not fragmented.
fn websocket_messages(bytes: &[u8]) -> Vec<Said> {
    let (mut said, mut rest) = (Vec::new(), bytes);
    while let Some((first, payload, behind)) = websocket_frame(rest) {
        rest = behind;
        match first {
            0x88 => said.push(Said::Close(payload.first_chunk().map(|code| u16::from_be_bytes(*code)))),
            0x81 => said.push(text_message(payload)),
            0x82 => {
                let frame = Frame::from_message(Bytes::copy_from_slice(payload));
                said.extend(frame.map(|frame| Said::Frame(frame.kind, frame.payload)));
            }
            _ => {}
        }
    }
    said
}

fn text_message(payload: &[u8]) -> Said {
    match Frame::from_text(&Bytes::copy_from_slice(payload)) {
        Ok(frame) => Said::Frame(frame.kind, frame.payload),
        Err(_) => Said::Text(String::from_utf8_lossy(payload).into_owned()),
    }
}

/// The first byte of the frame in front, its payload, and what is behind it.
fn websocket_frame(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[first, length], rest) = bytes.split_first_chunk::<2>()?;
    let (length, rest) = match length {
        126 => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            (u64::from(u16::from_be_bytes(*length)), rest)
        }
        127 => {
            let (length, rest) = rest.split_first_chunk::<8>()?;
            (u64::from_be_bytes(*length), rest)
        }
        short => (u64::from(short), rest),
    };
    let (payload, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    Some((first, payload, rest))
}

/// The code of a fault, in protobuf or in JSON.
pub(crate) fn fault_code(payload: &Bytes) -> Option<FaultCode> {
    if let Ok(fault) = serde_json::from_slice::<proto::v1::Fault>(payload) {
        return Some(fault.code());
    }
    proto::v1::Fault::decode(payload.clone()).ok().map(|fault| fault.code())
}
