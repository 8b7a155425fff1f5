//! TLS and QUIC: what is no handshake, one that never ends, more connections than there are places,
//! and peers that break the rules behind a handshake that was right.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use clients::protocols::quic::QuicConnector;
use clients::protocols::rest::RestConnector;
use clients::protocols::tcp::TcpConnector;
use clients::{CallError, Connection as _, Connector, Endpoint, Tls};
use proto::encoding::Encoding;
use proto::frame::{self, Frame, FrameHead, Kind};
use proto::v1::{FaultCode, Order, OrderRequest, QuoteRequest};
use proto::{Operation, Protocol, Reply, Transport};
use quinn::crypto::rustls::QuicClientConfig;
use servers::background::Background;
use servers::protocols::{Carrier, Settings};
use servers::tls::Identity;
use servers::{Limits, Market, MarketConfig, Shutdown};
use terms::{Handler, HttpVersion, Streams, TlsOptions};

use crate::{SHORT, Server, fault, limits};

fn identity() -> Arc<Identity> {
    Identity::generate(&[]).map(Arc::new).unwrap()
}

pub(crate) fn secure(protocol: Protocol, transport: Transport, limits: Limits) -> (Server, Arc<Identity>) {
    let identity = identity();
    let settings = Settings { limits, carrier: Carrier::new(transport, &identity), ..Settings::default() };
    let background = Background::start(&[protocol], MarketConfig::default(), settings).unwrap();
    (Server { address: background.address(protocol).unwrap(), _background: background }, identity)
}

fn endpoint(address: SocketAddr, identity: &Identity) -> Endpoint {
    let tls = Tls::to_market(TlsOptions::default(), identity.root()).unwrap();
    Endpoint { tls: Some(tls), ..Endpoint::from(address) }
}

fn quote() -> Operation {
    Operation::Quote(QuoteRequest { symbol: "AAAA".to_owned() })
}

async fn ask<K>(connector: &K) -> Result<(K::Connection, Reply), CallError>
where
    K: Connector,
    K::Connection: clients::Connection<Request = Operation, Reply = Reply>,
{
    let connection = connector.connect().await?;
    let reply = connection.call(&connection.prepare(&quote())?, None).await?;
    Ok((connection, reply))
}

fn run<F: Future>(future: F) -> F::Output {
    clients::local_runtime().unwrap().block_on(future)
}

#[test]
fn what_is_no_handshake_is_closed_and_others_are_served() {
    let (server, identity) = secure(Protocol::Tcp, Transport::Tls, limits());
    let connector = TcpConnector { endpoint: endpoint(server.address, &identity) };
    for hostile in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 4_096], b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"]
    {
        // An alert (21), or nothing.
        let answer = server.answer(hostile);
        assert!(answer.first().is_none_or(|first| *first == 21), "{answer:?}");
        assert!(run(ask(&connector)).is_ok());
    }
    // The beginning of a ClientHello, and then a byte now and then, for as long as it is let.
    let mut stream = server.connect();
    stream.write_all(b"\x16\x03\x01\x02\x00").unwrap();
    let began = clock::Clock::System.now();
    while stream.write_all(b"\x01").is_ok() {
        assert!(clock::Clock::System.now().since(began) < SHORT * 20, "a handshake may take for ever");
        clock::pause_thread(SHORT / 6);
    }
    assert!(run(ask(&connector)).is_ok());
}

