//! Orders in SQLite: an order and its key are committed in one transaction, and its caller is told
//! afterwards. One thread writes; what comes while it commits shares the next transaction.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use proto::v1::{FaultCode, Order, OrderReceipt};
use proto::{Fault, MarketResult};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Transaction, params};
use tokio::sync::oneshot;

use super::{Placing, Priced, closed, repeat};

/// Requests that wait for the writer, at most: one more is refused.
const WAITING_MAX: usize = 10_000;
/// Requests that share a transaction, at most.
const TOGETHER_MAX: usize = 64;
/// How long a key is remembered, as Stripe does; afterwards it places another order.
const KEY_AGE_MAX: Duration = Duration::from_hours(24);

/// `synchronous = FULL`: a commit is on the disk before anybody is told of it, so that it survives
/// the machine too.
const SCHEMA: &str = "
    PRAGMA trusted_schema = OFF;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    CREATE TABLE IF NOT EXISTS orders (
        id INTEGER PRIMARY KEY,
        account TEXT NOT NULL,
        symbol TEXT NOT NULL,
        side INTEGER NOT NULL,
        quantity INTEGER NOT NULL,
        price_cents INTEGER NOT NULL,
        idempotency_key TEXT NOT NULL,
        placed_at_us INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS keys (
        key TEXT PRIMARY KEY,
        order_id INTEGER NOT NULL REFERENCES orders (id),
        placed_at_us INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS keys_by_age ON keys (placed_at_us);
";

/// A ledger in a file.
#[derive(Debug)]
pub(in crate::market) struct SqliteLedger {
    /// `None` once it closes.
    requests: Option<SyncSender<Request>>,
    writer: Option<JoinHandle<()>>,
}

impl Drop for SqliteLedger {
    /// Waits until all is written and the file is closed.
    fn drop(&mut self) {
        self.requests = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

/// What the writer is asked for.
#[derive(Debug)]
enum Request {
    Place(Priced, oneshot::Sender<MarketResult<OrderReceipt>>),
    Count(oneshot::Sender<MarketResult<u64>>),
}

impl SqliteLedger {
    /// Opens the ledger in a file, or makes one.
    ///
    /// # Errors
    /// SQLite's, with the file.
    pub(super) fn open(file: &Path) -> io::Result<SqliteLedger> {
        // Not through a link that somebody else left there.
        let flags = OpenFlags::default() | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let opened = Connection::open_with_flags(without_links(file), flags).and_then(|connection| {
            connection.execute_batch(SCHEMA)?;
            Ok(connection)
        });
        let connection =
            opened.map_err(|error| io::Error::other(format!("the ledger {}: {error}", file.display())))?;
        let (ask, asked) = sync_channel(WAITING_MAX);
        let thread = std::thread::Builder::new().name("ledger".to_owned());
        let writer = thread.spawn(move || write(connection, &asked))?;
        Ok(SqliteLedger { requests: Some(ask), writer: Some(writer) })
    }

    pub(super) fn place(&self, priced: Priced) -> Placing {
        let (answer, committed) = oneshot::channel();
        match self.ask(Request::Place(priced, answer)) {
            Ok(()) => Placing::Committing(committed),
            Err(fault) => Placing::Done(Err(fault)),
        }
    }

    pub(super) async fn count(&self) -> MarketResult<u64> {
        let (answer, counted) = oneshot::channel();
        self.ask(Request::Count(answer))?;
        counted.await.unwrap_or_else(|_| Err(closed()))
    }

    fn ask(&self, request: Request) -> MarketResult<()> {
        let asked = self.requests.as_ref().map(|requests| requests.try_send(request));
        match asked {
            Some(Ok(())) => Ok(()),
            Some(Err(TrySendError::Full(_))) => {
                let detail = format!("{WAITING_MAX} orders wait for the ledger already");
                Err(Fault::new(FaultCode::Unavailable, detail))
            }
            Some(Err(TrySendError::Disconnected(_))) | None => Err(closed()),
        }
    }
}

/// The path of a file with the folders above it as they are: SQLite would refuse a link among them
/// too, such as a `/tmp` that is one.
fn without_links(file: &Path) -> PathBuf {
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    match (parent.unwrap_or_else(|| Path::new(".")).canonicalize(), file.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => file.to_owned(),
    }
}

/// Writes what is asked for until nobody can ask any more.
fn write(mut connection: Connection, requests: &Receiver<Request>) {
    while let Ok(first) = requests.recv() {
        let mut together = vec![first];
        together.extend(requests.try_iter().take(TOGETHER_MAX - 1));
        let (mut placing, mut counting) = (Vec::new(), Vec::new());
        for request in together {
            match request {
                Request::Place(priced, answer) => placing.push((priced, answer)),
                Request::Count(answer) => counting.push(answer),
            }
        }
        let (priced, answers): (Vec<_>, Vec<_>) = placing.into_iter().unzip();
        let nobody_told = priced.len();
        let placed = commit(&mut connection, priced, clock::wall_time_us());
        let placed = placed.unwrap_or_else(|error| vec![Err(broken(&error)); nobody_told]);
        // Who does not wait any more finds the order under its key.
        answers.into_iter().zip(placed).for_each(|(answer, result)| drop(answer.send(result)));
        for answer in counting {
            let count = connection.query_row("SELECT count(*) FROM orders", [], |row| row.get::<_, i64>(0));
            let count = count.map(i64::unsigned_abs).map_err(|error| broken(&error));
            drop(answer.send(count));
        }
    }
}

fn broken(error: &rusqlite::Error) -> Fault {
    Fault::new(FaultCode::Unavailable, format!("the ledger: {error}"))
}

/// Places these orders in one transaction, each with its key.
fn commit(
    connection: &mut Connection,
    orders: Vec<Priced>,
    now_us: u64,
) -> rusqlite::Result<Vec<MarketResult<OrderReceipt>>> {
    if orders.is_empty() {
        return Ok(Vec::new());
    }
    let now_us = now_us.cast_signed();
    let transaction = connection.transaction()?;
    let oldest_us = now_us.saturating_sub(i64::try_from(KEY_AGE_MAX.as_micros()).unwrap_or(i64::MAX));
    transaction.prepare_cached("DELETE FROM keys WHERE placed_at_us < ?1")?.execute([oldest_us])?;
    let placed = orders.into_iter().map(|priced| place(&transaction, priced, now_us));
    let placed = placed.collect::<rusqlite::Result<Vec<_>>>()?;
    transaction.commit()?;
    Ok(placed)
}

fn place(
    transaction: &Transaction<'_>,
    priced: Priced,
    now_us: i64,
) -> rusqlite::Result<MarketResult<OrderReceipt>> {
    let has_a_key = !priced.key.is_empty();
    if has_a_key && let Some(earlier) = placed_before(transaction, &priced.key)? {
        return Ok(repeat(earlier, &priced.order, &priced.key));
    }
    let Order { account, symbol, side, quantity } = &priced.order;
    transaction
        .prepare_cached(
            "INSERT INTO orders (account, symbol, side, quantity, price_cents, idempotency_key, placed_at_us)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![account, symbol, side, quantity, priced.price_cents, priced.key, now_us])?;
    let order_id = transaction.last_insert_rowid();
    if has_a_key {
        transaction
            .prepare_cached("INSERT INTO keys (key, order_id, placed_at_us) VALUES (?1, ?2, ?3)")?
            .execute(params![priced.key, order_id, now_us])?;
    }
    Ok(Ok(priced.receipt(order_id.unsigned_abs())))
}

/// The receipt of the order that has this key.
fn placed_before(transaction: &Transaction<'_>, key: &str) -> rusqlite::Result<Option<OrderReceipt>> {
    let mut found = transaction.prepare_cached(
        "SELECT id, account, symbol, side, quantity, price_cents FROM orders
         WHERE id = (SELECT order_id FROM keys WHERE key = ?1)",
    )?;
    let receipt = |row: &rusqlite::Row<'_>| {
        let order =
            Order { account: row.get(1)?, symbol: row.get(2)?, side: row.get(3)?, quantity: row.get(4)? };
        let priced = Priced { order, price_cents: row.get(5)?, key: key.to_owned() };
        Ok(priced.receipt(row.get::<_, i64>(0)?.unsigned_abs()))
    };
    found.query_row([key], receipt).optional()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn priced(key: &str) -> Priced {
        Priced { order: Order::default(), price_cents: 7, key: key.to_owned() }
    }

    fn ids(placed: Vec<MarketResult<OrderReceipt>>) -> Vec<u64> {
        placed.into_iter().map(|receipt| receipt.unwrap().order_id).collect()
    }

    #[test]
    fn a_key_is_forgotten_after_its_time() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(SCHEMA).unwrap();
        let day_us = u64::try_from(KEY_AGE_MAX.as_micros()).unwrap();
        let place = |connection: &mut _, at| ids(commit(connection, vec![priced("k")], at).unwrap());
        assert_eq!(place(&mut connection, 1), [1]);
        assert_eq!(place(&mut connection, 1 + day_us), [1]);
        assert_eq!(place(&mut connection, 2 + day_us), [2]);
    }

    /// What cannot be committed is told to nobody as placed.
    #[test]
    fn nothing_of_a_transaction_that_fails_is_placed() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(SCHEMA).unwrap();
        connection
            .execute_batch(
                "CREATE TRIGGER bad BEFORE INSERT ON keys WHEN NEW.key = 'bad' BEGIN SELECT RAISE(ABORT, 'no'); END;",
            )
            .unwrap();
        commit(&mut connection, vec![priced("good"), priced("bad")], 1).unwrap_err();
        let orders: i64 = connection.query_row("SELECT count(*) FROM orders", [], |row| row.get(0)).unwrap();
        assert_eq!(orders, 0);
        assert_eq!(ids(commit(&mut connection, vec![priced("good")], 1).unwrap()), [1]);
    }
}
