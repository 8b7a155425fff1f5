//! UDP: datagrams that are no frame or too large, addresses that could be forged, and leases that
//! run out.

use std::net::UdpSocket;
use std::time::Duration;

use proto::Protocol;
use proto::frame::{self, DATAGRAM_BYTES_MAX, Frame, FrameHead, Kind};
use proto::v1::{FaultCode, HistoryRequest, OrderRequest, QuoteRequest, SubscribeRequest};
use servers::Limits;

use crate::{SHORT, Server, fault, tcp_frame as datagram};

fn peer(server: &Server) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server.address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket
}

fn receive(socket: &UdpSocket) -> Frame {
    let mut bytes = [0; 65_536];
    let received = socket.recv(&mut bytes).unwrap();
    assert!(received <= DATAGRAM_BYTES_MAX, "{received} bytes in a datagram");
    Frame::from_datagram(&bytes[..received]).unwrap()
}

/// Everything that comes within a while.
fn receive_all(socket: &UdpSocket, silence: Duration) -> Vec<Vec<u8>> {
    socket.set_read_timeout(Some(silence)).unwrap();
    let mut bytes = [0; 65_536];
    std::iter::from_fn(|| socket.recv(&mut bytes).ok().map(|received| bytes[..received].to_vec())).collect()
}

fn quote() -> Vec<u8> {
    datagram(7, Kind::QuoteRequest, &QuoteRequest { symbol: "AAAA".into() })
}

fn quote_over_udp(server: &Server) {
    let socket = peer(server);
    socket.send(&quote()).unwrap();
    let reply = receive(&socket);
    assert_eq!((reply.id, reply.kind), (7, Kind::Quote));
}

#[test]
fn udp_answers_hostile_datagrams_with_a_fault_and_serves_on() {
    let server = Server::start(Protocol::Udp, Limits::default());
    let two = [quote(), quote()].concat();
    let large = datagram(7, Kind::QuoteRequest, &QuoteRequest { symbol: "A".repeat(5_000) });
    let padded = [&b"\x00\x00\xff\xff\x00\x00\x00\x07\x01"[..], &[0; 40]].concat();
    for (hostile, code) in [
        (&b""[..], FaultCode::InvalidArgument),
        (b"\x00", FaultCode::InvalidArgument),
        (b"\xff\xff\xff\xff\x00\x00\x00\x07\x01", FaultCode::InvalidArgument),
        (b"\x00\x00\x00\x05\x00\x00\x00\x07\x55", FaultCode::InvalidArgument),
        (b"GET / HTTP/1.1\r\n\r\n", FaultCode::InvalidArgument),
        (&quote()[..10], FaultCode::InvalidArgument),
        (&two, FaultCode::InvalidArgument),
        (&padded, FaultCode::InvalidArgument),
    ] {
        let socket = peer(&server);
        socket.send(hostile).unwrap();
        let answer = receive(&socket);
        assert_eq!((answer.id, fault(&answer)), (0, code), "{hostile:?}");
        quote_over_udp(&server);
    }
    // What is too large to be read, and what would be too large to be sent.
    let socket = peer(&server);
    socket.send(&large).unwrap();
    assert_eq!(receive(&socket).kind, Kind::Fault);
    socket
        .send(&datagram(9, Kind::HistoryRequest, &HistoryRequest { symbol: "AAAA".into(), n: 10_000 }))
        .unwrap();
    let answer = receive(&socket);
    assert_eq!((answer.id, fault(&answer)), (9, FaultCode::Limit));
    // No message in a frame: a fault for its call.
    socket.send(b"\x00\x00\x00\x07\x00\x00\x00\x03\x01\xff\xff").unwrap();
    let answer = receive(&socket);
    assert_eq!((answer.id, fault(&answer)), (3, FaultCode::InvalidArgument));
    quote_over_udp(&server);
}

