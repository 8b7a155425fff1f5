//! Servers on TCP that need no protocol to be hostile, and what the others are made of.

use std::io::{self, Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};
use terms::{Carriage, Failure, HttpVersion};

use crate::case::{Case, Client, Expect, GRAPHQL, SSE, rest};

/// Calls an answer on a thread for each connection. An error ends a connection, and nothing else.
pub(crate) fn serve(answer: fn(TcpStream) -> io::Result<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream));
        }
    });
    address
}

/// Writes the same again and again, in large pieces, until nobody takes it.
pub(crate) fn flood(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    let piece = bytes.repeat((64 << 10) / bytes.len() + 1);
    loop {
        stream.write_all(&piece)?;
    }
}

/// Reads and forgets what comes, on a thread of its own, so that whoever sends it can go on.
pub(crate) fn drain(stream: &TcpStream) -> io::Result<()> {
    let mut stream = stream.try_clone()?;
    thread::spawn(move || io::copy(&mut stream, &mut io::sink()));
    Ok(())
}

/// Waits until the peer has gone.
pub(crate) fn wait_for_the_end(mut stream: TcpStream) -> io::Result<()> {
    io::copy(&mut stream, &mut io::sink()).map(|_| ())
}

/// Writes bytes one at a time, ten a second, and the last of them for ever.
pub(crate) fn trickle(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    let last = bytes.last().copied().unwrap_or(b'x');
    for byte in bytes.iter().copied().chain(std::iter::repeat(last)) {
        stream.write_all(&[byte])?;
        clock::pause_thread(Duration::from_millis(100));
    }
    Ok(())
}

/// Reads to the empty line behind a request's head.
pub(crate) fn read_head(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(head)
}

fn silent() -> SocketAddr {
    serve(wait_for_the_end)
}

fn closes_at_once() -> SocketAddr {
    serve(|_| Ok(()))
}

fn never_reads() -> SocketAddr {
    serve(|stream| {
        clock::pause_thread(Duration::from_secs(60));
        drop(stream);
        Ok(())
    })
}

fn floods_unasked() -> SocketAddr {
    serve(|mut stream| {
        drain(&stream)?;
        flood(&mut stream, b"220 hello\n")
    })
}

fn floods_unasked_without_a_line_end() -> SocketAddr {
    serve(|mut stream| {
        drain(&stream)?;
        flood(&mut stream, b"x")
    })
}

fn greets() -> SocketAddr {
    serve(|mut stream| {
        stream.write_all(b"220 hello\r\n")?;
        wait_for_the_end(stream)
    })
}

fn replies_without_end() -> SocketAddr {
    serve(|mut stream| {
        stream.read_exact(&mut [0; 10])?;
        flood(&mut stream, b"x")
    })
}

fn replies_a_byte_at_a_time() -> SocketAddr {
    serve(|mut stream| trickle(&mut stream, b"xxx"))
}

/// Its queue is full, and nobody takes anything out of it.
fn accepts_nothing() -> SocketAddr {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SockAddr::from(SocketAddr::from(([127, 0, 0, 1], 0)))).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    for _ in 0..4 {
        let filler = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        filler.set_nonblocking(true).unwrap();
        // It is under way, and may never be there.
        let _ = filler.connect(&address.into());
        std::mem::forget(filler);
    }
    std::mem::forget(socket);
    // Till the fillers' packets are in.
    clock::pause_thread(Duration::from_millis(100));
    address
}

/// Nobody listens there any more.
fn is_gone() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

const HTTP1: Client = Client::Http(HttpVersion::Http1);
const HTTP2: Client = Client::Http(HttpVersion::Http2);
const SUBSCRIBER: Client = Client::Subscriber(Carriage::Tcp);
const GRPC: Client = Client::Market(Carriage::Grpc);
const TCP: Client = Client::Market(Carriage::Tcp);
const LOST: Expect = Expect::Fails(&[Failure::Reset, Failure::Protocol, Failure::Refused]);
const LATE: Expect = Expect::Fails(&[Failure::TimedOut]);
const REFUSED: Expect = Expect::NotOpened("refused");
const SPEAKS_FIRST: Expect = Expect::NotOpened("the server speaks first");
const NOT_IN_TIME: Expect = Expect::NotOpened("no connection within 10 s");

