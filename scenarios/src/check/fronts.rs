//! Fronts: services between clients and markets, where they have a meaning.

use terms::{Concurrency, Contender, Link, Through};
use toml::Spanned;

use super::Check;
use super::policies::{QUEUE_MAX, QUEUE_USUAL};
use crate::ScenarioError;
use crate::wire::{Call, WireCondition, WireScenario};

const NEEDS_A_FRONT: &str = "this needs through = \"front\" in every contender";

impl Check<'_> {
    /// How much a front does at once under a condition.
    pub(super) fn front_pool(&self, condition: &WireCondition) -> Result<Option<Concurrency>, ScenarioError> {
        let WireCondition { front_at_once, front_queue, .. } = condition;
        if let Some(queue) = front_queue {
            self.require(queue, front_at_once.is_some(), "this needs front_at_once")?;
            let right = *queue.get_ref() <= QUEUE_MAX;
            self.require(queue, right, &format!("front_queue must be at most {QUEUE_MAX}"))?;
        }
        let Some(at_once) = front_at_once else { return Ok(None) };
        let right = (1..=QUEUE_MAX).contains(at_once.get_ref());
        self.require(at_once, right, &format!("front_at_once must be from 1 to {QUEUE_MAX}"))?;
        Ok(Some(Concurrency {
            at_once: *at_once.get_ref(),
            queue: front_queue.as_ref().map_or(QUEUE_USUAL, |queue| *queue.get_ref()),
            drops_abandoned: false,
        }))
    }

    /// What lies between a front and its markets.
    pub(super) fn market_link(
        &self,
        link: &Link,
        condition: &WireCondition,
    ) -> Result<Option<Link>, ScenarioError> {
        let Some(words) = &condition.market_link else { return Ok(None) };
        let routed = matches!(link, Link::Wan(_));
        let message =
            "this needs a link of the scenario with delay, loss or a rate, such as link = \"rtt=1ms\"";
        self.require(words, routed, message)?;
        match Link::try_from(words.get_ref().clone()) {
            Ok(link @ Link::Wan(_)) => Ok(Some(link)),
            Ok(Link::Loopback | Link::Cable) => {
                self.require(words, false, "this needs a delay, a loss or a rate, such as \"rtt=20ms\"")?;
                Ok(None)
            }
            Err(error) => Err(ScenarioError::at(self.file, self.text, words.span(), &error, None)),
        }
    }

    /// What is said of fronts and of what is behind them needs one.
    pub(super) fn fronts_fit(
        &self,
        wire: &WireScenario,
        contenders: &[Contender],
    ) -> Result<(), ScenarioError> {
        for contender in wire.contender.get_ref() {
            let Some(through) = &contender.through else { continue };
            let right = matches!(wire.workload.operation.get_ref(), Call::Quote);
            self.require(through, right, "through is a key of operation = \"quote\" only")?;
            let own = contender.server.is_none() && contender.target.is_none();
            self.require(through, own, "a contender must have only one of through, server and target")?;
        }
        let has_front =
            |of: &Contender| of.access().is_some_and(|access| access.through == Some(Through::Front));
        let all = contenders.iter().all(has_front);
        if let Some(share) = &wire.workload.second_market {
            self.require(share, all, NEEDS_A_FRONT)?;
        }
        for condition in wire.condition.get_ref() {
            self.needs(condition.front_at_once.as_ref(), all, NEEDS_A_FRONT)?;
            self.needs(condition.market_link.as_ref(), all, NEEDS_A_FRONT)?;
            let two = wire.workload.second_market.is_some();
            let message = "this needs a second_market in the workload";
            self.needs(condition.second_handler_wait.as_ref(), two, message)?;
        }
        Ok(())
    }

    pub(super) fn needs<T>(
        &self,
        key: Option<&Spanned<T>>,
        right: bool,
        message: &str,
    ) -> Result<(), ScenarioError> {
        key.map_or(Ok(()), |key| self.require(key, right, message))
    }
}
