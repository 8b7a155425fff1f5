//! Whether what a client got is the right quote, in whatever way it came.

use bytes::BytesMut;
use proto::encoding::Encoding;
use proto::frame::{Frame, Kind};
use proto::v1::Quote;
use serde_json::Value;

use super::Contender;

/// Bytes of a frame, at most.
const FRAME_BYTES_MAX: usize = 1 << 16;
/// In the first byte of a frame of gRPC-Web: it holds trailers (PROTOCOL-WEB.md of the gRPC
/// project).
const TRAILERS: u8 = 0x80;

/// The quote that is asked for everywhere.
pub(super) fn expected() -> Option<Quote> {
    proto::data::DataSet::new(servers::MarketConfig::default().seed).quote("AAAA").ok()
}

/// Whether bytes that a client got are or hold the right quote.
pub(super) fn is_right(contender: Contender, got: &[u8]) -> bool {
    let quote = match contender {
        Contender::Rest => json(got, &[]),
        Contender::GraphQl | Contender::Persisted => json(got, &["data", "quote"]),
        Contender::WebSocket => json(got, &["body"]),
        Contender::Grpc => grpc_message(got).and_then(|(message, _)| protobuf(message)),
        // A page has to know that the call succeeded, too.
        Contender::GrpcWeb => grpc_message(got)
            .filter(|(_, rest)| status_is_ok(rest))
            .and_then(|(message, _)| protobuf(message)),
        Contender::Tcp => match Frame::take(&mut BytesMut::from(got), FRAME_BYTES_MAX) {
            Ok(Some(frame)) if frame.kind == Kind::Quote => protobuf(&frame.payload),
            _ => None,
        },
    };
    let expected = expected().map(|quote| (quote.symbol, quote.last_cents));
    expected.is_some() && quote == expected
}

/// Symbol and price of a quote in JSON, behind these names; whatever stands before the JSON (the
/// head of a WebSocket's handshake) is passed over.
fn json(got: &[u8], behind: &[&str]) -> Option<(String, i64)> {
    let from = got.iter().position(|byte| *byte == b'{')?;
    let mut value: Value = serde_json::Deserializer::from_slice(&got[from..]).into_iter().next()?.ok()?;
    for name in behind {
        value = value.get_mut(name)?.take();
    }
    Some((value["symbol"].as_str()?.to_owned(), value["last_cents"].as_i64()?))
}

/// The first message of gRPC's frames, and what follows it: a frame is a byte (whether it is
/// compressed), a length, and a message.
fn grpc_message(got: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = got.get(1..)?.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

/// Whether a frame of trailers says that the call succeeded.
fn status_is_ok(frame: &[u8]) -> bool {
    let trailers = grpc_message(frame).map(|(trailers, _)| String::from_utf8_lossy(trailers).to_lowercase());
    let is_ok = |line: &str| {
        line.split_once(':').is_some_and(|(name, code)| (name.trim(), code.trim()) == ("grpc-status", "0"))
    };
    frame.first() == Some(&TRAILERS) && trailers.is_some_and(|trailers| trailers.lines().any(is_ok))
}

fn protobuf(got: &[u8]) -> Option<(String, i64)> {
    let quote: Quote = Encoding::Protobuf.decode(got).ok()?;
    Some((quote.symbol, quote.last_cents))
}

/// Bytes that a client printed in hexadecimal.
pub(super) fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.trim().chars().filter_map(|digit| digit.to_digit(16)).collect();
    let byte = |pair: &[u32]| u8::try_from(pair[0] << 4 | pair[1]).unwrap_or_default();
    digits.chunks_exact(2).map(byte).collect()
}

/// What a client printed: protobuf in hexadecimal, the rest as it is.
pub(super) fn printed(contender: Contender, text: &str) -> Vec<u8> {
    match contender {
        Contender::Grpc | Contender::GrpcWeb | Contender::Tcp => from_hex(text),
        _ => text.as_bytes().to_vec(),
    }
}

/// The beginning of what was said, on one line.
pub(super) fn brief(text: &str) -> String {
    const LETTERS_MAX: usize = 110;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut: String = line.chars().take(LETTERS_MAX).collect();
    if cut.len() < line.len() { format!("{cut}…") } else { cut }
}

#[cfg(test)]
mod tests {
    use proto::frame::FrameHead;

    use super::*;

    #[test]
    fn a_quote_is_right_by_its_symbol_and_price_however_it_comes() {
        let quote = expected().unwrap();
        let price = quote.last_cents;
        let json = format!(r#"{{"symbol":"AAAA","last_cents":{price}}}"#);
        assert!(is_right(Contender::Rest, json.as_bytes()));
        assert!(!is_right(Contender::Rest, json.replace("AAAA", "AAAB").as_bytes()));
        assert!(is_right(Contender::GraphQl, format!(r#"{{"data":{{"quote":{json}}}}}"#).as_bytes()));
        let socket = format!("HTTP/1.1 101\r\n\r\n\u{1}{{\"id\":7,\"body\":{json}}}");
        assert!(is_right(Contender::WebSocket, socket.as_bytes()));
        let message = Encoding::Protobuf.encode(&quote);
        let length = u8::try_from(message.len()).unwrap();
        let framed = [&[0, 0, 0, 0, length][..], &message].concat();
        assert!(is_right(Contender::Grpc, &framed) && !is_right(Contender::GrpcWeb, &framed));
        let ended = |trailers: &[u8]| {
            let length = u8::try_from(trailers.len()).unwrap();
            [&framed[..], &[TRAILERS, 0, 0, 0, length], trailers].concat()
        };
        assert!(is_right(Contender::GrpcWeb, &ended(b"grpc-status:0\r\n")));
        assert!(!is_right(Contender::GrpcWeb, &ended(b"grpc-status:13\r\n")));
        let mut frame = BytesMut::new();
        proto::frame::put_encoded(&mut frame, FrameHead::of(7, Kind::Quote), &message);
        assert!(is_right(Contender::Tcp, &frame));
        assert!(!is_right(Contender::Tcp, &frame[..20]) && !is_right(Contender::Grpc, b""));
        assert_eq!(printed(Contender::Tcp, "00ff\n"), [0, 0xff]);
    }
}
