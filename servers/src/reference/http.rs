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
const FAILURE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
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
    loop {
        match request_bytes(&inbound) {
            Request::Whole(bytes) => {
                let Treatment { reply_at, fails } = reference.treat();
                delays.sleep_until(reply_at).await;
                stream.write_all(if fails { FAILURE } else { REPLY }).await?;
                inbound.drain(..bytes);
            }
            Request::Partial if inbound.len() < limits.message_bytes_max => {
                if stream.read_buf(&mut inbound).await? == 0 {
                    return Ok(());
                }
            }
            Request::Partial | Request::Bad => {
                stream.write_all(BAD).await?;
                return stream.shutdown().await;
            }
        }
    }
}

#[derive(Debug, PartialEq)]
enum Request {
    /// A request of this many bytes stands at the front.
    Whole(usize),
    Partial,
    Bad,
}

/// Finds a request with its body. Chunked bodies are not for this server.
fn request_bytes(inbound: &[u8]) -> Request {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let head = match request.parse(inbound) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Request::Partial,
        Err(_) => return Request::Bad,
    };
    let mut body = 0_usize;
    for header in request.headers {
        if header.name.eq_ignore_ascii_case("transfer-encoding") {
            return Request::Bad;
        }
        if header.name.eq_ignore_ascii_case("content-length") {
            let length = std::str::from_utf8(header.value).ok().and_then(|text| text.trim().parse().ok());
            match length {
                Some(length) => body = length,
                None => return Request::Bad,
            }
        }
    }
    match head.checked_add(body) {
        Some(whole) if inbound.len() >= whole => Request::Whole(whole),
        Some(_) => Request::Partial,
        None => Request::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_ends_with_its_body() {
        assert_eq!(request_bytes(b"GET / HTTP/1.1\r\n\r\nGET"), Request::Whole(18));
        assert_eq!(request_bytes(b"POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nab"), Request::Partial);
        assert_eq!(request_bytes(b"POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc"), Request::Whole(41));
        assert_eq!(request_bytes(b"POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n"), Request::Bad);
        assert_eq!(request_bytes(b"\x00\x01"), Request::Bad);
    }
}
