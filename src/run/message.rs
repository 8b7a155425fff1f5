//! What the command and its children say to each other: JSON lines, `open → opened → round … → result`; the end
//! of its input is a child's order to stop.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use clients::TlsOptions;
use clients::conformance::CaseResult;
use clients::load::{Emission, Manners, Outcome, Round, Shape};
use clients::protocols::Carriage;
use proto::flow::{Congestion, Flow};
use proto::{Protocol, Transport};
use serde::{Deserialize, Serialize};
use servers::between::Policy;
use servers::flow::{FlowTimes, Sent};
use servers::{Handler, Limits, MarketConfig};

use crate::scenario::{FlowSettings, ForeignServer, Screen, Workload};

/// To a server.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ToServer {
    /// Serve.
    Serve(Box<Serve>),
    /// Have a server up that is not wirebench's, instead.
    Supervise(Supervise),
    /// Be the sender of flows, instead.
    Send(SendFlows),
    /// Send a round of them.
    Flow(FlowTimes),
    /// Emit the ticks of a round.
    Emit(Emit),
    /// Have handlers do this from now on.
    Handle(Handler),
    /// Have the relay do this from now on.
    Between(Policy),
    /// Be a balancer, instead.
    Balance(Balance),
    /// Have the balancer give new connections to these from now on.
    Backends(Vec<SocketAddr>),
    /// Say how many connections the balancer has given to each so far.
    Given,
    /// Say when so many subscriptions wait for ticks, or how many do after this time.
    AwaitSubscribers { subscribers: usize, within: Duration },
    /// Say when calls came.
    Arrivals,
    /// Say how many allocations there were so far.
    Allocations,
}

/// A server that is not wirebench's.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Supervise {
    /// Where it runs.
    pub(super) core: usize,
    pub(super) address: IpAddr,
    pub(super) server: ForeignServer,
    pub(super) market_seed: u64,
}

/// The ticks of a round.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Emit {
    /// When the round's warm-up begins.
    pub(super) start: clock::Mono,
    /// Warm-up and measured time.
    pub(super) span: Duration,
    /// The round's.
    pub(super) seed: u64,
    /// How many, and how spaced; the first sequence is the server's to say.
    pub(super) emission: Emission,
}

/// What is sent in every round, and where to.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SendFlows {
    /// Where it runs.
    pub(super) core: usize,
    pub(super) flows: Vec<(Flow, SocketAddr)>,
    pub(super) buffer_bytes: Option<usize>,
}

/// What a server serves.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Serve {
    /// Where it runs.
    pub(super) core: usize,
    /// Where it listens; on port 0 on any.
    pub(super) address: SocketAddr,
    pub(super) protocol: Protocol,
    /// What carries it.
    pub(super) transport: Transport,
    /// Of TCP and QUIC.
    pub(super) congestion: Congestion,
    /// Whether a name server beside it knows where it is.
    pub(super) named: bool,
    /// Whether a relay stands before it: then that is where clients connect.
    pub(super) relayed: bool,
    pub(super) market: MarketConfig,
    pub(super) limits: Limits,
}

/// A balancer at layer 4: a relay with several servers behind it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Balance {
    /// Where it runs.
    pub(super) core: usize,
    /// Where it listens, on any port.
    pub(super) address: IpAddr,
    /// Of its connections to clients.
    pub(super) congestion: Congestion,
    pub(super) limits: Limits,
    /// Whom it gives connections to, in turn.
    pub(super) backends: Vec<SocketAddr>,
}

/// From a server.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FromServer {
    /// It listens.
    Ready(Ready),
    /// It is ready to send flows.
    ReadyToSend,
    /// It has sent a round of them.
    Sent { flows: Vec<Sent> },
    /// It will emit, beginning with this sequence.
    Emitting { first_sequence: u64 },
    /// Handlers do as they were told.
    Handling,
    /// The relay or the balancer does what it was told.
    BetweenSet,
    /// The balancer has given so many connections to each.
    Given { connections: Vec<(SocketAddr, u64)> },
    /// So many subscriptions wait for ticks, now.
    Subscribers { subscribers: usize, at: clock::Mono },
    /// When calls came.
    Arrivals { arrivals: Vec<clock::Mono> },
    /// So many allocations; of a build that does not count, none.
    Allocations { count: Option<u64> },
    /// It does not, and ends.
    Failed { error: String },
}