#[test]
fn an_address_that_does_not_prove_itself_gets_no_more_than_it_sent() {
    let server = Server::start(Protocol::Udp, Limits { trust_loopback: false, ..Limits::default() });
    let forged = peer(&server);
    let subscribe = datagram(
        1,
        Kind::SubscribeRequest,
        &SubscribeRequest { symbols: vec!["AAAA".into(); 2], ..SubscribeRequest::default() },
    );
    let guess = datagram_of(2, Kind::Hello, &[7; 8]);
    let (mut sent, requests) = (0, 50);
    for _ in 0..requests {
        for request in [&subscribe, &guess] {
            sent += forged.send(request).unwrap();
        }
        // Too small for a challenge in so many bytes, and no frame at all: nothing.
        sent += forged.send(&datagram(3, Kind::SubscribeRequest, &SubscribeRequest::default())).unwrap();
        sent += forged.send(b"no frame").unwrap();
    }
    // Past the ticks of a second, had it been subscribed.
    let got = receive_all(&forged, SHORT);
    assert!(!got.is_empty() && got.len() <= requests * 2, "{} datagrams", got.len());
    let bytes: usize = got.iter().map(Vec::len).sum();
    assert!(bytes <= sent, "{bytes} bytes for {sent}");
    for answer in &got {
        let frame = Frame::from_datagram(answer).unwrap();
        assert!(frame.kind == Kind::Challenge && frame.id != 3, "{frame:?}");
    }
    // Another's cookie proves nothing.
    let cookie = Frame::from_datagram(&got[0]).unwrap().payload;
    let other = peer(&server);
    other.send(&datagram_of(4, Kind::Hello, &cookie)).unwrap();
    assert_eq!(receive(&other).kind, Kind::Challenge);
    // Its own proves it, and then it is served.
    forged.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    forged.send(&datagram_of(4, Kind::Hello, &cookie)).unwrap();
    assert_eq!(receive(&forged).kind, Kind::Welcome);
    forged.send(&quote()).unwrap();
    assert_eq!(receive(&forged).kind, Kind::Quote);
}

#[test]
fn an_unproven_address_is_answered_a_read_in_no_more_bytes_than_it_sent() {
    let server = Server::start(Protocol::Udp, Limits { trust_loopback: false, ..Limits::default() });
    let socket = peer(&server);
    let mut filled_up = quote();
    filled_up.resize(DATAGRAM_BYTES_MAX, 0);
    socket.send(&filled_up).unwrap();
    assert_eq!(receive(&socket).kind, Kind::Quote);
    // The reply has more bytes than the bare call, a long one more than any datagram; an order
    // changes something; a subscription lasts.
    let order = datagram(8, Kind::OrderRequest, &OrderRequest::default());
    let long = datagram(9, Kind::HistoryRequest, &HistoryRequest { symbol: "AAAA".into(), n: 30 });
    let subscribe = datagram(10, Kind::SubscribeRequest, &SubscribeRequest::default());
    for (mut request, room) in [(quote(), 17), (long, 400), (order, 1_200), (subscribe, 1_200)] {
        request.resize(room, 0);
        socket.send(&request).unwrap();
        assert_eq!(receive(&socket).kind, Kind::Challenge, "{request:?}");
    }
    // What fills a datagram up is zeros.
    filled_up[600] = 1;
    socket.send(&filled_up).unwrap();
    assert!(receive_all(&socket, SHORT).is_empty());
}

#[test]
fn the_client_proves_itself_and_is_served() {
    use clients::market::Subscribe as _;
    use clients::protocols::udp::UdpConnector;
    use clients::{Connection as _, Connector as _};
    use futures::StreamExt as _;
    let server = Server::start(Protocol::Udp, Limits { trust_loopback: false, ..Limits::default() });
    clients::local_runtime().unwrap().block_on(async {
        let connector = UdpConnector { endpoint: server.address.into(), proves_itself: true };
        let connection = connector.connect().await.unwrap();
        let operation = proto::Operation::Quote(QuoteRequest { symbol: "AAAA".into() });
        let prepared = connection.prepare(&operation).unwrap();
        assert!(connection.call(&prepared, None).await.is_ok());
        let mut ticks = connection.subscribe(&SubscribeRequest::default()).await.unwrap();
        assert!(ticks.next().await.unwrap().is_ok());
    });
}

