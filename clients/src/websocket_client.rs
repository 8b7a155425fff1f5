//! The WebSocket of every client that speaks it: the handshake with its subprotocol, the goodbye,
//! and what its errors mean.

use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::task::{Context, Waker};

use futures::Sink as _;
use http::header::{CONNECTION, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::{Request, generate_request};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::connection::CallError;
use crate::endpoint::{Endpoint, Stream};
use crate::limits::{HEAD_BYTES_MAX, UNSENT_BYTES_MAX};

/// Bytes read at a time, as over TCP. The library's default of 128 KiB is zeroed before each read.
const READ_BYTES: usize = 16 << 10;

/// Headers that the answer of a handshake may have.
const HEADERS_MAX: usize = 100;

/// An open WebSocket. It says goodbye when it is dropped, as far as its socket takes that at once.
#[derive(Debug)]
pub(crate) struct WebSocket(WebSocketStream<Stream>);

impl Deref for WebSocket {
    type Target = WebSocketStream<Stream>;

    fn deref(&self) -> &WebSocketStream<Stream> {
        &self.0
    }
}

impl DerefMut for WebSocket {
    fn deref_mut(&mut self) -> &mut WebSocketStream<Stream> {
        &mut self.0
    }
}

impl Drop for WebSocket {
    fn drop(&mut self) {
        let _ = Pin::new(&mut self.0).poll_close(&mut Context::from_waker(Waker::noop()));
    }
}

/// What an upgrade begins with, as it is named in TLS.
const ALPN: &[u8] = b"http/1.1";

/// Connects to a path of an endpoint and agrees on a subprotocol; none where `subprotocol` is
/// `None`. `Host` is the endpoint's address, unless a header says another. A message that comes may
/// have `message_bytes_max`.
pub(crate) async fn connect(
    endpoint: &Endpoint,
    path: &str,
    headers: &http::HeaderMap,
    subprotocol: Option<&'static str>,
    message_bytes_max: usize,
) -> Result<WebSocket, CallError> {
    let stream = endpoint.connect(Some(ALPN)).await?;
    let (scheme, address) = (if endpoint.tls.is_some() { "wss" } else { "ws" }, endpoint.address);
    let mut request =
        format!("{scheme}://{address}{path}").into_client_request().map_err(|error| failure(&error))?;
    for (name, value) in headers {
        match *name {
            HOST => drop(request.headers_mut().insert(HOST, value.clone())),
            _ => drop(request.headers_mut().append(name, value.clone())),
        }
    }
    if let Some(name) = subprotocol {
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(name));
    }
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        // Else the answers to Pings would wait without bound for a server that reads none.
        .max_write_buffer_size(UNSENT_BYTES_MAX)
        .max_message_size(Some(message_bytes_max))
        .max_frame_size(Some(message_bytes_max));
    shake_hands(stream, request, config).await.map(WebSocket)
}

/// The opening handshake (RFC 6455, section 4.1). The library's takes `Connection` for one word,
/// where it is a list, and a server that sends its answer byte by byte for an attack.
async fn shake_hands(
    mut stream: Stream,
    request: Request,
    config: WebSocketConfig,
) -> Result<WebSocketStream<Stream>, CallError> {
    let asked = words(request.headers(), &SEC_WEBSOCKET_PROTOCOL).map(str::to_owned).collect::<Vec<_>>();
    let (bytes, key) = generate_request(request).map_err(|error| failure(&error))?;
    stream.write_all(&bytes).await.map_err(|error| CallError::from_io(&error))?;
    stream.flush().await.map_err(|error| CallError::from_io(&error))?;
    let mut answer = Vec::with_capacity(1 << 10);
    let (head_bytes, status, headers) = loop {
        let read = stream.read_buf(&mut answer).await.map_err(|error| CallError::from_io(&error))?;
        if let Some(head) = parse(&answer)? {
            break head;
        }
        if read == 0 {
            return Err(CallError::Reset("the server closed the connection in the handshake".to_owned()));
        }
        if answer.len() > HEAD_BYTES_MAX as usize {
            return Err(CallError::Limit(format!("a handshake of more than {HEAD_BYTES_MAX} bytes")));
        }
    };
    check(status, &headers, &asked, &key)?;
    let rest = answer.split_off(head_bytes);
    Ok(WebSocketStream::from_partially_read(stream, rest, Role::Client, Some(config)).await)
}

/// The head of an answer: its bytes, its status and its headers; `None` where it is not all there.
fn parse(answer: &[u8]) -> Result<Option<(usize, StatusCode, HeaderMap)>, CallError> {
    let mut fields = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Response::new(&mut fields);
    let wrong = |what: String| CallError::Protocol(format!("the answer to the handshake: {what}"));
    let httparse::Status::Complete(bytes) = head.parse(answer).map_err(|error| wrong(error.to_string()))?
    else {
        return Ok(None);
    };
    let status =
        StatusCode::from_u16(head.code.unwrap_or_default()).map_err(|error| wrong(error.to_string()))?;
    let mut headers = HeaderMap::new();
    for field in head.headers {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|error| wrong(error.to_string()))?;
        let value = HeaderValue::from_bytes(field.value).map_err(|error| wrong(error.to_string()))?;
        headers.append(name, value);
    }
    Ok(Some((bytes, status, headers)))
}

