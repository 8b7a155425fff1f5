//! Field masks: which parts of a portfolio a caller wants.

use std::collections::BTreeMap;

use prost_types::FieldMask;

use crate::bounds::MASK_PATHS_MAX;
use crate::v1::{News, Portfolio, Position, Quote};

/// Segments of the deepest path into a portfolio: `positions.quote.last_cents`.
const DEPTH_MAX: usize = 3;

/// Fields to keep, as a tree. A leaf keeps the whole field; the empty tree at the root keeps
/// everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mask {
    fields: BTreeMap<String, Mask>,
}

/// A mask that does not fit the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MaskError {
    /// The message has no such field.
    #[error("there is no field '{field}' in {message}; it has {known}")]
    UnknownField {
        /// The field asked for.
        field: String,
        /// The message that was asked.
        message: &'static str,
        /// What it has instead.
        known: String,
    },
    /// A path with more segments than any field has.
    #[error("a path has at most {DEPTH_MAX} segments, such as positions.quote.last_cents")]
    TooDeep,
    /// More paths than a request may have.
    #[error("{count} paths are over the limit of {MASK_PATHS_MAX}")]
    TooManyPaths {
        /// How many there were.
        count: usize,
    },
}

/// Splits comma-separated paths, as they stand in a URL's `fields=` and in JSON.
pub fn parse(paths: &str) -> FieldMask {
    let paths = paths.split(',').map(str::trim).filter(|path| !path.is_empty());
    FieldMask { paths: paths.map(str::to_owned).collect() }
}

impl Mask {
    /// Builds the tree and checks it against `Portfolio`.
    ///
    /// # Errors
    /// Where a path names no field, or there are too many.
    pub fn for_portfolio(mask: &FieldMask) -> Result<Mask, MaskError> {
        if mask.paths.len() > MASK_PATHS_MAX {
            return Err(MaskError::TooManyPaths { count: mask.paths.len() });
        }
        let mut root = Mask::default();
        for path in &mask.paths {
            // Before anything is built: a path of thousands of segments would be a tree as deep.
            if path.split('.').nth(DEPTH_MAX).is_some() {
                return Err(MaskError::TooDeep);
            }
            root.insert(path);
        }
        Portfolio::check(&root)?;
        Ok(root)
    }

    /// Clears every field that the mask does not name.
    pub fn apply(&self, portfolio: &mut Portfolio) {
        if !self.keeps_all() {
            portfolio.keep(self);
        }
    }

    /// Removes every key that the mask does not name from the JSON of the message.
    pub fn prune(&self, value: &mut serde_json::Value) {
        if self.keeps_all() {
            return;
        }
        match value {
            serde_json::Value::Object(object) => object.retain(|key, inner| match self.fields.get(key) {
                Some(mask) => {
                    mask.prune(inner);
                    true
                }
                None => false,
            }),
            serde_json::Value::Array(array) => array.iter_mut().for_each(|inner| self.prune(inner)),
            _ => {}
        }
    }

    /// Whether nothing is cleared at this level.
    pub fn keeps_all(&self) -> bool {
        self.fields.is_empty()
    }

    /// `a` beside `a.b` keeps the whole of `a`, whichever comes first.
    fn insert(&mut self, path: &str) {
        let (field, rest) = path.split_once('.').map_or((path, None), |(field, rest)| (field, Some(rest)));
        let known = self.fields.contains_key(field);
        let inner = self.fields.entry(field.to_owned()).or_default();
        match rest {
            None => inner.fields.clear(),
            Some(_) if known && inner.keeps_all() => {}
            Some(rest) => inner.insert(rest),
        }
    }
}

trait Maskable {
    fn check(mask: &Mask) -> Result<(), MaskError>;
    fn keep(&mut self, mask: &Mask);
}

impl<M: Maskable> Maskable for Vec<M> {
    fn check(mask: &Mask) -> Result<(), MaskError> {
        M::check(mask)
    }
    fn keep(&mut self, mask: &Mask) {
        self.iter_mut().for_each(|inner| inner.keep(mask));
    }
}

