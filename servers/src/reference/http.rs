//! The reference server over HTTP/1.1: a 2-byte body to every request, keep-alive, one request at a
//! time.

use std::sync::Arc;

use clock::{Clock, Delays, Precision};
use futures::future::BoxFuture;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{Behaviour, Reference, Treatment};
use crate::accept::{Stream, accept};
use crate::{Limits, Shutdown};

const REPLY: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok";
/// Behind the head of [`REPLY`]: a HEAD is answered without.
const BODY_BYTES: usize = 2;
const FAILURE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
const BAD: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
const HEADERS_MAX: usize = 64;

/// Serves until `shutdown`.
///
/// # Errors
/// The system's, where it refuses a timer.
pub fn serve(
    listener: TcpListener,
    behaviour: Behaviour,
    limits: Limits,
    shutdown: Shutdown,
) -> BoxFuture<'static, std::io::Result<()>> {
    // Boxed here, so that the server is compiled here.
    Box::pin(accepting(listener, behaviour, limits, shutdown))
}

async fn accepting(
    listener: TcpListener,
    behaviour: Behaviour,
    limits: Limits,
    shutdown: Shutdown,
) -> std::io::Result<()> {
    let reference = Arc::new(Reference::new(Clock::System, behaviour));
    // It has a core to itself: spinning for the last microseconds buys exactness.
    let delays = Delays::start(&Clock::System, Precision::Spin)?;
    accept(listener.into(), limits, REFUSAL, shutdown.clone(), |stream| {
        let (reference, delays, shutdown) = (Arc::clone(&reference), delays.clone(), shutdown.clone());
        async move {
            let _ = shutdown.run_until_cancelled_owned(converse(stream, &reference, &delays, limits)).await;
        }
    })
    .await;
    Ok(())
}

async fn converse(
    mut stream: Stream,
    reference: &Reference,
    delays: &Delays,
    limits: Limits,
) -> std::io::Result<()> {
    let mut inbound = Vec::with_capacity(4 << 10);
    let mut told_to_continue = false;
    loop {
        match request(&inbound) {
            Request::Whole { bytes, is_head, closes } => {
                let Treatment { reply_at, fails } = reference.treat();
                delays.sleep_until(reply_at).await;
                let reply = if fails { FAILURE } else { REPLY };
                let body_bytes = if is_head && !fails { BODY_BYTES } else { 0 };
                stream.write_all(&reply[..reply.len() - body_bytes]).await?;
                if closes {
                    return stream.shutdown().await;
                }
                inbound.drain(..bytes);
                told_to_continue = false;
            }
            Request::Partial { expects_continue } if inbound.len() < limits.message_bytes_max => {
                if expects_continue && !told_to_continue {
                    stream.write_all(CONTINUE).await?;
                    told_to_continue = true;
                }
                if stream.read_buf(&mut inbound).await? == 0 {
                    return Ok(());
                }
            }
            Request::Partial { .. } | Request::Bad => {
                stream.write_all(BAD).await?;
                return stream.shutdown().await;
            }
        }
    }
}

#[derive(Debug, PartialEq)]
enum Request {
    /// A request stands at the front.
    Whole {
        bytes: usize,
        is_head: bool,
        /// The connection ends with its reply.
        closes: bool,
    },
    Partial {
        /// Its body comes once it is told to go on.
        expects_continue: bool,
    },
    Bad,
}

/// Finds a request with its body. Chunked bodies are not for this server.
fn request(inbound: &[u8]) -> Request {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let head = match request.parse(inbound) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Request::Partial { expects_continue: false },
        Err(_) => return Request::Bad,
    };
    let is_head = request.method == Some("HEAD");
    let (mut closes, mut expects_continue) = (request.version == Some(0), false);
    let mut body = None;
    for header in request.headers {
        let has = |word: &str| {
            let words = header.value.split(|byte| *byte == b',');
            words.map(<[u8]>::trim_ascii).any(|of| of.eq_ignore_ascii_case(word.as_bytes()))
        };
        match header.name.to_ascii_lowercase().as_str() {
            "transfer-encoding" => return Request::Bad,
            "connection" => closes |= has("close"),
            "expect" => expects_continue |= has("100-continue"),
            "content-length" => match length(header.value) {
                Some(length) if body.is_none_or(|before| before == length) => body = Some(length),
                _ => return Request::Bad,
            },
            _ => {}
        }
    }
    match head.checked_add(body.unwrap_or_default()) {
        Some(bytes) if inbound.len() >= bytes => Request::Whole { bytes, is_head, closes },
        Some(_) => Request::Partial { expects_continue },
        None => Request::Bad,
    }
}

/// A length, in digits and nothing else.
fn length(value: &[u8]) -> Option<usize> {
    let digits = value.trim_ascii();
    let is_number = digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| std::str::from_utf8(digits).ok()?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: usize) -> Request {
        Request::Whole { bytes, is_head: false, closes: false }
    }

    #[test]
    fn a_request_ends_with_its_body() {
        let partial = Request::Partial { expects_continue: false };
        assert_eq!(request(b"GET / HTTP/1.1\r\n\r\nGET"), whole(18));
        assert_eq!(request(b"POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nab"), partial);
        assert_eq!(request(b"POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc"), whole(41));
        assert_eq!(request(b"GET / HT"), partial);
        for bad in [
            &b"POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n"[..],
            b"POST / HTTP/1.1\r\ncontent-length: +5\r\n\r\n",
            b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
            b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n",
            b"\x00\x01",
        ] {
            assert_eq!(request(bad), Request::Bad, "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn a_request_says_what_follows_its_reply() {
        let closes = |text: &[u8]| matches!(request(text), Request::Whole { closes: true, .. });
        assert!(
            closes(b"GET / HTTP/1.0\r\n\r\n") && closes(b"GET / HTTP/1.1\r\nconnection: x, Close\r\n\r\n")
        );
        assert!(!closes(b"GET / HTTP/1.1\r\nconnection: keep-alive\r\n\r\n"));
        assert!(matches!(request(b"HEAD / HTTP/1.1\r\n\r\n"), Request::Whole { is_head: true, .. }));
        let waits = b"POST / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n";
        assert_eq!(request(waits), Request::Partial { expects_continue: true });
    }
}
