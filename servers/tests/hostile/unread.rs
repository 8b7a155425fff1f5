//! Callers who ask for large replies and read none of them: what a connection may have waiting is
//! bounded, whatever carries it, and others are answered meanwhile.

use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clock::pause_thread;
use proto::Protocol;
use proto::frame::Kind;
use proto::v1::HistoryRequest;
use quinn::VarInt;
use servers::Limits;

use crate::secure::{dial_with, secure};
use crate::{Server, resident_bytes, tcp_frame};

/// What a connection may make the process grow by, where 256 replies of a megabyte are asked for.
const GROWTH_BYTES_MAX: u64 = 24 << 20;
/// As many as may be in flight on a connection.
const CALLS: u32 = 256;
/// Time in which a server would have made the replies.
const MEANWHILE: Duration = Duration::from_secs(2);

/// Memory is measured by one test at a time.
static MEASURING: Mutex<()> = Mutex::new(());

/// How much the process grows while something is asked and not read.
fn growth<T>(ask: impl FnOnce() -> T) -> u64 {
    let _one = MEASURING.lock().unwrap_or_else(PoisonError::into_inner);
    let before = resident_bytes();
    let _held = ask();
    pause_thread(MEANWHILE);
    resident_bytes().saturating_sub(before)
}

fn small(growth: u64, what: &str) {
    assert!(growth < GROWTH_BYTES_MAX, "{what}: {} MiB for one connection", growth >> 20);
}

/// A frame of HTTP/2.
fn h2_frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A literal of HPACK without a Huffman code, shorter than 127 bytes.
fn literal(text: &str) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

/// The preface, and settings that let no stream send any data.
fn h2_closed_window() -> Vec<u8> {
    let settings = h2_frame(4, 0, 0, b"\x00\x04\x00\x00\x00\x00");
    [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &settings].concat()
}

#[test]
fn over_http_2() {
    let server = Server::start(Protocol::Rest, Limits::default());
    let request =
        [&[0x82, 0x86, 0x04][..], &literal("/v1/history/AAAA?n=10000"), &[0x01], &literal("localhost")];
    let ask = || {
        let mut stream = server.connect();
        stream.write_all(&h2_closed_window()).unwrap();
        for nth in 0..CALLS {
            stream.write_all(&h2_frame(1, 5, 2 * nth + 1, &request.concat())).unwrap();
        }
        stream
    };
    small(growth(ask), "HTTP/2");
    crate::rest::quote_over_rest(&server);
}

#[test]
fn over_grpc() {
    let server = Server::start(Protocol::Grpc, Limits::default());
    let path = literal("/wirebench.market.v1.Market/GetHistory");
    let head = [
        &[0x83, 0x86, 0x04][..],
        &path,
        &[0x01],
        &literal("localhost"),
        &[0x0f, 0x10],
        &literal("application/grpc"),
        &[0x00],
        &literal("te"),
        &literal("trailers"),
    ];
    let ask = || {
        let mut stream = server.connect();
        stream.write_all(&h2_closed_window()).unwrap();
        for nth in 0..CALLS {
            stream.write_all(&h2_frame(1, 4, 2 * nth + 1, &head.concat())).unwrap();
            stream.write_all(&h2_frame(0, 1, 2 * nth + 1, b"\0\0\0\0\x09\x0a\x04AAAA\x10\x90\x4e")).unwrap();
        }
        stream
    };
    small(growth(ask), "gRPC");
}

#[test]
fn over_tcp() {
    let server = Server::start(Protocol::Tcp, Limits::default());
    let ask = || {
        let mut stream = server.connect();
        for id in 0..CALLS {
            let history = HistoryRequest { symbol: "AAAA".to_owned(), n: 10_000 };
            stream.write_all(&tcp_frame(id, Kind::HistoryRequest, &history)).unwrap();
        }
        stream
    };
    small(growth(ask), "TCP");
}

const ALL_OF_A_CANDLE: &str = "opened_at_us open_cents high_cents low_cents close_cents volume";

