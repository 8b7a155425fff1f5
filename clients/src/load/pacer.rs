//! The pacer: picks arrivals up when they are due, and queues them for the slots.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::task::{Poll, Waker};

use clock::Mono;

use super::Schedule;
use super::driver::Shared;
use super::recorder::CallTimes;
use crate::connection::Failure;

/// One call that is to be made.
#[derive(Clone, Copy)]
pub(super) struct Arrival {
    pub(super) nth: usize,
    pub(super) scheduled: Mono,
    pub(super) picked_up: Mono,
}

/// Arrivals that were picked up and have no slot yet, and slots that have no arrival. First come, first served on
/// both sides. Nothing is allocated after it was made.
pub(super) struct Queue {
    waiting_max: usize,
    waiting: RefCell<VecDeque<Arrival>>,
    idle: RefCell<VecDeque<Waker>>,
    closed: Cell<bool>,
}

impl Queue {
    pub(super) fn new(waiting_max: usize) -> Queue {
        // A long time-out may allow more than will ever wait: grow then, rather than reserve it all.
        let reserved = waiting_max.min(1 << 16);
        Queue {
            waiting_max,
            waiting: RefCell::new(VecDeque::with_capacity(reserved)),
            idle: RefCell::default(),
            closed: Cell::new(false),
        }
    }

    /// Hands an arrival over; false where too many wait already.
    fn push(&self, arrival: Arrival) -> bool {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() >= self.waiting_max {
            return false;
        }
        waiting.push_back(arrival);
        if let Some(slot) = self.idle.borrow_mut().pop_front() {
            slot.wake();
        }
        true
    }

    fn close(&self) {
        self.closed.set(true);
        self.idle.borrow_mut().drain(..).for_each(Waker::wake);
    }

    pub(super) async fn next(&self) -> Option<Arrival> {
        std::future::poll_fn(|context| {
            if let Some(arrival) = self.waiting.borrow_mut().pop_front() {
                return Poll::Ready(Some(arrival));
            }
            if self.closed.get() {
                return Poll::Ready(None);
            }
            self.idle.borrow_mut().push_back(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}

/// Picks arrivals up when they are due: all that are, at each wake, each counted from its own time.
pub(super) async fn pace(shared: &Shared, mut timer: clock::Timer, schedule: &Schedule) {
    let start = shared.round.start;
    timer.sleep_until(start).await;
    let mut now = shared.clock.now();
    for (nth, offset_ns) in schedule.offsets_ns().iter().enumerate() {
        let scheduled = Mono(start.0 + offset_ns);
        if now < scheduled {
            // The slots go first: arming a timer takes microseconds on a virtual machine, and a call would wait.
            tokio::task::yield_now().await;
            timer.sleep_until(scheduled).await;
            now = shared.clock.now();
        }
        if !shared.arrivals.push(Arrival { nth, scheduled, picked_up: now }) {
            let times = CallTimes { scheduled, picked_up: now, sent: None, done: now };
            shared.record_failure(&times, Some(Failure::Dropped));
        }
    }
    shared.arrivals.close();
}
