//! The calls of a workload, made from the seed before the run: the same for every contender.

use crate::{Activity, Amount, MARKET_SEED, Screen};
use prost_types::FieldMask;
use proto::data::{ACCOUNTS, DataSet, SYMBOLS};
use proto::v1::{HistoryRequest, Order, OrderRequest, PortfolioRequest, QuoteRequest, QuotesRequest, Side};
use proto::{Capability, Operation};

/// A factor without a common divisor with 1 000, so that successive calls are spread over the data.
const STRIDE: usize = 617;

/// Bytes of the largest reply to any of an activity's calls, as protobuf; 0 for orders, whose
/// receipts are small.
pub fn largest_reply_bytes(activity: Activity, amount: Amount) -> usize {
    // Sizes hardly differ between seeds: one stands for all.
    let data = DataSet::new(MARKET_SEED);
    let operations = operations(activity, amount, &Screen::default(), &data);
    let replies = operations.iter().filter_map(|operation| data.answer(operation).ok());
    replies.map(|reply| reply.protobuf_bytes()).max().unwrap_or(0)
}

/// Whether a call is for a symbol of which only the second of two markets knows, where that has
/// this share of them. Those of a hundred successive calls are spread evenly over them.
pub fn asks_second_market(operation: &Operation, share: f64, data: &DataSet) -> bool {
    let Operation::Quote(QuoteRequest { symbol }) = operation else { return false };
    data.place_of(symbol).is_some_and(|place| ((place % 100) as f64 / 100.0) < share)
}

/// One call for each symbol or account, in an order that is spread over them; the load goes round
/// them.
pub fn operations(activity: Activity, amount: Amount, screen: &Screen, data: &DataSet) -> Vec<Operation> {
    let in_steps = screen.in_steps.then(|| Screen::BOTH_STEPS.map(str::to_owned).to_vec());
    let fields = in_steps.unwrap_or_else(|| screen.fields.clone());
    let field_mask = || (!fields.is_empty()).then(|| FieldMask { paths: fields.clone() });
    let symbol = |nth: usize| data.symbol(nth * STRIDE % SYMBOLS);
    let account = |nth: usize| data.account(nth * STRIDE % ACCOUNTS);
    let Activity::Market(capability) = activity else { return Vec::new() };
    let operation = |nth: usize| match capability {
        Capability::Quotes => Operation::Quotes(QuotesRequest {
            symbols: (0..amount.symbols).map(|offset| symbol(nth + offset)).collect(),
        }),
        Capability::Portfolio => {
            Operation::Portfolio(PortfolioRequest { account: account(nth), field_mask: field_mask() })
        }
        Capability::History => Operation::History(HistoryRequest { symbol: symbol(nth), n: amount.candles }),
        Capability::PlaceOrder | Capability::Session => {
            let order =
                Order { account: account(nth), symbol: symbol(nth), side: Side::Buy.into(), quantity: 10 };
            Operation::PlaceOrder(OrderRequest { order: Some(order), idempotency_key: String::new() })
        }
        // A subscriber calls nothing: what stands here for it is not used.
        Capability::Quote | Capability::Subscribe => Operation::Quote(QuoteRequest { symbol: symbol(nth) }),
    };
    // A subscriber calls nothing.
    let calls = if capability == Capability::Subscribe { 0 } else { SYMBOLS };
    (0..calls).map(operation).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_any_hundred_calls_asks_the_second_market() {
        let data = DataSet::new(MARKET_SEED);
        let amount = Amount { symbols: 1, candles: 1 };
        let calls = operations(Activity::Market(Capability::Quote), amount, &Screen::default(), &data);
        let second: Vec<bool> = calls.iter().map(|call| asks_second_market(call, 0.2, &data)).collect();
        assert!(second.windows(100).all(|calls| calls.iter().filter(|second| **second).count() == 20));
        let other = Operation::History(HistoryRequest { symbol: data.symbol(0), n: 1 });
        assert!(!asks_second_market(&other, 1.0, &data));
    }
}
