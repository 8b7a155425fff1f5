//! The start of a contender's processes: each is told what to do, and waited for until it does.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::bail;
use clients::conformance::CaseResult;
use clients::load::Shape;
use clock::Mono;
use lab::child::Child;
use proto::flow::{Congestion, Flow};
use servers::{Handler, Limits, MarketConfig};

use super::message::{
    Balance, FromClient, FromServer, Open, Ready, ReceiveFlows, SendFlows, Serve, Supervise, ToClient,
    ToServer,
};
use super::{Pair, Place};
use crate::scenario::{Access, Activity, Contender, FlowSettings, Traffic, Workload};

/// Time for a child to start, to check its server and to open its connections.
pub(super) const OPEN_TIME_MAX: Duration = Duration::from_secs(120);
/// A measured connection is idle while the others have their turn, and must not be closed for it.
const IDLE_TIME_MAX: Duration = Duration::from_secs(3_600);

pub(super) type Client = Child<ToClient, FromClient>;
pub(super) type Server = Child<ToServer, FromServer>;

/// What a pair is started with.
pub(crate) struct Setup<'a> {
    pub(crate) market: MarketConfig,
    pub(crate) workload: &'a Workload,
    /// Whether the conformance cases go through it first.
    pub(crate) conformance: bool,
    /// Whether a relay stands between the two.
    pub(crate) relayed: bool,
}

/// A server that is up.
pub(super) struct Started {
    pub(super) server: Server,
    pub(super) ready: Ready,
    /// How it was told to serve, and where it listens; of one that is not wirebench's nothing.
    pub(super) serve: Option<Box<Serve>>,
}

impl Place<'_> {
    /// Starts a contender's processes; says how its conformance cases went.
    pub(crate) fn open(
        &self,
        contender: &Contender,
        setup: &Setup<'_>,
    ) -> anyhow::Result<(Pair, Vec<CaseResult>)> {
        let name = &contender.name;
        match (&contender.traffic, setup.workload.activity) {
            (Traffic::Market(access), _) => self.open_access(name, access, setup),
            (Traffic::Flows(flows), Activity::Flow(settings)) => {
                Ok((self.open_flows(name, flows, settings)?, Vec::new()))
            }
            (Traffic::Flows(_), Activity::Market(_)) => bail!("{name} has flows, which the market has not"),
        }
    }

    /// Receivers first, since they say where to send to.
    fn open_flows(&self, name: &str, flows: &[Flow], settings: FlowSettings) -> anyhow::Result<Pair> {
        let Place { layout, network, .. } = self;
        let mut client: Client =
            Child::start(&format!("the receiver of {name}"), &["agent", "client"], network.client_host())?;
        client.send(&ToClient::Receive(ReceiveFlows {
            cores: layout.client.clone(),
            address: network.client_address(),
            flows: flows.to_vec(),
            settings,
        }))?;
        let addresses = match client.receive(OPEN_TIME_MAX)? {
            FromClient::Listening { addresses } => addresses,
            other => bail!("the receiver of {name}: {}", unexpected(other)),
        };
        let mut server: Server =
            Child::start(&format!("the sender of {name}"), &["agent", "server"], network.server_host())?;
        server.send(&ToServer::Send(SendFlows {
            core: layout.server,
            flows: flows.iter().copied().zip(addresses).collect(),
            buffer_bytes: settings.buffer_bytes,
        }))?;
        match server.receive(OPEN_TIME_MAX)? {
            FromServer::ReadyToSend => {}
            other => bail!("the sender of {name}: {}", unexpected_of_server(other)),
        }
        Ok(Pair {
            name: name.to_owned(),
            client,
            server,
            program: None,
            shape: None,
            has_flows: true,
            relayed: false,
            origin: None,
            handler: Handler::default(),
            serve: None,
        })
    }

    fn open_access(
        &self,
        name: &str,
        access: &Access,
        setup: &Setup<'_>,
    ) -> anyhow::Result<(Pair, Vec<CaseResult>)> {
        let Started { server, ready, serve } = self.start_server(name, access, setup)?;
        let (origin, program) = (ready.origin, ready.program);
        let (client, conformance) = self.start_client(name, access, setup, ready)?;
        let pair = Pair {
            name: name.to_owned(),
            client,
            server,
            program,
            shape: None,
            has_flows: false,
            relayed: setup.relayed,
            origin,
            // What a handler of somebody else's does is its own.
            handler: access.server.as_ref().map_or(setup.market.handler, |_| Handler::default()),
            serve,
        };
        Ok((pair, conformance))
    }

    pub(super) fn start_server(
        &self,
        name: &str,
        access: &Access,
        setup: &Setup<'_>,
    ) -> anyhow::Result<Started> {
        let Place { layout, network, .. } = self;
        // What somebody else started is on no host of ours.
        let host = if access.is_target() { None } else { network.server_host() };
        let mut server: Server = Child::start(&format!("the server of {name}"), &["agent", "server"], host)?;
        let (order, serve) = match &access.server {
            Some(foreign) => {
                let order = ToServer::Supervise(Supervise {
                    core: layout.server,
                    address: network.server_address(),
                    server: foreign.clone(),
                    market_seed: setup.market.seed,
                });
                (order, None)
            }
            None => {
                let serve = Box::new(Serve {
                    core: layout.server,
                    address: SocketAddr::new(network.server_address(), 0),
                    protocol: access.carriage.protocol(),
                    transport: access.transport(),
                    congestion: self.congestion_of(access),
                    named: access.dns,
                    relayed: setup.relayed,
                    market: setup.market.clone(),
                    limits: limits(),
                });
                (ToServer::Serve(serve.clone()), Some(serve))
            }
        };
        server.send(&order)?;
        let ready = ready(name, &mut server)?;
        let serve = serve.map(|serve| Box::new(Serve { address: ready.address, ..*serve }));
        Ok(Started { server, ready, serve })
    }

    /// A balancer, before servers of which a client is to see one address.
    pub(super) fn start_balancer(
        &self,
        name: &str,
        access: &Access,
        backends: Vec<SocketAddr>,
    ) -> anyhow::Result<(Server, Ready)> {
        let Place { layout, network, .. } = self;
        let mut balancer: Server =
            Child::start(&format!("the balancer of {name}"), &["agent", "server"], network.server_host())?;
        balancer.send(&ToServer::Balance(Balance {
            core: layout.server,
            address: network.server_address(),
            congestion: self.congestion_of(access),
            limits: limits(),
            backends,
        }))?;
        let ready = ready(name, &mut balancer)?;
        Ok((balancer, ready))
    }

    /// A client of whoever is ready; says how its conformance cases went.
    pub(super) fn start_client(
        &self,
        name: &str,
        access: &Access,
        setup: &Setup<'_>,
        server: Ready,
    ) -> anyhow::Result<(Client, Vec<CaseResult>)> {
        let Place { layout, network, .. } = self;
        let mut client: Client =
            Child::start(&format!("the client of {name}"), &["agent", "client"], network.client_host())?;
        client.send(&ToClient::Open(Box::new(Open {
            cores: layout.client.clone(),
            carriage: access.carriage,
            address: server.address,
            name_server: server.name_server,
            tls: access.tls.zip(server.root),
            congestion: self.congestion_of(access),
            market_seed: setup.market.seed,
            manners: access.manners,
            workload: setup.workload.clone(),
            is_ours: access.server.is_none(),
            screen: access.screen.clone(),
            conformance: setup.conformance,
        })))?;
        match client.receive(OPEN_TIME_MAX)? {
            FromClient::Opened { conformance } => Ok((client, conformance)),
            other => bail!("the client of {name}: {}", unexpected(other)),
        }
    }

    fn congestion_of(&self, access: &Access) -> Congestion {
        access.congestion.unwrap_or(self.congestion)
    }
}

