//! The start of a cast's processes: each is told what to do, and waited for until it does.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::bail;
use clients::conformance::CaseResult;
use clients::role::{Caller, Open, ReceiveFlows, Receiver};
use lab::child::Child;
use lab::topology::{CLIENTS, SERVERS};
use proto::Capability;
use proto::flow::Flow;
use servers::market::{Behind, MarketBehind};
use servers::role::{Balance, Balancer, Ready, SendFlows, Sender, Serve};
use servers::{Limits, MarketConfig};
use terms::{Access, Activity, Contender, FlowSettings, Handler, Policy, Through, Traffic, Workload};

use super::{Cast, CastWork, Client, MarketProcess, OPEN_TIME_MAX, Server};
use crate::roles::{Supervise, Supervisor};
use crate::site::Site;

/// A measured connection is idle while the others have their turn, and must not be closed for it.
const IDLE_TIME_MAX: Duration = Duration::from_secs(3_600);

/// What a cast is started with.
pub(crate) struct Setup<'a> {
    pub(crate) market: MarketConfig,
    pub(crate) workload: &'a Workload,
    /// Whether the conformance cases go through it first.
    pub(crate) conformance: bool,
    /// Whether a relay stands between the two.
    pub(crate) relayed: bool,
}

impl Site<'_> {
    /// Starts a contender's processes; says how its conformance cases went.
    pub(crate) fn open(
        &self,
        contender: &Contender,
        setup: &Setup<'_>,
    ) -> anyhow::Result<(Cast, Vec<CaseResult>)> {
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
    fn open_flows(&self, name: &str, flows: &[Flow], settings: FlowSettings) -> anyhow::Result<Cast> {
        let Site { layout, topology, crew, .. } = self;
        let receive = ReceiveFlows {
            cores: layout.client.clone(),
            address: topology.address(CLIENTS),
            flows: flows.to_vec(),
            settings,
        };
        let host = topology.host(CLIENTS);
        let title = format!("the receiver of {name}");
        let mut receiver = Child::<Receiver>::start(crew, &title, host, &receive)?;
        let addresses = receiver.ready(OPEN_TIME_MAX)?;
        let send = SendFlows {
            core: layout.server,
            flows: flows.iter().copied().zip(addresses).collect(),
            buffer_bytes: settings.buffer_bytes,
        };
        let host = topology.host(SERVERS);
        let mut sender = Child::<Sender>::start(crew, &format!("the sender of {name}"), host, &send)?;
        sender.ready(OPEN_TIME_MAX)?;
        Ok(Cast {
            name: name.to_owned(),
            client: Client::Receiver(receiver),
            server: Server::Sender(sender),
            shape: None,
            amount: None,
            relayed: false,
            origin: None,
            behind: Vec::new(),
            work: CastWork::default(),
            troubled: false,
            counts_orders: false,
        })
    }

    fn open_access(
        &self,
        name: &str,
        access: &Access,
        setup: &Setup<'_>,
    ) -> anyhow::Result<(Cast, Vec<CaseResult>)> {
        let (server, behind, ready) = match access.through {
            Some(Through::Front) => self.start_front(name, access, setup)?,
            None => {
                let (server, ready) = self.start_server(name, access, setup)?;
                (server, Vec::new(), ready)
            }
        };
        let origin = ready.origin;
        let own = CastWork { handler: setup.market.handler, ..CastWork::default() };
        let (caller, conformance) = self.start_caller(name, access, setup, ready)?;
        let cast = Cast {
            name: name.to_owned(),
            client: Client::Caller(caller),
            server,
            shape: None,
            amount: None,
            relayed: setup.relayed,
            origin,
            behind,
            // What a handler of somebody else's does is its own.
            work: access.server.as_ref().map_or(own, |_| CastWork::default()),
            troubled: false,
            counts_orders: access.server.is_none()
                && setup.workload.activity == Activity::Market(Capability::PlaceOrder),
        };
        Ok((cast, conformance))
    }

    fn start_server(
        &self,
        name: &str,
        access: &Access,
        setup: &Setup<'_>,
    ) -> anyhow::Result<(Server, Ready)> {
        let Some(foreign) = &access.server else {
            let (market, ready) = self.start_market(name, SERVERS, access, setup, None)?;
            return Ok((Server::Market(Box::new(market)), ready));
        };
        // What somebody else started is on no host of ours.
        let host = if access.is_target() { None } else { self.topology.host(SERVERS) };
        let supervise = Supervise {
            core: self.layout.server,
            address: self.topology.address(SERVERS),
            server: foreign.clone(),
            market_seed: setup.market.seed,
        };
        let title = format!("the supervisor of the server of {name}");
        let mut child = Child::<Supervisor>::start(&self.crew, &title, host, &supervise)?;
        let ready = child.ready(OPEN_TIME_MAX)?;
        Ok((Server::Foreign(child, ready.program), ready))
    }

    /// A front, and the markets behind it.
    fn start_front(
        &self,
        name: &str,
        access: &Access,
        setup: &Setup<'_>,
    ) -> anyhow::Result<(Server, Vec<MarketProcess>, Ready)> {
        let workload = setup.workload;
        let (mut processes, mut markets) = (Vec::new(), Vec::new());
        for nth in 1..=1 + usize::from(workload.second_market.is_some()) {
            let name = format!("{name} (market.{nth})");
            let host = self.topology.of_markets();
            let (process, ready) = self.start_market(&name, host, access, setup, None)?;
            processes.push(process);
            markets.push(MarketBehind { address: ready.address, tls: access.tls.zip(ready.root) });
        }
        let behind = Behind {
            carriage: access.carriage,
            policy: access.policy.unwrap_or(Policy::NONE),
            congestion: self.congestion_of(access),
            markets,
            time_out: workload.time_out,
            second_market: workload.second_market,
            market_seed: setup.market.seed,
        };
        let market = MarketConfig { handler: Handler::default(), ..setup.market.clone() };
        let own = Setup { market, ..*setup };
        let (front, ready) = self.start_market(name, SERVERS, access, &own, Some(behind))?;
        Ok((Server::Market(Box::new(front)), processes, ready))
    }

    /// A server of the market, or one with markets behind it.
    pub(crate) fn start_market(
        &self,
        name: &str,
        host: &'static str,
        access: &Access,
        setup: &Setup<'_>,
        behind: Option<Behind>,
    ) -> anyhow::Result<(MarketProcess, Ready)> {
        let serve = Box::new(Serve {
            core: self.layout.server,
            address: SocketAddr::new(self.topology.address(host), 0),
            protocol: access.carriage.protocol(),
            transport: access.transport(),
            congestion: self.congestion_of(access),
            named: access.dns,
            relayed: setup.relayed,
            market: setup.market.clone(),
            behind,
            limits: limits(),
        });
        Ok(MarketProcess::start(self, name, host, serve)?)
    }

    /// A balancer, before servers of which a client is to see one address.
    pub(crate) fn start_balancer(
        &self,
        name: &str,
        access: &Access,
    ) -> anyhow::Result<(Child<Balancer>, Ready)> {
        let balance = Balance {
            core: self.layout.server,
            address: self.topology.address(SERVERS),
            congestion: self.congestion_of(access),
            limits: limits(),
        };
        let host = self.topology.host(SERVERS);
        let title = format!("the balancer of {name}");
        let mut balancer = Child::<Balancer>::start(&self.crew, &title, host, &balance)?;
        let ready = balancer.ready(OPEN_TIME_MAX)?;
        Ok((balancer, ready))
    }

    /// A client of a server that is ready; says how its conformance cases went.
    pub(crate) fn start_caller(
        &self,
        name: &str,
        access: &Access,
        setup: &Setup<'_>,
        server: Ready,
    ) -> anyhow::Result<(Child<Caller>, Vec<CaseResult>)> {
        let open = Box::new(Open {
            cores: self.layout.client.clone(),
            carriage: access.carriage,
            address: server.address,
            name_server: server.name_server,
            tls: access.tls.zip(server.root),
            congestion: self.congestion_of(access),
            market_seed: setup.market.seed,
            manners: access.manners,
            // A front carries it out.
            policy: access.policy.filter(|_| access.through.is_none()),
            deadline: access.deadline,
            workload: setup.workload.clone(),
            is_ours: access.server.is_none(),
            screen: access.screen.clone(),
            conformance: setup.conformance,
        });
        let host = self.topology.host(CLIENTS);
        let title = format!("the client of {name}");
        let mut caller = Child::<Caller>::start(&self.crew, &title, host, &open)?;
        let conformance = caller.ready(OPEN_TIME_MAX)?;
        Ok((caller, conformance))
    }
}

/// Of everything that is measured.
fn limits() -> Limits {
    Limits { idle_time_max: IDLE_TIME_MAX, header_time_max: IDLE_TIME_MAX, ..Limits::default() }
}
