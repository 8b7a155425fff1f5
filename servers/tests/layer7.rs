//! The balancer at layer 7, seen from both ends: every protocol over HTTP through its cases, what
//! is sent again and what is not, routes, and drains.

#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clients::conformance::{self, CaseResult};
use clients::protocols::Visit;
use clients::{Connection as _, Connector, Endpoint, MarketConnection};
use clock::Clock;
use proto::data::DataSet;
use proto::encoding::Encoding;
use proto::v1::QuoteRequest;
use proto::{Operation, Protocol};
use servers::between::{Backends, Layer7};
use servers::protocols::{self, Settings};
use servers::{Limits, Market, MarketConfig, Shutdown};
use terms::{Carriage, Handler, HttpVersion, Route};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Later than anything here takes, on a busy machine too.
const SOON: Duration = Duration::from_secs(10);

const ANY: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

fn run<F: Future>(test: F) -> F::Output {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(test)
}

async fn balance(
    servers: Vec<SocketAddr>,
    routes: &[&str],
    shutdown: &Shutdown,
) -> (SocketAddr, Backends, tokio::task::JoinHandle<()>) {
    let backends = Backends::new(servers);
    let routes = routes.iter().map(|words| Route::parse(words).unwrap()).collect();
    let started =
        Layer7::start(ANY.into(), backends.clone(), routes, None, Limits::default(), shutdown.clone());
    let balancer = started.await.unwrap();
    (balancer.address, backends, balancer.task)
}

/// So many servers of one market, behind one protocol.
async fn markets(
    protocol: Protocol,
    count: usize,
    config: &MarketConfig,
    shutdown: &Shutdown,
) -> Vec<SocketAddr> {
    let market = Market::open(config, Clock::System).unwrap();
    let mut addresses = Vec::new();
    for _ in 0..count {
        let started =
            protocols::start(protocol, ANY.into(), market.clone(), Settings::default(), shutdown.clone());
        addresses.push(started.await.unwrap().address);
    }
    addresses
}

struct Check(Protocol);

impl Visit for Check {
    type Output = Vec<CaseResult>;
    fn with<K>(self, connector: K) -> Vec<CaseResult>
    where
        K: Connector + Send,
        K::Connection: MarketConnection,
    {
        let data = DataSet::new(MarketConfig::default().seed);
        clients::local_runtime().unwrap().block_on(conformance::check(&connector, self.0, &data))
    }
}

#[test]
fn every_protocol_over_http_passes_its_cases_through_it() {
    let (http, encoding) = ([HttpVersion::Http1, HttpVersion::Http2], [Encoding::Json, Encoding::Protobuf]);
    let mut carriages = vec![Carriage::Grpc];
    for http in http {
        carriages.extend(encoding.map(|encoding| Carriage::Rest { http, encoding, poll_every: None }));
        carriages.extend([false, true].map(|persisted| Carriage::GraphQl { http, persisted }));
        carriages.push(Carriage::Sse { http });
    }
    carriages.extend(encoding.map(|encoding| Carriage::WebSocket { encoding }));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    for carriage in carriages {
        let shutdown = Shutdown::new();
        let config = MarketConfig { ticks_per_s: 200.0, ..MarketConfig::default() };
        let (address, _) = runtime.block_on(async {
            let servers = markets(carriage.protocol(), 2, &config, &shutdown).await;
            let (address, backends, _) = balance(servers, &[], &shutdown).await;
            (address, backends)
        });
        let results =
            clients::protocols::visit(carriage, Endpoint::from(address), Check(carriage.protocol()));
        assert!(results.len() >= 2, "{carriage:?}");
        for result in results {
            assert!(result.failure.is_none(), "{carriage:?}: {result:?}");
        }
        shutdown.cancel();
    }
}

#[test]
fn an_answer_to_head_has_a_head_alone() {
    run(async {
        let shutdown = Shutdown::new();
        let servers = markets(Protocol::Rest, 1, &MarketConfig::default(), &shutdown).await;
        let (address, ..) = balance(servers, &[], &shutdown).await;
        let head = "HEAD /v1/quotes/AAAA HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        let answer = ask(address, head, "nothing ends so").await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\n"), "{answer}");
        assert!(answer.contains("content-length: "), "{answer}");
        shutdown.cancel();
    });
}

