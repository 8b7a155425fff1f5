use std::cell::RefCell;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use proto::{Protocol, Transport};
use servers::MarketConfig;
use servers::background::Background;
use servers::tls::Identity;
use terms::{HttpVersion, TlsOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::endpoint::Endpoint;
use crate::http_request::HttpRequest;
use crate::tls::Tls;

fn request(method: Method, body: impl Into<Bytes>) -> Encoded {
    let uri = "http://h/".parse().unwrap();
    Encoded::new(&HttpRequest { method, uri, headers: HeaderMap::new(), body: body.into() }).unwrap()
}

fn get() -> Encoded {
    request(Method::GET, "")
}

/// A connection, and the server's end of it.
async fn pair() -> (Http1Connection, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::from(listener.local_addr().unwrap());
    let (stream, accepted) = tokio::join!(endpoint.connect(None), listener.accept());
    (Http1Connection::new(stream.unwrap()), accepted.unwrap().0)
}

async fn read_head(server: &mut TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(server.read_u8().await.unwrap());
    }
}

/// Answers the next request with these pieces, each once the other had time to be read.
async fn answer(server: &mut TcpStream, pieces: &[&[u8]]) {
    read_head(server).await;
    for piece in pieces {
        server.write_all(piece).await.unwrap();
        settle().await;
    }
}

async fn answer_with(server: &mut TcpStream, reply: &[u8]) {
    answer(server, &[reply]).await;
}

/// Lets what was sent arrive.
async fn settle() {
    clock::pause(Duration::from_millis(10)).await;
}

