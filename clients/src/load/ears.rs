//! The ears of a worker's subscribers: who has heard which tick of a round, when, and what never came. The schedule of the
//! emission is known at both ends, so that nothing can be missed without being missed here.

use std::cell::{Cell, RefCell};
use std::io;
use std::sync::Arc;

use clock::{Clock, Mono, Timer};
use proto::data::DataSet;
use proto::v1::Tick;
use tokio::sync::Notify;

use super::job::END_PRECISION;
use super::recorder::CallTimes;
use super::{Live, Outcome, Round};
use crate::connection::{CallError, Failure};

/// All subscribers of one worker.
pub(crate) struct Ears {
    clock: Clock,
    data: DataSet,
    live: Arc<Live>,
    subscribers: Cell<usize>,
    /// Places of subscribers that are gone, for those that come in their stead.
    free: RefCell<Vec<usize>>,
    round: RefCell<Option<Heard>>,
    all_heard: Notify,
}

/// What was heard in a round.
struct Heard {
    round: Round,
    measured_from: Mono,
    first_sequence: u64,
    /// What is expected, in order: when it is due, and what it says.
    expected: Vec<(Mono, Tick)>,
    /// By subscriber and tick: whether it came.
    seen: Vec<bool>,
    /// By subscriber: how many ticks of the round stand before the next in order.
    next: Vec<usize>,
    /// Ticks that have not come, of all subscribers.
    outstanding: usize,
    outcome: Outcome,
}

impl Ears {
    pub(super) fn new(clock: Clock, data: DataSet, live: Arc<Live>) -> Ears {
        Ears {
            clock,
            data,
            live,
            subscribers: Cell::new(0),
            free: RefCell::default(),
            round: RefCell::default(),
            all_heard: Notify::new(),
        }
    }

    /// A subscriber's place.
    pub(crate) fn join(&self) -> usize {
        self.free.borrow_mut().pop().unwrap_or_else(|| {
            let nth = self.subscribers.get();
            self.subscribers.set(nth + 1);
            nth
        })
    }

    /// Gives a place back.
    pub(crate) fn leave(&self, nth: usize) {
        self.free.borrow_mut().push(nth);
    }

    /// Begins to count a round; its ticks must not have been emitted yet.
    pub(super) fn begin(&self, round: &Round) -> io::Result<Timer> {
        let emission = round.emission.ok_or_else(|| io::Error::other("a round without ticks to hear"))?;
        let span = round.warm_up + round.duration;
        let schedule = emission.schedule(span, round.seed).map_err(io::Error::other)?;
        let due = |offset: &u64| round.start + std::time::Duration::from_nanos(*offset);
        let expected: Vec<(Mono, Tick)> = schedule
            .offsets_ns()
            .iter()
            .zip(emission.first_sequence..)
            .map(|(offset, sequence)| (due(offset), self.data.tick(sequence)))
            .collect();
        let subscribers = self.subscribers.get();
        self.live.clear();
        let measured_from = round.start + round.warm_up;
        *self.round.borrow_mut() = Some(Heard {
            round: *round,
            measured_from,
            first_sequence: emission.first_sequence,
            seen: vec![false; expected.len() * subscribers],
            next: vec![0; subscribers],
            outstanding: expected.len() * subscribers,
            expected,
            outcome: Outcome::over(measured_from, round.duration).map_err(io::Error::other)?,
        });
        self.clock.timer(END_PRECISION)
    }

    /// Takes a tick that a subscriber has just received.
    pub(crate) fn hear(&self, nth: usize, tick: &Tick) {
        let now = self.clock.now();
        let mut round = self.round.borrow_mut();
        let Some(heard) = round.as_mut() else { return };
        if let Some((scheduled, failure)) = heard.hear(nth, tick, now)
            && scheduled >= heard.measured_from
        {
            self.live.count(now.nanos_since(scheduled), failure.is_some());
        }
        if heard.outstanding == 0 {
            self.all_heard.notify_one();
        }
    }

    /// Keeps an error of a subscription as a sample; what it cost shows as missed ticks.
    pub(crate) fn note(&self, error: &CallError) {
        if let Some(heard) = self.round.borrow_mut().as_mut() {
            heard.outcome.samples.entry(Failure::Missed).or_insert_with(|| error.to_string());
        }
    }

    pub(super) fn count_reconnection(&self) {
        if let Some(heard) = self.round.borrow_mut().as_mut() {
            heard.outcome.reconnections += 1;
        }
    }

    /// Waits until all has come, or can come no more in time, and says what did.
    pub(super) async fn finish(&self, mut timer: Timer) -> io::Result<Outcome> {
        let deadline = self.round.borrow().as_ref().map(Heard::deadline).unwrap_or_default();
        let outstanding = || self.round.borrow().as_ref().is_some_and(|heard| heard.outstanding > 0);
        // A note of an earlier round may still be there: hence the loop.
        while outstanding() && self.clock.now() < deadline {
            tokio::select! {
                () = self.all_heard.notified() => {}
                () = timer.sleep_until(deadline) => {}
            }
        }
        let heard = self.round.borrow_mut().take();
        let heard = heard.ok_or_else(|| io::Error::other("no round to finish"))?;
        Ok(heard.into_outcome(self.clock.now()))
    }
}

impl Heard {
    /// When the last tick counts as missed.
    fn deadline(&self) -> Mono {
        self.round.start + self.round.warm_up + self.round.duration + self.round.time_out
    }

    /// Counts a tick; says when it was due and whether it was wrong or late, unless it is none of this round's or came
    /// before.
    fn hear(&mut self, nth: usize, tick: &Tick, now: Mono) -> Option<(Mono, Option<Failure>)> {
        let place = usize::try_from(tick.sequence.checked_sub(self.first_sequence)?).ok()?;
        let (scheduled, right) = self.expected.get(place)?;
        let seen = self.seen.get_mut(nth * self.expected.len() + place)?;
        if std::mem::replace(seen, true) {
            self.outcome.duplicates += 1;
            return None;
        }
        self.outstanding -= 1;
        let next = &mut self.next[nth];
        if place < *next {
            self.outcome.out_of_order += 1;
        }
        *next = (*next).max(place + 1);
        let emitted = Mono(tick.emitted_mono_ns);
        let failure = if tick.symbol != right.symbol
            || tick.price_cents != right.price_cents
            || tick.size != right.size
        {
            Some(Failure::WrongReply)
        } else {
            (now.since(*scheduled) > self.round.time_out).then_some(Failure::TimedOut)
        };
        if *scheduled >= self.measured_from {
            let times =
                CallTimes { scheduled: *scheduled, picked_up: emitted, sent: Some(emitted), done: now };
            self.outcome.record(&times, failure, self.round.time_out);
        }
        Some((*scheduled, failure))
    }

    fn into_outcome(mut self, now: Mono) -> Outcome {
        for seen in self.seen.chunks(self.expected.len().max(1)) {
            for ((scheduled, _), _) in self.expected.iter().zip(seen).filter(|(_, seen)| !**seen) {
                if *scheduled >= self.measured_from {
                    self.outcome.record_missed(*scheduled, self.round.time_out);
                }
            }
        }
        self.outcome.elapsed = now.since(self.measured_from);
        self.outcome
    }
}
