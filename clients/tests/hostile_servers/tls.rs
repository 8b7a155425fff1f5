//! Servers that say TLS and do not mean it.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;

use terms::HttpVersion;

use crate::case::{Case, Client, Expect};
use crate::stream::{flood, serve, trickle, wait_for_the_end};

fn silent() -> SocketAddr {
    serve(wait_for_the_end)
}

fn garbage() -> SocketAddr {
    serve(|mut stream| flood(&mut stream, b"SSH-2.0-garbage\r\n"))
}

fn plain_http() -> SocketAddr {
    serve(|mut stream| {
        stream.read_exact(&mut [0; 100])?;
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    })
}

fn closes_in_the_handshake() -> SocketAddr {
    serve(|mut stream| stream.read_exact(&mut [0; 100]))
}

/// A handshake message that is said to have 16 MB, in records without end.
fn long_message() -> SocketAddr {
    serve(|mut stream| {
        stream.write_all(b"\x16\x03\x03\x40\x00\x02\xff\xff\xff")?;
        stream.write_all(&[0; 0x4000 - 4])?;
        flood(&mut stream, &[&b"\x16\x03\x03\x40\x00"[..], &[0; 0x4000]].concat())
    })
}

fn empty_records() -> SocketAddr {
    serve(|mut stream| flood(&mut stream, b"\x16\x03\x03\x00\x00"))
}

fn warnings() -> SocketAddr {
    serve(|mut stream| flood(&mut stream, b"\x15\x03\x03\x00\x02\x01\x00"))
}

fn byte_at_a_time() -> SocketAddr {
    serve(|mut stream| trickle(&mut stream, b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03\x00"))
}

const HTTP1: Client = Client::Https(HttpVersion::Http1);
const HTTP2: Client = Client::Https(HttpVersion::Http2);
const TLS: Client = Client::Tls;
const NOT_IN_TIME: Expect = Expect::NotOpened("no connection within 10 s");
const NOT_TLS: Expect = Expect::NotOpened("protocol error");

pub(crate) const CASES: &[Case] = &[
    Case::new("tls: silent", silent, HTTP1, NOT_IN_TIME),
    Case::new("tls: silent: http/2", silent, HTTP2, NOT_IN_TIME),
    Case::new("tls: silent: tls://", silent, TLS, NOT_IN_TIME),
    Case::new("tls: garbage", garbage, HTTP1, NOT_TLS),
    Case::new("tls: plain http", plain_http, HTTP1, NOT_TLS),
    Case::new(
        "tls: closes in the handshake",
        closes_in_the_handshake,
        TLS,
        Expect::NotOpened("connection lost"),
    ),
    Case::new("tls: a message of 16 MB", long_message, TLS, NOT_TLS),
    Case::new("tls: empty records without end", empty_records, TLS, NOT_TLS),
    Case::new("tls: warnings without end", warnings, TLS, NOT_TLS),
    Case::new("tls: a byte at a time", byte_at_a_time, TLS, NOT_IN_TIME),
];

#[test]
fn hostile_tls() {
    crate::parent::check(CASES);
}
