//! Acts: whether what is done beside the rounds can be done, and makes sense.

use std::time::Duration;

use proto::{Capability, Protocol, Transport};
use terms::{
    Act, Activity, CapacitySearch, Carriage, Contender, Hold, Link, Restart, ScaleOut, Workload,
    parse_objective,
};
use toml::Spanned;

use super::{CONNECTIONS_MAX, Check};
use crate::ScenarioError;
use crate::asked::{WireHold, WireRestart, WireScaleOut};
use crate::wire::{WireCapacity, WireScenario};

/// A server is not left away for longer: everybody asks for it all the while.
const DOWN_MAX: Duration = Duration::from_secs(10);
/// Connections that are held, one number after the other, together: two minutes to open.
const HELD_MAX: usize = 1_000_000;
const TIMES_MAX: u32 = 100;
/// Servers share a core.
const SERVERS_MAX: usize = 8;
/// Of a scale-out: all are back well within the half second that newcomers are spared, and as many
/// calls are made in another.
const MOVED_MAX: usize = 2_000;

impl Check<'_> {
    /// What is done beside the rounds, in the order in which it is done.
    pub(super) fn acts(
        &self,
        wire: &WireScenario,
        workload: &Workload,
        contenders: &[Contender],
    ) -> Result<Vec<Act>, ScenarioError> {
        let capacity = wire.capacity.as_ref().map(|asked| self.capacity(asked, workload).map(Act::Capacity));
        let hold = wire.hold.as_ref().map(|asked| self.hold(asked, &wire.link).map(Act::Hold));
        let restart = wire.restart.as_ref();
        let restart = restart.map(|asked| self.restart(asked, wire, workload, contenders).map(Act::Restart));
        let scale_out = wire.scale_out.as_ref();
        let scale_out =
            scale_out.map(|asked| self.scale_out(asked, wire, workload, contenders).map(Act::ScaleOut));
        [capacity, hold, restart, scale_out].into_iter().flatten().collect()
    }

    fn capacity(&self, wire: &WireCapacity, workload: &Workload) -> Result<CapacitySearch, ScenarioError> {
        self.require(
            &wire.objective,
            workload.activity.is_calls(),
            "[capacity] needs an operation that makes calls",
        )?;
        let at =
            |message: String| ScenarioError::at(self.file, self.text, wire.objective.span(), &message, None);
        let objective = parse_objective(wire.objective.get_ref()).map_err(at)?;
        Ok(CapacitySearch { objective, trial: wire.trial.0 })
    }

    fn hold(&self, wire: &WireHold, link: &Link) -> Result<Hold, ScenarioError> {
        let at = &wire.connections;
        let connections = at.get_ref();
        let rising = connections.windows(2).all(|pair| pair[0] < pair[1]) && connections.len() >= 3;
        self.require(at, rising, "connections must be at least three rising numbers")?;
        let right = connections.iter().all(|number| (1..=CONNECTIONS_MAX).contains(number));
        self.require(at, right, "connections must be from 1 to 20 000")?;
        let in_all: usize = connections.iter().fold(0, |sum, number| sum.saturating_add(*number));
        self.require(at, in_all <= HELD_MAX, "connections must add up to at most 1 000 000")?;
        let near = link.round_trip().is_none();
        self.require(
            at,
            near,
            "[hold] needs a link without delay: with delay, opening thousands of connections takes minutes",
        )?;
        Ok(Hold {
            card: wire.card.clone(),
            sentence: wire.sentence.clone(),
            connections: connections.clone(),
        })
    }

    fn restart(
        &self,
        wire: &WireRestart,
        scenario: &WireScenario,
        workload: &Workload,
        contenders: &[Contender],
    ) -> Result<Restart, ScenarioError> {
        let WireRestart { card, sentence, connections, down, times } = wire;
        let numbers = connections.get_ref();
        let rising = !numbers.is_empty() && numbers.windows(2).all(|pair| pair[0] < pair[1]);
        let right = rising && numbers.iter().all(|number| (1..=CONNECTIONS_MAX).contains(number));
        self.require(connections, right, "connections must be rising numbers from 1 to 20 000")?;
        let in_all: usize = numbers.iter().fold(0, |sum, number| sum.saturating_add(*number));
        self.require(connections, in_all <= HELD_MAX, "connections must add up to at most 1 000 000")?;
        self.require(down, down.get_ref().0 <= DOWN_MAX, "down must be at most 10 s")?;
        self.require(times, (2..=TIMES_MAX).contains(times.get_ref()), "times must be from 2 to 100")?;
        self.come_back(card, scenario, workload, contenders)?;
        Ok(Restart {
            card: card.get_ref().clone(),
            sentence: sentence.clone(),
            connections: numbers.clone(),
            down: down.get_ref().0,
            times: *times.get_ref(),
        })
    }

    /// As those of a restart, whom a balancer sends away.
    fn scale_out(
        &self,
        wire: &WireScaleOut,
        scenario: &WireScenario,
        workload: &Workload,
        contenders: &[Contender],
    ) -> Result<ScaleOut, ScenarioError> {
        let WireScaleOut { card, sentence, connections, servers, times } = wire;
        let &[from, to] = servers.get_ref();
        self.require(
            servers,
            1 <= from && from < to && to <= SERVERS_MAX,
            "servers must be two rising numbers from 1 to 8",
        )?;
        let right = (to..=MOVED_MAX).contains(connections.get_ref());
        self.require(connections, right, "connections must be at least one per server and at most 2 000")?;
        self.require(times, (2..=TIMES_MAX).contains(times.get_ref()), "times must be from 2 to 100")?;
        self.come_back(card, scenario, workload, contenders)?;
        Ok(ScaleOut {
            card: card.get_ref().clone(),
            sentence: sentence.clone(),
            connections: *connections.get_ref(),
            from,
            to,
            times: *times.get_ref(),
        })
    }

    /// Whether all are subscribers that come back by themselves, to the same address, over TCP, to
    /// a server whose certificate they need not know.
    fn come_back(
        &self,
        card: &Spanned<String>,
        scenario: &WireScenario,
        workload: &Workload,
        contenders: &[Contender],
    ) -> Result<(), ScenarioError> {
        let subscribes = workload.activity == Activity::Market(Capability::Subscribe);
        self.require(
            card,
            subscribes,
            "only subscribers reconnect by themselves: this needs operation = \"subscribe\"",
        )?;
        let near = scenario.link.round_trip().is_none();
        self.require(
            card,
            near,
            "this needs a link without delay: with delay, opening thousands of connections takes minutes",
        )?;
        let relayed = scenario.condition.get_ref().iter().any(|condition| condition.between.is_some());
        self.require(card, !relayed, "this needs a scenario without a relay (between)")?;
        let why_not = |contender: &Contender| {
            let (access, name) = (contender.access()?, &contender.name);
            if matches!(access.carriage, Carriage::Rest { poll_every: Some(_), .. }) {
                return Some(format!("'{name}' polls, and has no subscription to lose"));
            }
            if access.server.is_some() {
                return Some(format!(
                    "the server of '{name}' is not wirebench's, and cannot count its subscribers"
                ));
            }
            if access.dns {
                return Some(format!(
                    "'{name}' could not find the new server, because its name server ends with the old one"
                ));
            }
            if access.manners.notices.is_some() {
                return Some(format!("'{name}' has notices, and would give up each slow reconnect"));
            }
            let is_plain =
                access.transport() == Transport::Plain && access.carriage.protocol() != Protocol::Udp;
            (!is_plain).then(|| format!("this needs contenders over plain TCP, and '{name}' is not"))
        };
        let why_not = contenders.iter().find_map(why_not);
        self.require(card, why_not.is_none(), why_not.as_deref().unwrap_or_default())
    }
}
