//! Servers of HTTP/2, frame by frame (RFC 9113).

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use terms::{Failure, HttpVersion};

use crate::case::{Case, Client, Expect, GRAPHQL, rest};
use crate::stream::{drain, flood, serve, trickle, wait_for_the_end};

pub(crate) const DATA: u8 = 0x0;
pub(crate) const HEADERS: u8 = 0x1;
const PRIORITY: u8 = 0x2;
const RST_STREAM: u8 = 0x3;
pub(crate) const SETTINGS: u8 = 0x4;
const PUSH_PROMISE: u8 = 0x5;
const PING: u8 = 0x6;
const GOAWAY: u8 = 0x7;
const WINDOW_UPDATE: u8 = 0x8;
pub(crate) const CONTINUATION: u8 = 0x9;

pub(crate) const END_STREAM: u8 = 0x1;
pub(crate) const END_HEADERS: u8 = 0x4;
const ACK: u8 = 0x1;

/// `:status: 200`, as the static table of HPACK has it (RFC 7541, appendix A).
pub(crate) const STATUS_200: &[u8] = &[0x88];
/// `:status: 103`, not indexed.
const STATUS_103: &[u8] = b"\x08\x03103";

const INITIAL_WINDOW_SIZE: u16 = 0x4;
const MAX_CONCURRENT_STREAMS: u16 = 0x3;
const REFUSED_STREAM: u32 = 0x7;
const ENHANCE_YOUR_CALM: u32 = 0xb;

/// A frame's bytes.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn settings(of: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> =
        of.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
    frame(SETTINGS, 0, 0, &payload)
}

fn goaway(last_stream: u32, code: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[last_stream.to_be_bytes(), code.to_be_bytes()].concat())
}

/// A header field that no table has.
pub(crate) fn field(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).ok().filter(|length| *length < 127).unwrap();
    [&[0, length(name)], name.as_bytes(), &[length(value)], value.as_bytes()].concat()
}

/// A connection as far as its settings.
pub(crate) fn begin(stream: &mut TcpStream, of: &[(u16, u32)]) -> io::Result<()> {
    stream.read_exact(&mut [0; 24])?;
    stream.write_all(&settings(of))
}

/// Calls an answer for each request, with the number of its stream; acknowledges settings.
pub(crate) fn answer(
    mut stream: TcpStream,
    of: &[(u16, u32)],
    mut answer: impl FnMut(&mut TcpStream, u32) -> io::Result<()>,
) -> io::Result<()> {
    begin(&mut stream, of)?;
    loop {
        let (kind, flags, id, _) = read_frame(&mut stream)?;
        match kind {
            HEADERS => answer(&mut stream, id)?,
            SETTINGS if flags & ACK == 0 => stream.write_all(&frame(SETTINGS, ACK, 0, &[]))?,
            _ => {}
        }
    }
}

fn read_frame(stream: &mut TcpStream) -> io::Result<(u8, u8, u32, Vec<u8>)> {
    let mut header = [0; 9];
    stream.read_exact(&mut header)?;
    let [high, middle, low, kind, flags, id @ ..] = header;
    let mut payload = vec![0; u32::from_be_bytes([0, high, middle, low]) as usize];
    stream.read_exact(&mut payload)?;
    Ok((kind, flags, u32::from_be_bytes(id), payload))
}

/// Begins a connection, and then sends the same for ever; what comes is read and forgotten.
fn endless(mut stream: TcpStream, bytes: &[u8]) -> io::Result<()> {
    begin(&mut stream, &[])?;
    drain(&stream)?;
    flood(&mut stream, bytes)
}

/// The same, and nothing that comes is read.
fn endless_unread(mut stream: TcpStream, bytes: &[u8]) -> io::Result<()> {
    begin(&mut stream, &[])?;
    flood(&mut stream, bytes)
}

/// Answers the first request with some bytes, and then with others for ever.
fn endless_reply(stream: TcpStream, reply: fn(u32) -> (Vec<u8>, Vec<u8>)) -> io::Result<()> {
    answer(stream, &[], |stream, id| {
        drain(stream)?;
        let (begin, rest) = reply(id);
        stream.write_all(&begin)?;
        flood(stream, &rest)
    })
}