/// What a server that was written for the purpose does with a request.
#[derive(Clone, Copy)]
enum Does {
    Answers,
    /// It reads the request, and closes.
    Breaks,
}

/// Such a server; how many requests came to it.
async fn server(does: Does) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(ANY).await.unwrap();
    let (address, came) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counts = came.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let counts = counts.clone();
            tokio::spawn(async move {
                let mut bytes = vec![0; 4_096];
                while matches!(stream.read(&mut bytes).await, Ok(1..)) {
                    counts.fetch_add(1, Ordering::Relaxed);
                    match does {
                        Does::Answers => {
                            stream
                                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                                .await
                                .unwrap();
                        }
                        Does::Breaks => return,
                    }
                }
            });
        }
    });
    (address, came)
}

/// Sends bytes, and reads what comes until the end or until it ends with this.
async fn ask(address: SocketAddr, request: &str, until: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    heard(&mut stream, until).await
}

async fn heard(stream: &mut TcpStream, until: &str) -> String {
    let mut heard = Vec::new();
    let reading = async {
        loop {
            let text = String::from_utf8_lossy(&heard).into_owned();
            if text.contains(until) || stream.read_buf(&mut heard).await.unwrap_or(0) == 0 {
                return text;
            }
        }
    };
    clock::limit(SOON, reading).await.unwrap()
}

const GET: &str = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 4\r\n\r\nbody";

#[test]
fn a_request_is_sent_again_only_if_it_was_not_sent_or_is_safe() {
    run(async {
        let shutdown = Shutdown::new();
        // Nobody listens there any more.
        let gone = TcpListener::bind(ANY).await.unwrap().local_addr().unwrap();
        for (request, does, expected) in [
            (GET, None, "200"),
            (POST, None, "200"),
            (GET, Some(Does::Breaks), "200"),
            (POST, Some(Does::Breaks), "502"),
        ] {
            let (first, first_came) = match does {
                None => (gone, Arc::new(AtomicUsize::new(0))),
                Some(does) => server(does).await,
            };
            let (second, second_came) = server(Does::Answers).await;
            let (address, ..) = balance(vec![first, second], &[], &shutdown).await;
            let answer = ask(address, request, "nothing ends so").await;
            assert_eq!(answer.get(9..12), Some(expected), "{request}: {answer}");
            let came = [first_came, second_came].map(|came| came.load(Ordering::Relaxed));
            let broke = usize::from(does.is_some());
            assert_eq!(came, [broke, usize::from(expected == "200")], "{request}");
        }
        let (address, ..) = balance(vec![gone], &[], &shutdown).await;
        assert_eq!(ask(address, GET, "nothing ends so").await.get(9..12), Some("503"));
        // The only one: what is safe is tried there once more.
        let (only, came) = server(Does::Breaks).await;
        let (address, ..) = balance(vec![only], &[], &shutdown).await;
        assert_eq!(ask(address, GET, "nothing ends so").await.get(9..12), Some("502"));
        assert_eq!(came.load(Ordering::Relaxed), 2);
        shutdown.cancel();
    });
}

#[test]
fn routes_read_the_path_headers_and_cookies() {
    run(async {
        let shutdown = Shutdown::new();
        let mut servers = Vec::new();
        for _ in 0..4 {
            servers.push(server(Does::Answers).await);
        }
        let routes =
            ["path /v1/history market.2", "header x-cohort=canary market.3", "cookie cohort=canary market.4"];
        let addresses = servers.iter().map(|(address, _)| *address).collect();
        let (address, ..) = balance(addresses, &routes, &shutdown).await;
        for (path, header) in [
            ("/v1/history/AAAA", ""),
            ("/", "x-cohort: canary\r\n"),
            ("/", "x-cohort: canary\r\n"),
            ("/", "cookie: a=b; cohort=canary\r\n"),
            ("/", "cookie: a=b; cohort=canary\r\n"),
            ("/", "cookie: a=b; cohort=canary\r\n"),
        ] {
            let request =
                format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{header}connection: close\r\n\r\n");
            assert_eq!(ask(address, &request, "nothing ends so").await.get(9..12), Some("200"), "{request}");
        }
        let came: Vec<usize> = servers.iter().map(|(_, came)| came.load(Ordering::Relaxed)).collect();
        assert_eq!(came, [0, 1, 2, 3]);
        shutdown.cancel();
    });
}

