//! What a client does about a call that fails, and what makes calls fail: where each has a meaning.

use terms::{ATTEMPTS_MAX, Backoff, Concurrency, Contender, Policy, Workload};
use toml::Spanned;

use super::Check;
use crate::ScenarioError;
use crate::wire::{WireCondition, WireContender, WireScenario};

/// Calls in turn or waiting, at most: each is a task of the server.
const QUEUE_MAX: usize = 100_000;
/// Calls that wait where a scenario does not say how many may.
const QUEUE_USUAL: usize = 1_000;
const ONLY_CALLS: &str = "this is a key of operations that make calls, such as operation = \"quote\"";

impl Check<'_> {
    /// The policy of a contender's calls, where it has one.
    pub(super) fn policy(
        &self,
        wire: &WireContender,
        workload: &Workload,
    ) -> Result<Option<Policy>, ScenarioError> {
        let WireContender { attempts, attempt_time_out, backoff, jitter, retry_budget, .. } = wire;
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
        if let Some(jitter) = jitter {
            self.require(jitter, repeats, needs_repeats)?;
        }
        if let Some(budget) = retry_budget {
            self.require(budget, repeats, needs_repeats)?;
        }
        let read = |words: &Spanned<String>| {
            self.require(words, repeats, needs_repeats)?;
            Backoff::parse(words.get_ref())
                .map_err(|message| ScenarioError::at(self.file, self.text, words.span(), &message, None))
        };
        let backoff = backoff.as_ref().map(read).transpose()?.unwrap_or(Backoff::DEFAULT);
        let policy = Policy {
            attempts: attempts.as_ref().map_or(1, |attempts| *attempts.get_ref()),
            attempt_time_out: attempt_time_out.as_ref().map(|time_out| time_out.get_ref().0),
            backoff,
            jitter: jitter.as_ref().map(|jitter| *jitter.get_ref()).unwrap_or_default(),
            budget: retry_budget.as_ref().map(|budget| budget.get_ref().0),
        };
        Ok((attempts.is_some() || attempt_time_out.is_some()).then_some(policy))
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

    /// A market is told to fail, to queue or to stall; somebody else's server is not.
    pub(super) fn failures_fit(
        &self,
        wire: &WireScenario,
        contenders: &[Contender],
    ) -> Result<(), ScenarioError> {
        let foreign = contenders.iter().find(|of| of.access().is_some_and(|access| access.server.is_some()));
        let Some(Contender { name, .. }) = foreign else { return Ok(()) };
        let message = format!("only wirebench's own servers do this, and '{name}' has another server");
        for condition in wire.condition.get_ref() {
            if let Some(share) = &condition.handler_fails {
                self.require(share, false, &message)?;
            }
            if let Some(at_once) = &condition.handler_at_once {
                self.require(at_once, false, &message)?;
            }
        }
        Ok(())
    }

    /// The share of calls that fail under a condition.
    pub(super) fn fails(&self, condition: &WireCondition, workload: &Workload) -> Result<f64, ScenarioError> {
        let Some(share) = &condition.handler_fails else { return Ok(0.0) };
        self.require(share, workload.activity.is_calls(), ONLY_CALLS)?;
        Ok(share.get_ref().0)
    }
}
