//! What a client does about a call that fails, and what makes calls fail: where each has a meaning.

use terms::{ATTEMPTS_MAX, Backoff, Policy, Workload};
use toml::Spanned;

use super::Check;
use crate::ScenarioError;
use crate::wire::{WireCondition, WireContender};

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

    /// The share of calls that fail under a condition.
    pub(super) fn fails(&self, condition: &WireCondition, workload: &Workload) -> Result<f64, ScenarioError> {
        let Some(share) = &condition.handler_fails else { return Ok(0.0) };
        self.require(share, workload.activity.is_calls(), ONLY_CALLS)?;
        Ok(share.get_ref().0)
    }
}
