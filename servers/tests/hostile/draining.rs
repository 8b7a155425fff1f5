//! A server that is stopped answers the call in flight, says that it goes where the protocol can,
//! and is gone.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use proto::Protocol;
use proto::frame::Kind;
use proto::v1::QuoteRequest;
use servers::{Limits, Market, MarketConfig, Shutdown};
use terms::Handler;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

use crate::raw_websocket::{CLOSE, TEXT, masked, upgrade_request};
use crate::{frames, tcp_frame, text};

fn quote() -> Vec<u8> {
    tcp_frame(1, Kind::QuoteRequest, &QuoteRequest { symbol: "AAAA".into() })
}

/// The request of a call, what its answer begins with, and what its end holds.
#[allow(clippy::type_complexity, reason = "a table: its rows are read where it stands")]
fn calls() -> [(Protocol, Vec<u8>, &'static [u8], &'static [u8]); 5] {
    let rest = b"GET /v1/quotes/AAAA HTTP/1.1\r\nhost: localhost\r\n\r\n".to_vec();
    let graphql =
        b"GET /graphql?query=%7Bquote(symbol:%22AAAA%22)%7Bsymbol%7D%7D HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let message = br#"{"id":1,"kind":"quote_request","body":{"symbol":"AAAA"}}"#;
    let upgrade = upgrade_request(Protocol::WebSocket.path(), "").into_bytes();
    let websocket = [upgrade, masked(TEXT, message)].concat();
    [
        (Protocol::Rest, rest.clone(), b"HTTP/1.1 200", b"\"AAAA\""),
        (Protocol::Sse, rest, b"HTTP/1.1 200", b"\"AAAA\""),
        (Protocol::GraphQl, graphql.to_vec(), b"HTTP/1.1 200", b"{\"quote\":{\"symbol\":\"AAAA\"}}"),
        (Protocol::WebSocket, websocket, b"HTTP/1.1 101", b"\"kind\":\"quote\""),
        (Protocol::Tcp, quote(), b"\0\0\0", b"AAAA"),
    ]
}

fn holds(all: &[u8], part: &[u8]) -> bool {
    all.windows(part.len()).any(|window| window == part)
}

#[test]
fn stopping_drains_the_call_in_flight() {
    let shutdown = Shutdown::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let config = MarketConfig {
            handler: Handler { wait: Duration::from_millis(150), ..Handler::default() },
            ..MarketConfig::default()
        };
        let market = Market::open(&config, clock::Clock::System).unwrap();
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let start = async |protocol| {
            let stop = shutdown.child_token();
            let limits = Limits::default();
            let running = servers::protocols::start(protocol, any, market.clone(), limits, stop.clone());
            (running.await.unwrap(), stop)
        };
        for (protocol, request, begins, held) in calls() {
            let (running, stop) = start(protocol).await;
            let mut stream = TcpStream::connect(running.address).await.unwrap();
            stream.write_all(&request).await.unwrap();
            clock::pause(Duration::from_millis(50)).await;
            stop.cancel();
            let mut answer = Vec::new();
            if protocol == Protocol::WebSocket {
                // The closing handshake: 1001, the server goes; the peer says it back.
                let code = [CLOSE, 0x12, 0x03, 0xe9];
                let mut byte = [0];
                while !holds(&answer, &[code[0]]) || !holds(&answer, &code[2..]) {
                    assert_eq!(stream.read(&mut byte).await.unwrap(), 1, "{:?}", text(&answer));
                    answer.push(byte[0]);
                }
                stream.write_all(&masked(CLOSE, &code[2..])).await.unwrap();
            }
            stream.read_to_end(&mut answer).await.unwrap();
            assert!(answer.starts_with(begins) && holds(&answer, held), "{protocol:?}: {:?}", text(&answer));
            running.task.await.unwrap();
            assert!(TcpStream::connect(running.address).await.is_err());
        }
        let (running, stop) = start(Protocol::Udp).await;
        let socket = UdpSocket::bind(any).await.unwrap();
        socket.connect(running.address).await.unwrap();
        socket.send(&quote()).await.unwrap();
        clock::pause(Duration::from_millis(50)).await;
        stop.cancel();
        let mut answer = [0; 1_200];
        let received = socket.recv(&mut answer).await.unwrap();
        assert_eq!(frames(&answer[..received])[0].kind, Kind::Quote);
        running.task.await.unwrap();
    });
}