fn run(test: impl Future<Output = ()>) {
    let test = async { clock::limit(Duration::from_secs(20), test).await.expect("it hangs") };
    crate::local_runtime().unwrap().block_on(test);
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc";

#[test]
fn calls_follow_one_another_on_one_connection() {
    run(async {
        let (connection, mut server) = pair().await;
        let pieces = [OK, b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"];
        for (reply, status, bytes) in [(pieces[0], 200, 3), (pieces[1], 404, 0), (pieces[0], 200, 3)] {
            assert!(connection.is_open());
            let mut body = Vec::new();
            let get = get();
            let call = connection.call(&get, |piece| body.extend_from_slice(piece));
            let (got, ()) = tokio::join!(call, answer_with(&mut server, reply));
            let head_bytes = reply.len() - bytes;
            assert_eq!(got, Ok(CountedReply { status, bytes, head_bytes }));
            assert_eq!(body, &b"abc"[..bytes]);
        }
        assert!(connection.is_open());
    });
}

#[test]
fn a_reply_in_pieces_is_one_reply() {
    run(async {
        let (connection, mut server) = pair().await;
        let pieces: Vec<&[u8]> = OK.chunks(1).collect();
        let (get, body) = (get(), RefCell::new(Vec::new()));
        let call = connection.call(&get, |piece| body.borrow_mut().extend_from_slice(piece));
        let (got, ()) = tokio::join!(call, answer(&mut server, &pieces));
        assert_eq!(got.unwrap().bytes, 3);
        assert_eq!(*body.borrow(), b"abc");
        assert!(connection.is_open());
    });
}

/// Replies after which a connection is not open, whether or not the server closes it.
#[test]
fn a_connection_is_given_up_where_the_reply_says_so_or_more_follows() {
    run(async {
        for (reply, bytes) in [
            (&b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: x, Close\r\n\r\nabc"[..], 3),
            (b"HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nabc", 3),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabcHTTP/1.1 408", 3),
            (
                b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
                1,
            ),
        ] {
            let (connection, mut server) = pair().await;
            let get = get();
            let (got, ()) = tokio::join!(connection.call(&get, |_| ()), answer_with(&mut server, reply));
            assert_eq!(got.unwrap().bytes, bytes);
            assert!(!connection.is_open(), "{}", reply.escape_ascii());
            assert!(matches!(connection.call(&get, |_| ()).await, Err(CallError::Protocol(_))));
        }
    });
}

#[test]
fn a_connection_whose_request_says_close_is_given_up() {
    run(async {
        let (connection, mut server) = pair().await;
        let headers = HeaderMap::from_iter([(http::header::CONNECTION, HeaderValue::from_static("close"))]);
        let uri = "http://h/".parse().unwrap();
        let get = HttpRequest { method: Method::GET, uri, headers, body: Bytes::new() };
        let get = Encoded::new(&get).unwrap();
        let (got, ()) = tokio::join!(connection.call(&get, |_| ()), answer_with(&mut server, OK));
        assert!(got.is_ok() && !connection.is_open());
    });
}

#[test]
fn a_server_that_closes_or_speaks_while_nobody_asks_is_noticed() {
    run(async {
        for said in [&b""[..], b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n"] {
            let (connection, mut server) = pair().await;
            let get = get();
            let (got, ()) = tokio::join!(connection.call(&get, |_| ()), answer_with(&mut server, OK));
            assert!(got.is_ok() && connection.is_open());
            server.write_all(said).await.unwrap();
            let kept = (!said.is_empty()).then_some(server);
            settle().await;
            assert!(!connection.is_open());
            drop(kept);
        }
    });
}

/// As much as a connection reads in one turn: the end of the turn is not the end of what is there.
#[test]
fn what_is_said_behind_a_long_reply_is_noticed() {
    run(async {
        for total in [TURN_BYTES - 1, TURN_BYTES, 4 * TURN_BYTES] {
            let (connection, mut server) = pair().await;
            let head = |length| format!("HTTP/1.1 200 OK\r\ncontent-length: {length:07}\r\n\r\n");
            let length = total - head(0).len();
            let reply = [head(length).as_bytes(), &vec![b'x'; length]].concat();
            let get = get();
            let (got, ()) = tokio::join!(connection.call(&get, |_| ()), answer_with(&mut server, &reply));
            assert_eq!(got.unwrap().bytes, length);
            server.write_all(b"HTTP/1.1 408").await.unwrap();
            settle().await;
            assert!(!connection.is_open(), "{total}");
        }
    });
}

/// The server closes where the request is on its way already.
#[test]
fn a_safe_call_on_a_used_connection_was_not_processed_where_no_reply_began() {
    run(async {
        for (method, used, unprocessed) in [
            (Method::GET, true, true),
            (Method::HEAD, true, true),
            (Method::POST, true, false),
            (Method::GET, false, false),
        ] {
            let (connection, mut server) = pair().await;
            if used {
                let get = get();
                let (got, ()) = tokio::join!(connection.call(&get, |_| ()), answer_with(&mut server, OK));
                assert!(got.is_ok());
            }
            let request = request(method, "");
            let close = async {
                read_head(&mut server).await;
                drop(server);
            };
            let (got, ()) = tokio::join!(connection.call(&request, |_| ()), close);
            let got = got.unwrap_err();
            assert_eq!(matches!(got, CallError::Unprocessed(_)), unprocessed, "{got}");
            assert_eq!(got.failure(), terms::Failure::Reset);
            assert!(!connection.is_open());
        }
    });
}

#[test]
fn a_reply_that_is_cut_off_is_a_reset() {
    run(async {
        for reply in [&OK[..OK.len() - 1], &OK[..20], b"HTTP/1.1 100 Continue\r\n\r\n", b"H"] {
            let (connection, mut server) = pair().await;
            let get = get();
            let close = async {
                answer_with(&mut server, reply).await;
                drop(server);
            };
            let (got, ()) = tokio::join!(connection.call(&get, |_| ()), close);
            let text = got.clone().unwrap_err().to_string();
            assert!(matches!(got, Err(CallError::Reset(_))) && text.contains("within a reply"), "{text}");
        }
    });
}

#[test]
fn a_call_that_is_dropped_leaves_nothing_open() {
    run(async {
        let (connection, _server) = pair().await;
        let get = get();
        let call = clock::limit(Duration::from_millis(20), connection.call(&get, |_| ()));
        assert!(call.await.is_err());
        assert!(!connection.is_open());
        assert!(connection.call(&get, |_| ()).await.is_err());
    });
}

#[test]
fn what_is_not_http_is_shown() {
    run(async {
        let (connection, mut server) = pair().await;
        let get = get();
        let greeting = b"SSH-2.0-OpenSSH_9.9\r\n";
        let (got, ()) = tokio::join!(connection.call(&get, |_| ()), answer_with(&mut server, greeting));
        let text = got.unwrap_err().to_string();
        assert_eq!(text, r#"protocol error: not HTTP/1.1: "SSH-2.0-OpenSSH_9.9\r\n""#);
    });
}

/// Sixteen megabytes to a server that reads the head alone; it closes with them unread, so that the
/// system tells the client of it by a reset.
#[test]
fn an_early_reply_to_a_large_request_is_the_reply() {
    run(async {
        for closes in [true, false] {
            let (connection, mut server) = pair().await;
            let post = request(Method::POST, vec![b'x'; 16 << 20]);
            let refuse = async {
                answer(&mut server, &[b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno"]).await;
                (!closes).then_some(server)
            };
            let (got, kept) = tokio::join!(connection.call(&post, |_| ()), refuse);
            assert_eq!(got.map(|answer| (answer.status, answer.bytes)), Ok((413, 2)));
            assert!(!connection.is_open());
            drop(kept);
        }
    });
}

#[test]
fn a_large_request_and_a_large_reply_are_taken_at_once() {
    run(async {
        let (connection, server) = pair().await;
        let post = request(Method::POST, vec![b'x'; 8 << 20]);
        let length = post.bytes.len();
        let (mut input, mut output) = server.into_split();
        // It says all of its reply, and begins to read with that.
        let echo = async {
            let reply =
                [&b"HTTP/1.1 200 OK\r\ncontent-length: 8388608\r\n\r\n"[..], &vec![b'y'; 8 << 20]].concat();
            let begun = input.read_u8().await.unwrap();
            assert_eq!(begun, b'P');
            let mut rest = vec![0; length - 1];
            let reading = input.read_exact(&mut rest);
            let (read, written) = tokio::join!(reading, output.write_all(&reply));
            assert!(read.is_ok() && written.is_ok());
        };
        let mut counted = 0;
        let (got, ()) = tokio::join!(connection.call(&post, |piece| counted += piece.len()), echo);
        assert_eq!(got.unwrap().bytes, 8 << 20);
        assert_eq!(counted, 8 << 20);
    });
}

/// Over TLS what is written must be flushed, and the server says things of its own (tickets).
#[test]
fn calls_go_over_tls() {
    let identity = std::sync::Arc::new(Identity::generate(&[]).unwrap());
    let servers = Background::over(Transport::Tls, &identity, MarketConfig::default()).unwrap();
    let address = servers.address(Protocol::Rest).unwrap();
    let tls = Tls::to_market(TlsOptions::default(), identity.root()).unwrap();
    let endpoint = Endpoint { tls: Some(tls), ..Endpoint::from(address) };
    run(async {
        let stream = endpoint.connect(Some(HttpVersion::Http1.alpn())).await.unwrap();
        let connection = Http1Connection::new(stream);
        let uri = format!("https://{address}/v1/quotes/AAAA").parse().unwrap();
        let (headers, body) = (HeaderMap::new(), Bytes::new());
        let get = Encoded::new(&HttpRequest { method: Method::GET, uri, headers, body }).unwrap();
        let mut answers = Vec::new();
        for _ in 0..3 {
            assert!(connection.is_open());
            answers.push(connection.call(&get, |_| ()).await.unwrap());
        }
        assert!(answers.iter().all(|answer| answer.status == 200 && answer.bytes > 0), "{answers:?}");
        drop(servers);
        settle().await;
        assert!(!connection.is_open());
    });
}
