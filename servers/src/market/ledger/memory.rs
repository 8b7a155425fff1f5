//! Orders in memory: gone with the process.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use proto::MarketResult;
use proto::v1::OrderReceipt;

use super::{Priced, repeat};

/// Orders placed, in memory.
#[derive(Debug)]
pub(in crate::market) struct MemoryLedger {
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

impl MemoryLedger {
    pub(super) fn new(keys_max: usize) -> MemoryLedger {
        MemoryLedger { keys_max, book: Mutex::default() }
    }

    pub(super) fn place(&self, priced: Priced) -> MarketResult<OrderReceipt> {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(earlier) = book.by_key.get(&priced.key) {
            return repeat(earlier.clone(), &priced.order, &priced.key);
        }
        book.orders += 1;
        let receipt = priced.receipt(book.orders);
        if !receipt.idempotency_key.is_empty() {
            book.remember(receipt.clone(), self.keys_max);
        }
        Ok(receipt)
    }

    pub(super) fn count(&self) -> u64 {
        self.book.lock().unwrap_or_else(PoisonError::into_inner).orders
    }
}

impl Book {
    fn remember(&mut self, receipt: OrderReceipt, keys_max: usize) {
        while self.keys.len() >= keys_max.max(1) {
            if let Some(oldest) = self.keys.pop_front() {
                self.by_key.remove(&oldest);
            }
        }
        self.keys.push_back(receipt.idempotency_key.clone());
        self.by_key.insert(receipt.idempotency_key.clone(), receipt);
    }
}

#[cfg(test)]
mod tests {
    use proto::v1::Order;

    use super::*;

    #[test]
    fn the_oldest_keys_are_forgotten() {
        let ledger = MemoryLedger::new(3);
        for nth in 0..100 {
            let priced = Priced { order: Order::default(), price_cents: 1, key: format!("k{nth}") };
            ledger.place(priced).unwrap();
        }
        let book = ledger.book.lock().unwrap();
        assert_eq!((book.by_key.len(), book.keys.len(), book.orders), (3, 3, 100));
    }
}
