//! WebSocket: messages over the limit, malformed, of the wrong kind, dribbled, and too many
//! subscriptions.

use std::io::Write as _;

use proto::Protocol;
use servers::Limits;

use crate::raw_websocket::{BINARY, RawWebSocket, TEXT, masked};
use crate::{SHORT, Server, limits, text, until_closed};

const QUOTE: &str = r#"{"id":7,"kind":"quote_request","body":{"symbol":"AAAA"}}"#;

fn open(server: &Server) -> RawWebSocket {
    RawWebSocket::open(server.connect(), Protocol::WebSocket.path(), "wirebench.json.v1")
}

pub(crate) fn quote_over_websocket(server: &Server) {
    let mut socket = open(server);
    socket.send_text(QUOTE);
    let answer = socket.next_text();
    assert!(answer.starts_with(r#"{"id":7,"kind":"quote","body":{"symbol":"AAAA""#), "{answer}");
}

#[test]
fn websocket_closes_on_hostile_messages_with_their_code_and_serves_on() {
    let server = Server::start(Protocol::WebSocket, limits());
    let large = "x".repeat(100_000);
    for (first, message, code) in [
        (TEXT, large.as_str(), 1009),
        (TEXT, "no frame", 1007),
        (TEXT, r#"{"id":7,"kind":"gopher"}"#, 1007),
        (TEXT, r#"{"id":-1,"kind":"quote_request"}"#, 1007),
        (TEXT, "[[[[", 1007),
        (BINARY, QUOTE, 1003),
    ] {
        let mut socket = open(&server);
        socket.send(first, message.as_bytes());
        assert_eq!(socket.close_code(), Some(code), "{message:.40}");
        quote_over_websocket(&server);
    }
}

#[test]
fn a_malformed_request_fails_its_call_and_not_its_websocket() {
    let server = Server::start(Protocol::WebSocket, limits());
    let mut socket = open(&server);
    socket.send_text(r#"{"id":3,"kind":"quote_request","body":{"symbol":5}}"#);
    let refused = socket.next_text();
    assert!(refused.starts_with(r#"{"id":3,"kind":"fault""#), "{refused}");
    socket.send_text(QUOTE);
    assert!(socket.next_text().starts_with(r#"{"id":7,"kind":"quote""#));
}

#[test]
fn a_websocket_has_so_many_subscriptions_and_no_more() {
    let server = Server::start(Protocol::WebSocket, Limits { subscriptions_max: 2, ..limits() });
    let mut socket = open(&server);
    for id in 1..=3 {
        socket.send_text(&format!(r#"{{"id":{id},"kind":"subscribe_request","body":{{}}}}"#));
    }
    let refused = std::iter::repeat_with(|| socket.next_text()).find(|text| text.contains("fault")).unwrap();
    assert!(refused.starts_with(r#"{"id":3,"#) && refused.contains("2 subscriptions"), "{refused}");
}

/// Half a frame now and then is no message: the peer is let go after two keep-alive spans, although
/// bytes come.
#[test]
fn a_peer_that_dribbles_one_frame_is_let_go() {
    let server = Server::start(Protocol::WebSocket, Limits { keep_alive_every: SHORT, ..limits() });
    let mut socket = open(&server);
    let frame = masked(TEXT, " ".repeat(60_000).as_bytes());
    let mut dribbled = 0;
    for byte in &frame {
        if socket.stream.write_all(&[*byte]).is_err() {
            break;
        }
        dribbled += 1;
        clock::pause_thread(SHORT / 10);
        // Two spans are 20 bytes; a machine under load may be late, but not for ever.
        assert!(dribbled < 1_000, "{dribbled} bytes were dribbled, and it was not let go");
    }
    until_closed(&mut socket.stream);
    quote_over_websocket(&server);
}

/// A handshake that does not end is bounded as every HTTP head is.
#[test]
fn a_slow_handshake_is_closed() {
    let server = Server::start(Protocol::WebSocket, limits());
    let half = server.answer(b"GET /v1/socket HTTP/1.1\r\nhost: localhost\r\nupgrade: webs");
    assert!(half.is_empty() || text(&half).starts_with("HTTP/1.1 408"), "{}", text(&half));
    let elsewhere = server.answer(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    assert!(text(&elsewhere).starts_with("HTTP/1.1 404"), "{}", text(&elsewhere));
    quote_over_websocket(&server);
}
