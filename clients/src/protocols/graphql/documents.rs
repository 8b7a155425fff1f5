//! The queries: what REST returns whole is asked for whole.

use std::collections::BTreeMap;

use proto::Operation;
use serde_json::{Value, json};

const QUOTE: &str =
    "{symbol currency venue bid_cents ask_cents last_cents bid_size ask_size volume quoted_at_us}";
const NEWS: &str = "{id headline published_at_us}";
const CANDLE: &str = "{opened_at_us open_cents high_cents low_cents close_cents volume}";
const RECEIPT: &str = "{order_id order{account symbol side quantity} status price_cents idempotency_key}";

/// The subscription to ticks.
pub(super) const TICKS: &str = "subscription($symbols:[String!]!,$after_sequence:Long){ticks(symbols:$symbols,after_sequence:$after_sequence){sequence symbol price_cents size emitted_mono_ns}}";

/// The document of an operation, and its variables.
pub(super) fn of(operation: &Operation) -> (String, Value) {
    match operation {
        Operation::Quote(request) => (
            format!("query($symbol:String!){{quote(symbol:$symbol){QUOTE}}}"),
            json!({ "symbol": request.symbol }),
        ),
        Operation::Quotes(request) => (
            format!("query($symbols:[String!]!){{quotes(symbols:$symbols){QUOTE}}}"),
            json!({ "symbols": request.symbols }),
        ),
        Operation::Portfolio(request) => {
            let paths = request.field_mask.as_ref().map(|mask| mask.paths.as_slice()).unwrap_or_default();
            let query = format!("query($account:String!){{portfolio(account:$account){}}}", portfolio(paths));
            (query, json!({ "account": request.account }))
        }
        Operation::History(request) => (
            format!(
                "query($symbol:String!$n:Int!){{history(symbol:$symbol n:$n){{symbol candles{CANDLE}}}}}"
            ),
            json!({ "symbol": request.symbol, "n": request.n }),
        ),
        Operation::PlaceOrder(request) => {
            let arguments = "order:$order idempotency_key:$key";
            let query =
                format!("mutation($order:OrderInput!$key:String!){{place_order({arguments}){RECEIPT}}}");
            // The order as JSON is the input object; an order that is missing is one of nothing.
            let order = request.order.clone().unwrap_or_default();
            (query, json!({ "order": order, "key": request.idempotency_key }))
        }
    }
}

/// A selection, field by field.
#[derive(Default)]
struct Selection(BTreeMap<String, Selection>);

/// What a field mask selects of a portfolio; nothing named is everything.
fn portfolio(paths: &[String]) -> String {
    const EVERYTHING: [&str; 5] = ["account", "owner", "currency", "cash_cents", "positions"];
    let mut root = Selection::default();
    let everything = EVERYTHING.map(str::to_owned);
    for path in if paths.is_empty() { &everything[..] } else { paths } {
        let segments = path.split('.');
        segments.fold(&mut root, |at, segment| at.0.entry(segment.to_owned()).or_default());
    }
    root.text()
}

impl Selection {
    fn text(&self) -> String {
        let fields = self.0.iter().map(|(name, inner)| match (name.as_str(), inner.0.is_empty()) {
            (_, false) => format!("{name}{}", inner.text()),
            ("positions", true) => format!("positions{{symbol quantity cost_cents quote{QUOTE} news{NEWS}}}"),
            ("quote", true) => format!("quote{QUOTE}"),
            ("news", true) => format!("news{NEWS}"),
            (leaf, true) => leaf.to_owned(),
        });
        format!("{{{}}}", fields.collect::<Vec<_>>().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_becomes_a_selection() {
        let paths = ["account", "positions.symbol", "positions.quote.last_cents"].map(str::to_owned);
        assert_eq!(portfolio(&paths), "{account positions{quote{last_cents} symbol}}");
        assert_eq!(portfolio(&["positions.news".to_owned()]), format!("{{positions{{news{NEWS}}}}}"));
        assert!(portfolio(&[]).contains("cash_cents") && portfolio(&[]).contains("headline"));
    }
}