#[test]
fn a_lease_that_runs_out_ends_the_ticks_and_a_renewed_one_keeps_them() {
    let lease = SHORT;
    let server = Server::start(Protocol::Udp, Limits { lease, ..Limits::default() });
    let (forgetful, renewing) = (peer(&server), peer(&server));
    for socket in [&forgetful, &renewing] {
        socket.send(&datagram(5, Kind::SubscribeRequest, &SubscribeRequest::default())).unwrap();
        assert_eq!(receive(socket).kind, Kind::Tick);
    }
    // Renewed by every tick that comes, over many leases of ticks: 2 000 a second.
    let many_leases = 10 * 2_000 * lease.as_millis() / 1_000;
    let mut renewals = 0;
    for _ in 0..many_leases {
        renewing.send(&datagram_of(5, Kind::Renew, &[])).unwrap();
        let got = receive(&renewing).kind;
        renewals += usize::from(got == Kind::Renewed);
        assert!(matches!(got, Kind::Tick | Kind::Renewed), "{got:?}");
    }
    assert!(renewals > 0);
    // The other's ended meanwhile: behind those that wait in its socket, nothing comes.
    let waiting = receive_all(&forgetful, lease);
    assert!(waiting.iter().all(|bytes| Frame::from_datagram(bytes).unwrap().kind == Kind::Tick));
    forgetful.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    forgetful.send(&datagram_of(5, Kind::Renew, &[])).unwrap();
    assert_eq!(fault(&receive(&forgetful)), FaultCode::NotFound);
    quote_over_udp(&server);
}

/// More ticks than the server can send: calls are answered in between, and the leases end.
#[test]
fn subscriptions_that_are_left_behind_end_however_many_ticks_there_are() {
    let lease = Duration::from_secs(1);
    let config = servers::MarketConfig { ticks_per_s: 10_000.0, ..servers::MarketConfig::default() };
    let limits = Limits { lease, ..Limits::default() };
    let background = servers::background::Background::start(&[Protocol::Udp], config, limits).unwrap();
    let server = Server { address: background.address(Protocol::Udp).unwrap(), _background: background };
    let left: Vec<UdpSocket> = (0..4).map(|_| peer(&server)).collect();
    for socket in &left {
        for id in 0..64 {
            socket.send(&datagram(id, Kind::SubscribeRequest, &SubscribeRequest::default())).unwrap();
        }
    }
    // A datagram may be lost while the server's buffer is full: then it is asked again.
    let socket = peer(&server);
    socket.set_read_timeout(Some(SHORT)).unwrap();
    let mut bytes = [0; 2_048];
    let is_answered = || {
        socket.send(&quote()).unwrap();
        socket.recv(&mut bytes).is_ok()
    };
    assert!(std::iter::repeat_with(is_answered).take(20).any(|answered| answered), "nobody else is served");
    // The ticks of the last lease may still be on their way.
    clock::pause_thread(lease * 4);
    left.iter().for_each(|socket| drop(receive_all(socket, SHORT / 6)));
    assert!(left.iter().all(|socket| receive_all(socket, SHORT).is_empty()), "ticks without a lease");
    quote_over_udp(&server);
}

#[test]
fn an_address_has_so_many_subscriptions_and_no_more() {
    let server = Server::start(Protocol::Udp, Limits { subscriptions_max: 2, ..Limits::default() });
    let socket = peer(&server);
    for id in 1..=3 {
        socket.send(&datagram(id, Kind::SubscribeRequest, &SubscribeRequest::default())).unwrap();
    }
    let refused =
        std::iter::repeat_with(|| receive(&socket)).find(|frame| frame.kind == Kind::Fault).unwrap();
    assert_eq!((refused.id, fault(&refused)), (3, FaultCode::Limit));
    quote_over_udp(&server);
}

fn datagram_of(id: u32, kind: Kind, payload: &[u8]) -> Vec<u8> {
    let mut bytes = bytes::BytesMut::new();
    frame::put_encoded(&mut bytes, FrameHead::of(id, kind), payload);
    bytes.to_vec()
}

/// Else one forged datagram would have two servers answer each other for ever.
#[test]
fn what_only_servers_send_is_answered_by_none() {
    for trust_loopback in [true, false] {
        let server = Server::start(Protocol::Udp, Limits { trust_loopback, ..Limits::default() });
        let socket = peer(&server);
        for kind in [Kind::Challenge, Kind::Fault, Kind::Welcome, Kind::Tick, Kind::Quote] {
            let mut bytes = bytes::BytesMut::new();
            frame::put_encoded(&mut bytes, FrameHead::of(7, kind), &[0; 8]);
            socket.send(&bytes).unwrap();
        }
        let answers = receive_all(&socket, SHORT);
        assert!(answers.is_empty(), "trusted: {trust_loopback}: {answers:?}");
        if trust_loopback {
            quote_over_udp(&server);
        }
    }
}