/// Of everything that is measured.
fn limits() -> Limits {
    Limits { idle_time_max: IDLE_TIME_MAX, header_time_max: IDLE_TIME_MAX, ..Limits::default() }
}

/// Has a client open these connections, and waits until they are.
pub(super) fn connect(name: &str, client: &mut Client, shape: Shape) -> anyhow::Result<()> {
    client.send(&ToClient::Connect { shape })?;
    match client.receive(OPEN_TIME_MAX)? {
        FromClient::Connected => Ok(()),
        other => bail!("the client of {name}: {}", unexpected(other)),
    }
}

/// How many subscriptions wait for ticks at a server, as soon as there are so many or the time is over, and when that was.
pub(super) fn count_subscribers(
    name: &str,
    server: &mut Server,
    subscribers: usize,
    within: Duration,
) -> anyhow::Result<(usize, Mono)> {
    server.send(&ToServer::AwaitSubscribers { subscribers, within })?;
    match server.receive(within + OPEN_TIME_MAX)? {
        FromServer::Subscribers { subscribers, at } => Ok((subscribers, at)),
        other => bail!("the server of {name}: {}", unexpected_of_server(other)),
    }
}

/// When calls came to a server with a behaviour, since this was last asked.
pub(super) fn arrivals(name: &str, server: &mut Server) -> anyhow::Result<Vec<Mono>> {
    server.send(&ToServer::Arrivals)?;
    match server.receive(OPEN_TIME_MAX)? {
        FromServer::Arrivals { arrivals } => Ok(arrivals),
        other => bail!("the server of {name}: {}", unexpected_of_server(other)),
    }
}

/// Waits until a server is.
pub(super) fn ready(name: &str, server: &mut Server) -> anyhow::Result<Ready> {
    match server.receive(OPEN_TIME_MAX)? {
        FromServer::Ready(ready) => Ok(ready),
        other => bail!("the server of {name}: {}", unexpected_of_server(other)),
    }
}

pub(super) fn unexpected_of_server(message: FromServer) -> String {
    match message {
        FromServer::Failed { error } => error,
        other => format!("it said {other:?} out of turn"),
    }
}

pub(super) fn unexpected(message: FromClient) -> String {
    match message {
        FromClient::Failed { error } => error,
        other => format!("it said {other:?} out of turn"),
    }
}