impl<M: Maskable> Maskable for Option<M> {
    fn check(mask: &Mask) -> Result<(), MaskError> {
        M::check(mask)
    }
    fn keep(&mut self, mask: &Mask) {
        self.iter_mut().for_each(|inner| inner.keep(mask));
    }
}

macro_rules! maskable {
    ($message:ident { $($leaf:ident),* ; $($nested:ident: $of:ty),* }) => {
        impl Maskable for $message {
            fn check(mask: &Mask) -> Result<(), MaskError> {
                for (field, inner) in &mask.fields {
                    match field.as_str() {
                        $(stringify!($leaf) if inner.keeps_all() => {})*
                        $(stringify!($nested) => <$of>::check(inner)?,)*
                        _ => return Err(MaskError::UnknownField {
                            field: field.clone(),
                            message: stringify!($message),
                            known: [$(stringify!($leaf),)* $(stringify!($nested)),*].join(", "),
                        }),
                    }
                }
                Ok(())
            }
            fn keep(&mut self, mask: &Mask) {
                $(if !mask.fields.contains_key(stringify!($leaf)) { self.$leaf = Default::default(); })*
                $(match mask.fields.get(stringify!($nested)) {
                    None => self.$nested = Default::default(),
                    Some(inner) if inner.keeps_all() => {}
                    Some(inner) => self.$nested.keep(inner),
                })*
            }
        }
    };
}

maskable!(Portfolio { account, owner, currency, cash_cents; positions: Vec<Position> });
maskable!(Position { symbol, quantity, cost_cents; quote: Option<Quote>, news: Vec<News> });
maskable!(Quote {
    symbol, currency, venue, bid_cents, ask_cents, last_cents, bid_size, ask_size, volume, quoted_at_us;
});
maskable!(News { id, headline, published_at_us; });

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::DataSet;

    fn masked(paths: &str) -> Portfolio {
        let data = DataSet::new(1);
        let mut portfolio = data.portfolio(&data.account(3)).unwrap();
        Mask::for_portfolio(&parse(paths)).unwrap().apply(&mut portfolio);
        portfolio
    }

    #[test]
    fn keeps_what_is_named_and_clears_the_rest() {
        let portfolio = masked("cash_cents, positions.symbol,positions.quote.last_cents");
        assert!(portfolio.cash_cents != 0 && portfolio.account.is_empty());
        for position in &portfolio.positions {
            let quote = position.quote.as_ref().unwrap();
            assert!(!position.symbol.is_empty() && quote.last_cents != 0);
            assert!(position.quantity == 0 && quote.bid_cents == 0 && position.news.is_empty());
        }
    }

    #[test]
    fn a_field_beside_its_part_is_kept_whole() {
        assert_eq!(masked("positions,positions.symbol"), masked("positions"));
        assert_eq!(masked("positions.symbol,positions"), masked("positions"));
    }

    #[test]
    fn the_empty_mask_keeps_everything() {
        let data = DataSet::new(1);
        assert_eq!(masked(""), data.portfolio(&data.account(3)).unwrap());
    }

    #[test]
    fn an_unknown_field_is_named_with_what_there_is() {
        for path in ["positions.price", "cash_cents.x", "nothing"] {
            let error = Mask::for_portfolio(&parse(path)).unwrap_err();
            assert!(matches!(error, MaskError::UnknownField { .. }), "{path}: {error}");
        }
        let error = Mask::for_portfolio(&parse("positions.price")).unwrap_err().to_string();
        assert!(error.contains("'price' in Position") && error.contains("quantity"), "{error}");
    }

    #[test]
    fn a_path_of_thousands_of_segments_is_refused_and_not_built() {
        let error = Mask::for_portfolio(&parse(&"a.".repeat(30_000))).unwrap_err();
        assert_eq!(error, MaskError::TooDeep);
    }

    #[test]
    fn json_is_pruned_as_the_message_is() {
        let data = DataSet::new(1);
        let mask = Mask::for_portfolio(&parse("cash_cents,positions.quote.last_cents")).unwrap();
        let mut value = serde_json::to_value(data.portfolio(&data.account(3)).unwrap()).unwrap();
        mask.prune(&mut value);
        let back: Portfolio = serde_json::from_value(value).unwrap();
        assert_eq!(back, masked("cash_cents,positions.quote.last_cents"));
    }
}
