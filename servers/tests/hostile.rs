//! Malformed, oversized and slow requests to each server: a clear error or a closed connection, and the server
//! goes on serving others.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at what it did not expect")]

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use bytes::BytesMut;
use prost::Message as _;
use proto::Protocol;
use proto::frame::{self, Frame, Kind};
use proto::v1::{FaultCode, HistoryRequest, Quote, QuoteRequest, SubscribeRequest};
use servers::background::Background;
use servers::{Limits, Market, MarketConfig, Shutdown};

const SHORT: Duration = Duration::from_millis(300);

fn limits() -> Limits {
    Limits { header_time_max: SHORT, message_time_max: SHORT, connections_max: 8, ..Limits::default() }
}

/// One server, for as long as the test lives.
struct Server {
    address: SocketAddr,
    _background: Background,
}

impl Server {
    fn start(protocol: Protocol, limits: Limits) -> Server {
        let config = MarketConfig { ticks_per_s: 2_000.0, ..MarketConfig::default() };
        let background = Background::start(&[protocol], config, limits).unwrap();
        Server { address: background.address(protocol).unwrap(), _background: background }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    /// Sends bytes and reads until the server closes.
    fn answer(&self, request: &[u8]) -> Vec<u8> {
        let mut stream = self.connect();
        // It may close before all is written: what it said is what counts.
        let _ = stream.write_all(request);
        until_closed(&mut stream)
    }
}

/// What came before the connection was closed. A connection that stays open fails the test, by its time-out.
fn until_closed(stream: &mut TcpStream) -> Vec<u8> {
    let (mut all, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return all,
            Ok(read) => all.extend_from_slice(&chunk[..read]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return all,
            Err(error) => panic!("not closed: {error}; so far {:?}", String::from_utf8_lossy(&all)),
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn rest_answers_hostile_requests_and_serves_on() {
    let server = Server::start(Protocol::Rest, limits());
    let good = b"GET /v1/quotes/AAAA HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

    assert!(text(&server.answer(b"\x01\x02\x03 nonsense\r\n\r\n")).starts_with("HTTP/1.1 400"));
    let long_header = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "a".repeat(40_000));
    assert!(text(&server.answer(long_header.as_bytes())).starts_with("HTTP/1.1 431"));
    let many_headers = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(200));
    assert!(text(&server.answer(many_headers.as_bytes())).starts_with("HTTP/1.1 431"));

    let post =
        "POST /v1/orders HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n";
    let large = server.answer(format!("{post}content-length: 10000000\r\n\r\n{{").as_bytes());
    assert!(text(&large).starts_with("HTTP/1.1 413") && text(&large).contains("application/problem+json"));
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(4096));
    let endless = format!("{post}transfer-encoding: chunked\r\n\r\n{}", chunk.repeat(20));
    assert!(text(&server.answer(endless.as_bytes())).starts_with("HTTP/1.1 413"));
    let malformed = server.answer(format!("{post}content-length: 5\r\n\r\n{{]}}[}}").as_bytes());
    assert!(
        text(&malformed).starts_with("HTTP/1.1 400") && text(&malformed).contains("not the expected JSON")
    );

    let slow_body = server.answer(format!("{post}content-length: 50\r\n\r\n{{").as_bytes());
    assert!(text(&slow_body).starts_with("HTTP/1.1 408"), "{}", text(&slow_body));
    let slow_head = server.answer(b"GET / HTTP/1.1\r\nhos");
    assert!(slow_head.is_empty() || text(&slow_head).starts_with("HTTP/1.1 408"), "{}", text(&slow_head));

    assert!(text(&server.answer(good)).starts_with("HTTP/1.1 200"), "others are not served");
}

#[test]
fn rest_tells_a_connection_over_the_limit() {
    let server = Server::start(Protocol::Rest, Limits { connections_max: 2, ..Limits::default() });
    let _held = [server.connect(), server.connect()];
    // The limit counts accepted connections; these may take a moment to be.
    let refused = (0..50).any(|_| {
        let mut third = server.connect();
        let _ = third.set_read_timeout(Some(Duration::from_millis(100)));
        let mut answer = [0; 64];
        matches!(third.read(&mut answer), Ok(read) if answer[..read].starts_with(b"HTTP/1.1 503"))
    });
    assert!(refused, "the third connection was never told");
}

#[test]
fn grpc_answers_hostile_requests_and_serves_on() {
    let server = Server::start(Protocol::Grpc, Limits { idle_time_max: SHORT * 2, ..limits() });
    // Not HTTP/2 at all: closed, perhaps behind a GOAWAY.
    server.answer(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    // The preface, and then a frame that is longer than any may be.
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00".to_vec();
    let oversized = [preface.clone(), b"\xff\xff\xff\x00\x00\x00\x00\x00\x01".to_vec()].concat();
    assert!(!server.answer(&oversized).is_empty());
    // Half a preface, and then silence: closed by the idle time-out.
    server.answer(&preface[..10]);
    server.answer(&preface);
    call_over_grpc(server.address);
}

/// A message over the limit, one that is no message, and then a good one, through the client.
fn call_over_grpc(address: SocketAddr) {
    use clients::protocols::grpc::GrpcConnector;
    use clients::{CallError, Connection as _, Connector as _};
    use proto::Operation;
    use proto::v1::{Order, OrderRequest};
    let runtime = clients::local_runtime().unwrap();
    runtime.block_on(async {
        let connection = GrpcConnector { address }.connect().await.unwrap();
        let order = Order { account: "A".repeat(200_000), ..Order::default() };
        let oversized = Operation::PlaceOrder(OrderRequest { order: Some(order), ..OrderRequest::default() });
        let prepared = connection.prepare(&oversized).unwrap();
        let refused = connection.call(&prepared).await.unwrap_err();
        assert!(matches!(refused, CallError::Limit(_)), "{refused:?}");
        let quote = Operation::Quote(QuoteRequest { symbol: "AAAA".into() });
        let prepared = connection.prepare(&quote).unwrap();
        assert!(connection.call(&prepared).await.is_ok(), "others are not served");
    });
}

fn tcp_frame(id: u32, kind: Kind, message: &impl prost::Message) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    frame::put(&mut bytes, id, kind, message);
    bytes.to_vec()
}

fn frames(bytes: &[u8]) -> Vec<Frame> {
    let mut bytes = BytesMut::from(bytes);
    let mut frames = Vec::new();
    while let Ok(Some(frame)) = Frame::take(&mut bytes, 16 << 20) {
        frames.push(frame);
    }
    frames
}

fn fault(frame: &Frame) -> FaultCode {
    assert_eq!(frame.kind, Kind::Fault);
    proto::v1::Fault::decode(frame.payload.clone()).unwrap().code()
}

fn quote_over_tcp(server: &Server) {
    let mut stream = server.connect();
    stream.write_all(&tcp_frame(7, Kind::QuoteRequest, &QuoteRequest { symbol: "AAAA".into() })).unwrap();
    let mut reply = [0; 512];
    let read = stream.read(&mut reply).unwrap();
    let reply = &frames(&reply[..read])[0];
    assert_eq!((reply.id, reply.kind), (7, Kind::Quote));
    assert_eq!(Quote::decode(reply.payload.clone()).unwrap().symbol, "AAAA");
}

#[test]
fn tcp_answers_hostile_frames_and_serves_on() {
    let server = Server::start(Protocol::Tcp, limits());
    for hostile in [
        &b"\xff\xff\xff\xff rest"[..],
        b"\x00\x00\x00\x01\x00",
        b"\x00\x00\x00\x05\x00\x00\x00\x01\x55",
        b"GET / HTTP/1.1\r\n\r\n",
        // The beginning of a frame, and then silence.
        b"\x00\x00\x00\x08\x00\x00",
    ] {
        let answer = frames(&server.answer(hostile));
        assert_eq!(answer.len(), 1, "{hostile:?}");
        assert_eq!((answer[0].id, fault(&answer[0])), (0, FaultCode::Limit), "{hostile:?}");
        quote_over_tcp(&server);
    }
    // A frame that holds no message: a fault for its call, and the connection goes on.
    let mut stream = server.connect();
    let mut malformed = BytesMut::new();
    frame::put_encoded(&mut malformed, 3, Kind::QuoteRequest, b"\xff\xff");
    stream.write_all(&malformed).unwrap();
    stream.write_all(&tcp_frame(4, Kind::QuoteRequest, &QuoteRequest { symbol: "AAAB".into() })).unwrap();
    let mut got = Vec::new();
    while frames(&got).len() < 2 {
        let mut chunk = [0; 512];
        let read = stream.read(&mut chunk).unwrap();
        got.extend_from_slice(&chunk[..read]);
    }
    let answers = frames(&got);
    assert_eq!((answers[0].id, fault(&answers[0])), (3, FaultCode::InvalidArgument));
    assert_eq!((answers[1].id, answers[1].kind), (4, Kind::Quote));
}

/// Asks for 300 MB and reads nothing: the server must stop reading rather than hold the answers.
#[test]
fn a_tcp_peer_that_does_not_read_is_held_back_and_hurts_nobody() {
    let server = Server::start(Protocol::Tcp, limits());
    let mut stream = server.connect();
    stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let history = tcp_frame(1, Kind::HistoryRequest, &HistoryRequest { symbol: "AAAA".into(), n: 10_000 });
    let subscribe = tcp_frame(2, Kind::SubscribeRequest, &SubscribeRequest::default());
    stream.write_all(&subscribe).unwrap();
    let before = resident_bytes();
    let mut sent = 0;
    // The kernel takes some MB for each direction; then the writes block.
    while sent < 400_000 && stream.write_all(&history).is_ok() {
        sent += 1;
    }
    assert!(sent < 400_000, "the server read {sent} requests without an answer being read");
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "memory grew by {} MB", grown >> 20);
    quote_over_tcp(&server);
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[test]
fn stopping_drains_the_call_in_flight() {
    let shutdown = Shutdown::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let config = MarketConfig { handler_wait: Duration::from_millis(150), ..MarketConfig::default() };
        let market = Market::open(&config, clock::Clock::System).unwrap();
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        for (protocol, request, said) in [
            (
                Protocol::Rest,
                b"GET /v1/quotes/AAAA HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
                &b"HTTP/1.1 200"[..],
            ),
            (
                Protocol::Tcp,
                tcp_frame(1, Kind::QuoteRequest, &QuoteRequest { symbol: "AAAA".into() }),
                b"\0\0\0",
            ),
        ] {
            let stop = shutdown.child_token();
            let running =
                servers::protocols::start(protocol, any, market.clone(), Limits::default(), stop.clone())
                    .await
                    .unwrap();
            let mut stream = tokio::net::TcpStream::connect(running.address).await.unwrap();
            stream.write_all(&request).await.unwrap();
            clock::pause(Duration::from_millis(50)).await;
            stop.cancel();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            assert!(answer.starts_with(said), "{protocol:?}: {:?}", text(&answer));
            running.task.await.unwrap();
            assert!(tokio::net::TcpStream::connect(running.address).await.is_err());
        }
    });
}
