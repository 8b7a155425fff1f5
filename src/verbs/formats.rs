//! The formats of exports, as options name them.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use report::Format;

/// Reads a format by its name.
pub(super) fn formats() -> impl TypedValueParser<Value = Format> {
    // Without help of their own: that would spread the whole help of a verb over two pages.
    let values = Format::ALL.map(|format| PossibleValue::new(format.extension()));
    // What is none of them does not come here.
    PossibleValuesParser::new(values).map(|name| Format::named(&name).unwrap_or(Format::Csv))
}
