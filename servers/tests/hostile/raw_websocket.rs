//! A WebSocket whose frames are made by hand, so that they can be wrong.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// First byte of a whole frame of each opcode: FIN and the opcode.
pub(crate) const CONTINUATION: u8 = 0x80;
pub(crate) const TEXT: u8 = 0x81;
pub(crate) const BINARY: u8 = 0x82;
pub(crate) const CLOSE: u8 = 0x88;
pub(crate) const PING: u8 = 0x89;
pub(crate) const PONG: u8 = 0x8a;

/// A request to upgrade; `more` are whole header lines.
pub(crate) fn upgrade_request(path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
}

/// A client's frame: masked, as RFC 6455 wants it.
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x11, 0x22, 0x33, 0x44];
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..=125 => bytes.push(0x80 | u8::try_from(length).unwrap()),
        length @ 126..=0xffff => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// An open WebSocket.
pub(crate) struct RawWebSocket {
    pub(crate) stream: TcpStream,
}

impl RawWebSocket {
    pub(crate) fn open(mut stream: TcpStream, path: &str, subprotocol: &str) -> RawWebSocket {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let name = format!("sec-websocket-protocol: {subprotocol}\r\n");
        stream.write_all(upgrade_request(path, &name).as_bytes()).unwrap();
        let head = head(&mut stream);
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        RawWebSocket { stream }
    }

    pub(crate) fn send(&mut self, first: u8, payload: &[u8]) {
        // The server may have closed already: what it said is what counts.
        let _ = self.stream.write_all(&masked(first, payload));
    }

    pub(crate) fn send_text(&mut self, text: &str) {
        self.send(TEXT, text.as_bytes());
    }

    /// The server's next frame, by its first byte; `None` once it has closed the connection.
    pub(crate) fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut header = [0; 2];
        match self.stream.read_exact(&mut header) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("nothing came"),
            Err(_) => return None,
        }
        assert_eq!(header[1] & 0x80, 0, "a server's frame is not masked");
        let length = match header[1] {
            126 => u64::from(u16::from_be_bytes(self.exactly())),
            127 => u64::from_be_bytes(self.exactly()),
            short => u64::from(short),
        };
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut payload).unwrap();
        Some((header[0], payload))
    }

    /// The next message of text.
    pub(crate) fn next_text(&mut self) -> String {
        let (first, payload) = self.next().unwrap();
        assert_eq!(first, TEXT, "{payload:?}");
        String::from_utf8(payload).unwrap()
    }

    /// The code of the close frame that comes, whatever comes before it; `None` where the
    /// connection ends without one.
    pub(crate) fn close_code(&mut self) -> Option<u16> {
        loop {
            if let (CLOSE, payload) = self.next()? {
                return payload.first_chunk().map(|code| u16::from_be_bytes(*code));
            }
        }
    }

    fn exactly<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }
}

/// The head of an HTTP answer, and no byte behind it.
pub(crate) fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}
