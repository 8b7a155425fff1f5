//! What client processes are started with.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use proto::flow::{Congestion, Flow};
use serde::{Deserialize, Serialize};
use terms::{Balance, Carriage, FlowSettings, Manners, MarketAt, Policy, Screen, TlsOptions, Workload};

/// What a client of the market opens.
#[derive(Debug, Serialize, Deserialize)]
pub struct Open {
    /// Where it runs.
    pub cores: Vec<usize>,
    /// How the market is called.
    pub carriage: Carriage,
    /// Where it is.
    pub address: SocketAddr,
    /// Who is asked for that address, for each connection again, in turn; nobody where there are
    /// none.
    pub name_servers: Vec<SocketAddr>,
    /// Whether the name's next address is tried where nobody is at one.
    pub tries_next: bool,
    /// How connections are secured, and the certificate to trust (DER).
    pub tls: Option<(TlsOptions, Vec<u8>)>,
    /// The other markets, where it spreads its calls by itself.
    pub replicas: Vec<MarketAt>,
    /// How it does.
    pub balance: Option<Balance>,
    /// Of TCP and QUIC.
    pub congestion: Congestion,
    /// Seed of the market's data.
    pub market_seed: u64,
    /// What subscribers do about a connection that is lost, or silent.
    pub manners: Manners,
    /// What is done about a call that fails.
    pub policy: Option<Policy>,
    /// Time that each call has and says.
    pub deadline: Option<Duration>,
    /// What is done.
    pub workload: Workload,
    /// How a portfolio is asked for.
    pub screen: Screen,
    /// Whether it is a server of wirebench's, which passes every case; of another, replies to what
    /// it is asked for are compared.
    pub is_ours: bool,
    /// Whether the conformance cases come first.
    pub conformance: bool,
}

/// What a receiver of flows receives in every round.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReceiveFlows {
    /// Where it runs.
    pub cores: Vec<usize>,
    /// Where it listens, on any ports.
    pub address: IpAddr,
    /// What arrives.
    pub flows: Vec<Flow>,
    /// What all of it has in common.
    pub settings: FlowSettings,
}