/// Makes thirty calls over one connection; says how many are answered.
struct Thirty;

impl Visit for Thirty {
    type Output = usize;
    fn with<K>(self, connector: K) -> usize
    where
        K: Connector + Send,
        K::Connection: MarketConnection,
    {
        clients::local_runtime().unwrap().block_on(async {
            let connection = connector.connect().await.unwrap();
            let quote = Operation::Quote(QuoteRequest { symbol: "AAAA".to_owned() });
            let prepared = connection.prepare(&quote).unwrap();
            let mut answered = 0;
            for _ in 0..30 {
                answered += usize::from(connection.call(&prepared, None).await.is_ok());
            }
            answered
        })
    }
}

/// HTTP/2 carries many calls over one connection: each has its turn all the same.
#[test]
fn each_call_of_one_connection_has_its_turn() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let rest = Carriage::Rest { http: HttpVersion::Http2, encoding: Encoding::Json, poll_every: None };
    for carriage in [Carriage::Grpc, rest] {
        let shutdown = Shutdown::new();
        let (address, backends) = runtime.block_on(async {
            let servers = markets(carriage.protocol(), 3, &MarketConfig::default(), &shutdown).await;
            let (address, backends, _) = balance(servers, &[], &shutdown).await;
            (address, backends)
        });
        assert_eq!(clients::protocols::visit(carriage, Endpoint::from(address), Thirty), 30);
        let given: Vec<u64> = backends.given().iter().map(|(_, given)| *given).collect();
        assert_eq!(given, [10, 10, 10], "{carriage:?}");
        shutdown.cancel();
    }
}

/// Calls have their turns; a server that is taken off the list has none any more, and none of those
/// under way is lost.
#[test]
fn calls_are_balanced_and_a_server_drains_under_load() {
    run(async {
        let shutdown = Shutdown::new();
        let handler = Handler { wait: Duration::from_millis(20), ..Handler::default() };
        let config = MarketConfig { handler, ..MarketConfig::default() };
        let servers = markets(Protocol::Rest, 3, &config, &shutdown).await;
        let (address, backends, _) = balance(servers.clone(), &[], &shutdown).await;
        let stop = Arc::new(AtomicUsize::new(0));
        let callers: Vec<_> = (0..8)
            .map(|_| {
                let stop = stop.clone();
                tokio::spawn(async move {
                    let (mut stream, mut calls) = (TcpStream::connect(address).await.unwrap(), 0);
                    while stop.load(Ordering::Relaxed) == 0 {
                        stream
                            .write_all(b"GET /v1/quotes/AAAA HTTP/1.1\r\nhost: localhost\r\n\r\n")
                            .await
                            .unwrap();
                        let answer = heard(&mut stream, "}").await;
                        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
                        calls += 1;
                    }
                    calls
                })
            })
            .collect();
        clock::pause(Duration::from_millis(300)).await;
        let before = backends.given();
        backends.set(servers[1..].to_vec());
        let taken_off = backends.given();
        clock::pause(Duration::from_millis(300)).await;
        stop.store(1, Ordering::Relaxed);
        let mut calls = 0;
        for caller in callers {
            calls += caller.await.unwrap();
        }
        let after = backends.given();
        let counts: Vec<u64> = before.iter().map(|(_, given)| *given).collect();
        let (most, least) = (counts.iter().max().unwrap(), counts.iter().min().unwrap());
        assert!(most - least <= 1 && *least > 3, "in turn: {counts:?}");
        assert!(after[0].1 - taken_off[0].1 == 0 && after[1].1 > taken_off[1].1, "{taken_off:?} {after:?}");
        // Sent once each, and all answered.
        assert_eq!(after.iter().map(|(_, given)| given).sum::<u64>(), calls);
        shutdown.cancel();
    });
}