/// Holds an answer to what was asked: subprotocols, of which it names one, and the key.
fn check(status: StatusCode, headers: &HeaderMap, asked: &[String], key: &str) -> Result<(), CallError> {
    let protocol = |what: String| Err(CallError::Protocol(format!("the answer to the handshake {what}")));
    let has = |name: &HeaderName, word: &str| words(headers, name).any(|of| of.eq_ignore_ascii_case(word));
    let accepted = headers.get(SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
    let agreed = headers.get(SEC_WEBSOCKET_PROTOCOL).map(|value| value.to_str().unwrap_or_default().trim());
    match status {
        StatusCode::SWITCHING_PROTOCOLS => {}
        StatusCode::SERVICE_UNAVAILABLE => return Err(CallError::Limit(format!("status {status}"))),
        _ => return protocol(format!("is status {status}, and not 101")),
    }
    if !has(&UPGRADE, "websocket") || !has(&CONNECTION, "upgrade") {
        return protocol("does not upgrade the connection to WebSocket".to_owned());
    }
    if accepted != Some(derive_accept_key(key.as_bytes()).as_bytes()) {
        return protocol("is not to this handshake: its Sec-WebSocket-Accept is another's".to_owned());
    }
    match agreed {
        None if asked.is_empty() => Ok(()),
        None => protocol(format!("agrees on no subprotocol, of {}", asked.join(", "))),
        Some(agreed) if asked.iter().any(|asked| asked == agreed) => Ok(()),
        Some(agreed) => protocol(format!("has the subprotocol '{agreed}', which was not asked for")),
    }
}

/// The words of a header that is a list.
fn words<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|word| !word.is_empty())
}

/// What an error of the library's means for a call.
pub(crate) fn failure(error: &Error) -> CallError {
    match error {
        Error::Io(error) => CallError::from_io(error),
        Error::ConnectionClosed | Error::AlreadyClosed => CallError::Reset(error.to_string()),
        Error::Protocol(
            tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
        ) => CallError::Reset(error.to_string()),
        Error::Capacity(_) | Error::WriteBufferFull(_) => CallError::Limit(error.to_string()),
        _ => CallError::Protocol(error.to_string()),
    }
}

/// What the server's close means for a call: 1009 is a message over its limit.
pub(crate) fn closed(message: &Message) -> CallError {
    use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
    match message {
        Message::Close(Some(frame)) if frame.code == CloseCode::Size => {
            CallError::Limit(frame.reason.to_string())
        }
        Message::Close(Some(frame)) => {
            CallError::Reset(format!("the server closed with {}: {}", u16::from(frame.code), frame.reason))
        }
        _ => CallError::Reset("the server closed the connection".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key and the answer of RFC 6455, section 1.3.
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const ACCEPT: &str = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

    fn checked(lines: &str, asked: &[&str]) -> Result<(), CallError> {
        let answer = format!("HTTP/1.1 101 Switching Protocols\r\n{lines}\r\n");
        let (bytes, status, headers) = parse(answer.as_bytes())?.unwrap();
        assert_eq!(bytes, answer.len());
        check(status, &headers, &asked.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(), KEY)
    }

    #[test]
    fn an_answer_is_right_in_each_way_of_writing_it() {
        for lines in [
            "Upgrade: websocket\r\nConnection: Upgrade\r\n",
            "upgrade: WebSocket\r\nconnection: keep-alive, Upgrade\r\n",
            "Upgrade: h2c, websocket\r\nConnection: keep-alive\r\nConnection: upgrade\r\n",
        ] {
            checked(&format!("{lines}{ACCEPT}"), &[]).unwrap();
            let agreed = format!("{lines}{ACCEPT}Sec-WebSocket-Protocol: b\r\n");
            checked(&agreed, &["a", "b"]).unwrap();
            assert!(checked(&agreed, &[]).is_err() && checked(&agreed, &["a"]).is_err());
            assert!(checked(&format!("{lines}{ACCEPT}"), &["a"]).is_err());
            assert!(checked(lines, &[]).is_err(), "nothing is accepted");
        }
        assert!(checked(&format!("Upgrade: websocket\r\nConnection: close\r\n{ACCEPT}"), &[]).is_err());
        assert!(parse(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: web").unwrap().is_none());
        let busy = check(StatusCode::SERVICE_UNAVAILABLE, &HeaderMap::new(), &[], KEY);
        assert!(matches!(busy, Err(CallError::Limit(_))));
    }
}