/// Answers each request with these bytes.
fn always(stream: TcpStream, reply: fn(u32) -> Vec<u8>) -> io::Result<()> {
    answer(stream, &[], |stream, id| stream.write_all(&reply(id)))
}

fn goaway_at_once() -> SocketAddr {
    serve(|mut stream| {
        begin(&mut stream, &[])?;
        stream.write_all(&goaway(0, 0))
    })
}

fn goaway_of_each_request() -> SocketAddr {
    serve(|stream| always(stream, |_| goaway(0, ENHANCE_YOUR_CALM)))
}

fn goaway_flood() -> SocketAddr {
    serve(|stream| endless(stream, &goaway(0, 0)))
}

fn refuses_each_stream() -> SocketAddr {
    serve(|stream| always(stream, |id| frame(RST_STREAM, 0, id, &REFUSED_STREAM.to_be_bytes())))
}

fn resets_each_reply() -> SocketAddr {
    serve(|stream| {
        always(stream, |id| {
            let head = frame(HEADERS, END_HEADERS, id, STATUS_200);
            [head, frame(DATA, 0, id, b"x"), frame(RST_STREAM, 0, id, &2_u32.to_be_bytes())].concat()
        })
    })
}

fn settings_flood() -> SocketAddr {
    serve(|stream| endless(stream, &settings(&[(INITIAL_WINDOW_SIZE, 1 << 16)])))
}

fn settings_flood_unread() -> SocketAddr {
    serve(|stream| endless_unread(stream, &settings(&[])))
}

fn ping_flood() -> SocketAddr {
    serve(|stream| endless(stream, &frame(PING, 0, 0, &[7; 8])))
}

fn ping_flood_unread() -> SocketAddr {
    serve(|stream| endless_unread(stream, &frame(PING, 0, 0, &[7; 8])))
}

fn priority_flood() -> SocketAddr {
    serve(|stream| endless(stream, &frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 1])))
}

fn unknown_frames() -> SocketAddr {
    serve(|stream| endless(stream, &frame(0xbe, 0, 0, &[7; 100])))
}

fn window_overflow() -> SocketAddr {
    serve(|stream| endless(stream, &frame(WINDOW_UPDATE, 0, 0, &0x7fff_ffff_u32.to_be_bytes())))
}

fn windows_of_nothing() -> SocketAddr {
    serve(|stream| endless(stream, &frame(WINDOW_UPDATE, 0, 0, &[0; 4])))
}

fn no_window() -> SocketAddr {
    serve(|stream| answer(stream, &[(INITIAL_WINDOW_SIZE, 0)], |_, _| Ok(())))
}

fn no_streams() -> SocketAddr {
    serve(|stream| answer(stream, &[(MAX_CONCURRENT_STREAMS, 0)], |_, _| Ok(())))
}

fn continuations() -> SocketAddr {
    serve(|stream| {
        endless_reply(stream, |id| {
            (frame(HEADERS, 0, id, STATUS_200), frame(CONTINUATION, 0, id, &field("x-a", "b").repeat(100)))
        })
    })
}

fn empty_continuations() -> SocketAddr {
    serve(|stream| {
        endless_reply(stream, |id| (frame(HEADERS, 0, id, STATUS_200), frame(CONTINUATION, 0, id, b"")))
    })
}

/// An entry of the dynamic table with 4 000 bytes, and then its index again and again.
fn hpack_bomb() -> SocketAddr {
    serve(|stream| {
        always(stream, |id| {
            let entry = [&b"\x88\x40\x01a\x7f\xa1\x1e"[..], &[b'x'; 4_000], &[0xbe; 12_000]].concat();
            frame(HEADERS, END_HEADERS | END_STREAM, id, &entry)
        })
    })
}

fn interim_heads() -> SocketAddr {
    serve(|stream| endless_reply(stream, |id| (Vec::new(), frame(HEADERS, END_HEADERS, id, STATUS_103))))
}

