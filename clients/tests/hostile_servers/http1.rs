//! Servers of HTTP/1.1: heads, bodies and lengths that are wrong, or have no end.

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpStream};

use terms::{Failure, HttpVersion};

use crate::case::{Case, Client, Expect, rest};
use crate::stream::{drain, flood, read_head, serve, trickle, wait_for_the_end};

/// Answers each request with these bytes.
fn always(mut stream: TcpStream, reply: &[u8]) -> io::Result<()> {
    loop {
        read_head(&mut stream)?;
        stream.write_all(reply)?;
    }
}

/// Answers a request with some bytes, and then with others for ever.
fn endless(mut stream: TcpStream, begin: &[u8], rest: &[u8]) -> io::Result<()> {
    read_head(&mut stream)?;
    drain(&stream)?;
    stream.write_all(begin)?;
    flood(&mut stream, rest)
}

fn header_lines() -> SocketAddr {
    serve(|stream| endless(stream, b"HTTP/1.1 200 OK\r\n", b"x-a: b\r\n"))
}

fn one_header() -> SocketAddr {
    serve(|stream| endless(stream, b"HTTP/1.1 200 OK\r\nx-a: ", b"b"))
}

fn empty_lines() -> SocketAddr {
    serve(|stream| endless(stream, b"", b"\r\n"))
}

