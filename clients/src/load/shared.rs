//! What the pacer, the slots and the watchdog of a round share.

use std::cell::{Cell, RefCell, RefMut};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use clock::{Clock, Mono};
use terms::{Failure, OneCall, Outcome};

use super::queue::Queue;
use super::recorder::{CallTimes, Recording as _};
use super::watchdog::SlotWatch;
use super::{Live, Round};
use crate::connection::{CallError, ReplyFacts};
use crate::phases::Phases;
use crate::policy::Retrier;

/// How long replies take: a smoothed mean, and how far they lie from it (as RFC 6298 does for round
/// trips).
#[derive(Debug, Default)]
pub(super) struct Lately {
    mean_ns: Cell<u64>,
    deviation_ns: Cell<u64>,
}

impl Lately {
    fn record(&self, ns: u64) {
        let (mean, deviation) = (self.mean_ns.get(), self.deviation_ns.get());
        if mean == 0 {
            self.mean_ns.set(ns);
            self.deviation_ns.set(ns / 2);
            return;
        }
        self.deviation_ns.set((deviation * 3 + mean.abs_diff(ns)) / 4);
        self.mean_ns.set((mean * 7 + ns) / 8);
    }

    /// Time that a reply needs, most likely; half of what a call has at the most, so that one that
    /// did not wait is always made.
    pub(super) fn needed(&self, allowed: Duration) -> Duration {
        Duration::from_nanos(self.mean_ns.get() + 4 * self.deviation_ns.get()).min(allowed / 2)
    }
}

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
    /// When each stage of rates ends, after the start of the measured time.
    pub(super) stage_ends: Arc<[Duration]>,
    /// The group of each request; nothing where there are none.
    pub(super) groups: Arc<[usize]>,
    /// Single calls that are kept, at most.
    pub(super) calls_max: usize,
    pub(super) outcome_apart: RefCell<Outcome>,
    pub(super) live: Arc<Live>,
    /// Calls of the closed model that were begun in the measured time.
    pub(super) begun: Cell<u64>,
    /// Calls of the closed model that were begun at all.
    pub(super) turns: Cell<u64>,
    /// When an end was first seen to be asked for.
    pub(super) stopped_at: Cell<Option<Mono>>,
    /// How long replies took lately: what is begun later than that before its deadline is not
    /// answered in time.
    pub(super) lately: Lately,
}

impl Shared {
    /// Records what came of a call, and of which arrival.
    pub(super) fn record(&self, nth: usize, times: &CallTimes, result: Result<&ReplyFacts, &CallError>) {
        let error = result.err();
        self.record_outcome(nth, times, error.map(CallError::failure));
        if let Some(sent) = times.sent {
            self.lately.record(times.done.nanos_since(sent));
        }
        if times.scheduled >= self.measured_from {
            let answered = match result {
                Ok(told) => Some((told.status, told.bytes)),
                Err(CallError::Status { status, bytes, .. }) => Some((Some(*status), *bytes)),
                Err(_) => None,
            };
            if self.calls_max > 0 {
                self.keep(nth, times, error.map(CallError::failure), answered.unwrap_or_default());
            }
            if let Some((status, bytes)) = answered {
                self.outcome_of(nth).record_answer(status, bytes);
                if let Some(mut group) = self.group_of(nth) {
                    group.record_answer(status, bytes);
                }
            }
        }
        if let Some(error) = error
            && times.scheduled >= self.measured_from
        {
            let mut outcome = self.outcome_of(nth);
            outcome.samples.entry(error.failure()).or_insert_with(|| error.sample());
        }
    }

    /// Keeps a call by itself, while there is room.
    fn keep(
        &self,
        nth: usize,
        times: &CallTimes,
        failure: Option<Failure>,
        (status, bytes): (Option<u16>, usize),
    ) {
        let mut outcome = self.outcome.borrow_mut();
        if outcome.calls.len() < self.calls_max {
            outcome.calls.push(OneCall {
                due_ns: times.scheduled.nanos_since(self.measured_from),
                lag_ns: times.picked_up.nanos_since(times.scheduled),
                wait_ns: times.sent.map(|sent| sent.nanos_since(times.picked_up)),
                response_ns: times.done.nanos_since(times.scheduled),
                failure,
                status,
                bytes: bytes as u64,
                turn: nth,
            });
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

    fn group_of(&self, nth: usize) -> Option<RefMut<'_, Outcome>> {
        let group = *self.groups.get(nth.checked_rem(self.groups.len())?)?;
        RefMut::filter_map(self.outcome.borrow_mut(), |outcome| outcome.groups.get_mut(group)).ok()
    }

    /// The stage of rates that a time of the measured time is in; 0 where there are none.
    fn stage_at(&self, time: Mono) -> usize {
        let into = time.since(self.measured_from);
        self.stage_ends.partition_point(|end| *end <= into)
    }

    fn record_outcome(&self, nth: usize, times: &CallTimes, failure: Option<Failure>) {
        let end = self.stopped_at.get().map_or(self.end(), |stopped| stopped.min(self.end()));
        if failure.is_none() && times.done >= self.measured_from {
            let mut outcome = self.outcome_of(nth);
            if times.done < end {
                outcome.count_answer(self.stage_at(times.done));
            }
            let is_late = times.scheduled >= self.measured_from && times.sent.is_some_and(|sent| sent >= end);
            outcome.sent_late += u64::from(is_late);
        }
        if times.scheduled >= self.measured_from {
            self.outcome_of(nth).record(times, failure, self.round.time_out);
            if !self.stage_ends.is_empty() {
                let nth = self.stage_at(times.scheduled);
                if let Some(stage) = self.outcome.borrow_mut().stages.get_mut(nth) {
                    stage.record(times.done.nanos_since(times.scheduled), failure.is_some());
                }
            }
            if let Some(mut group) = self.group_of(nth) {
                group.record(times, failure, self.round.time_out);
            }
            let lag_ns = times.picked_up.nanos_since(times.scheduled);
            self.live.count(times.done.nanos_since(times.scheduled), lag_ns, failure);
        }
    }

    /// Time that each call has.
    pub(super) fn time_allowed(&self) -> Duration {
        self.deadline.map_or(self.round.time_out, |deadline| deadline.min(self.round.time_out))
    }

    /// Which call the closed model makes next, if it makes another: not past its end, nor past its
    /// number.
    pub(super) fn goes_on(&self, now: Mono) -> Option<usize> {
        let is_measured = now >= self.measured_from;
        let is_left = self.round.calls_max.is_none_or(|max| self.begun.get() < max);
        let goes_on = now < self.end() && is_left && !self.is_stopped(now);
        self.begun.set(self.begun.get() + u64::from(goes_on && is_measured));
        goes_on.then(|| self.live.in_all(self.turns.replace(self.turns.get() + 1)))
    }

    /// Whether an end was asked for.
    pub(super) fn is_stopped(&self, now: Mono) -> bool {
        let stopped = self.live.is_stopped();
        if stopped && self.stopped_at.get().is_none() {
            self.stopped_at.set(Some(now));
        }
        stopped
    }

    pub(super) fn end(&self) -> Mono {
        self.measured_from + self.round.duration
    }
}
