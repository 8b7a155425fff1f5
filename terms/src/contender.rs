//! Contenders: ways to reach the market, or flows that share a link; and each of them in words.

use std::net::SocketAddr;
use std::time::Duration;

use proto::Transport;
use proto::encoding::Encoding;
use proto::flow::{Congestion, Flow};

use crate::{
    Activity, Balance, Carriage, HealthCheck, HttpVersion, Manners, NameSettings, Policy, Route, Streams,
    TlsOptions, TlsVersion, between,
};

/// What is compared.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Contender {
    /// What it is called.
    pub name: String,
    /// What sentences call it, where that is not its name: `REST with JSON`.
    pub label: Option<String>,
    /// What it sends.
    pub traffic: Traffic,
}

/// What a contender sends.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Traffic {
    /// It reaches the market.
    Market(Box<Access>),
    /// Flows that share the link.
    Flows(Vec<Flow>),
}

impl Contender {
    /// How it reaches the market, where it does.
    pub fn access(&self) -> Option<&Access> {
        match &self.traffic {
            Traffic::Market(access) => Some(access),
            Traffic::Flows(_) => None,
        }
    }

    /// Whether somebody else started its server, whose processor time is then not known.
    pub fn is_target(&self) -> bool {
        self.access().is_some_and(Access::is_target)
    }

    /// How many flows it has.
    pub fn flows(&self) -> usize {
        match &self.traffic {
            Traffic::Market(_) => 0,
            Traffic::Flows(flows) => flows.len(),
        }
    }

    /// What it is, with every option that was chosen.
    pub fn in_words(&self) -> String {
        match &self.traffic {
            Traffic::Market(access) => access.in_words(),
            Traffic::Flows(flows) => {
                flows.iter().map(|flow| flow.in_words()).collect::<Vec<_>>().join(" beside ")
            }
        }
    }

    /// The protocol, or that there is none.
    pub fn protocol_name(&self) -> &'static str {
        self.access().map_or(Activity::FLOW, |access| access.carriage.protocol().name())
    }
}

/// One way to reach the market.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Access {
    /// How the market is called.
    pub carriage: Carriage,
    /// How connections are secured; always given over QUIC.
    pub tls: Option<TlsOptions>,
    /// Each call in flight has a connection of its own.
    pub connection_per_call: bool,
    /// The server's name is looked up for each connection, and never remembered.
    pub dns: bool,
    /// Who serves, where it is not wirebench.
    pub server: Option<ForeignServer>,
    /// What is asked for.
    pub screen: Screen,
    /// Round trips that a cold call takes by arithmetic, where it is predicted.
    pub cold_round_trips: Option<u32>,
    /// Who decides how much is on its way, at both ends; cubic unless stated.
    pub congestion: Option<Congestion>,
    /// What its subscribers do about a connection that is lost, or silent.
    pub manners: Manners,
    /// What its client does about a call that fails, or the service between where there is one;
    /// `None` for one attempt a call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// Time that each of its calls has, from its schedule, and says: servers and fronts keep it.
    /// `None` where only the workload's time-out bounds them, which nobody says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Duration>,
    /// How the name of the replicas of the market is looked up, where it finds them by that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<NameSettings>,
    /// How it spreads its calls over the replicas of the market by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance: Option<Balance>,
    /// The service that it reaches the market through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<Through>,
    /// How a balancer of wirebench's looks after the markets behind it; `None` for not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<HealthCheck>,
    /// Which requests a balancer of wirebench's at layer 7 gives to which market; others have their
    /// turn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// A program that balances.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balancer: Option<ForeignServer>,
}

impl Access {
    /// Whether a process of its own stands before the markets.
    pub fn is_behind_another(&self) -> bool {
        self.through.is_some() || self.balancer.is_some()
    }

    /// A program that has to be installed for it, where one has.
    pub fn program(&self) -> Option<&str> {
        let resolver = self.names.as_ref().and_then(|names| names.resolver.as_ref());
        self.server.as_ref().or(self.balancer.as_ref()).or(resolver).and_then(ForeignServer::program)
    }
}

/// A service between the client and the market.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Through {
    /// A service that answers each call by calling the market, over the same protocol.
    Front,
    /// A balancer at layer 4: it gives each connection to the next market.
    L4,
    /// A balancer at layer 7: it gives each request over HTTP to the next market.
    L7,
}

impl Through {
    /// The layer of a balancer; nothing of another service.
    pub fn layer(self) -> Option<u8> {
        match self {
            Through::Front => None,
            Through::L4 => Some(4),
            Through::L7 => Some(7),
        }
    }
}

/// A server that is not wirebench's.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForeignServer {
    /// A program that is started where the market's server would be.
    Program {
        /// What starts it; `{folder}`, `{address}` and `{port}` in it are filled in.
        command: String,
        /// What stands in its file `config`, filled in likewise.
        config: Option<String>,
    },
    /// One that somebody else started.
    Target(SocketAddr),
}

