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
use crate::connection::{CallError, Connection, Connector, ReplyFacts, no_connection};
use crate::lane::Lane;

/// How long a slot of the closed model rests after it could not connect, so as not to hammer a dead
/// server.
const REST_AFTER_REFUSAL: Duration = Duration::from_millis(1);

/// Connections after the first on which a call is made that none before processed.
const MOVES_MAX: usize = 3;

/// A place for one call at a time.
pub(super) struct SlotWorker<K: Connector> {
    pub(super) slot: usize,
    pub(super) shared: Rc<Shared>,
    pub(super) lane: Rc<Lane<K>>,
    pub(super) connector: K,
    /// Whether each call has a request of its own, and they are not gone round.
    pub(super) one_each: bool,
    pub(super) prepared: Rc<Vec<<K::Connection as Connection>::Prepared>>,
}

/// Attempts of a call.
#[derive(Default)]
struct Made {
    sent: Cell<Option<Mono>>,
    attempts: Cell<u32>,
}

impl<K: Connector> SlotWorker<K> {
    pub(super) async fn run(self) {
        match self.shared.round.model {
            Model::Open { .. } => {
                while let Some(arrival) = self.next().await {
                    self.perform(arrival).await;
                }
            }
            Model::Closed => self.run_closed().await,
        }
    }

    /// The next arrival; the connection has what comes on it meanwhile looked at.
    async fn next(&self) -> Option<Arrival> {
        let mut next = std::pin::pin!(self.shared.arrivals.next(self.slot));
        let open = if K::Connection::LISTENS_IDLE { self.lane.open() } else { None };
        let Some(connection) = open else { return next.await };
        let mut idle = std::pin::pin!(connection.idle());
        let mut ended = false;
        std::future::poll_fn(|context| {
            let polled = next.as_mut().poll(context);
            if polled.is_pending() && !ended {
                ended = idle.as_mut().poll(context).is_ready();
            }
            polled
        })
        .await
    }

    async fn run_closed(&self) {
        let shared = &self.shared;
        shared.arrivals.next(self.slot).await; // Waits for the start: the pacer closes the queue then.
        loop {
            let now = shared.clock.now();
            let Some(nth) = shared.goes_on(now) else { return };
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
            shared.record(arrival.nth, &times, Err(&CallError::NotSent));
            return false;
        }
        watch.begin(deadline);
        let made = Made::default();
        let mut result = {
            // Pinned where it is made: it is large, and would be copied for each call.
            let mut call = std::pin::pin!(self.call(arrival.nth, deadline, &made));
            watched(watch, call.as_mut()).await
        };
        times.done = shared.clock.now();
        (times.sent, times.attempts) = (made.sent.get(), made.attempts.get());
        if times.sent.is_none() && matches!(result, Err(CallError::TimedOut)) {
            result = Err(if self.lane.is_open() {
                CallError::NotSent
            } else {
                no_connection(shared.round.time_out)
            });
        }
        if times.done > deadline && result.is_ok() {
            // It came before the watchdog looked, and too late all the same.
            result = Err(CallError::TimedOut);
        }
        watch.end();
        shared.record(arrival.nth, &times, result.as_ref());
        if let Ok(ReplyFacts { phases: Some(phases), .. }) = &result {
            shared.record_phases(arrival.scheduled, phases);
        }
        matches!(result, Err(CallError::Refused(_)))
    }

    /// Makes the call, by the policy if there is one; says what its reply tells of it.
    async fn call(&self, nth: usize, deadline: Mono, made: &Made) -> Result<ReplyFacts, CallError> {
        let nth = if self.one_each { self.shared.live.of_mine(nth) } else { nth };
        let prepared = &self.prepared[nth % self.prepared.len()];
        let attempt = async |due: Option<Mono>| {
            if let Some(due) = due {
                self.shared.record_retry(due);
            }
            let (is_first, mut moved) = (made.sent.get().is_none(), 0);
            loop {
                let connection = self.lane.connection(&self.connector).await?;
                connection.place().await;
                let now = self.shared.clock.now();
                let left = deadline.since(now);
                if is_first && moved == 0 && left < self.shared.lately.needed(self.shared.time_allowed()) {
                    return Err(CallError::NotSent);
                }
                if left.is_zero() {
                    return Err(CallError::TimedOut);
                }
                if is_first {
                    made.sent.set(Some(now));
                }
                made.attempts.set(made.attempts.get() + 1);
                let time_left = self.shared.deadline.map(|_| left);
                match connection.call(prepared, time_left).await {
                    Err(CallError::Unprocessed(_)) if moved < MOVES_MAX => {
                        moved += 1;
                        self.lane.replace(&connection);
                    }
                    answered => return answered.map(K::Connection::facts),
                }
            }
        };
        match &self.shared.policy {
            None => attempt(None).await,
            Some(retrier) => retrier.call(attempt).await,
        }
    }
}
