//! curl, with what its command line has.

use std::process::Command;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::answer::{brief, is_right};
use super::{AS_IS, BY_HAND, Bench, CANNOT, Contender, NOT_INSTALLED, QUERY, Tried};

const TIME_MAX: Duration = Duration::from_secs(10);
/// A gRPC frame around a request for AAAA.
pub(super) const GRPC_FRAME: &[u8] = b"\x00\x00\x00\x00\x06\x0a\x04AAAA";
/// A frame of ours around the same.
const TCP_FRAME: &[u8] = b"\x00\x00\x00\x0b\x00\x00\x00\x07\x01\x0a\x04AAAA";
const SOCKET_TEXT: &[u8] = br#"{"id":7,"kind":"quote_request","body":{"symbol":"AAAA"}}"#;

pub(super) fn quote(bench: &Bench, contender: Contender) -> anyhow::Result<Tried> {
    let address = bench.address(contender)?;
    let Some(curl) = &bench.curl else { return Ok(Tried::new(NOT_INSTALLED, "curl was not found")) };
    let curl = |arguments: &[&str], input: &[u8]| -> anyhow::Result<(bool, String)> {
        let mut command = Command::new(curl);
        // What a user's own settings would change is left out.
        command.args(["-q", "-sS", "-N", "--max-time", "5"]).args(arguments);
        let ran = lab::program::run(&mut command, input, TIME_MAX, |output| is_right(contender, output))?;
        Ok((is_right(contender, &ran.output), brief(&String::from_utf8_lossy(&ran.errors))))
    };
    let (http, telnet) = (format!("http://{address}"), format!("telnet://{address}"));
    let said = |(right, errors): (bool, String), outcome, how: &str| {
        if right { Tried::new(outcome, how) } else { Tried::new(CANNOT, format!("{how}: {errors}")) }
    };
    Ok(match contender {
        Contender::Rest => said(curl(&[&format!("{http}/v1/quotes/AAAA")], b"")?, AS_IS, "curl URL"),
        Contender::GraphQl => {
            let body = serde_json::json!({ "query": QUERY, "variables": { "s": "AAAA" } }).to_string();
            let json = "content-type: application/json";
            said(curl(&["-H", json, "-d", &body, &format!("{http}/graphql")], b"")?, AS_IS, "curl -d JSON")
        }
        Contender::Persisted => {
            let extensions = format!("extensions={}", extensions());
            let (query, url) = (format!("query={QUERY}"), format!("{http}/graphql"));
            let variables = r#"variables={"s":"AAAA"}"#;
            let asked = ["-G", "--data-urlencode", variables, "--data-urlencode", &extensions, &url];
            curl(&[&["--data-urlencode", query.as_str()][..], &asked].concat(), b"")?;
            said(curl(&asked, b"")?, AS_IS, "curl -G, the query registered by a GET before")
        }
        Contender::Grpc => {
            let url = format!("{http}/wirebench.market.v1.Market/GetQuote");
            let headers = ["-H", "content-type: application/grpc", "-H", "te: trailers"];
            let body = ["--http2-prior-knowledge", "--data-binary", "@-", url.as_str()];
            said(
                curl(&[&headers[..], &body].concat(), GRPC_FRAME)?,
                BY_HAND,
                "HTTP/2 by curl; gRPC’s frame and protobuf by hand, --data-binary",
            )
        }
        Contender::WebSocket => {
            let as_is = curl(&[&format!("ws://{address}/v1/socket")], SOCKET_TEXT)?;
            if as_is.0 {
                return Ok(Tried::new(AS_IS, "curl ws://"));
            }
            let how = "telnet://; handshake, mask and frames by hand";
            said(curl(&[&telnet], &socket_bytes(&address.to_string()))?, BY_HAND, how)
        }
        Contender::GrpcWeb => {
            let url = format!("{http}/wirebench.market.v1.Market/GetQuote");
            let posted = ["-H", "content-type: application/grpc-web+proto", "--data-binary", "@-", &url];
            said(curl(&posted, GRPC_FRAME)?, BY_HAND, "curl --data-binary; frames and protobuf by hand")
        }
        Contender::Tcp => {
            said(curl(&[&telnet], TCP_FRAME)?, BY_HAND, "telnet://; frames and protobuf by hand")
        }
    })
}

/// The extension by which a query is asked by its hash.
fn extensions() -> String {
    format!(r#"{{"persistedQuery":{{"version":1,"sha256Hash":"{}"}}}}"#, hash())
}

/// The SHA-256 of the query.
pub(super) fn hash() -> String {
    Sha256::digest(QUERY.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A handshake and a masked frame, sent in one piece.
fn socket_bytes(address: &str) -> Vec<u8> {
    const MASK: [u8; 4] = [0x11, 0x22, 0x33, 0x44];
    let mut bytes = format!(
        "GET /v1/socket HTTP/1.1\r\nhost: {address}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .into_bytes();
    bytes.extend([0x81, 0x80 | u8::try_from(SOCKET_TEXT.len()).unwrap_or_default()]);
    bytes.extend(MASK);
    bytes.extend(SOCKET_TEXT.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}