#[test]
fn connections_over_the_limit_are_refused() {
    let (server, identity) = secure(Protocol::Tcp, Transport::Tls, limits());
    let connector = TcpConnector { endpoint: endpoint(server.address, &identity) };
    run(async {
        let mut held = Vec::new();
        for _ in 0..limits().connections_max {
            held.push(ask(&connector).await.unwrap());
        }
        assert!(ask(&connector).await.is_err(), "one more than there are places");
    });
    let (server, identity) = secure(Protocol::Quic, Transport::Quic, limits());
    let connector =
        QuicConnector { endpoint: endpoint(server.address, &identity), streams: Streams::PerCall };
    run(async {
        let mut held = Vec::new();
        // From the fifth on they prove their address first.
        for _ in 0..limits().connections_max {
            held.push(ask(&connector).await.unwrap());
        }
        let refused = ask(&connector).await.map(|_| ());
        assert!(matches!(refused, Err(CallError::Limit(_))), "{refused:?}");
        held.pop();
        // Its place is free when the server has heard of it.
        let served = async {
            while ask(&connector).await.is_err() {
                clock::pause(Duration::from_millis(20)).await;
            }
        };
        assert!(clock::limit(Duration::from_secs(10), served).await.is_ok());
    });
}

/// A bare QUIC connection, to say on it what our clients would not.
async fn dial(server: &Server, identity: &Identity, alpn: &[u8]) -> quinn::Connection {
    dial_with(server, identity, alpn, Arc::default()).await
}

/// The same with windows and time-outs of one's own.
pub(crate) async fn dial_with(
    server: &Server,
    identity: &Identity,
    alpn: &[u8],
    transport: Arc<quinn::TransportConfig>,
) -> quinn::Connection {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(identity.root().to_vec().into()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    let mut config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(config).unwrap()));
    config.transport_config(transport);
    let ours = quinn::Endpoint::client(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    ours.connect_with(config, server.address, "localhost").unwrap().await.unwrap()
}

fn framed(id: u32, kind: Kind, payload: &[u8]) -> BytesMut {
    let mut bytes = BytesMut::new();
    frame::put_encoded(&mut bytes, FrameHead::of(id, kind), payload);
    bytes
}

#[test]
fn a_broken_stream_breaks_no_other() {
    let (server, identity) = secure(Protocol::Quic, Transport::Quic, limits());
    run(async {
        let quic = dial(&server, &identity, b"wirebench").await;
        for hostile in [&b"\xff\xff\xff\xff rest"[..], b"GET / HTTP/1.1\r\n\r\n", b"\x00\x00\x00\x08\x00\x00"]
        {
            let (mut sender, mut receiver) = quic.open_bi().await.unwrap();
            sender.write_all(hostile).await.unwrap();
            let answer = receiver.read_to_end(4_096).await.unwrap();
            let frame = Frame::take(&mut BytesMut::from(&answer[..]), 4_096).unwrap().unwrap();
            assert_eq!((frame.id, fault(&frame)), (0, FaultCode::Limit), "{hostile:?}");
        }
        let (mut sender, mut receiver) = quic.open_bi().await.unwrap();
        sender.write_all(&framed(7, Kind::QuoteRequest, b"\x0a\x04AAAA")).await.unwrap();
        sender.finish().unwrap();
        let answer = receiver.read_to_end(4_096).await.unwrap();
        assert_eq!(answer[4..9], *b"\x00\x00\x00\x07\x81");
    });
}

#[test]
fn datagrams_that_are_no_frames_get_a_fault() {
    let (server, identity) = secure(Protocol::QuicDatagram, Transport::Quic, limits());
    run(async {
        let quic = dial(&server, &identity, b"wirebench-datagram").await;
        for hostile in [&b""[..], b"no frame", &[0xff; 1_000]] {
            quic.send_datagram(hostile.to_vec().into()).unwrap();
            let answer = quic.read_datagram().await.unwrap();
            let frame = Frame::from_datagram(&answer).unwrap();
            assert_eq!((frame.id, fault(&frame)), (0, FaultCode::InvalidArgument), "{hostile:?}");
        }
        // What does not fit a datagram is refused, not cut up.
        let history = framed(9, Kind::HistoryRequest, b"\x0a\x04AAAA\x10\x90\x4e");
        quic.send_datagram(history.freeze()).unwrap();
        let frame = Frame::from_datagram(&quic.read_datagram().await.unwrap()).unwrap();
        assert_eq!((frame.id, fault(&frame)), (9, FaultCode::Limit));
    });
}

