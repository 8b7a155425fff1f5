//! Contenders: the options that each protocol has, and no others.

use std::net::SocketAddr;
use std::time::Duration;

use prost_types::FieldMask;
use proto::encoding::Encoding;
use proto::mask::{Mask, MaskError};
use proto::{Capability, Protocol, Transport};
use terms::{
    Access, Activity, Carriage, Contender, ForeignServer, HttpVersion, Screen, Streams, TlsOptions,
    TlsVersion, Traffic, Workload,
};
use toml::Spanned;

use super::Check;
use crate::ScenarioError;
use crate::contender::{WireContender, WireDefaults, WireServer};

/// Who asks more often does nothing else.
const POLL_EVERY_MIN: Duration = Duration::from_millis(1);
/// The protocols that have a choice of HTTP versions, and of encodings.
const HAVE_HTTP: [Protocol; 3] = [Protocol::Rest, Protocol::GraphQl, Protocol::Sse];
const HAVE_ENCODINGS: [Protocol; 2] = [Protocol::Rest, Protocol::WebSocket];

impl WireContender {
    /// The same with what the scenario has for all, as far as this protocol has it.
    fn with(&self, protocol: Protocol, defaults: &WireDefaults) -> WireContender {
        let mut own = self.clone();
        if HAVE_HTTP.contains(&protocol) {
            own.http = own.http.or_else(|| defaults.http.clone());
        }
        if HAVE_ENCODINGS.contains(&protocol) {
            own.encoding = own.encoding.or_else(|| defaults.encoding.clone());
        }
        if protocol.transports().contains(&Transport::Tls) {
            own.tls = own.tls.or_else(|| defaults.tls.clone());
        }
        if protocol != Protocol::Udp {
            own.congestion = own.congestion.or_else(|| defaults.congestion.clone());
        }
        own
    }
}