impl ForeignServer {
    /// The program that has to be installed, where one has.
    pub fn program(&self) -> Option<&str> {
        match self {
            ForeignServer::Program { command, .. } => command.split_whitespace().next(),
            ForeignServer::Target(_) => None,
        }
    }
}

/// How a portfolio is asked for.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Screen {
    /// These fields of it; all if empty.
    pub fields: Vec<String>,
    /// In two requests: what is held, and the quotes of that.
    pub in_steps: bool,
}

impl Screen {
    /// What a portfolio asked for in two steps comes to, as paths into it.
    pub const BOTH_STEPS: [&str; 4] =
        ["account", "positions.symbol", "positions.quantity", "positions.quote"];
}

impl Access {
    /// Whether somebody else started the server.
    pub fn is_target(&self) -> bool {
        matches!(self.server, Some(ForeignServer::Target(_)))
    }

    /// What carries it.
    pub fn transport(&self) -> Transport {
        // A scenario with another does not pass its check.
        self.carriage.transport(self.tls.is_some()).unwrap_or(Transport::Plain)
    }

    /// The same in words, with every option that was chosen.
    fn in_words(&self) -> String {
        let http = |http| match http {
            HttpVersion::Http1 => "HTTP/1.1",
            HttpVersion::Http2 => "HTTP/2",
            HttpVersion::Http3 => "HTTP/3",
        };
        let encoding = |encoding| match encoding {
            Encoding::Json => "JSON",
            Encoding::Protobuf => "protobuf",
        };
        let mut words = match self.carriage {
            Carriage::Rest { http: version, encoding: of, poll_every } => {
                let polls = poll_every.map_or_else(String::new, |every| {
                    format!(", polling every {}", humantime::format_duration(every))
                });
                format!("REST, {}, {}{polls}", http(version), encoding(of))
            }
            Carriage::GraphQl { http: version, persisted: false } => {
                format!("GraphQL, {}, JSON", http(version))
            }
            Carriage::GraphQl { http: version, persisted: true } => {
                format!("GraphQL, {}, JSON, persisted queries", http(version))
            }
            Carriage::Grpc => "gRPC, HTTP/2, protobuf".to_owned(),
            Carriage::Sse { http: version } => format!("SSE, {}, JSON", http(version)),
            Carriage::WebSocket { encoding: of } => format!("WebSocket, {}", encoding(of)),
            Carriage::Tcp => "TCP frames, protobuf".to_owned(),
            Carriage::Udp => "UDP datagrams, protobuf".to_owned(),
            Carriage::Quic { streams: Streams::PerCall } => "QUIC, a stream a call, protobuf".to_owned(),
            Carriage::Quic { streams: Streams::One } => "QUIC, one stream, protobuf".to_owned(),
            Carriage::QuicDatagram => "QUIC datagrams, protobuf".to_owned(),
        };
        if let Some(tls) = self.tls {
            words += match tls.version {
                TlsVersion::Tls12 => ", TLS 1.2",
                TlsVersion::Tls13 => ", TLS 1.3",
            };
            words += match (tls.resume, tls.early_data) {
                (false, _) => "",
                (true, false) => ", resumed",
                (true, true) => ", resumed with early data",
            };
        }
        words += &between::in_words(self.manners, self.carriage);
        if let Some(policy) = &self.policy {
            words += &format!(", {}", policy.in_words());
        }
        if let Some(balance) = &self.balance {
            words += &format!(", {}", balance.in_words());
        }
        if let Some(layer) = self.through.and_then(Through::layer) {
            words += &format!(", behind a balancer at layer {layer}");
            let checks = self.checks.map(|checks| format!(" that checks {}", checks.in_words()));
            words += &checks.unwrap_or_default();
            let routes = self.routes.len();
            if routes > 0 {
                words += &format!(" and has {routes} route{}", if routes == 1 { "" } else { "s" });
            }
        }
        if let Some(balancer) = &self.balancer {
            words += &format!(", behind {}", balancer.program().unwrap_or_default());
        }
        if let Some(deadline) = self.deadline {
            words += &format!(", a deadline of {} that travels", humantime::format_duration(deadline));
        }
        if let Some(names) = &self.names {
            words += &format!(", {}", names.in_words());
        } else if self.dns {
            words += ", its name looked up";
        }
        match &self.server {
            None => {}
            Some(ForeignServer::Target(address)) => words += &format!(", served at {address}"),
            Some(server) => words += &format!(", served by {}", server.program().unwrap_or_default()),
        }
        if !self.screen.fields.is_empty() {
            words += &format!(", {} fields", self.screen.fields.len());
        }
        if self.screen.in_steps {
            words += ", in two steps";
        }
        if let Some(congestion) = self.congestion {
            words += ", ";
            words += congestion.name();
        }
        words
    }
}
