//! Opening what is many.

use std::time::Duration;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::connection::{CallError, in_time};

/// Opened at once, by each worker. One at a time, ten thousand would take as many round trips; all
/// at once, the queue of a server that has the usual 128 places for whoever waits to be accepted
/// would overflow.
const AT_ONCE: usize = 32;

/// So many of what `open` opens (one at least), each within a time, several at a time, in the order
/// in which they were begun.
///
/// # Errors
/// The first that comes, and one that is not open in time; the others are given up.
pub(super) async fn open_all<F, T>(
    number: usize,
    time: Duration,
    open: impl Fn() -> F,
) -> Result<Vec<T>, CallError>
where
    F: Future<Output = Result<T, CallError>>,
{
    stream::iter(0..number.max(1)).map(|_| in_time(time, open())).buffered(AT_ONCE).try_collect().await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const TIME: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn several_open_at_a_time_and_no_more() {
        let (begun, opening, most) = (Cell::new(0), Cell::new(0_usize), Cell::new(0));
        let open = || async {
            let nth = begun.replace(begun.get() + 1);
            opening.set(opening.get() + 1);
            most.set(most.get().max(opening.get()));
            // Those that are begun later are done earlier.
            for _ in nth..200 {
                tokio::task::yield_now().await;
            }
            opening.set(opening.get() - 1);
            Ok(nth)
        };
        let opened = open_all(100, TIME, open).await.unwrap();
        assert_eq!(opened, (0..100).collect::<Vec<_>>());
        assert_eq!(most.get(), AT_ONCE);
        assert_eq!(open_all(0, TIME, || async { Ok(()) }).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn an_error_ends_it() {
        let begun = Cell::new(0);
        let open = || async {
            begun.set(begun.get() + 1);
            if begun.get() == 3 { Err(CallError::TimedOut) } else { Ok(()) }
        };
        assert!(open_all(1_000, TIME, open).await.is_err());
        assert!(begun.get() <= AT_ONCE + 3, "{} were begun", begun.get());
    }
}
