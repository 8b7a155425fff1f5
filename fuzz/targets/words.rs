//! What people write in a line: field masks, links, expressions, objectives.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::mask::{self, Mask};
use terms::{Expression, Link};

fuzz_target!(|text: &str| {
    if let Ok(mask) = Mask::for_portfolio(&mask::parse(text)) {
        let mut value = serde_json::json!({ "account": "a", "positions": [{ "quote": { "bid_cents": 1 } }] });
        mask.prune(&mut value);
    }
    let _ = Link::try_from(text.to_owned());
    let _ = Expression::parse(text);
    let _ = Expression::parse_absolute(text);
    let _ = terms::parse_objective(text);
});
