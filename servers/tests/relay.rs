//! What a relay does to connections, seen from both ends: real sockets, and bytes.

#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use clock::{Clock, Mono};
use servers::between::Relay;
use servers::{Limits, Shutdown};
use terms::RelayPolicy;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const AGE: Duration = Duration::from_millis(200);
/// Later than a policy acts, on a busy machine too.
const SOON: Duration = Duration::from_secs(5);
/// A time in which what does not come would have come.
const WHILE: Duration = Duration::from_millis(300);

/// A relay, and what listens behind it.
struct Bench {
    relay: Relay,
    behind: TcpListener,
    shutdown: Shutdown,
}

impl Bench {
    async fn with(policy: RelayPolicy, limits: Limits) -> Bench {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let behind = TcpListener::bind(any).await.unwrap();
        let (address, shutdown) = (behind.local_addr().unwrap(), Shutdown::new());
        let relay = Relay::start(any, address, None, limits, shutdown.clone()).await.unwrap();
        relay.policy.send_replace(policy);
        Bench { relay, behind, shutdown }
    }

    async fn of(policy: RelayPolicy) -> Bench {
        Bench::with(policy, Limits::default()).await
    }

    /// A connection through the relay: the client's end, and the server's.
    async fn connect(&self) -> (TcpStream, TcpStream) {
        let client = TcpStream::connect(self.relay.address).await.unwrap();
        (client, self.behind.accept().await.unwrap().0)
    }
}

async fn soon<F: Future>(future: F) -> F::Output {
    clock::limit(SOON, future).await.unwrap()
}

async fn says(from: &mut TcpStream, to: &mut TcpStream, what: &[u8]) {
    from.write_all(what).await.unwrap();
    let mut heard = vec![0; what.len()];
    soon(to.read_exact(&mut heard)).await.unwrap();
    assert_eq!(heard, what);
}

/// What comes until the end: a FIN.
async fn rest(of: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    soon(of.read_to_end(&mut all)).await.unwrap();
    all
}

async fn is_silent(stream: &mut TcpStream) -> bool {
    clock::limit(WHILE, stream.read_u8()).await.is_err()
}

fn since(start: Mono) -> Duration {
    Clock::System.now().since(start)
}

#[tokio::test]
async fn bytes_and_ends_pass_both_ways() {
    let bench = Bench::of(RelayPolicy::Passes).await;
    let (mut client, mut server) = bench.connect().await;
    says(&mut client, &mut server, b"a question").await;
    says(&mut server, &mut client, b"an answer").await;
    // More than all buffers hold, so that either end has to wait for the other.
    let much: Vec<u8> = (0..20_000_000_u32).map(|n| n as u8).collect();
    let sent = much.clone();
    let sending = tokio::spawn(async move {
        server.write_all(&sent).await.unwrap();
        server.shutdown().await.unwrap();
        server
    });
    assert!(rest(&mut client).await == much, "what came is not what was sent");
    // One direction is over, the other is not.
    let mut server = sending.await.unwrap();
    says(&mut client, &mut server, b"thanks").await;
    drop(client);
    assert_eq!(rest(&mut server).await, b"");
}

#[tokio::test]
async fn a_connection_of_an_age_is_closed_behind_what_it_was_given() {
    let bench = Bench::of(RelayPolicy::Closes(AGE)).await;
    let start = Clock::System.now();
    let (mut client, mut server) = bench.connect().await;
    says(&mut client, &mut server, b"a question").await;
    server.write_all(b"the last").await.unwrap();
    assert_eq!(rest(&mut client).await, b"the last");
    assert_eq!(rest(&mut server).await, b"");
    assert!(since(start) >= AGE);
    // The next is as good as new.
    let (mut client, mut server) = bench.connect().await;
    says(&mut server, &mut client, b"an answer").await;
}

#[tokio::test]
async fn a_connection_is_closed_when_it_is_idle_and_not_before() {
    let bench = Bench::of(RelayPolicy::ClosesIdle(AGE)).await;
    let start = Clock::System.now();
    let (mut client, mut server) = bench.connect().await;
    for _ in 0..6 {
        clock::pause(AGE / 4).await;
        says(&mut server, &mut client, b"tick").await;
    }
    assert!(since(start) > AGE);
    let last = Clock::System.now();
    assert_eq!(rest(&mut client).await, b"");
    assert_eq!(rest(&mut server).await, b"");
    assert!(since(last) >= AGE * 3 / 4, "{:?}", since(last));
}

