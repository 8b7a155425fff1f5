//! A slot: makes one call at a time and records it.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use clock::Mono;
use terms::Model;

use super::queue::Arrival;
use super::recorder::CallTimes;
use super::shared::Shared;
use super::watchdog::watched;
use crate::connection::{CallError, Connection, Connector};
use crate::lane::Lane;
use crate::phases::Phases;

/// How long a slot of the closed model rests after it could not connect, so as not to hammer a dead
/// server.
const REST_AFTER_REFUSAL: Duration = Duration::from_millis(1);

/// A place for one call at a time.
pub(super) struct SlotWorker<K: Connector> {
    pub(super) slot: usize,
    pub(super) shared: Rc<Shared>,
    pub(super) lane: Rc<Lane<K>>,
    pub(super) connector: K,
    pub(super) prepared: Rc<Vec<<K::Connection as Connection>::Prepared>>,
}

/// Attempts of a call.
#[derive(Default)]
struct Made {
    first_sent: Cell<Option<Mono>>,
    attempts: Cell<u32>,
}

impl<K: Connector> SlotWorker<K> {
    pub(super) async fn run(self) {
        match self.shared.round.model {
            Model::Open { .. } => {
                while let Some(arrival) = self.shared.arrivals.next(self.slot).await {
                    self.perform(arrival).await;
                }
            }
            Model::Closed => self.run_closed().await,
        }
    }

    async fn run_closed(&self) {
        let shared = &self.shared;
        shared.arrivals.next(self.slot).await; // Waits for the start: the pacer closes the queue then.
        let end = shared.end();
        for nth in (self.slot..).step_by(shared.slots.len()) {
            let now = shared.clock.now();
            if now >= end {
                return;
            }
            let refused = self.perform(Arrival { nth, scheduled: now, picked_up: now }).await;
            if refused {
                clock::pause(REST_AFTER_REFUSAL).await;
            }
        }
    }

    /// Makes a call and records it; says whether there was no connection to make it on.
    async fn perform(&self, arrival: Arrival) -> bool {
        let shared = &self.shared;
        let watch = &shared.slots[self.slot];
        let deadline = arrival.scheduled + shared.time_allowed();
        let mut times = CallTimes {
            scheduled: arrival.scheduled,
            picked_up: arrival.picked_up,
            sent: None,
            attempts: 0,
            done: deadline,
        };
        if deadline <= shared.looked_at.get() {
            // It waited for a slot for longer than it had. To begin it and have it ended would take
            // a look of the watchdog each, and there may be as many as fell due in a time-out.
            times.done = shared.clock.now();
            shared.record(arrival.nth, &times, Some(&CallError::TimedOut));
            return false;
        }
        watch.begin(deadline);
        let made = Made::default();
        let mut result = watched(watch, self.call(arrival.nth, deadline, &made)).await;
        times.done = shared.clock.now();
        (times.sent, times.attempts) = (made.first_sent.get(), made.attempts.get());
        if times.done > deadline && result.is_ok() {
            // It came before the watchdog looked, and too late all the same.
            result = Err(CallError::TimedOut);
        }
        watch.end();
        shared.record(arrival.nth, &times, result.as_ref().err());
        if let Ok(Some(phases)) = &result {
            shared.record_phases(arrival.scheduled, phases);
        }
        times.sent.is_none() && !matches!(result, Err(CallError::TimedOut))
    }

    /// Makes the call, by the policy if there is one; says what its phases were, where they were
    /// told apart.
    async fn call(&self, nth: usize, deadline: Mono, made: &Made) -> Result<Option<Phases>, CallError> {
        let prepared = &self.prepared[nth % self.prepared.len()];
        let attempt = async |due: Option<Mono>| {
            if let Some(due) = due {
                self.shared.record_retry(due);
            }
            let connection = self.lane.connection(&self.connector).await?;
            let now = self.shared.clock.now();
            if now >= deadline {
                return Err(CallError::TimedOut);
            }
            made.first_sent.set(made.first_sent.get().or(Some(now)));
            made.attempts.set(made.attempts.get() + 1);
            let time_left = self.shared.deadline.map(|_| deadline.since(now));
            let reply = connection.call(prepared, time_left).await?;
            Ok(K::Connection::phases(&reply).cloned())
        };
        match &self.shared.policy {
            None => attempt(None).await,
            Some(retrier) => retrier.call(attempt).await,
        }
    }
}
