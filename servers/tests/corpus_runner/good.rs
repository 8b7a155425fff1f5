//! The good client: asks the server under test for a quote, over a connection of its own each time,
//! every tenth of a second and whenever it is told to.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use clients::protocols::graphql::GraphQlConnector;
use clients::protocols::grpc::GrpcConnector;
use clients::protocols::quic::QuicConnector;
use clients::protocols::quic_datagram::QuicDatagramConnector;
use clients::protocols::rest::RestConnector;
use clients::protocols::tcp::TcpConnector;
use clients::protocols::udp::UdpConnector;
use clients::protocols::websocket::WebSocketConnector;
use clients::{Connection as _, Connector, Endpoint, Tls};
use clock::Clock;
use proto::encoding::Encoding;
use proto::v1::QuoteRequest;
use proto::{Operation, Protocol, Reply, Transport};
use terms::{HttpVersion, Streams, TlsOptions};
use tokio::sync::mpsc as orders;

use super::input::Served;

/// From one call to the next.
const EVERY: Duration = Duration::from_millis(100);
/// The time within which a good call must be answered, its connection opened and all.
pub(crate) const CALL_TIME_MAX: Duration = Duration::from_secs(1);
/// How a good call that was answered late is told.
pub(crate) const SLOW: &str = "a good call took";
/// UDP: a call that was not answered by then may be lost.
const ASKED_AGAIN_AFTER: Duration = Duration::from_millis(150);
/// A call that takes longer is given up: the server hangs.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(3);

/// What the calls of a while came to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Calls {
    pub(crate) count: usize,
    pub(crate) slowest: Duration,
    /// What went wrong, in words.
    pub(crate) failures: Vec<String>,
}

enum Order {
    /// Calls this server from now on; forgets what was.
    Call(Target),
    /// Makes one more call and says what all came to.
    Report(mpsc::Sender<Calls>),
}

#[derive(Clone)]
struct Target {
    served: Served,
    endpoint: Endpoint,
}

/// A client on a thread of its own.
pub(crate) struct GoodClient {
    orders: Option<orders::UnboundedSender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl GoodClient {
    pub(crate) fn start() -> GoodClient {
        let (sender, receiver) = orders::unbounded_channel();
        let thread = std::thread::spawn(move || clients::local_runtime().unwrap().block_on(run(receiver)));
        GoodClient { orders: Some(sender), thread: Some(thread) }
    }

    /// Calls this server from now on.
    pub(crate) fn call(&self, served: Served, address: SocketAddr, root: &[u8]) {
        let tls = match served.transport {
            Transport::Plain => None,
            Transport::Tls | Transport::Quic => Some(Tls::to_market(TlsOptions::default(), root).unwrap()),
        };
        let endpoint = Endpoint { tls, ..Endpoint::from(address) };
        self.order(Order::Call(Target { served, endpoint }));
    }

    /// What the calls came to, with one that begins now.
    pub(crate) fn report(&self) -> Calls {
        let (sender, receiver) = mpsc::channel();
        self.order(Order::Report(sender));
        receiver.recv().unwrap()
    }

    fn order(&self, order: Order) {
        assert!(self.orders.as_ref().unwrap().send(order).is_ok(), "the good client is gone");
    }
}

impl Drop for GoodClient {
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(thread) = self.thread.take() {
            // Its panic was printed where it happened.
            let _ = thread.join();
        }
    }
}

async fn run(mut orders: orders::UnboundedReceiver<Order>) {
    let (mut target, mut calls): (Option<Target>, _) = (None, Calls::default());
    loop {
        let order = tokio::select! {
            biased;
            order = orders.recv() => match order {
                None => return,
                some => some,
            },
            () = clock::pause(EVERY), if target.is_some() => None,
        };
        let report = match order {
            Some(Order::Call(next)) => {
                (target, calls) = (Some(next), Calls::default());
                None
            }
            Some(Order::Report(sender)) => Some(sender),
            None => None,
        };
        // After every order too: the first call to a server, and the last before a report.
        if let Some(target) = &target {
            calls.add(target).await;
        }
        if let Some(sender) = report {
            // Whoever asked may have given up.
            let _ = sender.send(calls.clone());
        }
    }
}

impl Calls {
    /// The first failure, and how many there are: enough to read.
    pub(crate) fn what_failed(&self) -> Vec<String> {
        let failed = self.failures.len();
        let many = (failed > 1).then(|| format!("{failed} of {} good calls failed", self.count));
        self.failures.first().cloned().into_iter().chain(many).collect()
    }

    async fn add(&mut self, target: &Target) {
        let begin = Clock::System.now();
        let answered = clock::limit(GIVEN_UP_AFTER, target.ask()).await;
        let took = Clock::System.now().since(begin);
        self.count += 1;
        self.slowest = self.slowest.max(took);
        match answered {
            Ok(Ok(Reply::Quote(_))) if took <= CALL_TIME_MAX => {}
            Ok(Ok(Reply::Quote(_))) => self.failures.push(format!("{SLOW} {took:.1?}")),
            Ok(Ok(other)) => self.failures.push(format!("a good call got {other:?}")),
            Ok(Err(error)) => self.failures.push(format!("a good call failed: {error}")),
            Err(clock::Elapsed) => self.failures.push(format!("no answer to a good call in {took:.1?}")),
        }
    }
}

impl Target {
    async fn ask(&self) -> Result<Reply, clients::CallError> {
        let endpoint = self.endpoint.clone();
        let (http, encoding) = (HttpVersion::Http1, Encoding::Json);
        match self.served.protocol {
            Protocol::Rest if self.served.transport == Transport::Quic => {
                let http = HttpVersion::Http3;
                quote(RestConnector { endpoint, http, encoding, poll_every: None }).await
            }
            // SSE has REST's calls on its port.
            Protocol::Rest | Protocol::Sse => {
                quote(RestConnector { endpoint, http, encoding, poll_every: None }).await
            }
            Protocol::GraphQl => quote(GraphQlConnector { endpoint, http, persisted: false }).await,
            Protocol::Grpc => quote(GrpcConnector { endpoint }).await,
            Protocol::WebSocket => quote(WebSocketConnector { endpoint, encoding }).await,
            Protocol::Tcp => quote(TcpConnector { endpoint }).await,
            Protocol::Udp => quote_until_answered(&UdpConnector::new(endpoint)).await,
            Protocol::Quic => quote(QuicConnector { endpoint, streams: Streams::PerCall }).await,
            Protocol::QuicDatagram => quote(QuicDatagramConnector { endpoint }).await,
        }
    }
}

/// A datagram that meets a full buffer is lost: a caller who wants an answer asks again.
async fn quote_until_answered(connector: &UdpConnector) -> Result<Reply, clients::CallError> {
    loop {
        if let Ok(answered) = clock::limit(ASKED_AGAIN_AFTER, quote(connector.clone())).await {
            return answered;
        }
    }
}

async fn quote<K>(connector: K) -> Result<Reply, clients::CallError>
where
    K: Connector,
    K::Connection: clients::Connection<Request = Operation, Reply = Reply>,
{
    let connection = connector.connect().await?;
    let request = Operation::Quote(QuoteRequest { symbol: "AAAA".to_owned() });
    connection.call(&connection.prepare(&request)?, None).await
}
