//! Servers keep the deadlines that callers say, whatever a call waits for.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use clock::Clock;

use crate::served::Served;

/// Far less than what is waited for, on a busy machine too.
const SOON: Duration = Duration::from_secs(2);

/// What a server says to a request within [`SOON`], and then closes or not.
fn answer(served: &Served, request: &[u8], says: &str) {
    let mut stream = TcpStream::connect(&served.authority).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let start = Clock::System.now();
    stream.write_all(request).unwrap();
    let (mut heard, mut piece) = (String::new(), [0; 4096]);
    while !heard.contains(says) {
        match stream.read(&mut piece) {
            Ok(0) => panic!("'{says}' was not said: {heard}"),
            Ok(read) => heard += &String::from_utf8_lossy(&piece[..read]),
            Err(error) => panic!("'{says}' was not said within {SOON:?}: {error}: {heard}"),
        }
    }
    let took = Clock::System.now().since(start);
    assert!(took >= Duration::from_millis(90), "{says}: nobody waited: {took:?}");
}

fn post(path: &str, headers: &str, length: usize) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n{headers}content-length: {length}\r\n\r\n")
}

#[test]
fn a_call_of_grpc_ends_when_its_time_is_up() {
    let served = Served::with(&["grpc", "--grpc-web", "--handler-wait", "20s"]);
    let headers = "content-type: application/grpc-web\r\ngrpc-timeout: 100m\r\n";
    let quote = b"\0\0\0\0\x06\x0a\x04AAAA";
    let head = post("/wirebench.market.v1.Market/GetQuote", headers, quote.len());
    answer(&served, &[head.as_bytes(), quote].concat(), "grpc-status: 4");
    // A message that never comes whole is waited for as long.
    answer(&served, &[head.as_bytes(), &quote[..3]].concat(), "grpc-status: 4");
    // And so is a stream that has no end.
    let head = post("/wirebench.market.v1.Market/Subscribe", headers, 5);
    answer(&served, &[head.as_bytes(), &[0; 5]].concat(), "grpc-status:4");
}

#[test]
fn a_call_over_http_ends_when_its_time_is_up() {
    let headers = "content-type: application/json\r\ntime-left-us: 100000\r\n";
    let served = Served::with(&["graphql", "--handler-wait", "20s"]);
    let query = br#"{"query":"{quote(symbol:\"AAAA\"){last_cents}}"}"#;
    let head = post("/graphql", headers, query.len());
    answer(&served, &[head.as_bytes(), query].concat(), "FAULT_CODE_DEADLINE_EXCEEDED");
    let served = Served::with(&["rest", "--handler-wait", "20s", "--tick-rate", "0"]);
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n").into_bytes();
    answer(&served, &get("/v1/quotes/AAAA"), "HTTP/1.1 504");
    answer(&served, &get("/v1/ticks?wait_ms=20000"), "HTTP/1.1 504");
    answer(&served, &[post("/v1/orders", headers, 50).as_bytes(), b"{"].concat(), "HTTP/1.1 504");
}
