//! The formats of exports, as options name them.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use report::Format;

/// Reads a format by its name.
pub(super) fn formats() -> impl TypedValueParser<Value = Format> {
    let values = Format::ALL.map(|format| PossibleValue::new(format.extension()).help(format.in_words()));
    // What is none of them does not come here.
    PossibleValuesParser::new(values).map(|name| Format::named(&name).unwrap_or(Format::Csv))
}
