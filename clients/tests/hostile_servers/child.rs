//! The process of one load: makes it, and says what came of it and what it left.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use clients::foreign::expect::Expect;
use clients::foreign::greeting::Greeting;
use clients::foreign::http::HttpRequest;
use clients::foreign::tcp::ReplyEnd;
use clients::foreign::websocket::Payload;
use clients::foreign::{self, Request, Workers};
use clients::load::{Engine, EngineError, Kept, Pushes, Round, Sessions};
use clients::protocols::{Visit, visit};
use clients::{Connector, Endpoint, MarketConnection, Tls, Trust};
use clock::{Clock, Precision};
use http::{HeaderMap, Method};
use proto::Operation;
use proto::v1::{Order, OrderRequest, QuoteRequest, QuotesRequest, Side};
use serde::{Deserialize, Serialize};
use terms::{Arrivals, Carriage, Emission, HttpVersion, Manners, Model, Outcome, Shape, TlsOptions};

use crate::case::{Client, all};

/// Which case, and where its server listens.
pub(crate) const ORDER: &str = "WIREBENCH_HOSTILE_CASE";
/// What a child's answer begins with.
pub(crate) const ANSWER: &str = "came of it: ";

/// Measured time.
pub(crate) const DURATION: Duration = Duration::from_secs(1);
/// Time of a call.
pub(crate) const TIME_OUT: Duration = Duration::from_millis(300);
const RATE_PER_S: f64 = 50.0;
/// Time in which a connection must be there.
const OPENING_TIME: Duration = Duration::from_secs(10);
/// Two connections with four calls in flight on each, where the protocol can.
const SHAPE: Shape = Shape { connections: 2, in_flight: 4, cold: false };

/// What came of a load.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Came {
    /// Why no connection was opened.
    pub(crate) not_opened: Option<String>,
    pub(crate) ok: u64,
    /// By kind.
    pub(crate) failed: Vec<(terms::Failure, u64)>,
    /// What is told of each kind.
    pub(crate) samples: Vec<(terms::Failure, String)>,
    pub(crate) reconnections: u64,
    /// From the order to load to its end.
    pub(crate) took: Duration,
    /// The same for opening the connections.
    pub(crate) opening_took: Duration,
    /// By how much the memory grew at most.
    pub(crate) grew_kb: u64,
    /// Descriptors that were not there before.
    pub(crate) descriptors_left: Vec<String>,
    pub(crate) panicked: bool,
}

/// The load of a case. Ignored otherwise: [`crate::parent`] starts it.
#[test]
#[ignore = "the process of a load against a hostile server, started by the other tests"]
fn child() {
    // A run of all tests that are ignored has no order for it.
    let Ok(order) = std::env::var(ORDER) else { return };
    let (address, name) = order.split_once(' ').unwrap();
    let case = all().into_iter().find(|case| case.name == name).unwrap();
    let came = load(case.client, address.parse().unwrap());
    println!("\n{ANSWER}{}", serde_json::to_string(&came).unwrap());
}

static PANICKED: AtomicBool = AtomicBool::new(false);

fn load(client: Client, address: SocketAddr) -> Came {
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICKED.store(true, Ordering::Relaxed);
        told(panic);
    }));
    // The runtime has a pair of sockets that the whole process keeps.
    drop(clients::local_runtime().unwrap());
    let (descriptors, memory_kb) = (descriptors(), Memory::now());
    let clock = Clock::System;
    let began = clock.now();
    let opened = open(client, address);
    let (opening_took, began) = (clock.now().since(began), clock.now());
    let loaded = opened.and_then(|engine| engine.run(&round(clock.now())));
    let took = clock.now().since(began);
    let grew_kb = memory_kb.grew_kb();
    let (not_opened, outcome) = match loaded {
        Ok(outcome) => (None, outcome),
        Err(error) => (Some(error.to_string()), Outcome::new().unwrap()),
    };
    Came {
        not_opened,
        ok: outcome.ok,
        failed: outcome.failed.into_iter().collect(),
        samples: outcome.samples.into_iter().collect(),
        reconnections: outcome.reconnections,
        took,
        opening_took,
        grew_kb,
        descriptors_left: self::descriptors().into_iter().filter(|of| !descriptors.contains(of)).collect(),
        panicked: PANICKED.load(Ordering::Relaxed),
    }
}

fn round(start: clock::Mono) -> Round {
    let (arrivals, rate_per_s) = (Arrivals::Constant, RATE_PER_S);
    Round {
        model: Model::Open { arrivals, rate_per_s },
        warm_up: Duration::ZERO,
        duration: DURATION,
        time_out: TIME_OUT,
        seed: 1,
        start,
        precision: Precision::Sleep,
        emission: Some(Emission { first_sequence: 1, arrivals, rate_per_s }),
        calls_max: None,
    }
}