impl Check<'_> {
    pub(super) fn contenders(
        &self,
        wire: &Spanned<Vec<WireContender>>,
        defaults: &WireDefaults,
        workload: &Workload,
    ) -> Result<Vec<Contender>, ScenarioError> {
        let list = wire.get_ref();
        self.require(wire, !list.is_empty(), "a scenario needs a [[contender]]")?;
        self.unique("contender", list.iter().map(|contender| &contender.name))?;
        list.iter()
            .map(|contender| {
                let traffic = match workload.activity {
                    Activity::Market(_) => {
                        Traffic::Market(Box::new(self.access(contender, defaults, workload)?))
                    }
                    Activity::Flow(_) => Traffic::Flows(self.flows(contender)?),
                };
                Ok(Contender {
                    name: contender.name.get_ref().clone(),
                    label: contender.label.clone(),
                    traffic,
                })
            })
            .collect()
    }

    fn access(
        &self,
        wire: &WireContender,
        defaults: &WireDefaults,
        workload: &Workload,
    ) -> Result<Access, ScenarioError> {
        if let Some(flows) = &wire.flows {
            self.require(flows, false, "flows is a key of operation = \"flow\" only")?;
        }
        let Some(protocol) = &wire.protocol else {
            let message = "a contender needs a protocol";
            return Err(ScenarioError::at(self.file, self.text, wire.name.span(), message, None));
        };
        if let Some(every) = &wire.poll_every {
            let right = workload.activity == Activity::Market(Capability::Subscribe);
            self.require(every, right, "poll_every is a key of operation = \"subscribe\" only")?;
            let right = every.get_ref().0 >= POLL_EVERY_MIN;
            self.require(every, right, "poll_every must be at least 1ms, such as \"100ms\"")?;
        }
        self.only_portfolios(wire.fields.as_ref(), workload)?;
        self.only_portfolios(wire.in_steps.as_ref(), workload)?;
        let fields = wire.fields.as_ref().map(|fields| fields.get_ref().clone()).unwrap_or_default();
        if let Some(given) = &wire.fields {
            let at = |error: MaskError| {
                ScenarioError::at(self.file, self.text, given.span(), &error.to_string(), None)
            };
            Mask::for_portfolio(&FieldMask { paths: fields.clone() }).map_err(at)?;
        }
        let in_steps = wire.in_steps.as_ref().is_some_and(|in_steps| *in_steps.get_ref());
        let wire = &wire.with(*protocol.get_ref(), defaults);
        let carriage = self.carriage(wire, *protocol.get_ref())?;
        let server = self.server(wire, carriage, workload)?;
        self.hedges_fit(wire, carriage)?;
        self.through_fits(wire, carriage)?;
        if let Some(congestion) = &wire.congestion {
            let has = carriage.protocol() != Protocol::Udp;
            self.require(congestion, has, "udp has no congestion control")?;
        }
        Ok(Access {
            carriage,
            tls: self.tls(wire, carriage)?,
            connection_per_call: wire.connection_per_call,
            dns: wire.dns,
            server,
            screen: Screen { fields, in_steps },
            cold_round_trips: wire.cold_round_trips,
            congestion: wire.congestion.as_ref().map(|congestion| *congestion.get_ref()),
            manners: self.manners(wire, carriage, workload)?,
            policy: self.policy(wire, workload)?,
            deadline: self.deadline(wire, workload)?,
            names: self.names(wire, carriage, workload)?,
            balance: self.balance(wire)?,
            checks: self.checks(wire)?,
            routes: self.routes(wire, workload)?,
            balancer: self.balancer(wire)?,
            through: wire.through.as_ref().map(|through| *through.get_ref()),
        })
    }

    /// Who serves instead of wirebench, if somebody does.
    fn server(
        &self,
        wire: &WireContender,
        carriage: Carriage,
        workload: &Workload,
    ) -> Result<Option<ForeignServer>, ScenarioError> {
        if let Some(server) = &wire.server {
            self.require(
                server,
                wire.target.is_none(),
                "a contender must have only one of server and target",
            )?;
            self.only_plain_calls(server, wire, carriage, workload)?;
            return self.program(server).map(Some);
        }
        let Some(target) = &wire.target else { return Ok(None) };
        self.only_plain_calls(target, wire, carriage, workload)?;
        let address = target.get_ref().split_once("://").map_or(target.get_ref().as_str(), |(_, rest)| rest);
        match address.trim_end_matches('/').parse::<SocketAddr>() {
            Ok(address) if address.ip().is_loopback() => Ok(Some(ForeignServer::Target(address))),
            _ => {
                let message = "target must be a loopback address, such as \"http://127.0.0.1:9000\"";
                Err(ScenarioError::at(self.file, self.text, target.span(), message, None))
            }
        }
    }

    /// A program of somebody else's.
    pub(super) fn program(&self, written: &Spanned<WireServer>) -> Result<ForeignServer, ScenarioError> {
        let WireServer { command, config } = written.get_ref().clone();
        self.require(written, !command.trim().is_empty(), "command must name a program")?;
        Ok(ForeignServer::Program { command, config })
    }

    fn only_plain_calls<T>(
        &self,
        at: &Spanned<T>,
        wire: &WireContender,
        carriage: Carriage,
        workload: &Workload,
    ) -> Result<(), ScenarioError> {
        self.require(
            at,
            workload.activity.is_calls(),
            "server and target need an operation that makes calls",
        )?;
        let is_plain = wire.tls.is_none() && carriage.transport(false) == Some(Transport::Plain);
        let is_tcp = carriage.protocol() != Protocol::Udp && !wire.dns;
        self.require(at, is_plain && is_tcp, "server and target need plain TCP, without tls and dns")
    }

    fn only_portfolios<T>(
        &self,
        given: Option<&Spanned<T>>,
        workload: &Workload,
    ) -> Result<(), ScenarioError> {
        let Some(given) = given else { return Ok(()) };
        let right = workload.activity == Activity::Market(Capability::Portfolio);
        self.require(given, right, "this is a key of operation = \"portfolio\" only")
    }

    fn carriage(&self, contender: &WireContender, protocol: Protocol) -> Result<Carriage, ScenarioError> {
        use Protocol::{GraphQl, Grpc, Quic, QuicDatagram, Rest, Sse, Tcp, Udp, WebSocket};
        let WireContender { http, encoding, persisted, streams, poll_every, .. } = contender;
        self.option(protocol, "http", http.as_ref(), &HAVE_HTTP)?;
        self.option(protocol, "encoding", encoding.as_ref(), &HAVE_ENCODINGS)?;
        self.option(protocol, "poll_every", poll_every.as_ref(), &[Rest])?;
        self.option(protocol, "persisted", persisted.as_ref(), &[GraphQl])?;
        self.option(protocol, "streams", streams.as_ref(), &[Quic])?;
        if let Some(http) = http {
            let right = *http.get_ref() != HttpVersion::Http3 || protocol == Rest;
            self.require(http, right, "http = \"3\" is an option of rest only")?;
        }
        let http = http.as_ref().map_or(HttpVersion::Http1, |http| *http.get_ref());
        let encoding = encoding.as_ref().map_or(Encoding::Json, |encoding| *encoding.get_ref());
        let persisted = persisted.as_ref().is_some_and(|persisted| *persisted.get_ref());
        Ok(match protocol {
            Rest => {
                let poll_every = poll_every.as_ref().map(|every| every.get_ref().0);
                Carriage::Rest { http, encoding, poll_every }
            }
            GraphQl => Carriage::GraphQl { http, persisted },
            Grpc => Carriage::Grpc,
            Sse => Carriage::Sse { http },
            WebSocket => Carriage::WebSocket { encoding },
            Tcp => Carriage::Tcp,
            Udp => Carriage::Udp,
            Quic => Carriage::Quic {
                streams: streams.as_ref().map_or(Streams::PerCall, |streams| *streams.get_ref()),
            },
            QuicDatagram => Carriage::QuicDatagram,
        })
    }

    /// What is asked for, and over QUIC what it has within.
    fn tls(&self, wire: &WireContender, carriage: Carriage) -> Result<Option<TlsOptions>, ScenarioError> {
        let WireContender { tls, resume, early_data, .. } = wire;
        let over_quic = carriage.transport(false) == Some(Transport::Quic);
        let version = match tls {
            Some(tls) => {
                let carried = carriage.transport(true).is_some();
                let message = format!("{} has no TLS", carriage.protocol().name());
                self.require(tls, carried, &message)?;
                let right = !over_quic || *tls.get_ref() == TlsVersion::Tls13;
                self.require(tls, right, "tls must be \"1.3\" over QUIC (RFC 9001)")?;
                Some(*tls.get_ref())
            }
            None => over_quic.then_some(TlsVersion::Tls13),
        };
        for option in [resume, early_data].into_iter().flatten() {
            let message = "this is an option of TLS: add tls = \"1.3\"";
            self.require(option, version.is_some(), message)?;
        }
        let Some(version) = version else { return Ok(None) };
        let asked = |option: &Option<Spanned<bool>>| option.as_ref().is_some_and(|option| *option.get_ref());
        let options = TlsOptions { version, resume: asked(resume), early_data: asked(early_data) };
        if let Some(early_data) = early_data {
            let right = !options.early_data || (options.resume && version == TlsVersion::Tls13);
            self.require(early_data, right, "early_data needs tls = \"1.3\" and resume = true")?;
        }
        Ok(Some(options))
    }

    /// Refuses an option where the protocol has no such choice.
    pub(super) fn option<T>(
        &self,
        protocol: Protocol,
        name: &str,
        given: Option<&Spanned<T>>,
        of: &[Protocol],
    ) -> Result<(), ScenarioError> {
        let Some(given) = given else { return Ok(()) };
        let names = of.iter().map(|protocol| protocol.name()).collect::<Vec<_>>().join(", ");
        let message = format!("{name} is an option of {names} only, not of {}", protocol.name());
        self.require(given, of.contains(&protocol), &message)
    }
}