fn pushes() -> SocketAddr {
    serve(|stream| {
        always(stream, |id| {
            let promised = [&[0, 0, 0, 2][..], b"\x82\x84\x87"].concat();
            frame(PUSH_PROMISE, END_HEADERS, id, &promised)
        })
    })
}

fn data_on_stream_0() -> SocketAddr {
    serve(|stream| always(stream, |_| frame(DATA, 0, 0, b"x")))
}

fn data_before_a_head() -> SocketAddr {
    serve(|stream| always(stream, |id| frame(DATA, 0, id, b"x")))
}

fn data_on_a_stream_that_is_not() -> SocketAddr {
    serve(|stream| always(stream, |id| frame(DATA, 0, id + 1_000, b"x")))
}

fn huge_frame() -> SocketAddr {
    serve(|stream| {
        endless_reply(stream, |_| (b"\xff\xff\xff\x00\x00\x00\x00\x00\x01".to_vec(), vec![7; 100]))
    })
}

fn data_beyond_the_window() -> SocketAddr {
    serve(|stream| {
        endless_reply(stream, |id| {
            (frame(HEADERS, END_HEADERS, id, STATUS_200), frame(DATA, 0, id, &[b'x'; 16_000]))
        })
    })
}

/// As much as the windows allow, which the client opens again and again.
fn data_without_end() -> SocketAddr {
    serve(|mut stream| {
        begin(&mut stream, &[])?;
        let (mut window, mut replies) = (65_535_usize, Vec::new());
        loop {
            let (kind, flags, id, payload) = read_frame(&mut stream)?;
            match kind {
                HEADERS => {
                    stream.write_all(&frame(HEADERS, END_HEADERS, id, STATUS_200))?;
                    replies.push(id);
                }
                SETTINGS if flags & ACK == 0 => stream.write_all(&frame(SETTINGS, ACK, 0, &[]))?,
                WINDOW_UPDATE if id == 0 => {
                    window += u32::from_be_bytes(payload[..4].try_into().unwrap()) as usize;
                }
                RST_STREAM => replies.retain(|reply| *reply != id),
                _ => {}
            }
            // Each has a megabyte of its own, which is opened as it is read: turns keep within it.
            while let Some(reply) = replies.first().copied().filter(|_| window >= 16_000) {
                window -= 16_000;
                stream.write_all(&frame(DATA, 0, reply, &[b'x'; 16_000]))?;
                replies.rotate_left(1);
            }
        }
    })
}

fn empty_data() -> SocketAddr {
    serve(|stream| {
        endless_reply(stream, |id| {
            (frame(HEADERS, END_HEADERS, id, STATUS_200), frame(DATA, 0, id, b"").repeat(10))
        })
    })
}

fn shorter_than_its_length() -> SocketAddr {
    serve(|stream| {
        always(stream, |id| {
            let head = [STATUS_200, &field("content-length", "1000")].concat();
            [frame(HEADERS, END_HEADERS, id, &head), frame(DATA, END_STREAM, id, b"abc")].concat()
        })
    })
}

