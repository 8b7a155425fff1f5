//! REST: headers, bodies and connections over the limits, and slow ones.

use std::io::Read as _;
use std::time::Duration;

use proto::Protocol;
use servers::Limits;

use crate::{Server, limits, text};

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