#[tokio::test]
async fn a_connection_of_an_age_is_reset_towards_both_ends() {
    let bench = Bench::of(RelayPolicy::Resets(AGE)).await;
    let (mut client, mut server) = bench.connect().await;
    says(&mut client, &mut server, b"a question").await;
    for end in [&mut client, &mut server] {
        let error = soon(end.read_u8()).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
}

#[tokio::test]
async fn a_silenced_connection_tells_neither_end_and_stays_so() {
    let bench = Bench::of(RelayPolicy::Silent(AGE)).await;
    let (mut client, mut server) = bench.connect().await;
    says(&mut client, &mut server, b"a question").await;
    clock::pause(AGE * 2).await;
    for end in [&mut client, &mut server] {
        end.write_all(b"is anybody there").await.unwrap();
    }
    assert!(is_silent(&mut client).await && is_silent(&mut server).await);
    // Also when the relay lets everything else pass again.
    bench.relay.policy.send_replace(RelayPolicy::Passes);
    server.write_all(b"and now").await.unwrap();
    assert!(is_silent(&mut client).await);
    let (mut other, mut others_server) = bench.connect().await;
    says(&mut others_server, &mut other, b"an answer").await;
    // What is sent into it is taken all the same, and held nowhere.
    soon(server.write_all(&vec![0; 20_000_000])).await.unwrap();
    // It lasts as long as the client has it.
    drop(client);
    let gone = async {
        while server.write_all(b"still").await.is_ok() {
            clock::pause(AGE / 20).await;
        }
    };
    soon(gone).await;
}

#[tokio::test]
async fn a_buffering_relay_passes_on_whole_buffers_and_the_rest_at_the_end() {
    let bench = Bench::of(RelayPolicy::Buffers(1_000)).await;
    let (mut client, mut server) = bench.connect().await;
    says(&mut client, &mut server, b"a question is not held back").await;
    server.write_all(&[1; 999]).await.unwrap();
    assert!(is_silent(&mut client).await);
    server.write_all(&[1; 1_500]).await.unwrap();
    let mut whole = vec![0; 2_000];
    soon(client.read_exact(&mut whole)).await.unwrap();
    assert!(is_silent(&mut client).await);
    server.shutdown().await.unwrap();
    assert_eq!(rest(&mut client).await.len(), 499);
    // What it holds goes on its way when the policy changes.
    let (mut client, mut server) = bench.connect().await;
    server.write_all(b"held").await.unwrap();
    assert!(is_silent(&mut client).await);
    bench.relay.policy.send_replace(RelayPolicy::Passes);
    let mut held = [0; 4];
    soon(client.read_exact(&mut held)).await.unwrap();
    assert_eq!(&held, b"held");
}

#[tokio::test]
async fn connections_are_bounded_and_gone_after_the_shutdown() {
    let limits = Limits { connections_max: 2, drain_time_max: AGE, ..Limits::default() };
    let bench = Bench::with(RelayPolicy::Silent(AGE), limits).await;
    let (mut silenced, _its_server) = bench.connect().await;
    clock::pause(AGE * 2).await;
    bench.relay.policy.send_replace(RelayPolicy::Passes);
    let (mut open, _open_server) = bench.connect().await;
    let mut over = TcpStream::connect(bench.relay.address).await.unwrap();
    assert_eq!(rest(&mut over).await, b"");
    bench.shutdown.cancel();
    // The task waits for those of its connections.
    soon(bench.relay.task).await.unwrap();
    for end in [&mut silenced, &mut open] {
        assert_eq!(rest(end).await, b"");
    }
}

#[tokio::test]
async fn a_server_that_is_gone_closes_the_client() {
    let bench = Bench::of(RelayPolicy::Passes).await;
    drop(bench.behind);
    let mut client = TcpStream::connect(bench.relay.address).await.unwrap();
    assert_eq!(rest(&mut client).await, b"");
}