/// Where a server listens, and what is to be known of it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ready {
    pub(super) address: SocketAddr,
    pub(super) listening_since: clock::Mono,
    /// The certificate to trust (DER), where it is not in plain text.
    pub(super) root: Option<Vec<u8>>,
    /// Who knows its name, where it has one.
    pub(super) name_server: Option<SocketAddr>,
    /// When the first freeze of its behaviour began, if it has one.
    pub(super) origin: Option<clock::Mono>,
    /// Of a program that serves in its stead: its process.
    pub(super) program: Option<u32>,
}

/// To a client.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ToClient {
    /// Check the server, make the requests.
    Open(Box<Open>),
    /// Be the receiver of flows, instead.
    Receive(ReceiveFlows),
    /// Open these connections, in place of those that were open: what listens on others would be sent to as well.
    Connect { shape: Shape },
    /// Load, over the open connections.
    Round(Round),
    /// Compare a sample of replies whole, outside the timing.
    Audit,
}

/// What arrives in every round.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ReceiveFlows {
    /// Where it runs.
    pub(super) cores: Vec<usize>,
    /// Where it listens, on any ports.
    pub(super) address: IpAddr,
    pub(super) flows: Vec<Flow>,
    pub(super) settings: FlowSettings,
}

/// What a client opens.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Open {
    /// Where it runs.
    pub(super) cores: Vec<usize>,
    pub(super) carriage: Carriage,
    pub(super) address: SocketAddr,
    /// Who is asked for that address, for each connection anew.
    pub(super) name_server: Option<SocketAddr>,
    /// How connections are secured, and the certificate to trust (DER).
    pub(super) tls: Option<(TlsOptions, Vec<u8>)>,
    /// Of TCP and QUIC.
    pub(super) congestion: Congestion,
    pub(super) market_seed: u64,
    /// What subscribers do about a connection that is lost, or silent.
    pub(super) manners: Manners,
    pub(super) workload: Workload,
    /// How a portfolio is asked for.
    pub(super) screen: Screen,
    /// Whether it is a server of wirebench's, which passes every case; of another, replies to what it is asked for are compared.
    pub(super) is_ours: bool,
    /// Whether the conformance cases come first.
    pub(super) conformance: bool,
}

/// From a client.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FromClient {
    /// The conformance cases went as told here.
    Opened { conformance: Vec<CaseResult> },
    /// Flows may be sent here, each to its own place.
    Listening { addresses: Vec<SocketAddr> },
    /// The connections are open.
    Connected,
    /// What a round has come to so far.
    Progress(Progress),
    /// What a round came to, and the allocations in it, warm-up included, in a build that counts them.
    Result { outcome: Box<Outcome>, allocations: Option<u64> },
    /// How many replies were compared whole, and the first that was wrong.
    Audited { compared: usize, wrong: Option<String> },
    /// It cannot go on, and ends.
    Failed { error: String },
}

/// A look at a running round, coarse.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Calls that succeeded.
    pub ok: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Median response time so far, in µs, to within 9 %.
    pub p50_us: Option<f64>,
    /// Its 99th percentile, likewise.
    pub p99_us: Option<f64>,
}

impl Progress {
    /// Reads an engine's counters.
    pub fn of(workers: &[std::sync::Arc<clients::load::Live>]) -> Progress {
        let quantile = |share| clients::load::Live::quantile_ns(workers, share).map(|ns| ns as f64 / 1e3);
        Progress {
            ok: workers.iter().map(|live| live.ok()).sum(),
            failed: workers.iter().map(|live| live.failed()).sum(),
            p50_us: quantile(0.5),
            p99_us: quantile(0.99),
        }
    }
}
