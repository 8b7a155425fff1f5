//! The calls of a workload, made from the seed before the run: the same for every contender.

use proto::data::{ACCOUNTS, DataSet, SYMBOLS};
use proto::v1::{HistoryRequest, Order, OrderRequest, PortfolioRequest, QuoteRequest, QuotesRequest, Side};
use proto::{Capability, Operation};

use crate::scenario::Workload;

/// A factor without a common divisor with 1 000, so that successive calls are spread over the data.
const STRIDE: usize = 617;

/// One call for each symbol or account, in an order that is spread over them; the load goes round them.
pub(super) fn operations(workload: &Workload, data: &DataSet) -> Vec<Operation> {
    let symbol = |nth: usize| data.symbol(nth * STRIDE % SYMBOLS);
    let account = |nth: usize| data.account(nth * STRIDE % ACCOUNTS);
    let operation = |nth: usize| match workload.operation {
        Capability::Quotes => Operation::Quotes(QuotesRequest {
            symbols: (0..workload.symbols).map(|offset| symbol(nth + offset)).collect(),
        }),
        Capability::Portfolio => {
            Operation::Portfolio(PortfolioRequest { account: account(nth), field_mask: None })
        }
        Capability::History => {
            Operation::History(HistoryRequest { symbol: symbol(nth), n: workload.candles })
        }
        Capability::PlaceOrder => {
            let order =
                Order { account: account(nth), symbol: symbol(nth), side: Side::Buy.into(), quantity: 10 };
            Operation::PlaceOrder(OrderRequest { order: Some(order), idempotency_key: String::new() })
        }
        // The scenario's reader admits only calls: the others cannot stand here.
        Capability::Quote | Capability::Subscribe | Capability::Session => {
            Operation::Quote(QuoteRequest { symbol: symbol(nth) })
        }
    };
    (0..SYMBOLS).map(operation).collect()
}
