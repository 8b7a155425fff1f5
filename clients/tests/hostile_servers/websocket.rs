//! Servers of WebSockets, frame by frame (RFC 6455).

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpStream};

use proto::encoding::Encoding;
use terms::{Carriage, Failure};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::case::{Case, Client, Expect, GRAPHQL};
use crate::stream::{drain, flood, read_head, serve, trickle, wait_for_the_end};

/// Agrees to become a WebSocket, with whatever subprotocol is asked for.
pub(crate) fn shake_hands(stream: &mut TcpStream) -> io::Result<()> {
    let head = String::from_utf8(read_head(stream)?).unwrap();
    let of = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(':'));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    };
    let accept = derive_accept_key(of("sec-websocket-key").unwrap_or_default().as_bytes());
    let subprotocol = of("sec-websocket-protocol");
    let subprotocol =
        subprotocol.map(|name| format!("sec-websocket-protocol: {name}\r\n")).unwrap_or_default();
    write!(
        stream,
        "HTTP/1.1 101 x\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: {accept}\r\n{subprotocol}\r\n"
    )
}

/// Shakes hands, waits for a first message, and answers it with some bytes and others for ever.
fn endless(mut stream: TcpStream, begin: &[u8], rest: &[u8]) -> io::Result<()> {
    shake_hands(&mut stream)?;
    io::Read::read_exact(&mut stream, &mut [0; 6])?;
    drain(&stream)?;
    stream.write_all(begin)?;
    flood(&mut stream, rest)
}

/// Shakes hands, answers the first message with some bytes, and says no more.
fn once(mut stream: TcpStream, reply: &[u8]) -> io::Result<()> {
    shake_hands(&mut stream)?;
    io::Read::read_exact(&mut stream, &mut [0; 6])?;
    stream.write_all(reply)?;
    wait_for_the_end(stream)
}

fn frame_of_2_63_bytes() -> SocketAddr {
    serve(|stream| endless(stream, b"\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00", b"x"))
}