/// Answers are held as values before they are text: of those too, so many at once and no more.
#[test]
fn over_graphql() {
    let server = Server::start(Protocol::GraphQl, Limits::default());
    let of = |alias, n| format!("{alias}:history(symbol:\\\"AAAA\\\",n:{n}){{candles{{{ALL_OF_A_CANDLE}}}}}");
    let body = format!("{{\"query\":\"{{{} {}}}\"}}", of("a", 5_000), of("b", 5_000));
    let request = format!(
        "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let ask = || {
        let mut streams: Vec<_> = (0..32).map(|_| server.connect()).collect();
        streams.iter_mut().for_each(|stream| stream.write_all(request.as_bytes()).unwrap());
        streams
    };
    // Two answers as values, and 32 as text.
    let growth = growth(ask);
    assert!(growth < 100 << 20, "{} MiB for 32 answers", growth >> 20);
    crate::graphql::quote_over_graphql(&server);
}

#[test]
fn over_a_graphql_websocket() {
    let in_all = 32 << 20;
    let limits = Limits { outbound_bytes_in_all_max: in_all, ..Limits::default() };
    let server = Server::start(Protocol::GraphQl, limits);
    let query = format!("{{history(symbol:\\\"AAAA\\\",n:10000){{candles{{{ALL_OF_A_CANDLE}}}}}}}");
    let ask = || {
        let open = |_| {
            let mut socket = crate::graphql::open(&server);
            for id in 0..8 {
                let payload = format!("{{\"query\":\"{query}\"}}");
                socket
                    .send_text(&format!("{{\"id\":\"{id}\",\"type\":\"subscribe\",\"payload\":{payload}}}"));
            }
            socket
        };
        (0..24).map(open).collect::<Vec<_>>()
    };
    let growth = growth(ask);
    // Two answers as values, and one as text for each socket.
    assert!(growth < in_all as u64 + (64 << 20), "{} MiB for 24 sockets", growth >> 20);
    crate::graphql::quote_over_graphql(&server);
}

/// Windows so small that nearly nothing can be sent.
fn narrow() -> quinn::TransportConfig {
    let mut transport = quinn::TransportConfig::default();
    transport.receive_window(VarInt::from_u32(2_000)).stream_receive_window(VarInt::from_u32(100));
    transport
}

#[test]
fn over_quic_and_http_3() {
    let history =
        tcp_frame(7, Kind::HistoryRequest, &HistoryRequest { symbol: "AAAA".to_owned(), n: 10_000 });
    let runtime = clients::local_runtime().unwrap();
    let (server, identity) = secure(Protocol::Quic, proto::Transport::Quic, Limits::default());
    let ask = || {
        runtime.block_on(async {
            let quic = dial_with(&server, &identity, b"wirebench", Arc::new(narrow())).await;
            let mut streams = Vec::new();
            for _ in 0..CALLS {
                let (mut sender, receiver) = quic.open_bi().await.unwrap();
                sender.write_all(&history).await.unwrap();
                streams.push((sender, receiver));
            }
            clock::pause(MEANWHILE).await;
            (quic, streams)
        })
    };
    small(growth(ask), "QUIC");

    let (server, identity) = secure(Protocol::Rest, proto::Transport::Quic, Limits::default());
    let ask = || {
        runtime.block_on(async {
            let quic = dial_with(&server, &identity, b"h3", Arc::new(narrow())).await;
            let (mut driver, mut sender) = h3::client::new(h3_quinn::Connection::new(quic)).await.unwrap();
            tokio::task::spawn_local(async move { driver.wait_idle().await });
            let mut streams = Vec::new();
            for _ in 0..CALLS {
                let uri = "https://localhost/v1/history/AAAA?n=10000";
                let mut stream =
                    sender.send_request(http::Request::get(uri).body(()).unwrap()).await.unwrap();
                stream.finish().await.unwrap();
                streams.push(stream);
            }
            clock::pause(MEANWHILE).await;
            (sender, streams)
        })
    };
    small(growth(ask), "HTTP/3");
}

/// Calls whose handlers wait hold no replies meanwhile.
#[test]
fn handlers_that_wait_hold_no_replies() {
    let wait = terms::Handler { wait: Duration::from_secs(1), ..terms::Handler::default() };
    let config = servers::MarketConfig { handler: wait, ..servers::MarketConfig::default() };
    let background =
        servers::background::Background::start(&[Protocol::Tcp], config, Limits::default()).unwrap();
    let server = Server { address: background.address(Protocol::Tcp).unwrap(), _background: background };
    let history = HistoryRequest { symbol: "AAAA".to_owned(), n: 10_000 };
    let ask = || {
        let mut stream = server.connect();
        for id in 0..CALLS - 1 {
            stream.write_all(&tcp_frame(id, Kind::HistoryRequest, &history)).unwrap();
        }
        stream
    };
    small(growth(ask), "TCP with handlers that wait");
}
