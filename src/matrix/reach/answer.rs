//! Whether what a client got is the right quote, in whatever way it came.

use bytes::BytesMut;
use proto::encoding::Encoding;
use proto::frame::{Frame, Kind};
use proto::v1::Quote;
use serde_json::Value;

use super::Contender;

/// Bytes of a frame, at most.
const FRAME_BYTES_MAX: usize = 1 << 16;
/// Bytes before a gRPC message: whether it is compressed, and its length.
const GRPC_PREFIX: usize = 5;

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
        Contender::Grpc => got.get(GRPC_PREFIX..).and_then(protobuf),
        Contender::Tcp => match Frame::take(&mut BytesMut::from(got), FRAME_BYTES_MAX) {
            Ok(Some(frame)) if frame.kind == Kind::Quote => protobuf(&frame.payload),
            _ => None,
        },
        Contender::GrpcWeb => None,
    };
    let expected = expected().map(|quote| (quote.symbol, quote.last_cents));
    expected.is_some() && quote == expected
}

/// Symbol and price of a quote in JSON, behind these names; whatever stands before the JSON (the head of a WebSocket's handshake)
/// is passed over.
fn json(got: &[u8], behind: &[&str]) -> Option<(String, i64)> {
    let from = got.iter().position(|byte| *byte == b'{')?;
    let mut value: Value = serde_json::Deserializer::from_slice(&got[from..]).into_iter().next()?.ok()?;
    for name in behind {
        value = value.get_mut(name)?.take();
    }
    Some((value["symbol"].as_str()?.to_owned(), value["last_cents"].as_i64()?))
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
        Contender::Grpc | Contender::Tcp => from_hex(text),
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
        assert!(is_right(Contender::Grpc, &[&[0; 5][..], &message].concat()));
        let mut frame = BytesMut::new();
        proto::frame::put_encoded(&mut frame, 7, Kind::Quote, &message);
        assert!(is_right(Contender::Tcp, &frame));
        assert!(!is_right(Contender::Tcp, &frame[..20]) && !is_right(Contender::Grpc, b""));
        assert_eq!(printed(Contender::Tcp, "00ff\n"), [0, 0xff]);
    }
}
