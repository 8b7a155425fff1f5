//! A clock for tests: it moves only when told to, and wakes whoever waits for a time it has passed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::Mono;

/// A clock that moves only when [`Fake::advance`] is called. Clones share the time.
#[derive(Debug, Clone, Default)]
pub struct Fake {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    now: Mono,
    sleepers: Vec<(Mono, Waker)>,
}

impl Fake {
    /// A clock that reads zero.
    pub fn new() -> Fake {
        Fake::default()
    }

    /// The time now.
    pub fn now(&self) -> Mono {
        self.lock().now
    }

    /// Moves the clock on and wakes every sleeper whose time has come.
    pub fn advance(&self, span: Duration) {
        let mut state = self.lock();
        state.now = state.now + span;
        let now = state.now;
        let (due, waiting) = state.sleepers.drain(..).partition(|(deadline, _)| *deadline <= now);
        state.sleepers = waiting;
        drop(state);
        let due: Vec<(Mono, Waker)> = due;
        for (_, waker) in due {
            waker.wake();
        }
    }

    /// The earliest time that somebody waits for, so that a test can jump to it.
    pub fn next_deadline(&self) -> Option<Mono> {
        self.lock().sleepers.iter().map(|(deadline, _)| *deadline).min()
    }

    pub(crate) async fn sleep_until(&self, deadline: Mono) {
        std::future::poll_fn(|context| {
            let mut state = self.lock();
            if state.now >= deadline {
                return Poll::Ready(());
            }
            let waker = context.waker();
            if !state.sleepers.iter().any(|(at, other)| *at == deadline && other.will_wake(waker)) {
                state.sleepers.push((deadline, waker.clone()));
            }
            Poll::Pending
        })
        .await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
