//! The ears of a worker's subscribers: who has heard which tick of a round, when, and what never
//! came. The schedule of the emission is known at both ends, so that nothing can be missed without
//! being missed here.

use std::cell::{Cell, RefCell};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use clock::{Clock, Mono, Timer};
use proto::data::DataSet;
use proto::v1::Tick;
use terms::{Failure, Outcome, Schedule};
use tokio::sync::Notify;

use super::recorder::{CallTimes, Recording as _};
use super::round::END_PRECISION;
use super::{Live, Round};
use crate::connection::CallError;

/// All subscribers of one worker.
pub(crate) struct Ears {
    clock: Clock,
    data: DataSet,
    live: Arc<Live>,
    subscribers: Cell<usize>,
    /// Places of subscribers that are gone, for those that come in their stead.
    free: RefCell<Vec<usize>>,
    round: RefCell<Option<Heard>>,
    /// Until when a round goes on, or went on.
    open_until: Cell<Mono>,
    all_heard: Notify,
    begun: Notify,
    finished: Notify,
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
    /// By subscriber: when it last heard a tick, whichever.
    heard_at: Vec<Mono>,
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
            open_until: Cell::default(),
            all_heard: Notify::new(),
            begun: Notify::new(),
            finished: Notify::new(),
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
        self.expect(round)?;
        self.begun.notify_waiters();
        self.clock.timer(END_PRECISION)
    }

    fn expect(&self, round: &Round) -> io::Result<()> {
        let emission = round.emission.ok_or_else(|| io::Error::other("a round without ticks to hear"))?;
        let span = round.warm_up + round.duration;
        let schedule = Schedule::of_ticks(&emission, span, round.seed).map_err(io::Error::other)?;
        let due = |offset: &u64| round.start + Duration::from_nanos(*offset);
        let expected: Vec<(Mono, Tick)> = schedule
            .offsets_ns()
            .iter()
            .zip(emission.first_sequence..)
            .map(|(offset, sequence)| (due(offset), self.data.tick(sequence)))
            .collect();
        let subscribers = self.subscribers.get();
        self.live.clear();
        let measured_from = round.start + round.warm_up;
        let heard = Heard {
            round: *round,
            measured_from,
            first_sequence: emission.first_sequence,
            seen: vec![false; expected.len() * subscribers],
            next: vec![0; subscribers],
            heard_at: vec![measured_from; subscribers],
            outstanding: expected.len() * subscribers,
            expected,
            outcome: Outcome::over(measured_from, round.duration).map_err(io::Error::other)?,
        };
        self.open_until.set(heard.deadline());
        *self.round.borrow_mut() = Some(heard);
        Ok(())
    }

    /// Whether a subscriber should have heard something in this time: a round has gone on for as
    /// long, and its last tick has not come to it.
    pub(super) fn is_owed(&self, nth: usize, within: Duration) -> bool {
        let now = self.clock.now();
        self.round.borrow().as_ref().is_some_and(|heard| {
            now >= heard.round.start + within
                && heard.next.get(nth).is_some_and(|n| *n < heard.expected.len())
        })
    }

    /// Waits for the next round to begin.
    pub(super) async fn something_is_due(&self) {
        self.begun.notified().await;
    }

    /// Goes on with something while a round does, and rests between rounds, so that it is no load
    /// while others are measured. A round goes on to the end of its measured time, whatever has
    /// been heard, and while something may come that was not.
    pub(super) async fn in_rounds<F: Future>(&self, something: F) -> F::Output {
        let mut something = std::pin::pin!(something);
        loop {
            let (now, end) = (self.clock.now(), self.open_until.get());
            if now >= end {
                self.begun.notified().await;
                continue;
            }
            tokio::select! {
                biased;
                output = &mut something => return output,
                () = self.finished.notified() => {}
                () = clock::pause(end.since(now)) => {}
            }
        }
    }

    /// Takes a tick that a subscriber has just received.
    pub(crate) fn hear(&self, nth: usize, tick: &Tick) {
        let now = self.clock.now();
        let mut round = self.round.borrow_mut();
        let Some(heard) = round.as_mut() else { return };
        if let Some((scheduled, failure)) = heard.hear(nth, tick, now)
            && scheduled >= heard.measured_from
        {
            self.live.count(now.nanos_since(scheduled), 0, failure);
        }
        if heard.outstanding == 0 {
            self.all_heard.notify_one();
        }
    }

    /// Keeps an error of a subscription as a sample; what it cost shows as missed ticks.
    pub(crate) fn note(&self, error: &CallError) {
        if let Some(heard) = self.round.borrow_mut().as_mut() {
            heard.outcome.samples.entry(Failure::Missed).or_insert_with(|| error.sample());
        }
    }

    /// When a silence of this length began that is noticed now.
    pub(super) fn silent_since(&self, silence: Duration) -> Mono {
        self.clock.now() - silence
    }

    /// Counts a connection that replaces one lost in the measured time. One that is lost later,
    /// while the round waits for missing ticks, is in no figure.
    pub(super) fn count_reconnection(&self, lost_at: Mono) {
        if let Some(heard) = self.round.borrow_mut().as_mut()
            && (heard.measured_from..=heard.measured_until()).contains(&lost_at)
        {
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
        self.open_until.set(heard.measured_until());
        self.finished.notify_waiters();
        Ok(heard.into_outcome(self.clock.now()))
    }
}