fn interim_heads() -> SocketAddr {
    serve(|stream| endless(stream, b"", b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"))
}

fn chunked_body() -> SocketAddr {
    serve(|stream| {
        let chunk = [&b"1000\r\n"[..], &[b'x'; 0x1000], b"\r\n"].concat();
        endless(stream, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", &chunk)
    })
}

fn body_until_the_end() -> SocketAddr {
    serve(|stream| endless(stream, b"HTTP/1.1 200 OK\r\n\r\n", b"x"))
}

fn huge_length() -> SocketAddr {
    serve(|stream| endless(stream, b"HTTP/1.1 200 OK\r\ncontent-length: 9223372036854775808\r\n\r\n", b"x"))
}

fn length_beyond_numbers() -> SocketAddr {
    serve(|stream| always(stream, b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999999\r\n\r\n"))
}

fn negative_length() -> SocketAddr {
    serve(|stream| always(stream, b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n"))
}

fn two_lengths() -> SocketAddr {
    serve(|stream| always(stream, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc"))
}

fn shorter_than_its_length() -> SocketAddr {
    serve(|mut stream| {
        read_head(&mut stream)?;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nabc")
    })
}

fn longer_than_its_length() -> SocketAddr {
    serve(|stream| {
        always(stream, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nabHTTP nothing of the kind\r\n\r\n")
    })
}

fn byte_at_a_time() -> SocketAddr {
    serve(|mut stream| {
        read_head(&mut stream)?;
        trickle(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nx")
    })
}

fn body_byte_at_a_time() -> SocketAddr {
    serve(|mut stream| {
        read_head(&mut stream)?;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")?;
        trickle(&mut stream, b"x")
    })
}

fn huge_chunk() -> SocketAddr {
    serve(|stream| {
        let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n10000000000000000\r\n";
        endless(stream, head, b"x")
    })
}

fn chunk_extension() -> SocketAddr {
    serve(|stream| endless(stream, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;", b"x"))
}

fn trailers() -> SocketAddr {
    serve(|stream| {
        endless(stream, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", b"x-a: b\r\n")
    })
}

fn garbage() -> SocketAddr {
    serve(|stream| endless(stream, b"", b"\x00\x16\xff\x03GARBAGE\x7f"))
}

fn status_of_six_digits() -> SocketAddr {
    serve(|stream| always(stream, b"HTTP/9.9 200000 \xff\xfe\r\n\r\n"))
}

fn replies_nobody_asked_for() -> SocketAddr {
    serve(|stream| endless(stream, b"", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"))
}

fn switches_protocols() -> SocketAddr {
    serve(|stream| {
        endless(
            stream,
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
            b"x",
        )
    })
}

fn terminal_commands() -> SocketAddr {
    serve(|mut stream| {
        read_head(&mut stream)?;
        let detail = "\\u001b[2J".repeat(10_000);
        let body = format!("{{\"detail\":\"{detail}\"}}");
        write!(stream, "HTTP/1.1 418 x\r\ncontent-length: {}\r\n\r\n{body}", body.len())?;
        wait_for_the_end(stream)
    })
}

/// A list in JSON, of which each element takes three bytes here and a hundred or two there.
fn millions_of_quotes() -> SocketAddr {
    serve(|mut stream| {
        let mut body = b"{\"quotes\":[{}".to_vec();
        while body.len() < 4_000_000 {
            body.extend_from_slice(b",{}");
        }
        body.extend_from_slice(b"]}");
        loop {
            read_head(&mut stream)?;
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len())?;
            stream.write_all(&body)?;
        }
    })
}

fn nested_json() -> SocketAddr {
    serve(|mut stream| {
        let body = "[".repeat(100_000);
        loop {
            read_head(&mut stream)?;
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{{\"quotes\":", body.len() + 10)?;
            stream.write_all(body.as_bytes())?;
        }
    })
}

fn batches_without_end() -> SocketAddr {
    serve(|stream| {
        let batch = b"{\"ticks\":[],\"next_after\":7}";
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", batch.len());
        always(stream, &[head.as_bytes(), batch].concat())
    })
}

const HTTP1: Client = Client::Http(HttpVersion::Http1);
const REST: Client = Client::Market(rest(HttpVersion::Http1));
const POLLS: Client = Client::Subscriber(rest(HttpVersion::Http1));
const WRONG: Expect = Expect::Fails(&[Failure::Protocol, Failure::Limit, Failure::Reset]);
const ENDLESS: Expect = Expect::Fails(&[Failure::Limit, Failure::TimedOut]);
const LATE: Expect = Expect::Fails(&[Failure::TimedOut]);

pub(crate) const CASES: &[Case] = &[
    Case::new("http/1.1: header lines without end", header_lines, HTTP1, WRONG),
    Case::new("http/1.1: one header without end", one_header, HTTP1, WRONG),
    Case::new("http/1.1: empty lines without end", empty_lines, HTTP1, Expect::Ends),
    Case::new("http/1.1: interim heads without end", interim_heads, HTTP1, ENDLESS),
    Case::new("http/1.1: chunks without end", chunked_body, HTTP1, ENDLESS),
    Case::new("http/1.1: a body without end", body_until_the_end, HTTP1, ENDLESS),
    Case::new("http/1.1: a length of 2^63", huge_length, HTTP1, ENDLESS),
    Case::new("http/1.1: a length beyond numbers", length_beyond_numbers, HTTP1, WRONG),
    Case::new("http/1.1: a negative length", negative_length, HTTP1, WRONG),
    Case::new("http/1.1: two lengths", two_lengths, HTTP1, WRONG),
    Case::new("http/1.1: shorter than its length", shorter_than_its_length, HTTP1, WRONG),
    Case::new("http/1.1: longer than its length", longer_than_its_length, HTTP1, Expect::Works),
    Case::new("http/1.1: a head, a byte at a time", byte_at_a_time, HTTP1, LATE),
    Case::new("http/1.1: a body, a byte at a time", body_byte_at_a_time, HTTP1, LATE),
    Case::new("http/1.1: a chunk of 2^64", huge_chunk, HTTP1, WRONG),
    Case::new("http/1.1: a chunk's extension without end", chunk_extension, HTTP1, WRONG),
    Case::new("http/1.1: trailers without end", trailers, HTTP1, WRONG),
    Case::new("http/1.1: garbage", garbage, HTTP1, WRONG),
    Case::new("http/1.1: a status of six digits", status_of_six_digits, HTTP1, WRONG),
    Case::new("http/1.1: replies nobody asked for", replies_nobody_asked_for, HTTP1, Expect::Ends),
    Case::new("http/1.1: switches protocols", switches_protocols, HTTP1, Expect::Ends),
    Case::new("rest: chunks without end", chunked_body, REST, ENDLESS).with_replies(),
    Case::new("rest: a body without end", body_until_the_end, REST, ENDLESS).with_replies(),
    Case::new("rest: commands to a terminal", terminal_commands, REST, Expect::Fails(&[Failure::Protocol])),
    Case::new("rest: nested json", nested_json, REST, Expect::Fails(&[Failure::Protocol])),
    Case::new("rest: millions of quotes", millions_of_quotes, REST, Expect::Ends).with_replies(),
    Case::new(
        "long poll: batches without end",
        batches_without_end,
        POLLS,
        Expect::Fails(&[Failure::Missed]),
    ),
    Case::new("long poll: a body without end", body_until_the_end, POLLS, Expect::NotOpened("over a limit"))
        .with_replies(),
];

#[test]
fn hostile_http1() {
    crate::parent::check(CASES);
}
