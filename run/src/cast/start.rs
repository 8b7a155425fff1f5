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
use servers::market::Behind;
use servers::role::{Balancer, Ready, SendFlows, Sender, Serve, SetBackends, Spread};
use servers::{Limits, MarketConfig};
use terms::{
    Access, Activity, Contender, FlowSettings, ForeignServer, Handler, MarketAt, Policy, Through, Traffic,
    Workload,
};

use super::{ANSWER_TIME_MAX, Cast, CastWork, Client, MarketProcess, NameProcesses, OPEN_TIME_MAX, Server};
use crate::roles::{Supervise, Supervisor};
use crate::site::Site;

/// A measured connection is idle while the others have their turn, and must not be closed for it.
const IDLE_TIME_MAX: Duration = Duration::from_secs(3_600);

/// A server, the other processes of markets, and where clients connect.
type Started = (Server, Vec<MarketProcess>, Vec<Ready>);

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
            others: Vec::new(),
            is_before: false,
            has_list: false,
            names: None,
            counts_markets: false,
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
        let (server, others, mut ready) = match access.through {
            Some(Through::Front) => self.start_front(name, access, setup)?,
            Some(Through::L4 | Through::L7) => self.start_behind_a_balancer(name, access, setup)?,
            None => match &access.balancer {
                Some(program) => self.start_behind_a_program(name, program, access, setup)?,
                None => self.start_servers(name, access, setup)?,
            },
        };
        let origin = ready[0].origin;
        let seed = setup.market.seed;
        let names = access.names.as_ref();
        let names = names.map(|of| NameProcesses::start(self, name, of, &ready, seed)).transpose()?;
        let own = CastWork { handler: setup.market.handler, ..CastWork::default() };
        let mut first = ready.remove(0);
        if let Some(names) = &names {
            first.name_servers.clone_from(&names.asked);
        }
        let (caller, conformance) = self.start_caller(name, access, setup, first, ready)?;
        let cast = Cast {
            name: name.to_owned(),
            client: Client::Caller(caller),
            server,
            shape: None,
            amount: None,
            relayed: setup.relayed,
            origin,
            others,
            is_before: access.is_behind_another(),
            has_list: access.balance.is_some(),
            names,
            counts_markets: setup.workload.replicas > 1,
            // What a handler of somebody else's does is its own.
            work: access.server.as_ref().map_or(own, |_| CastWork::default()),
            troubled: false,
            counts_orders: access.server.is_none()
                && setup.workload.activity == Activity::Market(Capability::PlaceOrder),
        };
        Ok((cast, conformance))
    }

    /// The servers that a client calls by itself; where each listens.
    fn start_servers(&self, name: &str, access: &Access, setup: &Setup<'_>) -> anyhow::Result<Started> {
        let Some(foreign) = &access.server else {
            let (mut markets, ready) = self.start_markets(name, SERVERS, access, setup)?;
            let first = markets.remove(0);
            return Ok((Server::Market(Box::new(first)), markets, ready));
        };
        let (server, ready) = self.start_foreign(name, foreign, Vec::new(), setup.market.seed)?;
        Ok((Server::Foreign(server, ready.program), Vec::new(), vec![ready]))
    }

    /// A program, and the markets behind it.
    fn start_behind_a_program(
        &self,
        name: &str,
        program: &ForeignServer,
        access: &Access,
        setup: &Setup<'_>,
    ) -> anyhow::Result<Started> {
        let (markets, ready) = self.start_markets(name, SERVERS, access, setup)?;
        let behind =
            ready.iter().enumerate().map(|(nth, ready)| (format!("market.{}", nth + 1), ready.address));
        let (server, before) = self.start_foreign(name, program, behind.collect(), setup.market.seed)?;
        let server = Server::Foreign(server, before.program);
        Ok((server, markets, vec![before]))
    }

    /// A server that is not wirebench's, with these services behind it.
    pub(super) fn start_foreign(
        &self,
        name: &str,
        foreign: &ForeignServer,
        behind: Vec<(String, SocketAddr)>,
        market_seed: u64,
    ) -> anyhow::Result<(Child<Supervisor>, Ready)> {
        // What somebody else started is on no host of ours.
        let is_target = matches!(foreign, ForeignServer::Target(_));
        let host = if is_target { None } else { self.topology.host(SERVERS) };
        let supervise = Supervise {
            core: self.layout.server,
            address: self.topology.address(SERVERS),
            server: foreign.clone(),
            behind,
            market_seed,
        };
        let title = format!("the supervisor of the server of {name}");
        let mut child = Child::<Supervisor>::start(&self.crew, &title, host, &supervise)?;
        let ready = child.ready(OPEN_TIME_MAX)?;
        Ok((child, ready))
    }

    /// All markets of a contender; where each listens.
    fn start_markets(
        &self,
        name: &str,
        host: &'static str,
        access: &Access,
        setup: &Setup<'_>,
    ) -> anyhow::Result<(Vec<MarketProcess>, Vec<Ready>)> {
        let Workload { replicas, second_market, .. } = setup.workload;
        let markets = replicas + usize::from(second_market.is_some());
        let (mut processes, mut ready) = (Vec::new(), Vec::<Ready>::new());
        for nth in 1..=markets {
            let one = if markets > 1 { format!("{name} (market.{nth})") } else { name.to_owned() };
            // A name has addresses and no ports: each of its markets has an address of its own.
            let address = match (&access.names, ready.first()) {
                (Some(_), Some(first)) => {
                    SocketAddr::new(self.topology.server_address(nth), first.address.port())
                }
                _ => SocketAddr::new(self.topology.address(host), 0),
            };
            let (process, listens) = self.start_market_at(address, &one, host, access, setup, None)?;
            processes.push(process);
            ready.push(listens);
        }
        Ok((processes, ready))
    }

    /// A balancer of wirebench's, and the markets behind it.
    fn start_behind_a_balancer(
        &self,
        name: &str,
        access: &Access,
        setup: &Setup<'_>,
    ) -> anyhow::Result<Started> {
        let (markets, ready) = self.start_markets(name, SERVERS, access, setup)?;
        let (mut balancer, before) = self.start_balancer(name, access)?;
        balancer.ask(SetBackends(ready.iter().map(|ready| ready.address).collect()), ANSWER_TIME_MAX)?;
        Ok((Server::Balancer(balancer), markets, vec![before]))
    }

    /// A front, and the markets behind it.
    fn start_front(&self, name: &str, access: &Access, setup: &Setup<'_>) -> anyhow::Result<Started> {
        let workload = setup.workload;
        let (processes, ready) = self.start_markets(name, self.topology.of_markets(), access, setup)?;
        let markets = ready.into_iter().map(|ready| market_at(access, ready)).collect();
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
        Ok((Server::Market(Box::new(front)), processes, vec![ready]))
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
        let any_port = SocketAddr::new(self.topology.address(host), 0);
        self.start_market_at(any_port, name, host, access, setup, behind)
    }

    fn start_market_at(
        &self,
        address: SocketAddr,
        name: &str,
        host: &'static str,
        access: &Access,
        setup: &Setup<'_>,
        behind: Option<Behind>,
    ) -> anyhow::Result<(MarketProcess, Ready)> {
        let serve = Box::new(Serve {
            core: self.layout.server,
            address,
            protocol: access.carriage.protocol(),
            transport: access.transport(),
            congestion: self.congestion_of(access),
            named: access.dns && access.names.is_none(),
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
        let spread = Spread {
            core: self.layout.server,
            address: self.topology.address(SERVERS),
            congestion: self.congestion_of(access),
            checks: access.checks,
            routes: (access.through == Some(Through::L7)).then(|| access.routes.clone()),
            limits: limits(),
        };
        let host = self.topology.host(SERVERS);
        let title = format!("the balancer of {name}");
        let mut balancer = Child::<Balancer>::start(&self.crew, &title, host, &spread)?;
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
        replicas: Vec<Ready>,
    ) -> anyhow::Result<(Child<Caller>, Vec<CaseResult>)> {
        let open = Box::new(Open {
            cores: self.layout.client.clone(),
            carriage: access.carriage,
            address: server.address,
            name_servers: server.name_servers,
            tries_next: access.names.as_ref().is_some_and(|names| names.tries_next),
            tls: access.tls.zip(server.root),
            replicas: replicas.into_iter().map(|ready| market_at(access, ready)).collect(),
            balance: access.balance,
            congestion: self.congestion_of(access),
            market_seed: setup.market.seed,
            manners: access.manners,
            // A front carries it out.
            policy: access.policy.filter(|_| access.through != Some(Through::Front)),
            deadline: access.deadline,
            workload: setup.workload.clone(),
            // Where somebody spreads its connections or calls, each case may meet another market,
            // with a ledger and ticks of its own.
            is_ours: access.server.is_none() && (setup.workload.replicas == 1 || access.balance.is_some()),
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

/// A market that is ready, for who calls it.
fn market_at(access: &Access, ready: Ready) -> MarketAt {
    MarketAt { address: ready.address, tls: access.tls.zip(ready.root) }
}

/// Of everything that is measured.
fn limits() -> Limits {
    Limits { idle_time_max: IDLE_TIME_MAX, header_time_max: IDLE_TIME_MAX, ..Limits::default() }
}
