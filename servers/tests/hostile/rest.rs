//! REST: headers, bodies and connections over the limits, and slow ones.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use proto::Protocol;
use servers::Limits;

use crate::{SHORT, Server, limits, text, until_closed};

pub(crate) fn quote_over_rest(server: &Server) {
    let good = b"GET /v1/quotes/AAAA HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    assert!(text(&server.answer(good)).starts_with("HTTP/1.1 200"), "others are not served");
}

#[test]
fn rest_answers_hostile_requests_and_serves_on() {
    let server = Server::start(Protocol::Rest, limits());
    assert!(text(&server.answer(b"\x01\x02\x03 nonsense\r\n\r\n")).starts_with("HTTP/1.1 400"));
    let long_header = format!("GET / HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "a".repeat(40_000));
    assert!(text(&server.answer(long_header.as_bytes())).starts_with("HTTP/1.1 431"));
    let many_headers = format!("GET / HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "a: b\r\n".repeat(200));
    assert!(text(&server.answer(many_headers.as_bytes())).starts_with("HTTP/1.1 431"));

    let post = "POST /v1/orders HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n";
    let large = server.answer(format!("{post}content-length: 10000000\r\n\r\n{{").as_bytes());
    assert!(text(&large).starts_with("HTTP/1.1 413") && text(&large).contains("application/problem+json"));
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(4096));
    let endless = format!("{post}transfer-encoding: chunked\r\n\r\n{}", chunk.repeat(20));
    assert!(text(&server.answer(endless.as_bytes())).starts_with("HTTP/1.1 413"));
    let malformed = server.answer(format!("{post}content-length: 5\r\n\r\n{{]}}[}}").as_bytes());
    assert!(
        text(&malformed).starts_with("HTTP/1.1 400") && text(&malformed).contains("not the expected JSON")
    );

    let slow_body = server.answer(format!("{post}content-length: 50\r\n\r\n{{").as_bytes());
    assert!(text(&slow_body).starts_with("HTTP/1.1 408"), "{}", text(&slow_body));
    let slow_head = server.answer(b"GET / HTTP/1.1\r\nhos");
    assert!(slow_head.is_empty() || text(&slow_head).starts_with("HTTP/1.1 408"), "{}", text(&slow_head));

    quote_over_rest(&server);
}

#[test]
fn rest_tells_a_connection_over_the_limit() {
    let server = Server::start(Protocol::Rest, Limits { connections_max: 2, ..Limits::default() });
    let _held = [server.connect(), server.connect()];
    // The limit counts accepted connections; these may take a moment to be.
    let refused = (0..50).any(|_| {
        let mut third = server.connect();
        let _ = third.set_read_timeout(Some(Duration::from_millis(100)));
        let mut answer = [0; 64];
        matches!(third.read(&mut answer), Ok(read) if answer[..read].starts_with(b"HTTP/1.1 503"))
    });
    assert!(refused, "the third connection was never told");
}

/// All is written before anything is read, as simple clients do it: a connection that were closed
/// with bytes unread would be reset, and the answer lost.
#[test]
fn whoever_is_refused_hears_it_however_much_is_still_to_come() {
    let server = Server::start(Protocol::Rest, Limits { message_time_max: SHORT * 10, ..limits() });
    let much = vec![b'x'; 2 << 20];
    let post = |path: &str, more: &str| {
        let length = much.len();
        format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n{more}content-length: {length}\r\n\r\n")
    };
    let json = "content-type: application/json\r\n";
    for (head, status) in [
        (post("/v1/orders", json), "413"),
        (post("/v1/orders", "connection: close\r\n"), "413"),
        (post("/nowhere", json), "404"),
        (post("/v1/quotes/AAAA", ""), "405"),
        (post("/v1/orders", "origin: https://evil.example\r\n"), "403"),
        ("GET / HTTP/1.1\r\nhost: localhost\r\nx: ".to_owned(), "431"),
        ("\u{1}\u{2} nonsense\r\n".to_owned(), "400"),
    ] {
        for _ in 0..30 {
            let mut stream = server.connect();
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&much).unwrap_or_else(|error| panic!("{status}: {error}"));
            let mut answer = [0; 12];
            stream.read_exact(&mut answer).unwrap_or_else(|error| panic!("{status}: {error}"));
            assert_eq!(text(&answer), format!("HTTP/1.1 {status}"));
        }
    }
    // The connection goes on.
    let mut stream = server.connect();
    for _ in 0..5 {
        stream.write_all(post("/v1/orders", json).as_bytes()).unwrap();
        stream.write_all(&much).unwrap();
    }
    stream
        .write_all(b"GET /v1/quotes/AAAA HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .unwrap();
    let answers = text(&until_closed(&mut stream));
    assert_eq!((answers.matches("HTTP/1.1 413").count(), answers.matches("HTTP/1.1 200").count()), (5, 1));
    // Who asks first whether to send it need not send it.
    let mut stream = server.connect();
    stream.write_all(post("/v1/orders", "expect: 100-continue\r\n").as_bytes()).unwrap();
    assert!(text(&until_closed(&mut stream)).starts_with("HTTP/1.1 413"));
}

/// A stream is not reset for a body that is not wanted: some clients forget the answer then.
#[test]
fn a_body_over_http_2_is_read_to_its_end_where_it_is_not_wanted() {
    const BYTES: usize = 900_000;
    let server = Server::start(Protocol::Rest, limits());
    let frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
    };
    let field = |name: &str, value: &str| {
        let [name_bytes, value_bytes] = [name, value].map(|text| u8::try_from(text.len()).unwrap());
        [&[0, name_bytes], name.as_bytes(), &[value_bytes], value.as_bytes()].concat()
    };
    // POST and http, of the static table; the others in full.
    let head = [
        vec![0x83, 0x86],
        field(":path", "/v1/orders"),
        field(":authority", "localhost"),
        field("content-type", "application/json"),
        field("content-length", &BYTES.to_string()),
    ];
    let mut stream = server.connect();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    stream.write_all(&frame(4, 0, 0, &[])).unwrap();
    // The server's window is as large as it says once that is acknowledged.
    while http2_frame(&mut stream).0 != 4 {}
    stream.write_all(&[frame(4, 1, 0, &[]), frame(1, 4, 1, &head.concat())].concat()).unwrap();
    // And that of the connection, once it says so.
    let mut kinds = Vec::new();
    while kinds.last() != Some(&8) {
        kinds.push(http2_frame(&mut stream).0);
    }
    let much = vec![b'x'; BYTES];
    for piece in much.chunks(16_384) {
        let is_last = piece.as_ptr_range().end == much.as_ptr_range().end;
        stream.write_all(&frame(0, u8::from(is_last), 1, piece)).unwrap();
    }
    stream.write_all(&frame(6, 0, 0, &[7; 8])).unwrap();
    while kinds.last() != Some(&6) {
        kinds.push(http2_frame(&mut stream).0);
    }
    assert!(kinds.contains(&1) && !kinds.contains(&3) && !kinds.contains(&7), "{kinds:?}");
}

/// The kind of the next frame, and its payload.
fn http2_frame(stream: &mut std::net::TcpStream) -> (u8, Vec<u8>) {
    let mut head = [0; 9];
    stream.read_exact(&mut head).unwrap();
    let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
    stream.read_exact(&mut payload).unwrap();
    (head[3], payload)
}