impl Heard {
    fn measured_until(&self) -> Mono {
        self.measured_from + self.round.duration
    }

    /// When the last tick counts as missed.
    fn deadline(&self) -> Mono {
        self.measured_until() + self.round.time_out
    }

    /// Counts a tick; says when it was due and whether it was wrong or late, unless it is none of
    /// this round's or came before.
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
        let scheduled = *scheduled;
        self.listen_again(nth, now);
        if scheduled >= self.measured_from {
            let times =
                CallTimes { scheduled, picked_up: emitted, sent: Some(emitted), attempts: 1, done: now };
            self.outcome.record(&times, failure, self.round.time_out);
            if let Some(failure) = failure {
                self.outcome.samples.entry(failure).or_insert_with(|| match failure {
                    Failure::WrongReply => format!("tick {} is not the one of its sequence", tick.sequence),
                    _ => format!("tick {} came after the time-out", tick.sequence),
                });
            }
        }
        Some((scheduled, failure))
    }

    /// Ends a silence of a subscriber: what of it lies in the measured time counts.
    fn listen_again(&mut self, nth: usize, now: Mono) {
        let end = self.measured_until();
        if let Some(last) = self.heard_at.get_mut(nth) {
            let silence = now.min(end).since(*last);
            self.outcome.longest_silence = self.outcome.longest_silence.max(silence);
            *last = (*last).max(now);
        }
    }

    fn into_outcome(mut self, now: Mono) -> Outcome {
        for nth in 0..self.heard_at.len() {
            self.listen_again(nth, now);
        }
        for seen in self.seen.chunks(self.expected.len().max(1)) {
            self.outcome.longest_gap = self.outcome.longest_gap.max(longest_gap(
                self.expected
                    .iter()
                    .zip(seen)
                    .filter(|((due, _), _)| *due >= self.measured_from)
                    .map(|(_, seen)| *seen),
            ));
            for ((scheduled, _), _) in self.expected.iter().zip(seen).filter(|(_, seen)| !**seen) {
                if *scheduled >= self.measured_from {
                    self.outcome.record_missed(*scheduled, self.round.time_out);
                }
            }
        }
        if self.outcome.failed.contains_key(&Failure::Missed) {
            let silent = || "they did not come, and nothing was said of it".to_owned();
            self.outcome.samples.entry(Failure::Missed).or_insert_with(silent);
        }
        self.outcome
    }
}

