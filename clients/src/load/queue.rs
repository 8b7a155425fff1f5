//! Arrivals that wait for a slot, and slots that wait for an arrival.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::task::{Poll, Waker};

use clock::Mono;

/// One call that is to be made.
#[derive(Clone, Copy)]
pub(super) struct Arrival {
    pub(super) nth: usize,
    pub(super) scheduled: Mono,
    pub(super) picked_up: Mono,
}

/// Arrivals that were picked up and have no slot yet, and slots that have no arrival. First come,
/// first served on both sides. Nothing is allocated after it was made.
pub(super) struct Queue {
    waiting_max: usize,
    waiting: RefCell<VecDeque<Arrival>>,
    /// Slots that wait, the longest first, each once.
    idle: RefCell<VecDeque<usize>>,
    /// By slot: whom to wake, while it waits.
    wakers: RefCell<Vec<Option<Waker>>>,
    /// By slot: whether it stands in `idle`.
    queued: RefCell<Vec<bool>>,
    closed: Cell<bool>,
}

impl Queue {
    pub(super) fn new(waiting_max: usize, slots: usize) -> Queue {
        // A long time-out may allow more than will ever wait: grow then, rather than reserve it
        // all.
        let reserved = waiting_max.min(1 << 16);
        Queue {
            waiting_max,
            waiting: RefCell::new(VecDeque::with_capacity(reserved)),
            idle: RefCell::new(VecDeque::with_capacity(slots)),
            wakers: RefCell::new(vec![None; slots]),
            queued: RefCell::new(vec![false; slots]),
            closed: Cell::new(false),
        }
    }

    /// Hands an arrival over; false where too many wait already.
    pub(super) fn push(&self, arrival: Arrival) -> bool {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() >= self.waiting_max {
            return false;
        }
        waiting.push_back(arrival);
        drop(waiting);
        self.wake_one();
        true
    }

    pub(super) fn close(&self) {
        self.closed.set(true);
        self.wakers.borrow_mut().iter_mut().filter_map(Option::take).for_each(Waker::wake);
    }

    /// Wakes the slot that has waited longest. One that took an arrival without being woken waits
    /// no more: skip it.
    fn wake_one(&self) {
        while let Some(slot) = self.idle.borrow_mut().pop_front() {
            self.queued.borrow_mut()[slot] = false;
            if let Some(waker) = self.wakers.borrow_mut()[slot].take() {
                waker.wake();
                return;
            }
        }
    }

    /// The next arrival for a slot; `None` once there are no more. A slot may be polled without
    /// having been woken by this queue (its connection wakes it too), and must then neither wait
    /// twice nor be woken for another.
    pub(super) async fn next(&self, slot: usize) -> Option<Arrival> {
        std::future::poll_fn(|context| {
            if let Some(arrival) = self.waiting.borrow_mut().pop_front() {
                self.wakers.borrow_mut()[slot] = None;
                return Poll::Ready(Some(arrival));
            }
            if self.closed.get() {
                return Poll::Ready(None);
            }
            self.wakers.borrow_mut()[slot] = Some(context.waker().clone());
            if !std::mem::replace(&mut self.queued.borrow_mut()[slot], true) {
                self.idle.borrow_mut().push_back(slot);
            }
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A slot that is polled out of turn must not cost another its arrival.
    #[test]
    fn a_slot_waits_once_however_often_it_is_polled() {
        let queue = Queue::new(10, 2);
        let wakes = [Arc::new(Count::default()), Arc::new(Count::default())];
        let mut slots = [Box::pin(queue.next(0)), Box::pin(queue.next(1))];
        for nth in [0, 0, 1, 0] {
            let waker = Waker::from(Arc::clone(&wakes[nth]));
            assert!(slots[nth].as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
        let arrival = Arrival { nth: 0, scheduled: Mono(0), picked_up: Mono(0) };
        assert!(queue.push(arrival) && queue.push(arrival));
        assert_eq!(wakes.each_ref().map(|count| count.0.load(Ordering::Relaxed)), [1, 1]);
    }
}
