//! The orders: each placed once for its idempotency key. In memory, or in SQLite where they must
//! survive the process.

mod memory;
mod sqlite;

use std::io;
use std::path::Path;

use proto::data::DataSet;
use proto::v1::{FaultCode, Order, OrderReceipt, OrderRequest, OrderStatus};
use proto::{Fault, MarketResult};
use tokio::sync::oneshot;

use memory::MemoryLedger;
use sqlite::SqliteLedger;

/// Where orders are kept.
#[derive(Debug)]
pub(super) enum Ledger {
    Memory(MemoryLedger),
    Sqlite(SqliteLedger),
}

/// An order that is being placed. It is placed whether or not somebody waits for it.
#[derive(Debug)]
pub(super) enum Placing {
    Done(MarketResult<OrderReceipt>),
    /// It is told once it is committed.
    Committing(oneshot::Receiver<MarketResult<OrderReceipt>>),
}

/// A request that was checked: an order, its price and its key.
#[derive(Debug)]
struct Priced {
    order: Order,
    price_cents: i64,
    key: String,
}

impl Ledger {
    /// One in memory that remembers so many keys, or the one in this file.
    ///
    /// # Errors
    /// Where the file cannot be opened, or is no ledger.
    pub(super) fn open(keys_max: usize, file: Option<&Path>) -> io::Result<Ledger> {
        Ok(match file {
            None => Ledger::Memory(MemoryLedger::new(keys_max)),
            Some(file) => Ledger::Sqlite(SqliteLedger::open(file)?),
        })
    }

    /// Fills an order at the quoted price, or repeats the receipt of the order that had its key.
    pub(super) fn place(&self, data: &DataSet, request: OrderRequest) -> Placing {
        let priced = match price(data, request) {
            Ok(priced) => priced,
            Err(fault) => return Placing::Done(Err(fault)),
        };
        match self {
            Ledger::Memory(ledger) => Placing::Done(ledger.place(priced)),
            Ledger::Sqlite(ledger) => ledger.place(priced),
        }
    }

    /// Orders that are in it.
    ///
    /// # Errors
    /// Where they cannot be counted, with why.
    pub(super) async fn count(&self) -> MarketResult<u64> {
        match self {
            Ledger::Memory(ledger) => Ok(ledger.count()),
            Ledger::Sqlite(ledger) => ledger.count().await,
        }
    }
}

impl Placing {
    /// What came of it.
    ///
    /// # Errors
    /// The fault to answer with.
    pub(super) async fn result(self) -> MarketResult<OrderReceipt> {
        match self {
            Placing::Done(result) => result,
            Placing::Committing(committed) => committed.await.unwrap_or_else(|_| Err(closed())),
        }
    }
}

fn price(data: &DataSet, request: OrderRequest) -> MarketResult<Priced> {
    let OrderRequest { order, idempotency_key: key } = request;
    let order = order.ok_or_else(|| Fault::new(FaultCode::InvalidArgument, "the order is missing"))?;
    let price_cents = data.price_order(&order, &key)?;
    Ok(Priced { order, price_cents, key })
}

impl Priced {
    fn receipt(self, order_id: u64) -> OrderReceipt {
        OrderReceipt {
            order_id,
            order: Some(self.order),
            status: OrderStatus::Filled.into(),
            price_cents: self.price_cents,
            idempotency_key: self.key,
        }
    }
}

/// The receipt of the order that had this key before, where it is the same order.
fn repeat(earlier: OrderReceipt, order: &Order, key: &str) -> MarketResult<OrderReceipt> {
    if earlier.order.as_ref() == Some(order) {
        return Ok(earlier);
    }
    Err(Fault::new(
        FaultCode::Conflict,
        format!("the idempotency key '{key}' was used for another order: take a new key for a new order"),
    ))
}

fn closed() -> Fault {
    Fault::new(FaultCode::Unavailable, "the ledger is closed")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proto::v1::Side;

    use super::*;

    fn request(data: &DataSet, key: &str, quantity: u32) -> OrderRequest {
        let order =
            Order { account: data.account(0), symbol: data.symbol(0), side: Side::Buy.into(), quantity };
        OrderRequest { order: Some(order), idempotency_key: key.into() }
    }

    fn local() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().build().unwrap()
    }

    fn with_both(test: &impl AsyncFn(&Ledger, &DataSet)) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ledger.sqlite");
        let data = DataSet::new(1);
        for file in [None, Some(&*file)] {
            let ledger = Ledger::open(10, file).unwrap();
            local().block_on(test(&ledger, &data));
        }
    }

    #[test]
    fn a_key_places_one_order_and_conflicts_with_another() {
        with_both(&async |ledger, data| {
            let place = async |key, quantity| ledger.place(data, request(data, key, quantity)).result().await;
            let first = place("k", 5).await.unwrap();
            assert_eq!(place("k", 5).await.unwrap(), first);
            assert_eq!(place("k", 6).await.unwrap_err().code, FaultCode::Conflict);
            assert_ne!(place("", 5).await.unwrap().order_id, first.order_id);
            assert_ne!(place("", 5).await.unwrap().order_id, first.order_id);
            assert_eq!(ledger.count().await.unwrap(), 3);
        });
    }

    /// Requests with the same key at the same time: the later ones wait for the first.
    #[test]
    fn concurrent_requests_with_one_key_place_one_order() {
        with_both(&async |ledger, data| {
            let placing: Vec<Placing> =
                (0..50).map(|_| ledger.place(data, request(data, "same", 1))).collect();
            let receipts = futures::future::join_all(placing.into_iter().map(Placing::result)).await;
            let ids: Vec<u64> = receipts.into_iter().map(|receipt| receipt.unwrap().order_id).collect();
            assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
            assert_eq!(ledger.count().await.unwrap(), 1);
        });
    }

    /// Nobody waits for the result: the order is placed all the same, and its key is taken.
    #[test]
    fn an_order_is_placed_though_its_caller_has_gone() {
        with_both(&async |ledger, data| {
            drop(ledger.place(data, request(data, "gone", 1)));
            assert_eq!(ledger.count().await.unwrap(), 1);
            ledger.place(data, request(data, "gone", 1)).result().await.unwrap();
            assert_eq!(ledger.count().await.unwrap(), 1);
        });
    }

    #[test]
    fn a_file_keeps_orders_and_keys_over_its_process() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ledger.sqlite");
        let data = Arc::new(DataSet::new(1));
        let place = || {
            let ledger = Ledger::open(10, Some(&file)).unwrap();
            local().block_on(ledger.place(&data, request(&data, "k", 5)).result()).unwrap()
        };
        assert_eq!(place(), place());
        std::fs::write(&file, b"something else, and long enough not to be an empty database").unwrap();
        let error = Ledger::open(10, Some(&file)).unwrap_err().to_string();
        assert!(error.contains("ledger.sqlite") && error.contains("not a database"), "{error}");
    }
}
