//! Servers of the market's frames on TCP.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use bytes::BytesMut;
use proto::frame::{FrameHead, Kind, put_encoded};
use terms::{Carriage, Failure};

use crate::case::{Case, Client, Expect};
use crate::stream::{drain, flood, serve, wait_for_the_end};

/// The bytes of a frame.
pub(crate) fn frame(id: u32, kind: Kind, payload: &[u8]) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    put_encoded(&mut bytes, FrameHead::of(id, kind), payload);
    bytes.to_vec()
}

/// The id of the next frame that comes.
fn read_id(stream: &mut TcpStream) -> io::Result<u32> {
    let mut header = [0; 8];
    stream.read_exact(&mut header)?;
    let [length, id] = [&header[..4], &header[4..]].map(|part| u32::from_be_bytes(part.try_into().unwrap()));
    io::copy(&mut stream.take(u64::from(length) - 4), &mut io::sink())?;
    Ok(id)
}

/// Answers each frame with what is made of its id.
fn always(mut stream: TcpStream, reply: fn(u32) -> Vec<u8>) -> io::Result<()> {
    loop {
        let id = read_id(&mut stream)?;
        stream.write_all(&reply(id))?;
    }
}

/// Answers the first frame with what is made of its id, again and again.
fn endless(mut stream: TcpStream, reply: fn(u32) -> Vec<u8>) -> io::Result<()> {
    let id = read_id(&mut stream)?;
    drain(&stream)?;
    flood(&mut stream, &reply(id))
}

fn longest_length() -> SocketAddr {
    serve(|stream| always(stream, |_| vec![0xff; 9]))
}

fn no_length() -> SocketAddr {
    serve(|stream| always(stream, |_| vec![0; 9]))
}

fn unknown_kinds() -> SocketAddr {
    serve(|stream| {
        always(stream, |id| {
            let mut bytes = frame(id, Kind::Quote, b"x");
            bytes[8] = 0x7f;
            bytes
        })
    })
}

fn ids_never_asked() -> SocketAddr {
    serve(|stream| endless(stream, |_| frame(0xdead_beef, Kind::Quote, b"")))
}

fn replies_twice() -> SocketAddr {
    serve(|stream| endless(stream, |id| frame(id, Kind::Quote, b"")))
}

fn part_of_a_frame() -> SocketAddr {
    serve(|mut stream| {
        let id = read_id(&mut stream)?;
        stream.write_all(&frame(id, Kind::Quote, &[b'x'; 1_000])[..500])?;
        wait_for_the_end(stream)
    })
}

/// One that is as long as it may be, and never whole.
fn part_of_a_long_frame() -> SocketAddr {
    serve(|mut stream| {
        let id = read_id(&mut stream)?;
        let bytes = frame(id, Kind::Quote, &[b'x'; 4_000_000]);
        stream.write_all(&bytes[..bytes.len() - 1])?;
        wait_for_the_end(stream)
    })
}

fn another_kind_of_reply() -> SocketAddr {
    serve(|stream| always(stream, |id| frame(id, Kind::Portfolio, b"")))
}

fn not_a_message() -> SocketAddr {
    serve(|stream| always(stream, |id| frame(id, Kind::Quote, &[0xff; 100])))
}

/// A list of which each element takes two bytes here and a hundred or two there.
fn millions_of_quotes() -> SocketAddr {
    serve(|stream| always(stream, |id| frame(id, Kind::Quotes, &b"\x0a\x00".repeat(2_000_000))))
}

fn faults_of_the_connection() -> SocketAddr {
    serve(|stream| always(stream, |_| frame(0, Kind::Fault, b"")))
}

fn long_events() -> SocketAddr {
    serve(|stream| endless(stream, |id| frame(id, Kind::Tick, &[0x18; 1_000_000])))
}

fn events_without_end() -> SocketAddr {
    serve(|stream| endless(stream, |id| frame(id, Kind::Tick, b"")))
}

fn ends_each_subscription() -> SocketAddr {
    serve(|stream| always(stream, |id| frame(id, Kind::End, b"")))
}

fn session_events_without_end() -> SocketAddr {
    serve(|stream| endless(stream, |id| frame(id, Kind::SessionEvent, b"\x0a\x00")))
}

const TCP: Client = Client::Market(Carriage::Tcp);
const SUBSCRIBER: Client = Client::Subscriber(Carriage::Tcp);
const SESSION: Client = Client::Session(Carriage::Tcp);
const WRONG: Expect = Expect::Fails(&[Failure::Protocol, Failure::WrongReply, Failure::Limit]);
const OVER: Expect = Expect::Fails(&[Failure::Limit]);
const LATE: Expect = Expect::Fails(&[Failure::TimedOut]);
const MISSED: Expect = Expect::Fails(&[Failure::Missed]);

pub(crate) const CASES: &[Case] = &[
    Case::new("frames: a length of 2^32 - 1", longest_length, TCP, OVER),
    Case::new("frames: a length of 0", no_length, TCP, WRONG),
    Case::new("frames: unknown kinds", unknown_kinds, TCP, WRONG),
    Case::new("frames: ids never asked", ids_never_asked, TCP, LATE),
    Case::new("frames: replies twice", replies_twice, TCP, Expect::Ends),
    Case::new("frames: part of one, and silence", part_of_a_frame, TCP, LATE),
    Case::new("frames: all but a byte of a long one", part_of_a_long_frame, TCP, LATE).with_replies(),
    Case::new("frames: another kind of reply", another_kind_of_reply, TCP, WRONG),
    Case::new("frames: not a message", not_a_message, TCP, WRONG),
    Case::new("frames: millions of quotes", millions_of_quotes, TCP, Expect::Ends).with_replies(),
    Case::new(
        "frames: faults of the connection",
        faults_of_the_connection,
        TCP,
        Expect::Fails(&[Failure::Rejected, Failure::Protocol, Failure::Limit]),
    ),
    Case::new("frames: long events", long_events, SUBSCRIBER, MISSED),
    Case::new("frames: events without end", events_without_end, SUBSCRIBER, MISSED),
    Case::new("frames: ends each subscription", ends_each_subscription, SUBSCRIBER, MISSED),
    Case::new("frames: a length of 2^32 - 1: a subscriber", longest_length, SUBSCRIBER, MISSED),
    Case::new("frames: session events without end", session_events_without_end, SESSION, Expect::Ends),
    Case::new("frames: a length of 2^32 - 1: a session", longest_length, SESSION, Expect::Ends),
];

#[test]
fn hostile_frames() {
    crate::parent::check(CASES);
}
