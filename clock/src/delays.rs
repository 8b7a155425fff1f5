//! Many sleepers on one timer: handler waits and reference servers, where each call waits for its
//! own time.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::{Clock, Mono, Precision, Timer};

/// A queue of sleepers served by one timer task. Clones share the queue; the task ends with the
/// last clone.
#[derive(Debug, Clone)]
pub struct Delays {
    shared: Arc<Shared>,
    _task: Arc<AbortOnDrop>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// Told when a sleeper arrives that is due before all others.
    earlier: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    /// By deadline, then by order of arrival, so that equal deadlines wake first come, first
    /// served.
    sleepers: BTreeMap<(Mono, u64), Waker>,
    arrivals: u64,
}

#[derive(Debug)]
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Delays {
    /// Starts the queue's timer task on the current tokio runtime.
    ///
    /// # Errors
    /// The system's, where it refuses a `timerfd`.
    pub fn start(clock: &Clock, precision: Precision) -> io::Result<Delays> {
        let timer = clock.timer(precision)?;
        let shared = Arc::new(Shared::default());
        let task = tokio::spawn(serve(clock.clone(), timer, Arc::clone(&shared)));
        Ok(Delays { shared, _task: Arc::new(AbortOnDrop(task.abort_handle())) })
    }

    /// Returns at `deadline` or as soon after as the machine can. Dropping the future leaves the
    /// queue.
    pub async fn sleep_until(&self, deadline: Mono) {
        let mut entry = Entry { shared: &self.shared, key: None };
        std::future::poll_fn(|context| entry.poll(deadline, context.waker())).await;
    }
}

/// One sleeper's place in the queue; leaves it when dropped.
struct Entry<'a> {
    shared: &'a Shared,
    key: Option<(Mono, u64)>,
}

impl Entry<'_> {
    fn poll(&mut self, deadline: Mono, waker: &Waker) -> Poll<()> {
        let mut queue = self.shared.lock();
        if let Some(key) = self.key {
            return match queue.sleepers.get_mut(&key) {
                Some(known) => {
                    known.clone_from(waker);
                    Poll::Pending
                }
                None => {
                    self.key = None;
                    Poll::Ready(())
                }
            };
        }
        let first = queue.sleepers.first_key_value().map(|(key, _)| key.0);
        queue.arrivals += 1;
        let key = (deadline, queue.arrivals);
        queue.sleepers.insert(key, waker.clone());
        drop(queue);
        self.key = Some(key);
        if first.is_none_or(|first| deadline < first) {
            self.shared.earlier.notify_one();
        }
        Poll::Pending
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.shared.lock().sleepers.remove(&key);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_due(&self, now: Mono) -> Option<Mono> {
        let mut queue = self.lock();
        while let Some(first) = queue.sleepers.first_entry() {
            if first.key().0 > now {
                return Some(first.key().0);
            }
            first.remove().wake();
        }
        None
    }
}

async fn serve(clock: Clock, mut timer: Timer, shared: Arc<Shared>) {
    loop {
        match shared.wake_due(clock.now()) {
            None => shared.earlier.notified().await,
            Some(next) => {
                tokio::select! {
                    () = timer.sleep_until(next) => {}
                    () = shared.earlier.notified() => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;
    use std::time::Duration;

    use super::*;
    use crate::Fake;

    /// Lets every ready task of a current-thread runtime run.
    async fn settle() {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn sleepers_wake_in_order_of_deadline_then_arrival() {
        let fake = Fake::new();
        let delays = Delays::start(&Clock::Fake(fake.clone()), Precision::Sleep).unwrap();
        let woken = Rc::new(RefCell::new(Vec::new()));
        let tasks = tokio::task::LocalSet::new();
        for (name, at_ms) in [("late", 9), ("first", 3), ("second", 3), ("soon", 1)] {
            let (delays, woken) = (delays.clone(), Rc::clone(&woken));
            tasks.spawn_local(async move {
                delays.sleep_until(Mono(at_ms * 1_000_000)).await;
                woken.borrow_mut().push(name);
            });
        }
        tasks
            .run_until(async {
                settle().await;
                assert!(woken.borrow().is_empty());
                for _ in 0..10 {
                    fake.advance(Duration::from_millis(1));
                    settle().await;
                }
            })
            .await;
        assert_eq!(*woken.borrow(), ["soon", "first", "second", "late"]);
    }

    #[tokio::test]
    async fn a_dropped_sleeper_leaves_the_queue() {
        let delays = Delays::start(&Clock::System, Precision::Sleep).unwrap();
        let far = Clock::System.now() + Duration::from_secs(3600);
        assert!(crate::limit(Duration::from_millis(3), delays.sleep_until(far)).await.is_err());
        assert!(delays.shared.lock().sleepers.is_empty());
    }
}