fn frame_of_all_bytes() -> SocketAddr {
    serve(|stream| endless(stream, b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", b"x"))
}

fn fragments() -> SocketAddr {
    serve(|stream| {
        let piece = [&b"\x00\x7e\x10\x00"[..], &[b'x'; 0x1000]].concat();
        endless(stream, b"\x02\x00", &piece)
    })
}

fn empty_fragments() -> SocketAddr {
    serve(|stream| endless(stream, b"\x02\x00", b"\x00\x00"))
}

fn fragments_of_nothing() -> SocketAddr {
    serve(|stream| once(stream, b"\x80\x01x"))
}

fn pings() -> SocketAddr {
    serve(|stream| endless(stream, b"", b"\x89\x00"))
}

fn long_pings_unread() -> SocketAddr {
    serve(|mut stream| {
        shake_hands(&mut stream)?;
        flood(&mut stream, &[&b"\x89\x7d"[..], &[b'x'; 125]].concat())
    })
}

fn ping_that_is_too_long() -> SocketAddr {
    serve(|stream| once(stream, &[&b"\x89\x7e\x01\x00"[..], &[b'x'; 256]].concat()))
}

fn invalid_utf8() -> SocketAddr {
    serve(|stream| once(stream, b"\x81\x02\xff\xfe"))
}

fn masked() -> SocketAddr {
    serve(|stream| once(stream, b"\x81\x82\x01\x02\x03\x04ab"))
}

fn reserved_bits() -> SocketAddr {
    serve(|stream| once(stream, b"\xf1\x01x"))
}

fn reserved_opcode() -> SocketAddr {
    serve(|stream| once(stream, b"\x83\x01x"))
}

fn closes_and_goes_on() -> SocketAddr {
    serve(|stream| endless(stream, b"\x88\x00", b"\x81\x01x"))
}

fn close_of_one_byte() -> SocketAddr {
    serve(|stream| once(stream, b"\x88\x01x"))
}

fn wrong_accept() -> SocketAddr {
    serve(|mut stream| {
        read_head(&mut stream)?;
        stream.write_all(
            b"HTTP/1.1 101 x\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: AAAA\r\n\r\n",
        )?;
        wait_for_the_end(stream)
    })
}

fn refuses() -> SocketAddr {
    serve(|mut stream| {
        read_head(&mut stream)?;
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
    })
}

fn handshake_header_lines() -> SocketAddr {
    serve(|mut stream| {
        read_head(&mut stream)?;
        stream.write_all(b"HTTP/1.1 101 x\r\n")?;
        flood(&mut stream, b"x-a: b\r\n")
    })
}

fn handshake_without_end() -> SocketAddr {
    serve(|mut stream| trickle(&mut stream, b"HTTP/1.1 101 x"))
}

fn messages_unasked() -> SocketAddr {
    serve(|mut stream| {
        shake_hands(&mut stream)?;
        drain(&stream)?;
        flood(&mut stream, b"\x81\x02ok")
    })
}

const WS: Client = Client::WebSocket;
const JSON: Client = Client::Market(Carriage::WebSocket { encoding: Encoding::Json });
const PROTOBUF: Client = Client::Market(Carriage::WebSocket { encoding: Encoding::Protobuf });
const SUBSCRIBER: Client = Client::Subscriber(Carriage::WebSocket { encoding: Encoding::Json });
const WRONG: Expect = Expect::Fails(&[Failure::Protocol, Failure::Limit, Failure::Reset]);
const OVER: Expect = Expect::Fails(&[Failure::Limit]);
const LATE: Expect = Expect::Fails(&[Failure::TimedOut]);
const WRONG_OR_LATE: Expect =
    Expect::Fails(&[Failure::Protocol, Failure::Limit, Failure::Reset, Failure::TimedOut]);
const MISSED: Expect = Expect::Fails(&[Failure::Missed]);
const NOT_IN_TIME: Expect = Expect::NotOpened("no connection within 10 s");

pub(crate) const CASES: &[Case] = &[
    Case::new("websocket: a frame of 2^63 bytes", frame_of_2_63_bytes, WS, WRONG),
    Case::new("websocket: a frame of 2^63 - 1 bytes", frame_of_all_bytes, WS, OVER),
    Case::new("websocket: a frame of 2^63 bytes: json", frame_of_2_63_bytes, JSON, WRONG),
    Case::new("websocket: a frame of 2^63 bytes: protobuf", frame_of_2_63_bytes, PROTOBUF, WRONG),
    Case::new(
        "websocket: fragments without end",
        fragments,
        WS,
        Expect::Fails(&[Failure::Limit, Failure::TimedOut]),
    )
    .with_replies(),
    Case::new("websocket: fragments without end: protobuf", fragments, PROTOBUF, WRONG_OR_LATE)
        .with_replies(),
    Case::new("websocket: empty fragments without end", empty_fragments, WS, LATE),
    Case::new("websocket: empty fragments without end: json", empty_fragments, JSON, LATE),
    Case::new("websocket: a fragment of nothing", fragments_of_nothing, WS, WRONG),
    Case::new("websocket: Pings without end", pings, WS, LATE),
    Case::new("websocket: Pings without end: json", pings, JSON, LATE),
    Case::new("websocket: Pings without end: a subscriber", pings, SUBSCRIBER, MISSED),
    Case::new("websocket: long Pings, unread", long_pings_unread, WS, WRONG_OR_LATE).with_replies(),
    Case::new("websocket: long Pings, unread: json", long_pings_unread, JSON, WRONG_OR_LATE).with_replies(),
    Case::new("websocket: a Ping that is too long", ping_that_is_too_long, WS, WRONG),
    Case::new("websocket: invalid UTF-8", invalid_utf8, WS, WRONG),
    Case::new("websocket: invalid UTF-8: json", invalid_utf8, JSON, WRONG),
    Case::new("websocket: masked", masked, WS, WRONG),
    Case::new("websocket: reserved bits", reserved_bits, WS, WRONG),
    Case::new("websocket: a reserved opcode", reserved_opcode, WS, WRONG),
    Case::new("websocket: closes and goes on", closes_and_goes_on, WS, WRONG),
    Case::new("websocket: closes and goes on: json", closes_and_goes_on, JSON, WRONG),
    Case::new("websocket: a close of one byte", close_of_one_byte, WS, WRONG),
    Case::new("websocket: a wrong accept", wrong_accept, WS, Expect::NotOpened("protocol error")),
    Case::new("websocket: refuses", refuses, WS, Expect::NotOpened("403")),
    Case::new("websocket: header lines without end", handshake_header_lines, WS, Expect::NotOpened("")),
    Case::new("websocket: a handshake without end", handshake_without_end, WS, Expect::NotOpened("")),
    Case::new(
        "websocket: messages unasked",
        messages_unasked,
        WS,
        Expect::NotOpened("the server speaks first"),
    ),
    Case::new("websocket: messages unasked: json", messages_unasked, JSON, WRONG),
    Case::new(
        "websocket: silent: graphql",
        handshake_without_end,
        Client::Subscriber(GRAPHQL),
        Expect::NotOpened(""),
    ),
    Case::new("websocket: Pings for an ack: graphql", pings, Client::Subscriber(GRAPHQL), NOT_IN_TIME),
    Case::new(
        "websocket: a frame of 2^63 - 1 bytes: graphql",
        frame_of_all_bytes,
        Client::Subscriber(GRAPHQL),
        Expect::NotOpened("over a limit"),
    ),
];

#[test]
fn hostile_websockets() {
    crate::parent::check(CASES);
}