/// The longest run of ticks that did not come.
fn longest_gap(seen: impl Iterator<Item = bool>) -> u64 {
    let (mut longest, mut run) = (0, 0);
    for seen in seen {
        run = if seen { 0 } else { run + 1 };
        longest = longest.max(run);
    }
    longest
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use terms::{Arrivals, Emission, Model};

    use super::*;

    const FIRST: u64 = 11;
    const EVERY: Duration = Duration::from_millis(10);

    /// Ten ticks, ten milliseconds apart, of which the first two are the warm-up's; two
    /// subscribers.
    fn ears() -> (Ears, clock::Fake, Mono, DataSet) {
        let fake = clock::Fake::new();
        let ears = Ears::new(Clock::Fake(fake.clone()), DataSet::new(1), Arc::default());
        assert_eq!((ears.join(), ears.join()), (0, 1));
        let round = round(&fake, FIRST);
        ears.expect(&round).unwrap();
        (ears, fake, round.start, DataSet::new(1))
    }

    fn round(fake: &clock::Fake, first_sequence: u64) -> Round {
        let (rate_per_s, arrivals) = (1.0 / EVERY.as_secs_f64(), Arrivals::Constant);
        Round {
            model: Model::Closed,
            warm_up: EVERY * 2,
            duration: EVERY * 8,
            time_out: EVERY * 20,
            seed: 1,
            start: fake.now() + EVERY,
            precision: clock::Precision::Sleep,
            emission: Some(Emission { first_sequence, arrivals, rate_per_s }),
            calls_max: None,
        }
    }

    fn outcome(ears: &Ears) -> Outcome {
        ears.round.borrow_mut().take().unwrap().into_outcome(ears.clock.now())
    }

    #[test]
    fn gaps_repetitions_and_silences_are_those_of_a_subscriber() {
        let (ears, fake, _, data) = ears();
        let hear = |nth, place: u64| ears.hear(nth, &data.tick(FIRST + place));
        for place in 0..10 {
            fake.advance(EVERY);
            hear(0, place);
            // The other was away for three ticks, heard two of them afterwards, and one again.
            match place {
                4..7 => {}
                7 => [5, 6, 6, 7].into_iter().for_each(|place| hear(1, place)),
                _ => hear(1, place),
            }
        }
        ears.count_reconnection(fake.now());
        // Lost before the measured time, and after it.
        ears.count_reconnection(fake.now() - EVERY * 20);
        ears.count_reconnection(fake.now() + EVERY * 20);
        let outcome = outcome(&ears);
        assert_eq!((outcome.arrivals, outcome.ok), (16, 15));
        assert_eq!(outcome.failed.get(&Failure::Missed), Some(&1));
        assert_eq!((outcome.longest_gap, outcome.duplicates, outcome.out_of_order), (1, 1, 0));
        assert_eq!((outcome.longest_silence, outcome.reconnections), (EVERY * 4, 1));
    }

    #[test]
    fn a_silence_lasts_to_the_end_of_the_measured_time_at_most() {
        let (ears, fake, _, data) = ears();
        for place in 0..6 {
            fake.advance(EVERY);
            ears.hear(0, &data.tick(FIRST + place));
        }
        fake.advance(EVERY * 100);
        let outcome = outcome(&ears);
        // The second subscriber heard nothing at all.
        assert_eq!((outcome.longest_gap, outcome.longest_silence), (8, EVERY * 8));
        assert_eq!(outcome.failed.get(&Failure::Missed), Some(&(4 + 8)));
    }

    /// Polls are that: with thousands of them, a fifth of both cores while others were measured.
    #[test]
    fn what_goes_on_in_rounds_rests_between_them() {
        const STEP: Duration = Duration::from_millis(2);
        let runtime = crate::local_runtime().unwrap();
        runtime.block_on(async {
            let fake = clock::Fake::new();
            let ears = Rc::new(Ears::new(Clock::Fake(fake.clone()), DataSet::new(1), Arc::default()));
            let (steps, heard) = (Rc::new(Cell::new(0)), Rc::clone(&ears));
            let taken = Rc::clone(&steps);
            tokio::task::spawn_local(async move {
                let steps = async {
                    for _ in 0..u32::MAX {
                        clock::pause(STEP).await;
                        taken.set(taken.get() + 1);
                    }
                };
                heard.in_rounds(steps).await;
            });
            let goes_on = async || {
                clock::pause(STEP * 10).await;
                let before = steps.get();
                clock::pause(STEP * 20).await;
                steps.get() > before
            };
            assert!(!goes_on().await, "before the first");
            for first_sequence in [1, 11] {
                let round = round(&fake, first_sequence);
                let timer = ears.begin(&round).unwrap();
                assert!(goes_on().await, "in a round");
                // Nobody subscribes: all has been heard, long before the end.
                ears.finish(timer).await.unwrap();
                assert!(goes_on().await, "to the end of its measured time");
                // The pause to that end is the machine's.
                fake.advance(EVERY * 11);
                clock::pause(EVERY * 11).await;
                assert!(!goes_on().await, "between rounds");
            }
        });
    }

    #[test]
    fn a_subscriber_is_owed_what_is_due_and_no_more() {
        let (ears, fake, start, data) = ears();
        assert!(!ears.is_owed(0, EVERY * 3), "before the round");
        while fake.now() < start + EVERY * 3 {
            assert!(!ears.is_owed(0, EVERY * 3), "the round has not gone on for so long");
            fake.advance(EVERY);
        }
        assert!(ears.is_owed(0, EVERY * 3));
        ears.hear(0, &data.tick(FIRST + 9));
        assert!(!ears.is_owed(0, EVERY * 3) && ears.is_owed(1, EVERY * 3), "the last came to one of them");
        outcome(&ears);
        assert!(!ears.is_owed(1, EVERY * 3), "between rounds");
    }
}