/// Megabytes of a request that no socket holds.
const MUCH: usize = 16 << 20;

pub(crate) const CASES: &[Case] = &[
    Case::new("nobody listens: http", is_gone, HTTP1, REFUSED),
    Case::new("nobody listens: tcp", is_gone, Client::Tcp(10), REFUSED),
    Case::new("nobody listens: a subscriber", is_gone, SUBSCRIBER, REFUSED),
    Case::new("nothing is accepted: http/1.1", accepts_nothing, HTTP1, NOT_IN_TIME),
    Case::new("nothing is accepted: tcp frames", accepts_nothing, TCP, NOT_IN_TIME),
    Case::new("silent: http/1.1", silent, HTTP1, LATE),
    Case::new("silent: http/2", silent, HTTP2, LATE),
    Case::new("silent: grpc", silent, GRPC, LATE),
    Case::new("silent: graphql", silent, Client::Market(GRAPHQL), LATE),
    Case::new("silent: tcp", silent, Client::Tcp(10), LATE),
    Case::new("silent: tcp frames", silent, TCP, LATE),
    Case::new("silent: sse", silent, Client::Subscriber(SSE), NOT_IN_TIME),
    Case::new("silent: long poll", silent, Client::Subscriber(rest(HttpVersion::Http1)), NOT_IN_TIME),
    Case::new("silent: a session", silent, Client::Session(Carriage::Tcp), LATE),
    Case::new("silent: a session of sse", silent, Client::Session(SSE), LATE),
    Case::new("closes at once: http/1.1", closes_at_once, HTTP1, LOST),
    Case::new("closes at once: http/2", closes_at_once, HTTP2, Expect::Ends),
    Case::new("closes at once: tcp", closes_at_once, Client::Tcp(10), LOST),
    Case::new("closes at once: tcp frames", closes_at_once, TCP, LOST),
    Case::new("closes at once: subscriber", closes_at_once, SUBSCRIBER, Expect::Ends),
    Case::new("closes at once: a session", closes_at_once, Client::Session(Carriage::Tcp), Expect::Ends),
    Case::new("reads nothing: tcp", never_reads, Client::Tcp(MUCH), LATE).with_replies(),
    Case::new("reads nothing: tcp frames", never_reads, TCP, LATE),
    Case::new("reads nothing: http/2", never_reads, HTTP2, LATE),
    Case::new("floods unasked: http/1.1", floods_unasked, HTTP1, LOST),
    Case::new("floods unasked: http/2", floods_unasked, HTTP2, Expect::Ends),
    Case::new("floods unasked: grpc", floods_unasked, GRPC, Expect::Ends),
    Case::new("floods unasked: tcp", floods_unasked, Client::Tcp(10), SPEAKS_FIRST),
    Case::new("floods unasked: tcp frames", floods_unasked, TCP, Expect::Fails(&[Failure::Limit])),
    Case::new(
        "floods without a line end: tcp",
        floods_unasked_without_a_line_end,
        Client::Tcp(10),
        SPEAKS_FIRST,
    ),
    Case::new("greets: http/1.1", greets, HTTP1, LOST),
    Case::new("greets: tcp", greets, Client::Tcp(10), Expect::Ends),
    Case::new(
        "replies without end: tcp",
        replies_without_end,
        Client::Tcp(10),
        Expect::Fails(&[Failure::Limit, Failure::TimedOut]),
    ),
    Case::new("replies a byte at a time: tcp", replies_a_byte_at_a_time, Client::Tcp(10), LATE),
];

#[test]
fn hostile_streams() {
    crate::parent::check(CASES);
}
