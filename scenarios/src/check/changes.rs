//! Changes of the link and of markets in the measured time: where they have a meaning.

use proto::Capability;
use terms::{Activity, Changes, Contender, LedgerKind, Link, Trouble, TroubleKind, Workload};
use toml::Spanned;

use super::Check;
use crate::ScenarioError;
use crate::profile::Usual;
use crate::wire::{WireCondition, WireScenario};

impl Check<'_> {
    /// Changes of a link that has a router, and of a market, all within the measured time.
    pub(super) fn changes(
        &self,
        wire: &WireScenario,
        condition: &WireCondition,
        changes: &Spanned<Vec<String>>,
        link: &Link,
    ) -> Result<(), ScenarioError> {
        let at = |message: &str| ScenarioError::at(self.file, self.text, changes.span(), message, None);
        let ways = if let Link::Wan(of) = link { Some(*of.ways) } else { None };
        let times = Changes::parse(changes.get_ref(), ways).map_err(|error| at(&error))?;
        let right = times.market.is_empty() || self.makes_calls(wire);
        self.require(changes, right, "changes of the market are for operations that make calls")?;
        self.markets_are_known(wire, changes, &times.market)?;
        let apart = fates(&times.market).all(|(nth, one)| {
            fates(&times.market).take_while(|(other, _)| *other < nth).all(|(_, other)| !one.overlaps(other))
        });
        self.require(changes, apart, "a market must not die or freeze while it is dead or frozen")?;
        let name = condition.name.get_ref();
        let profiles =
            [(&wire.quick, Usual::QUICK), (&wire.standard, Usual::STANDARD), (&wire.full, Usual::FULL)];
        for (profile, usual) in profiles {
            let duration = profile.duration(usual);
            let ends = times.troubles_end().is_none_or(|end| end <= duration);
            let right = !profile.measures(name) || (ends && times.times().all(|after| after < duration));
            let late = format!(
                "each change must come, and each trouble of a market end, before the end of the measured time ({duration:?} in one profile)"
            );
            self.require(changes, right, &late)?;
        }
        Ok(())
    }

    /// One of several markets is named only where there is one of that number.
    fn markets_are_known(
        &self,
        wire: &WireScenario,
        changes: &Spanned<Vec<String>>,
        troubles: &[Trouble],
    ) -> Result<(), ScenarioError> {
        let named = troubles.iter().filter_map(|trouble| trouble.market).max();
        let two = wire.workload.second_market.is_some();
        let markets = wire.workload.replicas.as_ref().map_or(1 + usize::from(two), |of| *of.get_ref());
        let several = named.is_none() || markets > 1;
        self.require(changes, several, "market.1 and market.2 need replicas or a second_market")?;
        let known = named.is_none_or(|nth| nth <= markets);
        self.require(changes, known, &format!("there are {markets} markets"))
    }

    /// A market that dies has a successor at the same address, which has another certificate and
    /// knows no orders that were kept in memory. What happens to a market is told to one of ours.
    pub(super) fn changes_fit(
        &self,
        wire: &WireScenario,
        contenders: &[Contender],
        workload: &Workload,
    ) -> Result<(), ScenarioError> {
        let conditions = wire.condition.get_ref();
        let relayed = conditions.iter().any(|of| of.between.is_some());
        let foreign = contenders.iter().find(|of| of.access().is_some_and(|access| access.server.is_some()));
        let secure = contenders.iter().find(|of| of.access().is_some_and(|access| access.tls.is_some()));
        let kept = workload.activity != Activity::Market(Capability::PlaceOrder)
            || workload.ledger == LedgerKind::Sqlite;
        for changes in conditions.iter().filter_map(|of| of.changes.as_ref()) {
            let troubles = Changes::troubles(changes.get_ref());
            if let (Some(Contender { name, .. }), false) = (foreign, troubles.is_empty()) {
                let message =
                    format!("only wirebench's own servers do this, and '{name}' has another server");
                self.require(changes, false, &message)?;
            }
            if !troubles.iter().any(|trouble| trouble.kind == TroubleKind::Dies) {
                continue;
            }
            if let Some(Contender { name, .. }) = secure {
                let message =
                    format!("a market that is back has another certificate: '{name}' needs plain text");
                self.require(changes, false, &message)?;
            }
            let message = "a market that dies forgets its orders: this needs ledger = \"sqlite\"";
            self.require(changes, kept, message)?;
            self.require(changes, !relayed, "a market that dies cannot have a relay before it")?;
        }
        Ok(())
    }
}

/// What happens to the processes of markets, each with its place.
fn fates(troubles: &[Trouble]) -> impl Iterator<Item = (usize, &Trouble)> {
    let is_fate = |of: &(usize, &Trouble)| matches!(of.1.kind, TroubleKind::Dies | TroubleKind::Freezes);
    troubles.iter().enumerate().filter(is_fate)
}
