//! A call by a policy: its attempts, the pauses between them, the budget that all calls share.
//! Written once for whoever calls.

use std::cell::{Cell, RefCell};
use std::io;
use std::time::Duration;

use clock::{Clock, Delays, Precision};
use proto::v1::FaultCode;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use terms::{Budget, Policy};

use crate::CallError;

/// Makes calls by a policy. Its calls share the budget.
#[derive(Debug)]
pub(crate) struct Retrier {
    policy: Policy,
    clock: Clock,
    delays: Delays,
    budget: Cell<Option<Budget>>,
    chance: RefCell<ChaCha8Rng>,
}

impl Retrier {
    /// A retrier whose pauses are drawn from this seed.
    ///
    /// # Errors
    /// Where the system refuses a timer.
    pub(crate) fn new(policy: Policy, clock: Clock, seed: u64) -> io::Result<Retrier> {
        Ok(Retrier {
            policy,
            delays: Delays::start(&clock, Precision::Sleep)?,
            clock,
            budget: Cell::new(policy.budget.map(Budget::new)),
            chance: RefCell::new(ChaCha8Rng::seed_from_u64(seed)),
        })
    }

    /// Makes a call: attempt after attempt until one succeeds, or the policy has no other. Dropping
    /// the future ends it.
    ///
    /// # Errors
    /// The last attempt's.
    pub(crate) async fn call<T>(
        &self,
        mut attempt: impl AsyncFnMut() -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        self.with_budget(|budget| budget.earn());
        let mut pause = Duration::ZERO;
        let mut nth = 1;
        loop {
            match self.in_time(attempt()).await {
                Err(error) if nth < self.policy.attempts && is_transient(&error) => {
                    if self.with_budget(Budget::spend) == Some(false) {
                        return Err(error);
                    }
                }
                result => return result,
            }
            let chance = self.chance.borrow_mut().random::<f64>();
            pause = self.policy.pause(nth, pause, chance);
            if !pause.is_zero() {
                self.delays.sleep_until(self.clock.now() + pause).await;
            }
            nth += 1;
        }
    }

    async fn in_time<T>(&self, attempt: impl Future<Output = Result<T, CallError>>) -> Result<T, CallError> {
        let Some(time_out) = self.policy.attempt_time_out else { return attempt.await };
        let end = self.clock.now() + time_out;
        tokio::select! {
            biased;
            result = attempt => result,
            () = self.delays.sleep_until(end) => Err(CallError::TimedOut),
        }
    }

    fn with_budget<T>(&self, change: impl FnOnce(&mut Budget) -> T) -> Option<T> {
        let mut budget = self.budget.get()?;
        let result = change(&mut budget);
        self.budget.set(Some(budget));
        Some(result)
    }
}

/// Whether the same call may succeed a moment later: nobody answered, or who did says so. A call
/// that was refused for what it asks (4xx, and its like) never is.
fn is_transient(error: &CallError) -> bool {
    match error {
        CallError::Refused(_) | CallError::Reset(_) | CallError::TimedOut => true,
        CallError::Rejected(fault) => fault.code == FaultCode::Unavailable,
        CallError::WrongReply(_) | CallError::Protocol(_) | CallError::Limit(_) => false,
    }
}

#[cfg(test)]
mod tests;
