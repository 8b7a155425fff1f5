//! RFC 6455, case by case, over frames made by hand. Autobahn's suite is not used:
//! `autobahntestsuite` 25.10.1 of PyPI does not import under Python 3 (`from _version import`), and
//! its fuzzing client wants a server that echoes.

use std::io::Write as _;

use proto::Protocol;

use crate::raw_websocket::{
    BINARY, CLOSE, CONTINUATION, PING, PONG, RawWebSocket, TEXT, head, masked, upgrade_request,
};
use crate::{Server, limits};

const QUOTE: &[u8] = br#"{"id":7,"kind":"quote_request","body":{"symbol":"AAAA"}}"#;
/// The first byte of a text frame that is not the last of its message.
const TEXT_BEGINS: u8 = 0x01;
const CONTINUES: u8 = 0x00;

/// What a case must end in.
enum Expected {
    /// The answer to [`QUOTE`].
    Answer,
    /// A close frame with this code.
    Close(u16),
}

fn frames(all: &[(u8, &[u8])]) -> Vec<u8> {
    all.iter().flat_map(|(first, payload)| masked(*first, payload)).collect()
}

#[test]
fn frames_are_read_as_the_rfc_has_it() {
    use Expected::{Answer, Close};
    let (begin, rest) = QUOTE.split_at(20);
    let (middle, end) = rest.split_at(10);
    let unmasked = [&[TEXT, u8::try_from(QUOTE.len()).unwrap()], QUOTE].concat();
    let long_ping = [b'x'; 126];
    for (case, bytes, expected) in [
        ("a whole text (5.6)", frames(&[(TEXT, QUOTE)]), Answer),
        (
            "three fragments (5.4)",
            frames(&[(TEXT_BEGINS, begin), (CONTINUES, middle), (CONTINUATION, end)]),
            Answer,
        ),
        (
            "a ping between fragments (5.4)",
            frames(&[(TEXT_BEGINS, begin), (PING, b"p"), (CONTINUATION, rest)]),
            Answer,
        ),
        ("an unmasked client frame (5.1)", unmasked, Close(1002)),
        ("the first reserved bit (5.2)", frames(&[(TEXT | 0x40, QUOTE)]), Close(1002)),
        ("the last reserved bit (5.2)", frames(&[(TEXT | 0x10, QUOTE)]), Close(1002)),
        ("a reserved data opcode (5.2)", frames(&[(0x83, b"")]), Close(1002)),
        ("a reserved control opcode (5.2)", frames(&[(0x8b, b"")]), Close(1002)),
        ("a fragmented ping (5.5)", frames(&[(0x09, b"")]), Close(1002)),
        ("a ping over 125 bytes (5.5)", frames(&[(PING, &long_ping)]), Close(1002)),
        ("a continuation of nothing (5.4)", frames(&[(CONTINUATION, b"x")]), Close(1002)),
        ("a message inside a message (5.4)", frames(&[(TEXT_BEGINS, begin), (TEXT, rest)]), Close(1002)),
        (
            "text that is not UTF-8 (8.1)",
            frames(&[(TEXT, b"\xce\xba\xe1\xbd\xb9\xcf\x83\xed\xa0\x80")]),
            Close(1007),
        ),
        ("binary where text is spoken (7.4.1)", frames(&[(BINARY, QUOTE)]), Close(1003)),
    ] {
        let server = Server::start(Protocol::WebSocket, limits());
        let mut socket =
            RawWebSocket::open(server.connect(), Protocol::WebSocket.path(), "wirebench.json.v1");
        let _ = socket.stream.write_all(&bytes);
        match expected {
            Close(code) => assert_eq!(socket.close_code(), Some(code), "{case}"),
            Answer => loop {
                let (first, payload) = socket.next().unwrap_or_else(|| panic!("{case}: closed"));
                if first == TEXT {
                    assert!(payload.starts_with(br#"{"id":7,"kind":"quote""#), "{case}");
                    break;
                }
                assert_eq!((first, &payload[..]), (PONG, &b"p"[..]), "{case}");
            },
        }
    }
}

#[test]
fn control_frames_are_answered() {
    let server = Server::start(Protocol::WebSocket, limits());
    let open = || RawWebSocket::open(server.connect(), Protocol::WebSocket.path(), "wirebench.json.v1");
    let mut socket = open();
    socket.send(PING, b"the same");
    assert_eq!(socket.next(), Some((PONG, b"the same".to_vec())));
    socket.send(CLOSE, &1000_u16.to_be_bytes());
    assert_eq!(socket.next(), Some((CLOSE, 1000_u16.to_be_bytes().to_vec())));
    assert_eq!(socket.next(), None, "still open after the closing handshake");
    // A code that no peer may send, and half a code.
    for payload in [&1005_u16.to_be_bytes()[..], b"x"] {
        let mut socket = open();
        socket.send(CLOSE, payload);
        assert_eq!(socket.close_code(), Some(1002), "{payload:?}");
    }
}

#[test]
fn the_handshake_is_checked() {
    let server = Server::start(Protocol::WebSocket, limits());
    let answer = |request: &str| {
        let mut stream = server.connect();
        stream.write_all(request.as_bytes()).unwrap();
        head(&mut stream).to_ascii_lowercase()
    };
    let path = Protocol::WebSocket.path();
    let good = upgrade_request(path, "sec-websocket-protocol: other, wirebench.proto.v1\r\n");
    let accepted = answer(&good);
    assert!(accepted.starts_with("http/1.1 101"), "{accepted}");
    // The accept of the RFC's own key (1.3), and the subprotocol that both speak.
    assert!(accepted.contains("s3pplmbitxaq9kygzzhzrbk+xoo="), "{accepted}");
    assert!(accepted.contains("sec-websocket-protocol: wirebench.proto.v1"), "{accepted}");
    let deflate = answer(&upgrade_request(path, "sec-websocket-extensions: permessage-deflate\r\n"));
    assert!(deflate.starts_with("http/1.1 101") && !deflate.contains("extensions"), "{deflate}");
    let version = answer(&good.replace("version: 13", "version: 8"));
    assert!(
        version.starts_with("http/1.1 426") && version.contains("sec-websocket-version: 13"),
        "{version}"
    );
    for (case, request) in [
        ("no key", good.replace("sec-websocket-key: ", "x-key: ")),
        ("no upgrade", good.replace("upgrade: websocket", "x: y")),
        ("no subprotocol of ours", good.replace("wirebench.proto.v1", "wirebench.proto.v2")),
    ] {
        let refused = answer(&request);
        assert!(refused.starts_with("http/1.1 400"), "{case}: {refused}");
    }
}
