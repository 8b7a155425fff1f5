//! The watchdog: ends calls that are past their time.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use clock::{Clock, Mono};

use crate::connection::CallError;

/// How often the watchdog looks for calls past their time, at the most and at the least.
const WATCH_EVERY: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));
/// What the watchdog knows of a slot.
#[derive(Default)]
pub(super) struct SlotWatch {
    /// When the call in flight is over its time; zero for none.
    deadline: Cell<Mono>,
    expired: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl SlotWatch {
    pub(super) fn begin(&self, deadline: Mono) {
        self.deadline.set(deadline);
        self.expired.set(false);
    }

    pub(super) fn end(&self) {
        self.deadline.set(Mono(0));
    }

    /// Polls a call, or says that its time is over.
    fn poll<T>(&self, call: Poll<Result<T, CallError>>, context: &Context<'_>) -> Poll<Result<T, CallError>> {
        if call.is_pending() {
            if self.expired.get() {
                return Poll::Ready(Err(CallError::TimedOut));
            }
            let mut waker = self.waker.borrow_mut();
            match waker.as_mut() {
                Some(known) => known.clone_from(context.waker()),
                None => *waker = Some(context.waker().clone()),
            }
        }
        call
    }
}

/// Ends calls that are past their time. One look over the slots now and then costs less than a
/// timer a call.
pub(super) async fn watch(
    slots: Rc<[SlotWatch]>,
    looked_at: Rc<Cell<Mono>>,
    time_out: Duration,
    clock: Clock,
    mut timer: clock::Timer,
) {
    let step = (time_out / 50).clamp(WATCH_EVERY.0, WATCH_EVERY.1);
    loop {
        let now = clock.now();
        looked_at.set(now);
        for slot in slots.iter() {
            let deadline = slot.deadline.get();
            if deadline > Mono(0) && deadline <= now {
                slot.expired.set(true);
                if let Some(waker) = slot.waker.borrow().as_ref() {
                    waker.wake_by_ref();
                }
            }
        }
        timer.sleep_until(now + step).await;
    }
}

/// Runs a call until it is done, or until the watchdog ends it.
pub(super) async fn watched<T>(
    watch: &SlotWatch,
    call: impl Future<Output = Result<T, CallError>>,
) -> Result<T, CallError> {
    let mut call = std::pin::pin!(call);
    std::future::poll_fn(|context| {
        let polled = call.as_mut().poll(context);
        watch.poll(polled, context)
    })
    .await
}