/// A balancer that is stopped takes nobody new, and answers who waits.
#[test]
fn a_balancer_that_is_stopped_answers_who_waits() {
    run(async {
        let (shutdown, stop) = (Shutdown::new(), Shutdown::new());
        let handler = Handler { wait: Duration::from_millis(800), ..Handler::default() };
        let config = MarketConfig { handler, ..MarketConfig::default() };
        let servers = markets(Protocol::Rest, 1, &config, &shutdown).await;
        let (address, _, task) = balance(servers, &[], &stop).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /v1/quotes/AAAA HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        clock::pause(Duration::from_millis(300)).await;
        stop.cancel();
        let answer = heard(&mut stream, "nothing ends so").await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"AAAA\""), "{answer}");
        clock::limit(SOON, task).await.unwrap().unwrap();
        assert!(TcpStream::connect(address).await.is_err());
        shutdown.cancel();
    });
}

/// An event passes when it comes, and does not wait for others.
#[test]
fn events_pass_as_they_come() {
    run(async {
        let listener = TcpListener::bind(ANY).await.unwrap();
        let shutdown = Shutdown::new();
        let (address, ..) = balance(vec![listener.local_addr().unwrap()], &[], &shutdown).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET /v1/ticks HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        heard(&mut server, "\r\n\r\n").await;
        server.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n").await.unwrap();
        for nth in 1..=3 {
            let event = format!("data: {nth}\n\n");
            server.write_all(event.as_bytes()).await.unwrap();
            assert!(heard(&mut client, &event).await.contains(&event));
        }
        // The client leaves, and the server hears of it.
        drop(client);
        let mut rest = Vec::new();
        clock::limit(SOON, async {
            loop {
                if server.write_all(b"data: late\n\n").await.is_err()
                    || server.try_read_buf(&mut rest).is_ok_and(|read| read == 0)
                {
                    return;
                }
                clock::pause(Duration::from_millis(20)).await;
            }
        })
        .await
        .unwrap();
        shutdown.cancel();
    });
}

/// Connections that are open to these ports, or half open.
fn connections(ports: &[u16]) -> usize {
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let is_one = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let port = |field: &str| u16::from_str_radix(field.rsplit(':').next().unwrap(), 16).unwrap();
        // Of `enum tcp_state`: established, close-wait.
        matches!(fields[3], "01" | "08") && ports.contains(&port(fields[2]))
    };
    table.lines().skip(1).filter(is_one).count()
}

/// Once clients have left, no connection to a server is left that carries nothing any more, but for
/// those that are kept for other requests, which the server closes.
#[test]
fn nothing_is_left_behind() {
    run(async {
        let shutdown = Shutdown::new();
        let limits = Limits { header_time_max: Duration::from_millis(300), ..Limits::default() };
        let market = Market::open(&MarketConfig::default(), Clock::System).unwrap();
        let settings = Settings { limits, ..Settings::default() };
        let started = protocols::start(
            Protocol::WebSocket,
            ANY.into(),
            market.clone(),
            settings.clone(),
            shutdown.clone(),
        );
        let websocket = started.await.unwrap().address;
        let started = protocols::start(Protocol::Rest, ANY.into(), market, settings, shutdown.clone());
        let rest = started.await.unwrap().address;
        let (websockets, ..) = balance(vec![websocket], &[], &shutdown).await;
        let (calls, ..) = balance(vec![rest], &[], &shutdown).await;
        let ports = [websocket, rest, websockets, calls].map(|address| address.port());
        let upgrade = format!(
            "GET {} HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            Protocol::WebSocket.path()
        );
        for _ in 0..3 {
            let mut client = TcpStream::connect(websockets).await.unwrap();
            client.write_all(upgrade.as_bytes()).await.unwrap();
            assert!(heard(&mut client, "\r\n\r\n").await.starts_with("HTTP/1.1 101"));
            assert_eq!(
                ask(calls, &GET.replace("/ ", "/v1/quotes/AAAA "), "nothing ends so").await.get(9..12),
                Some("200")
            );
        }
        let gone = async {
            while connections(&ports) > 0 {
                clock::pause(Duration::from_millis(20)).await;
            }
        };
        if clock::limit(Duration::from_secs(5), gone).await.is_err() {
            panic!("{} connections are open", connections(&ports));
        }
        shutdown.cancel();
    });
}
