//! Servers of event streams: lines, events and pauses without end.

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpStream};

use terms::{Carriage, Failure, HttpVersion};

use crate::case::{Case, Client, Expect, SSE};
use crate::http2::{self, DATA, END_HEADERS, HEADERS, STATUS_200, field, frame};
use crate::stream::{flood, read_head, serve, wait_for_the_end};

/// Answers a request with an event stream that begins so, and goes on so for ever.
fn events(mut stream: TcpStream, begin: &[u8], rest: &[u8]) -> io::Result<()> {
    read_head(&mut stream)?;
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")?;
    stream.write_all(begin)?;
    match rest {
        [] => wait_for_the_end(stream),
        rest => flood(&mut stream, rest),
    }
}

fn one_line() -> SocketAddr {
    serve(|stream| events(stream, b"data: ", b"x"))
}

fn one_event() -> SocketAddr {
    serve(|stream| events(stream, b"", b"data: more of it\n"))
}

fn one_id() -> SocketAddr {
    serve(|stream| events(stream, b"", b"id: 7\n"))
}

fn empty_lines() -> SocketAddr {
    serve(|stream| events(stream, b"", b"\n"))
}

fn carriage_returns() -> SocketAddr {
    serve(|stream| events(stream, b"", b"\r"))
}

fn comments() -> SocketAddr {
    serve(|stream| events(stream, b"", b":\n\n"))
}

fn events_of_other_names() -> SocketAddr {
    serve(|stream| events(stream, b"", b"event: other\ndata: 1\n\n"))
}

fn events_that_are_no_ticks() -> SocketAddr {
    serve(|stream| events(stream, b"", b"event: tick\ndata: [[[[\n\n"))
}

fn ticks_never_emitted() -> SocketAddr {
    serve(|stream| events(stream, b"", b"event: tick\ndata: {\"sequence\":999999}\n\n"))
}

fn byte_order_marks() -> SocketAddr {
    serve(|stream| events(stream, b"\xef\xbb\xbf\xef\xbb\xbf", b"\xef\xbb\xbf\n"))
}

fn not_utf8() -> SocketAddr {
    serve(|stream| events(stream, b"", b"data: \xff\xfe\n\n"))
}

fn huge_retry() -> SocketAddr {
    serve(|mut stream| {
        read_head(&mut stream)?;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")?;
        stream.write_all(b"retry: 18446744073709551615\nevent: tick\ndata: {\"sequence\":1}\n\n")
    })
}

fn id_that_no_header_takes() -> SocketAddr {
    serve(|mut stream| {
        read_head(&mut stream)?;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")?;
        stream.write_all(b"id: \x01\x02\nevent: tick\ndata: {\"sequence\":1}\n\n")
    })
}

/// Chunks of one byte, each of which the parser would read all it has for.
fn one_line_in_small_chunks() -> SocketAddr {
    serve(|mut stream| {
        read_head(&mut stream)?;
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
        flood(&mut stream, b"1\r\nx\r\n")
    })
}

fn one_line_over_http2() -> SocketAddr {
    serve(|stream| {
        http2::answer(stream, &[], |stream, id| {
            let head = [STATUS_200, &field("content-type", "text/event-stream")].concat();
            stream.write_all(&frame(HEADERS, END_HEADERS, id, &head))?;
            stream.write_all(&frame(DATA, 0, id, &[b'x'; 16_000]).repeat(4))
        })
    })
}

const SUBSCRIBER: Client = Client::Subscriber(SSE);
const OVER_HTTP2: Client = Client::Subscriber(Carriage::Sse { http: HttpVersion::Http2 });
const SESSION: Client = Client::Session(SSE);
const MISSED: Expect = Expect::Fails(&[Failure::Missed]);

pub(crate) const CASES: &[Case] = &[
    Case::new("sse: one line without end", one_line, SUBSCRIBER, MISSED),
    Case::new("sse: one event without end", one_event, SUBSCRIBER, MISSED),
    Case::new("sse: one id without end", one_id, SUBSCRIBER, MISSED),
    Case::new("sse: empty lines without end", empty_lines, SUBSCRIBER, MISSED),
    Case::new("sse: carriage returns without end", carriage_returns, SUBSCRIBER, MISSED),
    Case::new("sse: comments without end", comments, SUBSCRIBER, MISSED),
    Case::new("sse: events of other names", events_of_other_names, SUBSCRIBER, MISSED),
    Case::new("sse: events that are no ticks", events_that_are_no_ticks, SUBSCRIBER, MISSED),
    Case::new("sse: ticks never emitted", ticks_never_emitted, SUBSCRIBER, MISSED),
    Case::new("sse: byte order marks", byte_order_marks, SUBSCRIBER, MISSED),
    Case::new("sse: not UTF-8", not_utf8, SUBSCRIBER, MISSED),
    Case::new("sse: a huge pause", huge_retry, SUBSCRIBER, MISSED),
    Case::new("sse: a huge pause: a session", huge_retry, SESSION, Expect::Ends),
    Case::new("sse: an id that no header takes", id_that_no_header_takes, SUBSCRIBER, MISSED),
    Case::new("sse: one line in small chunks", one_line_in_small_chunks, SUBSCRIBER, MISSED),
    Case::new("sse: one line over http/2", one_line_over_http2, OVER_HTTP2, MISSED),
];

#[test]
fn hostile_event_streams() {
    crate::parent::check(CASES);
}
