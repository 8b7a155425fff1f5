//! Replicas of the market, and who spreads calls over them.

use std::time::Duration;

use proto::Transport;
use terms::{
    Balance, Carriage, Ejection, ForeignServer, HealthCheck, REPLICAS_MAX, Route, Through, Workload,
};
use toml::Spanned;

use super::Check;
use crate::ScenarioError;
use crate::contender::WireContender;
use crate::wire::{Call, WireScenario};

/// How often a list is fetched where a scenario does not say it.
const REFRESHED_USUALLY: Duration = Duration::from_secs(1);
/// A list is fetched no more often than this.
const REFRESHED_MIN: Duration = Duration::from_millis(10);

impl Check<'_> {
    /// How many markets answer alike.
    pub(super) fn replicas(&self, replicas: Option<&Spanned<usize>>) -> Result<usize, ScenarioError> {
        let Some(replicas) = replicas else { return Ok(1) };
        let right = (1..=REPLICAS_MAX).contains(replicas.get_ref());
        self.require(replicas, right, &format!("replicas must be from 1 to {REPLICAS_MAX}"))?;
        Ok(*replicas.get_ref())
    }

    /// How a contender spreads its calls by itself.
    pub(super) fn balance(&self, wire: &WireContender) -> Result<Option<Balance>, ScenarioError> {
        let WireContender { balance, refresh_every, ejects, through, .. } = wire;
        let needs = "this needs balance";
        self.needs(refresh_every.as_ref(), balance.is_some(), needs)?;
        self.needs(ejects.as_ref(), balance.is_some(), needs)?;
        let Some(picker) = balance else { return Ok(None) };
        self.require(picker, through.is_none(), "a contender must have only one of balance and through")?;
        if let Some(every) = refresh_every {
            let right = every.get_ref().0 >= REFRESHED_MIN;
            self.require(every, right, "refresh_every must be at least 10ms")?;
        }
        let ejection = |words: &Spanned<String>| {
            Ejection::parse(words.get_ref())
                .map_err(|message| ScenarioError::at(self.file, self.text, words.span(), &message, None))
        };
        Ok(Some(Balance {
            picker: *picker.get_ref(),
            refresh_every: refresh_every.as_ref().map_or(REFRESHED_USUALLY, |every| every.get_ref().0),
            ejection: ejects.as_ref().map(ejection).transpose()?,
        }))
    }

    /// How a balancer of ours looks after the replicas.
    pub(super) fn checks(&self, wire: &WireContender) -> Result<Option<HealthCheck>, ScenarioError> {
        let Some(words) = &wire.checks else { return Ok(None) };
        let is_ours = wire.through.as_ref().is_some_and(|through| through.get_ref().layer().is_some());
        self.require(words, is_ours, "this needs through = \"l4\" or \"l7\"")?;
        HealthCheck::parse(words.get_ref())
            .map(Some)
            .map_err(|message| ScenarioError::at(self.file, self.text, words.span(), &message, None))
    }

    /// A program that balances.
    pub(super) fn balancer(&self, wire: &WireContender) -> Result<Option<ForeignServer>, ScenarioError> {
        let Some(balancer) = &wire.balancer else { return Ok(None) };
        let others =
            [wire.through.is_some(), wire.balance.is_some(), wire.server.is_some(), wire.target.is_some()];
        let alone = others.iter().all(|is_given| !is_given);
        let message = "a contender must have only one of balancer, balance, through, server and target";
        self.require(balancer, alone, message)?;
        self.program(balancer).map(Some)
    }

    /// Which requests a balancer of ours at layer 7 gives to which replica.
    pub(super) fn routes(
        &self,
        wire: &WireContender,
        workload: &Workload,
    ) -> Result<Vec<Route>, ScenarioError> {
        let Some(routes) = &wire.routes else { return Ok(Vec::new()) };
        let reads = wire.through.as_ref().is_some_and(|through| *through.get_ref() == Through::L7);
        self.require(routes, reads, "this needs through = \"l7\"")?;
        let read = |words: &String| {
            let route = Route::parse(words).and_then(|route| match route.market <= workload.replicas {
                true => Ok(route),
                false => Err(format!("there are {} markets", workload.replicas)),
            });
            route.map_err(|message| ScenarioError::at(self.file, self.text, routes.span(), &message, None))
        };
        routes.get_ref().iter().map(read).collect()
    }

    /// A balancer at layer 4 relays TCP, and one at layer 7 reads HTTP.
    pub(super) fn through_fits(&self, wire: &WireContender, carriage: Carriage) -> Result<(), ScenarioError> {
        let Some(through) = &wire.through else { return Ok(()) };
        let is_plain = carriage.transport(false) == Some(Transport::Plain) && wire.tls.is_none();
        let right = match through.get_ref() {
            Through::Front => true,
            Through::L4 => is_plain && carriage != Carriage::Udp,
            Through::L7 => is_plain && !matches!(carriage, Carriage::Udp | Carriage::Tcp),
        };
        let message = match through.get_ref() {
            Through::L7 => "a balancer at layer 7 reads HTTP/1.1 and HTTP/2, in plain text",
            _ => "a balancer at layer 4 relays TCP connections, in plain text",
        };
        self.require(through, right, message)
    }

    /// Replicas need somebody who spreads calls over them, and who does that needs replicas.
    pub(super) fn replicas_fit(&self, wire: &WireScenario) -> Result<(), ScenarioError> {
        let several = wire.workload.replicas.as_ref().is_some_and(|replicas| *replicas.get_ref() > 1);
        for contender in wire.contender.get_ref() {
            let ours = contender.through.as_ref().filter(|through| through.get_ref().layer().is_some());
            let needs = "this needs replicas in the workload";
            self.needs(contender.balance.as_ref(), several, needs)?;
            self.needs(ours, several, needs)?;
            self.needs(contender.balancer.as_ref(), several, needs)?;
            if let Some(replicas) = wire.workload.replicas.as_ref().filter(|_| several) {
                let spreads = contender.balance.is_some()
                    || ours.is_some()
                    || contender.balancer.is_some()
                    || contender.dns;
                let name = contender.name.get_ref();
                let message = format!(
                    "'{name}' has no balance, no through = \"l4\" or \"l7\", no balancer and no dns: it would call one replica"
                );
                self.require(replicas, spreads, &message)?;
            }
        }
        if let Some(replicas) = wire.workload.replicas.as_ref().filter(|_| several) {
            let reads = matches!(
                wire.workload.operation.get_ref(),
                Call::Quote | Call::Quotes | Call::Portfolio | Call::History
            );
            self.require(replicas, reads, "replicas answer reads: each has a ledger and ticks of its own")?;
            let in_steps = wire.contender.get_ref().iter().find_map(|of| of.in_steps.as_ref());
            self.needs(in_steps, false, "in_steps does not go with replicas")?;
            let cold = wire.condition.get_ref().iter().find_map(|of| of.cold.as_ref());
            let balances = wire.contender.get_ref().iter().any(|of| of.balance.is_some());
            self.needs(
                cold,
                !balances,
                "a client with balance keeps its connections: cold does not go with it",
            )?;
        }
        if let Some(replicas) = &wire.workload.replicas {
            let alone = wire.workload.second_market.is_none();
            self.require(replicas, alone, "a workload must have only one of replicas and second_market")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
