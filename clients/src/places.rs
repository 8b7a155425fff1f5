//! Places for calls on a connection: as many as the server lets be open at a time. Who waits for
//! one waits in the client.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::Notify;

/// Places of a connection whose server has not yet said how many it has.
pub(crate) const FIRST: usize = 1;

/// The places of one connection.
#[derive(Debug)]
pub(crate) struct Places {
    max: Cell<usize>,
    taken: Cell<usize>,
    changed: Notify,
    waiting: Cell<usize>,
}

impl Default for Places {
    fn default() -> Places {
        Places {
            // Until the server has said: what is sent beyond its limit it refuses.
            max: Cell::new(FIRST),
            taken: Cell::new(0),
            changed: Notify::new(),
            waiting: Cell::new(0),
        }
    }
}

impl Places {
    /// Takes note of how many the server allows. One is always tried: a server that allows none is
    /// found out by its silence.
    pub(crate) fn set_max(&self, max: usize) {
        let before = self.max.replace(max.max(1));
        if before < max {
            self.changed.notify_waiters();
        }
    }

    /// Waits until one is free. Who goes on at once, without waiting in between, can take it.
    pub(crate) async fn free(&self) {
        if self.taken.get() < self.max.get() {
            return;
        }
        let _waiting = Waiting::on(&self.waiting);
        while self.taken.get() >= self.max.get() {
            self.changed.notified().await;
        }
    }
}

/// Somebody who waits, until this is dropped.
struct Waiting<'a>(&'a Cell<usize>);

impl Waiting<'_> {
    fn on(waiting: &Cell<usize>) -> Waiting<'_> {
        waiting.set(waiting.get() + 1);
        Waiting(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// A place that is taken, until this is dropped.
#[derive(Debug)]
pub(crate) struct Taken(Rc<Places>);

impl Taken {
    pub(crate) fn of(places: &Rc<Places>) -> Taken {
        places.taken.set(places.taken.get() + 1);
        Taken(Rc::clone(places))
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.taken.set(self.0.taken.get() - 1);
        if self.0.waiting.get() > 0 {
            self.0.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn who_finds_no_place_waits_until_one_is_free_or_allowed() {
        let places = Rc::new(Places::default());
        places.set_max(1);
        let first = Taken::of(&places);
        assert!(places.free().now_or_never().is_none());
        drop(first);
        assert!(places.free().now_or_never().is_some());
        let _second = Taken::of(&places);
        places.set_max(2);
        assert!(places.free().now_or_never().is_some());
    }
}
