//! Requests that are not what HTTP, WebSocket or gRPC have them be, or not meant for this server.

use proto::Protocol;

use crate::graphql::quote_over_graphql;
use crate::rest::quote_over_rest;
use crate::{Server, limits, text};

/// The status of the answer to raw bytes; `None` where the connection was closed without one.
fn status(server: &Server, request: &str) -> Option<u16> {
    let answer = text(&server.answer(request.as_bytes()));
    answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok())
}

fn get(headers: &str) -> String {
    format!("GET /v1/quotes/AAAA HTTP/1.1\r\n{headers}connection: close\r\n\r\n")
}

fn post(headers: &str, body: &str) -> String {
    format!("POST /v1/orders HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n{body}")
}

#[test]
fn http_1_is_read_as_its_rules_have_it() {
    let server = Server::start(Protocol::Rest, limits());
    let chunked = "content-type: application/json\r\ntransfer-encoding: chunked\r\n";
    for (request, expected) in [
        (get("host: localhost\r\n"), Some(200)),
        (get("Host: 127.0.0.1:1\r\n"), Some(200)),
        (get(""), Some(400)),
        (get("host: localhost\r\nhost: localhost\r\n"), Some(400)),
        (get("host: a b\r\n"), Some(400)),
        (get("host:\r\n"), Some(400)),
        (get("host: evil.example\r\n"), Some(421)),
        (get("host: localhost\r\norigin: http://evil.example\r\n"), Some(403)),
        (get("host: localhost\r\norigin: null\r\n"), Some(403)),
        (get("host: localhost\r\norigin: http://127.0.0.1:3000\r\n"), Some(200)),
        // An order of nobody, whose chunks are right.
        (post(chunked, "2\r\n{}\r\n0\r\n\r\n"), Some(404)),
        (post(chunked, "zz\r\n{}\r\n0\r\n\r\n"), Some(400)),
        (post(chunked, "2\r\n{}xx0\r\n\r\n"), Some(400)),
        (post(chunked, "-1\r\n{}\r\n0\r\n\r\n"), Some(400)),
        (post("transfer-encoding: gzip, chunked\r\n", "0\r\n\r\n"), Some(501)),
    ] {
        assert_eq!(status(&server, &request), expected, "{request}");
        quote_over_rest(&server);
    }
}

#[test]
fn a_websocket_needs_its_key_and_http_1() {
    let server = Server::start(Protocol::WebSocket, limits());
    let upgrade = |key: &str| {
        format!(
            "GET /v1/socket HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: {key}\r\n\r\n"
        )
    };
    for key in ["A", "AAAA", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZSBpcyBsb25n", "****"] {
        let answer = text(
            &server.answer(upgrade(key).replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n").as_bytes()),
        );
        assert!(answer.starts_with("HTTP/1.1 400"), "{key}: {answer}");
    }
    let foreign = upgrade("dGhlIHNhbXBsZSBub25jZQ==")
        .replace("\r\n\r\n", "\r\norigin: https://evil.example\r\nconnection: close\r\n\r\n");
    let answer = text(&server.answer(foreign.as_bytes()));
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert!(!speaks_http_2(&server));
}

#[test]
fn grpc_is_http_2_a_post_and_its_own_content_type() {
    let server = Server::start(Protocol::Grpc, limits());
    assert!(speaks_http_2(&server));
    let answer = text(&server.answer(get("host: localhost\r\n").as_bytes()));
    assert!(!answer.contains("HTTP/1.1 200") && !answer.contains("HTTP/1.1 404"), "{answer}");
    let call = caller(&server);
    for (method, content_type, timeout, expected) in [
        ("GET", "application/grpc", None, Outcome::Http(405)),
        ("POST", "text/plain", None, Outcome::Http(415)),
        ("POST", "application/grpcx", None, Outcome::Http(415)),
        ("POST", "application/grpc", Some("forever"), Outcome::Grpc(3)),
        ("POST", "application/grpc", Some("123456789S"), Outcome::Grpc(3)),
        ("POST", "application/grpc", Some("S"), Outcome::Grpc(3)),
        ("POST", "application/grpc", Some("10S"), Outcome::Grpc(0)),
        ("POST", "application/grpc+proto", None, Outcome::Grpc(0)),
    ] {
        assert_eq!(call(method, content_type, timeout), expected, "{method} {content_type} {timeout:?}");
    }
}

/// Whether a server answers the preface of HTTP/2 with its settings.
fn speaks_http_2(server: &Server) -> bool {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
    // Behind it a frame that ends every connection of HTTP/2: a PING of a wrong length.
    let wrong = b"\x00\x00\x01\x06\x00\x00\x00\x00\x00\x00";
    let answer = server.answer(&[&preface[..], &wrong[..]].concat());
    answer.get(3) == Some(&4)
}

/// What came of a call.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Http(u16),
    Grpc(u16),
}

/// A quote over gRPC, with a method, a content type and a time-out of one's own.
fn caller(server: &Server) -> impl Fn(&str, &str, Option<&str>) -> Outcome {
    let address = server.address;
    move |method, content_type, timeout| {
        let runtime = clients::local_runtime().unwrap();
        runtime.block_on(async {
            let stream = tokio::net::TcpStream::connect(address).await.unwrap();
            let (h2, connection) = h2::client::handshake(stream).await.unwrap();
            tokio::spawn(connection);
            let uri = format!("http://{address}/wirebench.market.v1.Market/GetQuote");
            let mut request = http::Request::builder().method(method).uri(uri);
            request = request.header("content-type", content_type).header("te", "trailers");
            if let Some(timeout) = timeout {
                request = request.header("grpc-timeout", timeout);
            }
            let mut h2 = h2.ready().await.unwrap();
            let (response, mut body) = h2.send_request(request.body(()).unwrap(), false).unwrap();
            // A server that refuses need not read the body.
            let _ = body.send_data(bytes::Bytes::from_static(b"\0\0\0\0\x06\x0a\x04AAAA"), true);
            let response = response.await.unwrap();
            let (head, mut body) = response.into_parts();
            if head.status != 200 {
                return Outcome::Http(head.status.as_u16());
            }
            while let Some(data) = body.data().await {
                data.unwrap();
            }
            let trailers = body.trailers().await.unwrap().unwrap_or(head.headers);
            Outcome::Grpc(trailers["grpc-status"].to_str().unwrap().parse().unwrap())
        })
    }
}

#[test]
fn graphql_asks_who_asks() {
    let server = Server::start(Protocol::GraphQl, limits());
    let foreign = "POST /graphql HTTP/1.1\r\nhost: localhost\r\norigin: https://evil.example\r\n\
                   connection: close\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    assert_eq!(status(&server, foreign), Some(403));
    quote_over_graphql(&server);
}
