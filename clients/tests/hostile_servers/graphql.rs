//! Servers of GraphQL: answers that are deep, long, or none.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use terms::Failure;

use crate::case::{Case, Client, Expect, GRAPHQL};
use crate::stream::{flood, read_head, serve};
use crate::websocket::shake_hands;

/// Reads a request, its body too.
fn read_request(stream: &mut TcpStream) -> io::Result<()> {
    let head = String::from_utf8(read_head(stream)?).unwrap();
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    let length = lines.filter(|(name, _)| *name == "content-length").map(|(_, bytes)| bytes).next();
    let length: u64 = length.map_or(0, |bytes| bytes.parse().unwrap());
    io::copy(&mut stream.take(length), &mut io::sink()).map(|_| ())
}

fn always(mut stream: TcpStream, body: &str) -> io::Result<()> {
    loop {
        read_request(&mut stream)?;
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())?;
    }
}

fn nested_data() -> SocketAddr {
    serve(|stream| {
        let (open, close) = ("{\"x\":".repeat(15_000), "}".repeat(15_000));
        always(stream, &format!("{{\"data\":{{\"quote\":{open}1{close}}}}}"))
    })
}

fn nested_lists_nobody_asked_for() -> SocketAddr {
    serve(|stream| {
        let (open, close) = ("[".repeat(60_000), "]".repeat(60_000));
        always(stream, &format!("{{\"data\":{{\"other\":{open}{close}}}}}"))
    })
}

fn errors_by_the_million() -> SocketAddr {
    serve(|stream| {
        let error = "{\"message\":\"\\u001b[31m\"},".repeat(40_000);
        always(stream, &format!("{{\"errors\":[{}]}}", error.trim_end_matches(',')))
    })
}

fn replies_without_end() -> SocketAddr {
    serve(|mut stream| {
        read_request(&mut stream)?;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n{\"data\":{\"quote\":[")?;
        flood(&mut stream, b"{},")
    })
}

/// An ack, and then what is no event.
fn subscription(mut stream: TcpStream, rest: &[u8]) -> io::Result<()> {
    shake_hands(&mut stream)?;
    let ack = b"{\"type\":\"connection_ack\"}";
    stream.write_all(&[&[0x81, ack.len() as u8][..], ack].concat())?;
    crate::stream::drain(&stream)?;
    flood(&mut stream, rest)
}

fn long_events() -> SocketAddr {
    serve(|stream| {
        let text = [b'x'; 0x10_0000];
        subscription(stream, &[&b"\x81\x7f\x00\x00\x00\x00\x00\x10\x00\x00"[..], &text].concat())
    })
}

fn messages_of_unknown_types() -> SocketAddr {
    serve(|stream| subscription(stream, b"\x81\x0c{\"type\":\"x\"}"))
}

fn pings_of_the_subprotocol() -> SocketAddr {
    serve(|stream| subscription(stream, b"\x81\x0f{\"type\":\"ping\"}"))
}

fn events_without_end() -> SocketAddr {
    serve(|stream| {
        let event = br#"{"id":"1","type":"next","payload":{"data":{"ticks":{"sequence":900000}}}}"#;
        subscription(stream, &[&[0x81, event.len() as u8][..], event].concat())
    })
}

const CALLS: Client = Client::Market(GRAPHQL);
const SUBSCRIBER: Client = Client::Subscriber(GRAPHQL);
const MISSED: Expect = Expect::Fails(&[Failure::Missed]);

pub(crate) const CASES: &[Case] = &[
    Case::new(
        "graphql: nested data",
        nested_data,
        CALLS,
        Expect::Fails(&[Failure::Protocol, Failure::TimedOut]),
    ),
    Case::new(
        "graphql: nested lists nobody asked for",
        nested_lists_nobody_asked_for,
        CALLS,
        Expect::Fails(&[Failure::Protocol, Failure::TimedOut]),
    ),
    Case::new(
        "graphql: errors by the million",
        errors_by_the_million,
        CALLS,
        Expect::Fails(&[Failure::Rejected, Failure::Limit, Failure::TimedOut]),
    )
    .with_replies(),
    Case::new(
        "graphql: replies without end",
        replies_without_end,
        CALLS,
        Expect::Fails(&[Failure::Limit, Failure::TimedOut]),
    )
    .with_replies(),
    Case::new("graphql: long events", long_events, SUBSCRIBER, MISSED),
    Case::new("graphql: messages of unknown types", messages_of_unknown_types, SUBSCRIBER, MISSED),
    Case::new("graphql: pings without end", pings_of_the_subprotocol, SUBSCRIBER, MISSED),
    Case::new("graphql: events without end", events_without_end, SUBSCRIBER, MISSED),
];

#[test]
fn hostile_graphql() {
    crate::parent::check(CASES);
}
