//! How much a market does at once: other calls wait for their turn, first come, first served, or
//! are refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proto::v1::FaultCode;
use proto::{Fault, MarketResult};
use terms::Concurrency;
use tokio::sync::Semaphore;

/// The turns of a market's calls.
#[derive(Debug)]
pub(super) struct Turns {
    concurrency: Concurrency,
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl Turns {
    pub(super) fn new(concurrency: Concurrency) -> Arc<Turns> {
        let free = Arc::new(Semaphore::new(concurrency.at_once));
        Arc::new(Turns { concurrency, free, waiting: AtomicUsize::new(0) })
    }

    /// Waits for a turn, and does the work in it. Where abandoned work is not dropped, it is done
    /// whether or not somebody still waits for this, as by a server with a thread a call.
    ///
    /// # Errors
    /// Where as many wait as may.
    pub(super) async fn work<T: Send + 'static>(
        self: Arc<Turns>,
        work: impl Future<Output = T> + Send + 'static,
    ) -> MarketResult<T> {
        let concurrency = self.concurrency;
        // Those that came at the same time and have not run yet are about to take the free turns.
        let room = concurrency.queue + self.free.available_permits();
        if self.waiting.load(Ordering::Relaxed) >= room {
            let Concurrency { at_once, queue, .. } = concurrency;
            let detail = format!("{at_once} calls have their turn, and {queue} wait for theirs");
            return Err(Fault::new(FaultCode::Unavailable, detail));
        }
        let place = Place::of(self);
        let turn = async move {
            // It is never closed.
            let _turn = Arc::clone(&place.0.free).acquire_owned().await;
            drop(place);
            work.await
        };
        if concurrency.drops_abandoned {
            return Ok(turn.await);
        }
        let stopped = |_| Fault::new(FaultCode::Unavailable, "the server stops");
        tokio::spawn(turn).await.map_err(stopped)
    }
}

/// A place among those that wait.
struct Place(Arc<Turns>);

impl Place {
    fn of(turns: Arc<Turns>) -> Place {
        turns.waiting.fetch_add(1, Ordering::Relaxed);
        Place(turns)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use super::*;

    const SPAN: Duration = Duration::from_millis(20);

    fn concurrency(queue: usize, drops_abandoned: bool) -> Concurrency {
        Concurrency { at_once: 2, queue, drops_abandoned }
    }

    fn run<T>(does: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(does)
    }

    #[test]
    fn so_many_have_their_turn_so_many_wait_and_the_rest_is_refused() {
        run(async {
            for (drops, queue, refuses) in [(true, 3, 5), (false, 3, 5), (true, 0, 8), (false, 0, 8)] {
                let turns = Turns::new(concurrency(queue, drops));
                let refused = Cell::new(0);
                let call = || async {
                    if Arc::clone(&turns).work(clock::pause(SPAN)).await.is_err() {
                        refused.set(refused.get() + 1);
                    }
                };
                futures::future::join_all((0..10).map(|_| call())).await;
                assert_eq!(refused.get(), refuses, "two have a turn and {queue} wait; drops: {drops}");
                assert_eq!(turns.waiting.load(Ordering::Relaxed), 0);
            }
        });
    }

    #[test]
    fn work_that_nobody_waits_for_is_dropped_or_done() {
        run(async {
            for drops in [true, false] {
                let turns = Turns::new(concurrency(10, drops));
                let done = Arc::new(AtomicUsize::new(0));
                for _ in 0..6 {
                    let done = Arc::clone(&done);
                    let work = async move {
                        clock::pause(SPAN).await;
                        done.fetch_add(1, Ordering::Relaxed);
                    };
                    let call = Arc::clone(&turns).work(work);
                    let _ = clock::limit(Duration::from_millis(1), call).await;
                }
                while turns.free.available_permits() < 2 || turns.waiting.load(Ordering::Relaxed) > 0 {
                    clock::pause(SPAN).await;
                }
                assert_eq!(done.load(Ordering::Relaxed), if drops { 0 } else { 6 });
            }
        });
    }
}