fn garbage() -> SocketAddr {
    serve(|mut stream| flood(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n"))
}

fn byte_at_a_time() -> SocketAddr {
    serve(|mut stream| {
        begin(&mut stream, &[])?;
        trickle(&mut stream, &frame(HEADERS, END_HEADERS | END_STREAM, 1, STATUS_200))
    })
}

fn no_settings() -> SocketAddr {
    serve(|mut stream| {
        stream.read_exact(&mut [0; 24])?;
        stream.write_all(&frame(PING, 0, 0, &[7; 8]))?;
        wait_for_the_end(stream)
    })
}

const HTTP2: Client = Client::Http(HttpVersion::Http2);
const REST: Client = Client::Market(rest(HttpVersion::Http2));
const WRONG: Expect = Expect::Fails(&[Failure::Protocol, Failure::Limit, Failure::Reset]);
const LATE: Expect = Expect::Fails(&[Failure::TimedOut]);
const ENDLESS: Expect = Expect::Fails(&[Failure::Limit, Failure::TimedOut]);
const WRONG_OR_LATE: Expect =
    Expect::Fails(&[Failure::Protocol, Failure::Limit, Failure::Reset, Failure::TimedOut]);

pub(crate) const CASES: &[Case] = &[
    Case::new("http/2: GOAWAY at once", goaway_at_once, HTTP2, Expect::Ends),
    Case::new("http/2: GOAWAY of each request", goaway_of_each_request, HTTP2, WRONG),
    Case::new("http/2: GOAWAY without end", goaway_flood, HTTP2, Expect::Ends),
    Case::new("http/2: refuses each stream", refuses_each_stream, HTTP2, Expect::Fails(&[Failure::Limit])),
    Case::new("http/2: resets each reply", resets_each_reply, HTTP2, WRONG),
    Case::new("http/2: SETTINGS without end", settings_flood, HTTP2, WRONG_OR_LATE),
    Case::new("http/2: SETTINGS without end, unread", settings_flood_unread, HTTP2, WRONG_OR_LATE),
    Case::new("http/2: PING without end", ping_flood, HTTP2, LATE),
    Case::new("http/2: PING without end, unread", ping_flood_unread, HTTP2, WRONG_OR_LATE),
    Case::new("http/2: PRIORITY without end", priority_flood, HTTP2, WRONG_OR_LATE),
    Case::new("http/2: unknown frames without end", unknown_frames, HTTP2, LATE),
    Case::new("http/2: a window that overflows", window_overflow, HTTP2, WRONG),
    Case::new("http/2: windows of nothing", windows_of_nothing, HTTP2, WRONG),
    Case::new("http/2: no window", no_window, Client::Market(GRAPHQL2), LATE),
    Case::new("http/2: no streams", no_streams, HTTP2, LATE),
    Case::new("http/2: no streams: graphql", no_streams, Client::Market(GRAPHQL2), LATE),
    Case::new("http/2: CONTINUATION without end", continuations, HTTP2, WRONG),
    Case::new("http/2: empty CONTINUATION without end", empty_continuations, HTTP2, WRONG),
    Case::new("http/2: an HPACK bomb", hpack_bomb, HTTP2, WRONG),
    Case::new("http/2: interim heads without end", interim_heads, HTTP2, WRONG_OR_LATE),
    Case::new("http/2: pushes", pushes, HTTP2, WRONG),
    Case::new("http/2: DATA on stream 0", data_on_stream_0, HTTP2, WRONG),
    Case::new("http/2: DATA before a head", data_before_a_head, HTTP2, WRONG),
    Case::new("http/2: DATA on a stream that is not", data_on_a_stream_that_is_not, HTTP2, WRONG),
    Case::new("http/2: a frame of 16 MB", huge_frame, HTTP2, WRONG),
    Case::new("http/2: DATA beyond the window", data_beyond_the_window, HTTP2, WRONG_OR_LATE),
    Case::new("http/2: DATA without end", data_without_end, HTTP2, ENDLESS),
    Case::new("http/2: DATA without end: rest", data_without_end, REST, ENDLESS).with_replies(),
    Case::new("http/2: empty DATA without end", empty_data, HTTP2, WRONG_OR_LATE),
    Case::new("http/2: shorter than its length", shorter_than_its_length, HTTP2, WRONG),
    Case::new("http/2: HTTP/1.1", garbage, HTTP2, Expect::Ends),
    Case::new("http/2: a byte at a time", byte_at_a_time, HTTP2, LATE),
    Case::new("http/2: no SETTINGS", no_settings, HTTP2, WRONG_OR_LATE),
];

/// GraphQL posts its queries, which need a window.
const GRAPHQL2: terms::Carriage = match GRAPHQL {
    terms::Carriage::GraphQl { persisted, .. } => {
        terms::Carriage::GraphQl { http: HttpVersion::Http2, persisted }
    }
    other => other,
};

#[test]
fn hostile_http2() {
    crate::parent::check(CASES);
}
