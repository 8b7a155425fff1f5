//! Servers of QUIC: those that speak none, and those that speak it and are hostile above it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use proto::frame::Kind;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Endpoint, SendStream, ServerConfig, TransportConfig};
use servers::tls::Identity;
use terms::{Carriage, Failure, Streams};

use crate::case::{Case, Client, Expect, QUIC};
use crate::frames::frame;
use crate::udp;

/// What a server does with a connection.
pub(crate) type Answer = fn(Connection) -> BoxFuture<'static, ()>;

/// Speaks QUIC with whoever comes, with so many streams for each.
pub(crate) fn serve(alpn: &'static [u8], streams: u32, answer: Answer) -> SocketAddr {
    let identity = Identity::generate(&[]).unwrap();
    let tls = QuicServerConfig::try_from(identity.within_quic(&[alpn]).unwrap()).unwrap();
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    let mut transport = TransportConfig::default();
    transport.max_concurrent_bidi_streams(streams.into());
    config.transport_config(Arc::new(transport));
    let (told, address) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let endpoint = Endpoint::server(config, "127.0.0.1:0".parse().unwrap()).unwrap();
            told.send(endpoint.local_addr().unwrap()).unwrap();
            while let Some(incoming) = endpoint.accept().await {
                tokio::spawn(async move {
                    if let Ok(connection) = incoming.await {
                        answer(connection).await;
                    }
                });
            }
        });
    });
    address.recv().unwrap()
}

/// Calls an answer for each stream, each on its own.
pub(crate) async fn each_stream<A, F>(connection: Connection, answer: A)
where
    A: Fn(SendStream) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    while let Ok((sender, receiver)) = connection.accept_bi().await {
        let answering = answer(sender);
        tokio::spawn(async move {
            answering.await;
            // Dropped sooner, it would refuse the request.
            drop(receiver);
        });
    }
}

/// Writes some bytes, and then others for ever.
pub(crate) async fn flood(sender: &mut SendStream, begin: &[u8], rest: &[u8]) {
    let mut wrote = sender.write_all(begin).await;
    let piece = rest.repeat(16_000 / rest.len() + 1);
    while wrote.is_ok() {
        wrote = sender.write_all(&piece).await;
    }
}

const MANY: u32 = 100;

fn silent() -> SocketAddr {
    udp::serve(|_| Vec::new())
}

fn garbage() -> SocketAddr {
    udp::serve(|_| vec![vec![0x5a; 1_200]; 10])
}

/// Versions nobody speaks, whatever the client offers (RFC 9000, section 17.2.1).
fn version_negotiation() -> SocketAddr {
    udp::serve(|datagram| {
        let Some((destination, rest)) = datagram.get(5..).and_then(connection_id) else { return Vec::new() };
        let Some((source, _)) = connection_id(rest) else { return Vec::new() };
        let id = |bytes: &[u8]| [&[bytes.len() as u8][..], bytes].concat();
        vec![[&b"\xca\x00\x00\x00\x00"[..], &id(source), &id(destination), b"\x1a\x2a\x3a\x4a"].concat(); 5]
    })
}

fn connection_id(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*length))
}

fn closes_at_once() -> SocketAddr {
    serve(b"wirebench", MANY, |connection| {
        Box::pin(async move { connection.close(7_u32.into(), b"\x1b[2J go away") })
    })
}

fn no_streams() -> SocketAddr {
    serve(b"wirebench", 0, |connection| Box::pin(async move { drop(connection.closed().await) }))
}

fn replies_without_end() -> SocketAddr {
    serve(b"wirebench", MANY, |connection| {
        Box::pin(each_stream(connection, |mut sender| async move {
            flood(&mut sender, b"", &[7; 100]).await;
        }))
    })
}

fn longest_length() -> SocketAddr {
    serve(b"wirebench", MANY, |connection| {
        Box::pin(each_stream(connection, |mut sender| async move {
            let _ = sender.write_all(&[0xff; 9]).await;
            let _ = sender.finish();
        }))
    })
}

fn part_of_a_frame() -> SocketAddr {
    serve(b"wirebench", MANY, |connection| {
        Box::pin(each_stream(connection, |mut sender| async move {
            let _ = sender.write_all(&frame(1, Kind::Quote, b"abc")[..10]).await;
            clock::pause(Duration::from_secs(60)).await;
        }))
    })
}

