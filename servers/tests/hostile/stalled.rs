//! Subscribers that stop reading: what is kept for them is bounded, they miss the oldest ticks,
//! others are served meanwhile, and where the limits say so they are let go.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use proto::Protocol;
use servers::background::Background;
use servers::{Limits, MarketConfig};
use socket2::{Domain, Socket, Type};

use crate::graphql::quote_over_graphql;
use crate::raw_websocket::{RawWebSocket, TEXT, masked};
use crate::websocket::quote_over_websocket;
use crate::{SHORT, Server, limits, resident_bytes};

const TICKS_PER_S: f64 = 10_000.0;
/// How many ticks the market emits while nobody reads: many times what the kernel and the ring of 4
/// 096 hold.
const MEANWHILE: u64 = 30_000;
/// What may be kept for all stalled subscribers. Without a bound it would be 100 MB and more where
/// there are 60 of them.
const GROWTH_BYTES_MAX: u64 = 32 << 20;
/// More than the kernel and the server hold of one connection.
const HELD_BYTES_MAX: usize = 64 << 20;

/// Memory is measured by one test at a time.
static MEASURING: Mutex<()> = Mutex::new(());

/// A connection that asks for ticks and reads nothing more.
fn stall(server: &Server, protocol: Protocol) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    // Little room in the kernel, so that the server has to hold what is not read.
    socket.set_recv_buffer_size(8 << 10).unwrap();
    socket.connect(&server.address.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    match protocol {
        Protocol::Sse => {
            let request = format!("GET {} HTTP/1.1\r\nhost: localhost\r\n\r\n", Protocol::Sse.path());
            stream.write_all(request.as_bytes()).unwrap();
            stream
        }
        Protocol::WebSocket => {
            let socket = RawWebSocket::open(stream, protocol.path(), "wirebench.json.v1");
            subscribe(socket, |id| format!(r#"{{"id":{id},"kind":"subscribe_request","body":{{}}}}"#))
        }
        _ => {
            let mut socket = RawWebSocket::open(stream, "/graphql/ws", "graphql-transport-ws");
            socket.send_text(r#"{"type":"connection_init"}"#);
            subscribe(socket, |id| {
                let query = "subscription{ticks{sequence symbol price_cents size emitted_mono_ns}}";
                format!(r#"{{"id":"{id}","type":"subscribe","payload":{{"query":"{query}"}}}}"#)
            })
        }
    }
}

/// Sixty subscriptions on one WebSocket.
fn subscribe(mut socket: RawWebSocket, message: impl Fn(u32) -> String) -> TcpStream {
    let messages: Vec<u8> = (1..=60).flat_map(|id| masked(TEXT, message(id).as_bytes())).collect();
    socket.stream.write_all(&messages).unwrap();
    socket.stream
}

/// The sequences in what is read, in order of arrival, until `enough` says so or the connection is
/// closed.
fn read_sequences(stream: &mut TcpStream, mut enough: impl FnMut(u64) -> bool) -> (usize, bool) {
    const NAME: &[u8] = b"\"sequence\":";
    let (mut read, mut rest, mut chunk) = (0, Vec::new(), vec![0; 64 << 10]);
    loop {
        let bytes = match stream.read(&mut chunk) {
            Ok(0) => return (read, false),
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return (read, false),
            Err(error) => panic!("neither bytes nor a close: {error}"),
        };
        read += bytes;
        rest.extend_from_slice(&chunk[..bytes]);
        let mut from = 0;
        while let Some(at) = rest[from..].windows(NAME.len()).position(|window| window == NAME) {
            let digits = &rest[from + at + NAME.len()..];
            let Some(end) = digits.iter().position(|byte| !byte.is_ascii_digit()) else { break };
            let sequence = std::str::from_utf8(&digits[..end]).unwrap().parse().unwrap();
            from += at + NAME.len() + end;
            if enough(sequence) {
                return (read, true);
            }
        }
        rest.drain(..from);
        assert!(read < HELD_BYTES_MAX, "{read} bytes were held or are still sent");
    }
}

struct Stage {
    server: Server,
    /// Another protocol of the same market, whose ticks are the clock here.
    ticks: TcpStream,
}

impl Stage {
    fn open(protocol: Protocol, limits: Limits) -> Stage {
        let config = MarketConfig { ticks_per_s: TICKS_PER_S, ..MarketConfig::default() };
        let protocols =
            if protocol == Protocol::Sse { vec![protocol] } else { vec![protocol, Protocol::Sse] };
        let background = Background::start(&protocols, config, limits).unwrap();
        let ticks = background.address(Protocol::Sse).unwrap();
        let address = background.address(protocol).unwrap();
        let server = Server { address, _background: background };
        let mut ticks = TcpStream::connect(ticks).unwrap();
        ticks.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        ticks.write_all(b"GET /v1/ticks/stream HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        Stage { server, ticks }
    }

    /// Reads as a subscriber that keeps up, until the market has emitted so many more ticks; gives
    /// the newest.
    fn pass(&mut self, ticks: u64) -> u64 {
        let (mut last, mut goal) = (0, None);
        let mut bytes = 0;
        while goal.is_none_or(|goal| last < goal) {
            let reached = |sequence: u64| {
                last = sequence;
                let goal = *goal.get_or_insert(sequence + ticks);
                sequence >= goal || sequence.is_multiple_of(1_000)
            };
            let (read, open) = read_sequences(&mut self.ticks, reached);
            assert!(open, "a subscriber that reads was let go");
            bytes += read;
        }
        assert!(bytes > 0);
        last
    }
}

fn serves_others(server: &Server, protocol: Protocol) {
    match protocol {
        Protocol::WebSocket => quote_over_websocket(server),
        Protocol::GraphQl => quote_over_graphql(server),
        _ => {
            let quote = b"GET /v1/quotes/AAAA HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
            assert!(server.answer(quote).starts_with(b"HTTP/1.1 200"));
        }
    }
}

fn is_held_back_and_hurts_nobody(protocol: Protocol, connections: usize) {
    let _alone = MEASURING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut stage = Stage::open(protocol, Limits::default());
    let mut stalled: Vec<_> = (0..connections).map(|_| stall(&stage.server, protocol)).collect();
    stage.pass(1);
    let before = resident_bytes();
    stage.pass(MEANWHILE / 2);
    serves_others(&stage.server, protocol);
    let newest = stage.pass(MEANWHILE / 2);
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < GROWTH_BYTES_MAX, "memory grew by {} MB", grown >> 20);
    eprintln!("{protocol:?}: {} KB more", grown >> 10);
    for stream in &mut stalled {
        // What it was sent before it stalled, and then, past a gap, what the ring still holds: no
        // more was kept for it.
        let mut last = 0;
        let (read, gap) = read_sequences(stream, |sequence| {
            let is_gap = last > 0 && sequence > last + 1_000;
            last = last.max(sequence);
            is_gap
        });
        assert!(gap, "after {read} bytes: nothing was missed of {newest} ticks");
    }
}

fn is_let_go(protocol: Protocol, limits: Limits) {
    let mut stage = Stage::open(protocol, limits);
    let mut stalled = stall(&stage.server, protocol);
    stage.pass(MEANWHILE);
    let (read, open) = read_sequences(&mut stalled, |_| false);
    assert!(!open && read > 0, "{read} bytes");
    serves_others(&stage.server, protocol);
}

#[test]
fn sse_subscribers_that_stop_reading_are_held_back_and_hurt_nobody() {
    is_held_back_and_hurts_nobody(Protocol::Sse, 4);
}

#[test]
fn a_websocket_subscriber_that_stops_reading_is_held_back_and_hurts_nobody() {
    is_held_back_and_hurts_nobody(Protocol::WebSocket, 1);
}

#[test]
fn a_graphql_subscriber_that_stops_reading_is_held_back_and_hurts_nobody() {
    is_held_back_and_hurts_nobody(Protocol::GraphQl, 1);
}

#[test]
fn an_sse_subscriber_that_stops_reading_is_let_go_after_the_idle_time() {
    is_let_go(Protocol::Sse, Limits { idle_time_max: SHORT, ..limits() });
}

#[test]
fn a_graphql_subscriber_that_stops_reading_is_let_go_after_the_idle_time() {
    is_let_go(Protocol::GraphQl, Limits { idle_time_max: SHORT, ..limits() });
}

#[test]
fn a_websocket_subscriber_that_stops_reading_is_let_go_by_the_keep_alive() {
    is_let_go(Protocol::WebSocket, Limits { keep_alive_every: SHORT, ..limits() });
}
