//! What wraps bytes: heads and lengths that a file of the corpus need not count.

use sha2::{Digest as _, Sha256};

/// A frame of RFC 6455 as a client sends it: masked, with the length that its payload has.
pub(crate) fn websocket_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x11, 0x22, 0x33, 0x44];
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..=125 => bytes.push(0x80 | length as u8),
        length @ 126..=0xffff => {
            bytes.push(0x80 | 126);
            bytes.extend((length as u16).to_be_bytes());
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

/// The request that opens a WebSocket; without a subprotocol where it is `-`.
pub(crate) fn upgrade_request(path: &str, subprotocol: &str, host: &str) -> Vec<u8> {
    let named = match subprotocol {
        "-" => String::new(),
        name => format!("Sec-WebSocket-Protocol: {name}\r\n"),
    };
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{named}\r\n"
    )
    .into_bytes()
}

/// A frame of wirebench (`proto::frame`), of any kind, known or not.
pub(crate) fn frame(kind: u8, id: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(5 + payload.len()).unwrap();
    [&length.to_be_bytes()[..], &id.to_be_bytes(), &[kind], payload].concat()
}

/// A frame of HTTP/2.
pub(crate) fn h2_frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The 24 bytes that HTTP/2 begins with.
pub(crate) const MAGIC: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The preface and SETTINGS that allow no dynamic table: so every answer can be read by itself.
pub(crate) fn preface() -> Vec<u8> {
    [MAGIC, &h2_frame(4, 0, 0, &[0, 1, 0, 0, 0, 0])].concat()
}

/// A field of HPACK (RFC 7541): literal, never indexed, no Huffman code.
pub(crate) fn field(name: &[u8], value: &[u8]) -> Vec<u8> {
    [&[0x00_u8][..], &string(name), &string(value)].concat()
}

fn string(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut left = text.len();
    if left < 127 {
        bytes.push(left as u8);
    } else {
        bytes.push(127);
        left -= 127;
        while left >= 128 {
            bytes.push((left % 128) as u8 | 0x80);
            left /= 128;
        }
        bytes.push(left as u8);
    }
    bytes.extend(text);
    bytes
}

/// A message of gRPC behind its prefix.
pub(crate) fn grpc_message(flag: u8, payload: &[u8]) -> Vec<u8> {
    [&[flag][..], &u32::try_from(payload.len()).unwrap().to_be_bytes(), payload].concat()
}

/// A chunk of HTTP/1.1's chunked coding.
pub(crate) fn chunk(payload: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", payload.len()).as_bytes(), payload, b"\r\n"].concat()
}

/// A whole POST.
pub(crate) fn post(path: &str, media_type: &str, host: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {media_type}\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// A whole GET.
pub(crate) fn get(target: &[u8], host: &str) -> Vec<u8> {
    let head = format!(" HTTP/1.1\r\nHost: {host}\r\n\r\n");
    [&b"GET "[..], target, head.as_bytes()].concat()
}

/// A query of GraphQL as the body of a request; with its hash where it is to be persisted.
pub(crate) fn graphql_body(query: &[u8], persisted: bool) -> Vec<u8> {
    let query_text = json_string(query);
    if !persisted {
        return [b"{\"query\":", &query_text[..], b"}"].concat();
    }
    let hash: String = Sha256::digest(query).iter().map(|byte| format!("{byte:02x}")).collect();
    let extension = format!(r#","extensions":{{"persistedQuery":{{"version":1,"sha256Hash":"{hash}"}}}}}}"#);
    [b"{\"query\":", &query_text[..], extension.as_bytes()].concat()
}

/// Text as a string of JSON, with its quotes.
pub(crate) fn json_string(text: &[u8]) -> Vec<u8> {
    serde_json::to_vec(&String::from_utf8_lossy(text)).unwrap()
}

/// Every byte that is no letter and no digit as `%XX`.
pub(crate) fn percent(text: &[u8]) -> Vec<u8> {
    let encode = |byte: &u8| match byte {
        byte if byte.is_ascii_alphanumeric() => vec![*byte],
        byte => format!("%{byte:02X}").into_bytes(),
    };
    text.iter().flat_map(encode).collect()
}

/// Bytes without a pattern, the same for the same seed (xorshift64*).
pub(crate) fn random(count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8
    };
    (0..count).map(|_| next()).collect()
}