/// Heads, and frames that nobody knows, that say they have a terabyte: h3 keeps all of one until it
/// is whole.
#[test]
fn a_frame_without_end_is_refused_over_http_3() {
    const TERABYTE: [u8; 8] = [0xc0, 0, 1, 0, 0, 0, 0, 0];
    const FAR_TOO_MUCH: usize = 16 << 20;
    let (server, identity) = secure(Protocol::Rest, Transport::Quic, limits());
    run(async {
        for kind in [0x01, 0x21] {
            let quic = dial(&server, &identity, b"h3").await;
            let (mut sender, _receiver) = quic.open_bi().await.unwrap();
            sender.write_all(&[&[kind][..], &TERABYTE].concat()).await.unwrap();
            let mut sent = 0;
            while sent < FAR_TOO_MUCH && sender.write_all(&[0; 16 << 10]).await.is_ok() {
                sent += 16 << 10;
            }
            assert!(sent < FAR_TOO_MUCH, "the server took {sent} bytes of a frame {kind:#x}");
        }
    });
}

#[test]
fn a_body_over_the_limit_is_refused_over_http_3() {
    let (server, identity) = secure(Protocol::Rest, Transport::Quic, limits());
    let connector = RestConnector {
        endpoint: endpoint(server.address, &identity),
        http: HttpVersion::Http3,
        encoding: Encoding::Json,
        poll_every: None,
    };
    run(async {
        let (connection, _) = ask(&connector).await.unwrap();
        let account = "A".repeat(limits().message_bytes_max * 2);
        let order = Some(Order { account, ..Order::default() });
        let order = OrderRequest { order, idempotency_key: String::new() };
        let prepared = connection.prepare(&Operation::PlaceOrder(order)).unwrap();
        let refused = connection.call(&prepared, None).await;
        assert!(matches!(refused, Err(CallError::Limit(_))), "{refused:?}");
        assert!(connection.call(&connection.prepare(&quote()).unwrap(), None).await.is_ok());
    });
}

#[test]
fn stopping_drains_the_calls_in_flight() {
    let identity = identity();
    run(async {
        let config = MarketConfig {
            handler: Handler { wait: Duration::from_millis(150), ..Handler::default() },
            ..MarketConfig::default()
        };
        let market = Market::open(&config, clock::Clock::System).unwrap();
        for (protocol, transport) in [
            (Protocol::Tcp, Transport::Tls),
            (Protocol::Quic, Transport::Quic),
            (Protocol::Rest, Transport::Quic),
        ] {
            let stop = Shutdown::new();
            let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let settings = Settings { carrier: Carrier::new(transport, &identity), ..Settings::default() };
            let running = servers::protocols::start(protocol, any, market.clone(), settings, stop.clone());
            let running = running.await.unwrap();
            let endpoint = endpoint(running.address, &identity);
            let stopping = async {
                clock::pause(Duration::from_millis(50)).await;
                stop.cancel();
                Ok(())
            };
            let answered = async {
                match protocol {
                    Protocol::Tcp => ask(&TcpConnector { endpoint }).await.map(|_| ()),
                    Protocol::Quic => {
                        ask(&QuicConnector { endpoint, streams: Streams::PerCall }).await.map(|_| ())
                    }
                    _ => {
                        let (http, encoding) = (HttpVersion::Http3, Encoding::Json);
                        ask(&RestConnector { endpoint, http, encoding, poll_every: None }).await.map(|_| ())
                    }
                }
            };
            let both = futures::future::try_join(answered, stopping).await;
            assert!(both.is_ok(), "{protocol:?}: {both:?}");
            let drained = clock::limit(Duration::from_secs(3), running.task).await;
            assert!(drained.is_ok(), "{protocol:?} did not stop");
        }
    });
}
