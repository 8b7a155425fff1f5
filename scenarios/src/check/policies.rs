//! What a client does about a call that fails, and what makes calls fail: where each has a meaning.

use std::time::Duration;

use proto::Capability;
use terms::{
    ATTEMPTS_MAX, Activity, Backoff, Breaker, Carriage, Concurrency, Condition, Contender, Handler, Model,
    Policy, Through, Workload,
};
use toml::Spanned;

use super::Check;
use crate::contender::WireContender;
use crate::values::Share;
use crate::wire::{Call, WireCondition, WireScenario};
use crate::{Profile, ScenarioError};

/// Calls in turn or waiting, at most: each is a task of the server.
pub(super) const QUEUE_MAX: usize = 100_000;
/// Calls that wait where a scenario does not say how many may.
pub(super) const QUEUE_USUAL: usize = 1_000;
/// Calls of a round that have a key each, at most: they are encoded between the order to begin it
/// and its beginning.
const KEYED_CALLS_MAX: f64 = 20_000.0;
const ONLY_CALLS: &str = "this is a key of operations that make calls, such as operation = \"quote\"";

impl Check<'_> {
    /// The policy of a contender's calls, where it has one.
    pub(super) fn policy(
        &self,
        wire: &WireContender,
        workload: &Workload,
    ) -> Result<Option<Policy>, ScenarioError> {
        let WireContender {
            attempts,
            attempt_time_out,
            hedge_after,
            backoff,
            jitter,
            retry_budget,
            bulkhead,
            adaptive_limit,
            breaker: breaker_words,
            ..
        } = wire;
        let repeats = attempts.as_ref().is_some_and(|attempts| *attempts.get_ref() > 1);
        let needs_repeats = "this needs attempts of at least 2";
        if let Some(attempts) = attempts {
            self.require(attempts, workload.activity.is_calls(), ONLY_CALLS)?;
            let right = (1..=ATTEMPTS_MAX).contains(attempts.get_ref());
            self.require(attempts, right, &format!("attempts must be from 1 to {ATTEMPTS_MAX}"))?;
        }
        if let Some(time_out) = attempt_time_out {
            self.require(time_out, workload.activity.is_calls(), ONLY_CALLS)?;
            let right = !time_out.get_ref().0.is_zero() && time_out.get_ref().0 <= workload.time_out;
            let message = "attempt_time_out must be greater than 0, and at most the workload's time_out";
            self.require(time_out, right, message)?;
        }
        if let Some(after) = hedge_after {
            self.require(after, workload.activity.is_calls(), ONLY_CALLS)?;
            let right = !after.get_ref().0.is_zero() && after.get_ref().0 < workload.time_out;
            let message = "hedge_after must be greater than 0, and less than the workload's time_out";
            self.require(after, right, message)?;
            let alone = wire.balance.is_none();
            let message =
                "hedge_after does not go with balance: the hedge that loses would count as a failure";
            self.require(after, alone, message)?;
            let safe = workload.activity != Activity::Market(Capability::PlaceOrder)
                || wire.idempotency_keys.is_some();
            self.require(after, safe, "a hedged order is placed twice: this needs idempotency_keys")?;
        }
        if let Some(jitter) = jitter {
            self.require(jitter, repeats, needs_repeats)?;
        }
        if let Some(budget) = retry_budget {
            let right = repeats || hedge_after.is_some();
            self.require(budget, right, "this needs attempts of at least 2, or hedge_after")?;
        }
        let read = |words: &Spanned<String>| {
            self.require(words, repeats, needs_repeats)?;
            Backoff::parse(words.get_ref())
                .map_err(|message| ScenarioError::at(self.file, self.text, words.span(), &message, None))
        };
        let backoff = backoff.as_ref().map(read).transpose()?.unwrap_or(Backoff::DEFAULT);
        let breaker = |words: &Spanned<String>| {
            self.require(words, workload.activity.is_calls(), ONLY_CALLS)?;
            Breaker::parse(words.get_ref())
                .map_err(|message| ScenarioError::at(self.file, self.text, words.span(), &message, None))
        };
        if let Some(slow) = adaptive_limit {
            self.require(slow, workload.activity.is_calls(), ONLY_CALLS)?;
            let right = !slow.get_ref().0.is_zero() && slow.get_ref().0 <= workload.time_out;
            let message = "adaptive_limit must be greater than 0, and at most the workload's time_out";
            self.require(slow, right, message)?;
        }
        if let Some(places) = bulkhead {
            self.require(places, workload.activity.is_calls(), ONLY_CALLS)?;
            let right = (1..=QUEUE_MAX).contains(places.get_ref());
            self.require(places, right, &format!("bulkhead must be from 1 to {QUEUE_MAX}"))?;
        }
        let policy = Policy {
            attempts: attempts.as_ref().map_or(1, |attempts| *attempts.get_ref()),
            attempt_time_out: attempt_time_out.as_ref().map(|time_out| time_out.get_ref().0),
            hedge_after: hedge_after.as_ref().map(|after| after.get_ref().0),
            backoff,
            jitter: jitter.as_ref().map(|jitter| *jitter.get_ref()).unwrap_or_default(),
            budget: retry_budget.as_ref().map(|budget| budget.get_ref().0),
            keys: self.keys(wire, workload)?,
            breaker: breaker_words.as_ref().map(breaker).transpose()?,
            bulkhead: bulkhead.as_ref().map(|places| *places.get_ref()),
            adaptive_limit: adaptive_limit.as_ref().map(|slow| slow.get_ref().0),
        };
        let is_given =
            attempts.is_some() || attempt_time_out.is_some() || policy != Policy { backoff, ..Policy::NONE };
        Ok(is_given.then_some(policy))
    }

    /// A hedge goes out beside a call that is under way. (A front has connections for both.)
    pub(super) fn hedges_fit(&self, wire: &WireContender, carriage: Carriage) -> Result<(), ScenarioError> {
        let Some(after) = &wire.hedge_after else { return Ok(()) };
        let is_a_fronts = wire.through.as_ref().is_some_and(|of| *of.get_ref() == Through::Front);
        let has_room = is_a_fronts || carriage.in_flight_max().is_none();
        self.require(
            after,
            has_room,
            "a connection of HTTP/1.1 has room for one call, and none for its hedge",
        )
    }

    /// The deadline that a contender's calls say.
    pub(super) fn deadline(
        &self,
        wire: &WireContender,
        workload: &Workload,
    ) -> Result<Option<Duration>, ScenarioError> {
        let Some(deadline) = &wire.deadline else { return Ok(None) };
        self.require(deadline, workload.activity.is_calls(), ONLY_CALLS)?;
        let right = !deadline.get_ref().0.is_zero() && deadline.get_ref().0 <= workload.time_out;
        self.require(
            deadline,
            right,
            "deadline must be greater than 0, and at most the workload's time_out",
        )?;
        let own = wire.server.is_none() && wire.target.is_none();
        self.require(deadline, own, "only wirebench's own servers read a deadline here")?;
        Ok(Some(deadline.get_ref().0))
    }

    /// Whether each call has an idempotency key.
    fn keys(&self, wire: &WireContender, workload: &Workload) -> Result<bool, ScenarioError> {
        let Some(keys) = &wire.idempotency_keys else { return Ok(false) };
        let right = workload.activity == Activity::Market(Capability::PlaceOrder);
        self.require(keys, right, "idempotency_keys is a key of operation = \"place_order\" only")?;
        let right = matches!(workload.model, Model::Open { .. });
        self.require(keys, right, "idempotency_keys needs the workload's rate_per_s")?;
        Ok(*keys.get_ref())
    }

    /// Keys are made before a round, for as many calls as it has.
    pub(super) fn keyed_calls(
        &self,
        contenders: &Spanned<Vec<WireContender>>,
        profile: &Profile,
        conditions: &[Condition],
    ) -> Result<(), ScenarioError> {
        let keyed = contenders.get_ref().iter().find_map(|contender| contender.idempotency_keys.as_ref());
        let Some(keys) = keyed else { return Ok(()) };
        let calls = |condition: &Condition| match condition.model {
            Model::Open { rate_per_s, .. } => rate_per_s * (profile.warm_up + profile.duration).as_secs_f64(),
            Model::Closed => 0.0,
        };
        let few = conditions.iter().all(|condition| calls(condition) <= KEYED_CALLS_MAX);
        self.require(keys, few, "with idempotency_keys a round must have at most 20 000 calls")
    }

    /// How much the market does at once under a condition.
    pub(super) fn concurrency(
        &self,
        condition: &WireCondition,
        workload: &Workload,
    ) -> Result<Option<Concurrency>, ScenarioError> {
        let WireCondition { handler_at_once, handler_queue, handler_drops_abandoned, .. } = condition;
        let needs = "this needs handler_at_once";
        if let Some(queue) = handler_queue {
            self.require(queue, handler_at_once.is_some(), needs)?;
            let right = *queue.get_ref() <= QUEUE_MAX;
            self.require(queue, right, &format!("handler_queue must be at most {QUEUE_MAX}"))?;
        }
        if let Some(drops) = handler_drops_abandoned {
            self.require(drops, handler_at_once.is_some(), needs)?;
        }
        let Some(at_once) = handler_at_once else { return Ok(None) };
        self.require(at_once, workload.activity.is_calls(), ONLY_CALLS)?;
        let reads = workload.activity != Activity::Market(Capability::PlaceOrder);
        self.require(
            at_once,
            reads,
            "handler_at_once is a key of reads: an order is placed before its turn",
        )?;
        let right = (1..=QUEUE_MAX).contains(at_once.get_ref());
        self.require(at_once, right, &format!("handler_at_once must be from 1 to {QUEUE_MAX}"))?;
        let wait = condition.handler_wait.map_or(workload.handler.wait, |wait| wait.0);
        self.require(at_once, !wait.is_zero(), "handler_at_once needs a handler_wait")?;
        Ok(Some(Concurrency {
            at_once: *at_once.get_ref(),
            queue: handler_queue.as_ref().map_or(QUEUE_USUAL, |queue| *queue.get_ref()),
            drops_abandoned: handler_drops_abandoned.as_ref().is_some_and(|drops| *drops.get_ref()),
        }))
    }

    /// A market is told to fail or to queue; somebody else's server is not.
    pub(super) fn failures_fit(
        &self,
        wire: &WireScenario,
        contenders: &[Contender],
        workload: &Workload,
    ) -> Result<(), ScenarioError> {
        let waits_for = |of: &Contender| {
            let policy = of.access().and_then(|access| access.policy);
            policy.and_then(|policy| policy.attempt_time_out).unwrap_or(workload.time_out)
        };
        let patient = contenders.iter().find(|of| waits_for(of) >= Handler::LOST_REPLY_AFTER);
        for condition in wire.condition.get_ref() {
            let Some(share) = &condition.handler_loses else { continue };
            if let Some(Contender { name, .. }) = patient {
                let message =
                    format!("a lost reply leaves after 2 s: '{name}' needs a shorter attempt_time_out");
                self.require(share, false, &message)?;
            }
            let right = condition.handler_at_once.is_none();
            self.require(
                share,
                right,
                "a condition must have only one of handler_loses and handler_at_once",
            )?;
        }
        let foreign = contenders.iter().find(|of| of.access().is_some_and(|access| access.server.is_some()));
        let Some(Contender { name, .. }) = foreign else { return Ok(()) };
        let message = format!("only wirebench's own servers do this, and '{name}' has another server");
        for condition in wire.condition.get_ref() {
            for share in [&condition.handler_fails, &condition.handler_loses].into_iter().flatten() {
                self.require(share, false, &message)?;
            }
            if let Some(at_once) = &condition.handler_at_once {
                self.require(at_once, false, &message)?;
            }
        }
        Ok(())
    }

    /// Whether it is calls that the clients make.
    pub(super) fn makes_calls(&self, wire: &WireScenario) -> bool {
        !matches!(wire.workload.operation.get_ref(), Call::Subscribe | Call::Session | Call::Flow)
    }

    /// The share of calls to which a condition does something.
    pub(super) fn share_of_calls(
        &self,
        share: Option<&Spanned<Share>>,
        workload: &Workload,
    ) -> Result<f64, ScenarioError> {
        let Some(share) = share else { return Ok(0.0) };
        self.require(share, workload.activity.is_calls(), ONLY_CALLS)?;
        Ok(share.get_ref().0)
    }
}
