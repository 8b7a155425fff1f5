//! What the pacer, the slots and the watchdog of a round share.

use std::cell::{Cell, RefCell, RefMut};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use clock::{Clock, Mono};
use terms::{Failure, Outcome};

use super::queue::Queue;
use super::recorder::{CallTimes, Recording as _};
use super::watchdog::SlotWatch;
use super::{Live, Round};
use crate::connection::CallError;
use crate::phases::Phases;
use crate::policy::Retrier;

/// What the pacer, the slots and the watchdog of a round share.
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) round: Round,
    pub(super) measured_from: Mono,
    pub(super) arrivals: Queue,
    pub(super) slots: Rc<[SlotWatch]>,
    /// When the watchdog last looked: the time, to within its step, for who would not read a clock.
    pub(super) looked_at: Rc<Cell<Mono>>,
    /// Makes the calls where they have a policy.
    pub(super) policy: Option<Retrier>,
    /// Time that each call has and says; `None` where only the round's time-out bounds it.
    pub(super) deadline: Option<Duration>,
    pub(super) outcome: RefCell<Outcome>,
    /// Whether each request is counted apart; empty where none is.
    pub(super) apart: Rc<[bool]>,
    pub(super) outcome_apart: RefCell<Outcome>,
    pub(super) live: Arc<Live>,
}

impl Shared {
    /// Records what came of a call, and of which arrival.
    pub(super) fn record(&self, nth: usize, times: &CallTimes, error: Option<&CallError>) {
        self.record_outcome(nth, times, error.map(CallError::failure));
        if let Some(error) = error
            && times.scheduled >= self.measured_from
        {
            let mut outcome = self.outcome_of(nth);
            outcome.samples.entry(error.failure()).or_insert_with(|| error.sample());
        }
    }

    pub(super) fn record_phases(&self, scheduled: Mono, phases: &Phases) {
        if scheduled >= self.measured_from {
            self.outcome.borrow_mut().record_phases(phases);
        }
    }

    pub(super) fn record_retry(&self, due: Mono) {
        self.outcome.borrow_mut().retries.record(due.0);
    }

    /// Where an arrival is counted.
    fn outcome_of(&self, nth: usize) -> RefMut<'_, Outcome> {
        let is_apart = !self.apart.is_empty() && self.apart[nth % self.apart.len()];
        if is_apart { self.outcome_apart.borrow_mut() } else { self.outcome.borrow_mut() }
    }

    pub(super) fn record_outcome(&self, nth: usize, times: &CallTimes, failure: Option<Failure>) {
        if times.scheduled >= self.measured_from {
            self.outcome_of(nth).record(times, failure, self.round.time_out);
            self.live.count(times.done.nanos_since(times.scheduled), failure.is_some());
        }
    }

    /// Time that each call has.
    pub(super) fn time_allowed(&self) -> Duration {
        self.deadline.map_or(self.round.time_out, |deadline| deadline.min(self.round.time_out))
    }

    pub(super) fn end(&self) -> Mono {
        self.measured_from + self.round.duration
    }
}
