//! A call by a policy: its attempts, the pauses between them, the budget that all calls share.
//! Written once for whoever calls.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::pin;
use std::time::Duration;

use clock::{Clock, Delays, Mono, Precision};
use proto::v1::FaultCode;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use terms::{AdaptiveLimit, Admission, Budget, Circuit, Policy};

use crate::CallError;

/// Makes calls by a policy. Its calls share the budget, the breaker and the bulkhead.
#[derive(Debug)]
pub struct Retrier {
    policy: Policy,
    clock: Clock,
    delays: Delays,
    budget: Cell<Option<Budget>>,
    circuit: Option<RefCell<Circuit>>,
    limit: Cell<Option<AdaptiveLimit>>,
    /// Attempts under way.
    under_way: Cell<usize>,
    chance: RefCell<ChaCha8Rng>,
}

impl Retrier {
    /// A retrier whose pauses are drawn from this seed.
    ///
    /// # Errors
    /// Where the system refuses a timer.
    pub fn new(policy: Policy, clock: Clock, seed: u64) -> io::Result<Retrier> {
        let delays = Delays::start(&clock, Precision::Sleep)?;
        Ok(Retrier::with(policy, clock, delays, seed))
    }

    fn with(policy: Policy, clock: Clock, delays: Delays, seed: u64) -> Retrier {
        Retrier {
            policy,
            delays,
            clock,
            budget: Cell::new(policy.budget.map(Budget::new)),
            circuit: policy.breaker.map(|breaker| RefCell::new(Circuit::new(breaker))),
            limit: Cell::new(policy.adaptive_limit.map(AdaptiveLimit::new)),
            under_way: Cell::new(0),
            chance: RefCell::new(ChaCha8Rng::seed_from_u64(seed)),
        }
    }

    /// One by the same policy that remembers nothing, and draws from another seed.
    #[must_use]
    pub fn renewed(&self, seed: u64) -> Retrier {
        Retrier::with(self.policy, self.clock.clone(), self.delays.clone(), seed)
    }

    /// Makes a call: attempt after attempt until one succeeds, or the policy has no other; two at a
    /// time where it hedges. Each is told when it was due, the first nothing. Dropping the future
    /// ends it.
    ///
    /// # Errors
    /// The last attempt's.
    pub async fn call<T>(
        &self,
        attempt: impl AsyncFn(Option<Mono>) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        self.with_budget(|budget| budget.earn());
        let (mut pause, mut due) = (Duration::ZERO, None);
        let mut nth = 1;
        loop {
            match self.hedged(due, &attempt).await {
                Err(error) if nth < self.policy.attempts && is_transient(&error) => {
                    if self.with_budget(Budget::spend) == Some(false) {
                        return Err(error);
                    }
                }
                result => return result,
            }
            let chance = self.chance.borrow_mut().random::<f64>();
            pause = self.policy.pause(nth, pause, chance);
            let again = self.clock.now() + pause;
            if !pause.is_zero() {
                self.delays.sleep_until(again).await;
            }
            due = Some(again);
            nth += 1;
        }
    }

    /// Makes an attempt, and another beside it where the first has no answer in time and the budget
    /// has room: the first success counts, or the last failure.
    async fn hedged<T>(
        &self,
        due: Option<Mono>,
        attempt: &impl AsyncFn(Option<Mono>) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let mut first = pin!(self.guarded(attempt(due)));
        let Some(after) = self.policy.hedge_after else { return first.await };
        let hedge = self.clock.now() + after;
        tokio::select! {
            biased;
            result = &mut first => return result,
            () = self.delays.sleep_until(hedge) => {}
        }
        if self.with_budget(Budget::spend) == Some(false) {
            return first.await;
        }
        let mut second = pin!(self.guarded(attempt(Some(hedge))));
        let decides = |result: &Result<T, CallError>| !result.as_ref().is_err_and(may_pass);
        tokio::select! {
            biased;
            result = &mut first => if decides(&result) { result } else { second.await },
            result = &mut second => if decides(&result) { result } else { first.await },
        }
    }

    /// Makes an attempt where breaker and bulkhead let it through.
    async fn guarded<T>(&self, attempt: impl Future<Output = Result<T, CallError>>) -> Result<T, CallError> {
        let admitted = self.admit()?;
        let adapted = self.limit.get().map(|limit| limit.places());
        let places = self.policy.bulkhead.into_iter().chain(adapted).min();
        if places.is_some_and(|places| self.under_way.get() >= places) {
            return Err(CallError::Limit(format!("{} attempts are under way already", self.under_way.get())));
        }
        let begun = adapted.map(|_| self.now());
        let under_way = UnderWay::of(&self.under_way);
        let result = self.in_time(attempt).await;
        if let Some((mut limit, begun)) = self.limit.get().zip(begun) {
            let failed = result.as_ref().is_err_and(is_transient);
            limit.done(self.now().saturating_sub(begun), failed, self.under_way.get());
            self.limit.set(Some(limit));
        }
        drop(under_way);
        admitted.done(result.as_ref().is_err_and(is_transient));
        result
    }

    fn admit(&self) -> Result<Admitted<'_>, CallError> {
        let Some(circuit) = &self.circuit else { return Ok(Admitted(None)) };
        let admission = circuit.borrow_mut().admit(self.now());
        let admission = admission.ok_or_else(|| CallError::Limit("the breaker is open".to_owned()))?;
        Ok(Admitted(Some((self, admission))))
    }

    /// For the breaker, which counts from any one instant.
    fn now(&self) -> Duration {
        Duration::from_nanos(self.clock.now().0)
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

/// An attempt that is under way, until it is dropped.
struct UnderWay<'a>(&'a Cell<usize>);

impl UnderWay<'_> {
    fn of(count: &Cell<usize>) -> UnderWay<'_> {
        count.set(count.get() + 1);
        UnderWay(count)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// What a breaker let through. One that is dropped before it is done gives its place back.
struct Admitted<'a>(Option<(&'a Retrier, Admission)>);

impl Admitted<'_> {
    fn done(mut self, failed: bool) {
        if let Some((retrier, admission)) = self.0.take()
            && let Some(circuit) = &retrier.circuit
        {
            circuit.borrow_mut().done(retrier.now(), admission, failed);
        }
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        if let Some((retrier, admission)) = self.0.take()
            && let Some(circuit) = &retrier.circuit
        {
            circuit.borrow_mut().give_back(admission);
        }
    }
}

/// Whether another attempt, that is under way already, may still succeed.
fn may_pass(error: &CallError) -> bool {
    is_transient(error) || matches!(error, CallError::Limit(_))
}

/// Whether the same call may succeed a moment later: nobody answered, or who did says so. A call
/// that was refused for what it asks (4xx, and its like) never is.
pub(crate) fn is_transient(error: &CallError) -> bool {
    match error {
        CallError::Refused(_) | CallError::Reset(_) | CallError::TimedOut => true,
        CallError::Rejected(fault) => fault.code == FaultCode::Unavailable,
        CallError::Unprocessed(_) => true,
        CallError::NotSent
        | CallError::Status { .. }
        | CallError::Client(_)
        | CallError::WrongReply(_)
        | CallError::Protocol(_)
        | CallError::Limit(_) => false,
    }
}

#[cfg(test)]
mod tests;
