//! The orders: each placed once for its idempotency key.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use proto::data::DataSet;
use proto::v1::{FaultCode, Order, OrderReceipt, OrderRequest, OrderStatus};
use proto::{Fault, MarketResult};

/// Orders placed, in memory.
#[derive(Debug)]
pub(super) struct Ledger {
    keys_max: usize,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    orders: u64,
    by_key: HashMap<String, OrderReceipt>,
    /// Keys, the oldest first: what is forgotten when there are too many.
    keys: VecDeque<String>,
}

impl Ledger {
    pub(super) fn new(keys_max: usize) -> Ledger {
        Ledger { keys_max, book: Mutex::default() }
    }

    /// Fills an order at the quoted price, or repeats the receipt of the order that had its key.
    pub(super) fn place(&self, data: &DataSet, request: OrderRequest) -> MarketResult<OrderReceipt> {
        let OrderRequest { order, idempotency_key } = request;
        let order = order.ok_or_else(|| Fault::new(FaultCode::InvalidArgument, "the order is missing"))?;
        let price_cents = data.price_order(&order, &idempotency_key)?;
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(earlier) = book.by_key.get(&idempotency_key) {
            return repeat(earlier, &order, &idempotency_key);
        }
        book.orders += 1;
        let receipt = OrderReceipt {
            order_id: book.orders,
            order: Some(order),
            status: OrderStatus::Filled.into(),
            price_cents,
            idempotency_key: idempotency_key.clone(),
        };
        if !idempotency_key.is_empty() {
            book.remember(idempotency_key, receipt.clone(), self.keys_max);
        }
        Ok(receipt)
    }
}

fn repeat(earlier: &OrderReceipt, order: &Order, key: &str) -> MarketResult<OrderReceipt> {
    if earlier.order.as_ref() == Some(order) {
        return Ok(earlier.clone());
    }
    Err(Fault::new(
        FaultCode::Conflict,
        format!("the idempotency key '{key}' was used for another order: take a new key for a new order"),
    ))
}

impl Book {
    fn remember(&mut self, key: String, receipt: OrderReceipt, keys_max: usize) {
        while self.keys.len() >= keys_max.max(1) {
            if let Some(oldest) = self.keys.pop_front() {
                self.by_key.remove(&oldest);
            }
        }
        self.keys.push_back(key.clone());
        self.by_key.insert(key, receipt);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::v1::Side;

    fn request(data: &DataSet, key: &str, quantity: u32) -> OrderRequest {
        let order =
            Order { account: data.account(0), symbol: data.symbol(0), side: Side::Buy.into(), quantity };
        OrderRequest { order: Some(order), idempotency_key: key.into() }
    }

    #[test]
    fn a_key_places_one_order_and_conflicts_with_another() {
        let (data, ledger) = (DataSet::new(1), Ledger::new(10));
        let first = ledger.place(&data, request(&data, "k", 5)).unwrap();
        assert_eq!(ledger.place(&data, request(&data, "k", 5)).unwrap(), first);
        assert_eq!(ledger.place(&data, request(&data, "k", 6)).unwrap_err().code, FaultCode::Conflict);
        assert_ne!(ledger.place(&data, request(&data, "", 5)).unwrap().order_id, first.order_id);
    }

    #[test]
    fn the_oldest_keys_are_forgotten() {
        let (data, ledger) = (DataSet::new(1), Ledger::new(3));
        for nth in 0..100 {
            ledger.place(&data, request(&data, &format!("k{nth}"), 1)).unwrap();
        }
        let book = ledger.book.lock().unwrap();
        assert_eq!((book.by_key.len(), book.keys.len(), book.orders), (3, 3, 100));
    }
}
