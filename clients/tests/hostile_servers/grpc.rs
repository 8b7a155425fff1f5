//! Servers of gRPC: messages, trailers and statuses that are wrong, or have no end.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};

use terms::{Carriage, Failure};

use crate::case::{Case, Client, Expect};
use crate::http2::{CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, STATUS_200, answer, field, frame};
use crate::stream::{drain, flood, serve};

fn head() -> Vec<u8> {
    [STATUS_200, &field("content-type", "application/grpc")].concat()
}

/// A message of which a length is said, and these bytes come.
fn message(compressed: u8, length: u32, bytes: &[u8]) -> Vec<u8> {
    [&[compressed][..], &length.to_be_bytes(), bytes].concat()
}

/// Answers each call with a message, and trailers.
fn reply(id: u32, message: &[u8], trailers: &[u8]) -> Vec<u8> {
    let data: Vec<u8> = message.chunks(16_000).flat_map(|piece| frame(DATA, 0, id, piece)).collect();
    let trailers = frame(HEADERS, END_HEADERS | END_STREAM, id, trailers);
    [frame(HEADERS, END_HEADERS, id, &head()), data, trailers].concat()
}

fn always(stream: TcpStream, of: fn(u32) -> Vec<u8>) -> std::io::Result<()> {
    answer(stream, &[], |stream, id| stream.write_all(&of(id)))
}

fn message_of_4_gib() -> SocketAddr {
    serve(|stream| always(stream, |id| reply(id, &message(0, u32::MAX, b"x"), &field("grpc-status", "0"))))
}

fn compressed() -> SocketAddr {
    serve(|stream| always(stream, |id| reply(id, &message(1, 2, b"\x0a\x00"), &field("grpc-status", "0"))))
}

fn unknown_flag() -> SocketAddr {
    serve(|stream| always(stream, |id| reply(id, &message(0x7f, 2, b"\x0a\x00"), &field("grpc-status", "0"))))
}

fn no_trailers() -> SocketAddr {
    serve(|stream| {
        always(stream, |id| {
            let head = frame(HEADERS, END_HEADERS, id, &head());
            [head, frame(DATA, END_STREAM, id, &message(0, 0, b""))].concat()
        })
    })
}

fn status_of_nonsense() -> SocketAddr {
    serve(|stream| always(stream, |id| reply(id, &message(0, 0, b""), &field("grpc-status", "banana"))))
}

fn status_beyond_all() -> SocketAddr {
    serve(|stream| {
        always(stream, |id| {
            let head =
                [head(), field("grpc-status", "99999999999"), field("grpc-message", "%zz%1b[2J")].concat();
            frame(HEADERS, END_HEADERS | END_STREAM, id, &head)
        })
    })
}

fn huge_trailers() -> SocketAddr {
    serve(|stream| {
        answer(stream, &[], |stream, id| {
            drain(stream)?;
            stream.write_all(&frame(HEADERS, END_HEADERS, id, &head()))?;
            stream.write_all(&frame(HEADERS, END_STREAM, id, &field("grpc-status", "0")))?;
            flood(stream, &frame(CONTINUATION, 0, id, &field("x-a", "b").repeat(100)))
        })
    })
}

fn messages_without_end() -> SocketAddr {
    serve(|stream| {
        answer(stream, &[], |stream, id| {
            drain(stream)?;
            stream.write_all(&frame(HEADERS, END_HEADERS, id, &head()))?;
            flood(stream, &frame(DATA, 0, id, &message(0, 0, b"").repeat(1_000)))
        })
    })
}

fn part_of_a_message() -> SocketAddr {
    serve(|stream| {
        always(stream, |id| {
            let head = frame(HEADERS, END_HEADERS, id, &head());
            [head, frame(DATA, 0, id, &message(0, 3_000_000, &[0; 10_000]))].concat()
        })
    })
}

fn not_a_message() -> SocketAddr {
    serve(|stream| always(stream, |id| reply(id, &message(0, 100, &[0xff; 100]), &field("grpc-status", "0"))))
}

fn another_content_type() -> SocketAddr {
    serve(|stream| {
        always(stream, |id| {
            let head =
                frame(HEADERS, END_HEADERS, id, &[STATUS_200, &field("content-type", "text/html")].concat());
            [head, frame(DATA, END_STREAM, id, b"<html>")].concat()
        })
    })
}

const GRPC: Client = Client::Market(Carriage::Grpc);
const SUBSCRIBER: Client = Client::Subscriber(Carriage::Grpc);
const WRONG: Expect = Expect::Fails(&[
    Failure::Protocol,
    Failure::Limit,
    Failure::Reset,
    Failure::Rejected,
    Failure::WrongReply,
]);
const OVER: Expect = Expect::Fails(&[Failure::Limit]);
const LATE: Expect = Expect::Fails(&[Failure::TimedOut]);

pub(crate) const CASES: &[Case] = &[
    Case::new("grpc: a message of 4 GiB", message_of_4_gib, GRPC, OVER),
    Case::new("grpc: a compressed message", compressed, GRPC, WRONG),
    Case::new("grpc: an unknown flag", unknown_flag, GRPC, WRONG),
    Case::new("grpc: no trailers", no_trailers, GRPC, WRONG),
    Case::new("grpc: a status of nonsense", status_of_nonsense, GRPC, WRONG),
    Case::new("grpc: a status beyond all", status_beyond_all, GRPC, WRONG),
    Case::new("grpc: trailers without end", huge_trailers, GRPC, WRONG),
    Case::new("grpc: messages without end", messages_without_end, GRPC, LATE),
    Case::new("grpc: messages without end: a subscriber", messages_without_end, SUBSCRIBER, Expect::Ends),
    Case::new("grpc: part of a message, and silence", part_of_a_message, GRPC, LATE).with_replies(),
    Case::new("grpc: not a message", not_a_message, GRPC, WRONG),
    Case::new("grpc: another content type", another_content_type, GRPC, WRONG),
    Case::new(
        "grpc: a message of 4 GiB: a subscriber",
        message_of_4_gib,
        SUBSCRIBER,
        Expect::Fails(&[Failure::Missed]),
    ),
];

#[test]
fn hostile_grpc() {
    crate::parent::check(CASES);
}