fn open(client: Client, address: SocketAddr) -> Result<Engine, EngineError> {
    let plain = Endpoint::from(address);
    let tls = || Some(Tls::new(TlsOptions::default(), "localhost", &Trust::Anybody).unwrap());
    let secure = || Endpoint { tls: tls(), ..Endpoint::from(address) };
    let of = |carriage: Carriage| match carriage {
        Carriage::Quic { .. } | Carriage::QuicDatagram => secure(),
        Carriage::Rest { http: HttpVersion::Http3, .. } => secure(),
        _ => plain.clone(),
    };
    let line = |bytes: usize| {
        Request::Tcp(vec![Bytes::from(vec![b'x'; bytes])], ReplyEnd::Until(b"\n".to_vec()), Greeting::none())
    };
    let (request, endpoint) = match client {
        Client::Http(version) => (http(version, "http", address), plain),
        Client::Https(version) => (http(version, "https", address), secure()),
        Client::WebSocket => {
            let (path, message) = ("/".to_owned(), Payload::Text("ask".to_owned()));
            (
                Request::WebSocket {
                    path,
                    headers: HeaderMap::new(),
                    messages: vec![message],
                    greeting: Greeting::none(),
                },
                plain,
            )
        }
        Client::Tcp(bytes) => (line(bytes), plain),
        Client::Tls => (line(10), secure()),
        Client::Udp => (Request::Udp(vec![Bytes::from_static(b"ask")]), plain),
        Client::Market(carriage) => (Request::Market(carriage, operations()), of(carriage)),
        Client::Subscriber(carriage) => return visit(carriage, of(carriage), Subscribe),
        Client::Session(carriage) => return visit(carriage, of(carriage), PlaceOrders),
    };
    let workers = Workers {
        cores: &[0],
        shape: SHAPE,
        opening_time: OPENING_TIME,
        calls_per_connection: None,
        on_thread: |_| Ok(()),
        kept: Kept::default(),
        stop: &Arc::default(),
    };
    foreign::open(request, endpoint, &workers)
}

fn http(version: HttpVersion, scheme: &str, address: SocketAddr) -> Request {
    let uri = format!("{scheme}://{address}/").parse().unwrap();
    let (headers, body) = (HeaderMap::new(), Bytes::new());
    let requests = vec![HttpRequest { method: Method::GET, uri, headers, body }];
    Request::Http { version, requests, expect: Expect::default() }
}

fn operations() -> Vec<Operation> {
    let symbols = ["AAAA", "AAAB"].map(str::to_owned).to_vec();
    vec![
        Operation::Quotes(QuotesRequest { symbols }),
        Operation::Quote(QuoteRequest { symbol: "AAAA".to_owned() }),
    ]
}

struct Subscribe;

impl Visit for Subscribe {
    type Output = Result<Engine, EngineError>;

    fn with<K>(self, connector: K) -> Result<Engine, EngineError>
    where
        K: Connector + Send,
        K::Connection: MarketConnection,
    {
        let manners = Manners { notices: Some(TIME_OUT), ..Manners::default() };
        Engine::start(&[0], &Pushes { connector, market_seed: 1, manners }, SHAPE, |_| Ok(()))
    }
}

struct PlaceOrders;

impl Visit for PlaceOrders {
    type Output = Result<Engine, EngineError>;

    fn with<K>(self, connector: K) -> Result<Engine, EngineError>
    where
        K: Connector + Send,
        K::Connection: MarketConnection,
    {
        let (account, symbol) = ("ACC00001".to_owned(), "AAAA".to_owned());
        let order = Some(Order { account, symbol, side: Side::Buy.into(), quantity: 1 });
        let orders = vec![Operation::PlaceOrder(OrderRequest { order, ..OrderRequest::default() })];
        Engine::start(&[0], &Sessions { connector, orders, market_seed: 1 }, SHAPE, |_| Ok(()))
    }
}

/// What this process had of memory.
struct Memory {
    resident_kb: u64,
}

impl Memory {
    /// Begins to watch for the peak.
    fn now() -> Memory {
        // 5 resets the peak (proc(5), clear_refs).
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        Memory { resident_kb: status_kb("VmRSS:") }
    }

    fn grew_kb(&self) -> u64 {
        status_kb("VmHWM:").saturating_sub(self.resident_kb)
    }
}

fn status_kb(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn descriptors() -> Vec<String> {
    let listed = std::fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().path());
    // The one that lists them is gone when it is looked at.
    listed
        .filter_map(|path| Some(format!("{} {}", path.display(), path.read_link().ok()?.display())))
        .collect()
}
