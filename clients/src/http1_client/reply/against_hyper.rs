//! The reader's verdicts beside hyper's, on whole streams that end.

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::tests::{REPLIES, Seen, WRONG, anything, read};
use super::*;
use proptest::prelude::*;

/// Status and bytes of the body; `None` where it is no reply, or is cut off.
type Verdict = Option<(u16, usize)>;

fn ours(asked: ReplyTo, bytes: &[u8]) -> Verdict {
    match read(asked, bytes, true) {
        Seen::Answered(answer, ..) => Some((answer.status, answer.bytes)),
        _ => None,
    }
}

fn of_hyper(asked: ReplyTo, bytes: &[u8]) -> Verdict {
    crate::local_runtime().unwrap().block_on(async {
        let (client, mut server) = tokio::io::duplex(1 << 20);
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(client)).await.unwrap();
        let method = if asked == ReplyTo::HeadOnly { Method::HEAD } else { Method::GET };
        let request = Request::builder().method(method).uri("/").body(Empty::<Bytes>::new()).unwrap();
        let answer = async {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(server.read_u8().await.unwrap());
            }
            server.write_all(bytes).await.unwrap();
            drop(server);
        };
        let verdict = async {
            let (head, body) = sender.send_request(request).await.ok()?.into_parts();
            let body = body.collect().await.ok()?.to_bytes();
            Some((head.status.as_u16(), body.len()))
        };
        // It is dropped with the last of them: a body that ends with the connection has ended then.
        let driving = async { drop(connection.await) };
        tokio::join!(verdict, answer, driving).0
    })
}

/// Where we follow the RFC, or the parser allows it, and hyper does not by default.
fn differs_from_hyper(asked: ReplyTo, bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
    let has = |part: &str| text.contains(part);
    // A value that goes on in the next line (RFC 9112, section 5.2).
    let is_folded = has("\n ") || has("\n\t");
    // Chunks in HTTP/1.0 (section 6.1): to be read, and the connection closed.
    let has_old_chunks = has("http/1.0") && has("transfer-encoding");
    // The request asked for no other protocol.
    let switches = has(" 101");
    // Chunks with parameters (section 7.1): to be taken for an error, and not for a body without
    // end.
    let has_parameters = has("chunked;");
    is_folded
        || has_parameters
        || has_old_chunks
        || switches
        || asked == ReplyTo::Tunnel
        || asked == ReplyTo::Upgrade
}

#[test]
fn replies_are_the_same_to_hyper() {
    let more: &[&[u8]] = &[
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabcdef",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, gzip\r\ncontent-length: 1\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: \r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nconnection: keep-alive\r\n\r\n",
        b"HTTP/1.1 205 Reset Content\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 999 x\r\ncontent-length: 1\r\n\r\nx",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"",
        b"H",
    ];
    let mut compared = 0;
    for bytes in REPLIES.iter().chain(WRONG).chain(more) {
        for asked in [ReplyTo::Content, ReplyTo::HeadOnly] {
            if !differs_from_hyper(asked, bytes) {
                assert_eq!(ours(asked, bytes), of_hyper(asked, bytes), "{asked:?} {}", bytes.escape_ascii());
                compared += 1;
            }
        }
    }
    assert!(compared > 80, "{compared}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn anything_is_the_same_to_hyper(bytes in anything(), is_head: bool) {
        let asked = if is_head { ReplyTo::HeadOnly } else { ReplyTo::Content };
        if !differs_from_hyper(asked, &bytes) {
            prop_assert_eq!(ours(asked, &bytes), of_hyper(asked, &bytes), "{}", bytes.escape_ascii());
        }
    }
}
