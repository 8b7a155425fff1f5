//! TCP: frames over the limit, malformed, cut short, and a peer that does not read.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use bytes::BytesMut;
use prost::Message as _;
use proto::Protocol;
use proto::frame::{self, FrameHead, Kind};
use proto::v1::{FaultCode, HistoryRequest, Quote, QuoteRequest, SubscribeRequest};

use crate::{Server, fault, frames, limits, resident_bytes, tcp_frame};

pub(crate) fn quote_over_tcp(server: &Server) {
    let mut stream = server.connect();
    stream.write_all(&tcp_frame(7, Kind::QuoteRequest, &QuoteRequest { symbol: "AAAA".into() })).unwrap();
    let mut reply = [0; 512];
    let read = stream.read(&mut reply).unwrap();
    let reply = &frames(&reply[..read])[0];
    assert_eq!((reply.id, reply.kind), (7, Kind::Quote));
    assert_eq!(Quote::decode(reply.payload.clone()).unwrap().symbol, "AAAA");
}

#[test]
fn tcp_answers_hostile_frames_and_serves_on() {
    let server = Server::start(Protocol::Tcp, limits());
    for hostile in [
        &b"\xff\xff\xff\xff rest"[..],
        b"\x00\x00\x00\x01\x00",
        b"\x00\x00\x00\x05\x00\x00\x00\x01\x55",
        b"GET / HTTP/1.1\r\n\r\n",
        // The beginning of a frame, and then silence.
        b"\x00\x00\x00\x08\x00\x00",
    ] {
        let answer = frames(&server.answer(hostile));
        assert_eq!(answer.len(), 1, "{hostile:?}");
        assert_eq!((answer[0].id, fault(&answer[0])), (0, FaultCode::Limit), "{hostile:?}");
        quote_over_tcp(&server);
    }
    // A frame that holds no message: a fault for its call, and the connection goes on.
    let mut stream = server.connect();
    let mut malformed = BytesMut::new();
    frame::put_encoded(&mut malformed, FrameHead::of(3, Kind::QuoteRequest), b"\xff\xff");
    stream.write_all(&malformed).unwrap();
    stream.write_all(&tcp_frame(4, Kind::QuoteRequest, &QuoteRequest { symbol: "AAAB".into() })).unwrap();
    let mut got = Vec::new();
    while frames(&got).len() < 2 {
        let mut chunk = [0; 512];
        let read = stream.read(&mut chunk).unwrap();
        got.extend_from_slice(&chunk[..read]);
    }
    let answers = frames(&got);
    assert_eq!((answers[0].id, fault(&answers[0])), (3, FaultCode::InvalidArgument));
    assert_eq!((answers[1].id, answers[1].kind), (4, Kind::Quote));
}

/// Asks for 300 MB and reads nothing: the server must stop reading rather than hold the answers.
#[test]
fn a_tcp_peer_that_does_not_read_is_held_back_and_hurts_nobody() {
    let server = Server::start(Protocol::Tcp, limits());
    let mut stream = server.connect();
    stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let history = tcp_frame(1, Kind::HistoryRequest, &HistoryRequest { symbol: "AAAA".into(), n: 10_000 });
    let subscribe = tcp_frame(2, Kind::SubscribeRequest, &SubscribeRequest::default());
    stream.write_all(&subscribe).unwrap();
    let before = resident_bytes();
    let mut sent = 0;
    // The kernel takes some MB for each direction; then the writes block.
    while sent < 400_000 && stream.write_all(&history).is_ok() {
        sent += 1;
    }
    assert!(sent < 400_000, "the server read {sent} requests without an answer being read");
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "memory grew by {} MB", grown >> 20);
    quote_over_tcp(&server);
}