fn resets_each_stream() -> SocketAddr {
    serve(b"wirebench", MANY, |connection| {
        Box::pin(each_stream(connection, |mut sender| async move {
            let _ = sender.reset(7_u32.into());
        }))
    })
}

fn several_replies() -> SocketAddr {
    serve(b"wirebench", MANY, |connection| {
        Box::pin(each_stream(connection, |mut sender| async move {
            let _ = sender.write_all(&frame(1, Kind::Quote, b"").repeat(10)).await;
            let _ = sender.finish();
        }))
    })
}

/// Streams that nobody asked for, with bytes without end.
fn streams_of_its_own() -> SocketAddr {
    serve(b"wirebench", MANY, |connection| {
        Box::pin(async move {
            while let Ok(mut sender) = connection.open_uni().await {
                tokio::spawn(async move { flood(&mut sender, b"", b"x").await });
            }
        })
    })
}

fn datagrams_without_end() -> SocketAddr {
    serve(b"wirebench-datagram", MANY, |connection| {
        Box::pin(async move {
            let datagram = Bytes::from(frame(0xdead_beef, Kind::Quote, &[0; 1_000]));
            while connection.send_datagram_wait(datagram.clone()).await.is_ok() {}
        })
    })
}

fn datagrams_of_garbage() -> SocketAddr {
    serve(b"wirebench-datagram", MANY, |connection| {
        Box::pin(async move {
            while connection.send_datagram_wait(Bytes::from_static(b"garbage")).await.is_ok() {}
        })
    })
}

const ONE: Client = Client::Market(Carriage::Quic { streams: Streams::One });
const EACH: Client = Client::Market(QUIC);
const DATAGRAMS: Client = Client::Market(Carriage::QuicDatagram);
const SUBSCRIBER: Client = Client::Subscriber(QUIC);
const NOT_IN_TIME: Expect = Expect::NotOpened("no connection within 10 s");
const WRONG: Expect = Expect::Fails(&[Failure::Protocol, Failure::Limit, Failure::Reset]);
const LATE: Expect = Expect::Fails(&[Failure::TimedOut]);
/// No stream may be opened, so that no call is sent.
const UNSENT: Expect = Expect::Fails(&[Failure::Dropped]);
const ENDLESS: Expect = Expect::Fails(&[Failure::Limit, Failure::TimedOut]);

pub(crate) const CASES: &[Case] = &[
    Case::new("quic: silent", silent, EACH, NOT_IN_TIME),
    Case::new("quic: silent: datagrams", silent, DATAGRAMS, NOT_IN_TIME),
    Case::new("quic: garbage", garbage, EACH, NOT_IN_TIME),
    Case::new("quic: version negotiation", version_negotiation, EACH, Expect::NotOpened("protocol error")),
    Case::new("quic: closes at once", closes_at_once, EACH, WRONG),
    Case::new("quic: no streams", no_streams, EACH, UNSENT),
    Case::new("quic: no streams: one for all", no_streams, ONE, NOT_IN_TIME),
    Case::new("quic: no streams: a subscriber", no_streams, SUBSCRIBER, NOT_IN_TIME),
    Case::new("quic: replies without end", replies_without_end, EACH, ENDLESS).with_replies(),
    Case::new("quic: replies without end: one for all", replies_without_end, ONE, WRONG),
    Case::new("quic: a length of 2^32 - 1", longest_length, EACH, Expect::Fails(&[Failure::Limit])),
    Case::new("quic: part of a frame, and silence", part_of_a_frame, EACH, LATE),
    Case::new("quic: resets each stream", resets_each_stream, EACH, WRONG),
    Case::new("quic: several replies", several_replies, EACH, WRONG),
    Case::new("quic: streams of its own", streams_of_its_own, EACH, LATE),
    Case::new("quic: datagrams without end", datagrams_without_end, DATAGRAMS, LATE),
    // Connections that were replaced keep their buffers until they have said goodbye.
    Case::new("quic: datagrams of garbage", datagrams_of_garbage, DATAGRAMS, WRONG).with_replies(),
];

#[test]
fn hostile_quic() {
    crate::parent::check(CASES);
}
