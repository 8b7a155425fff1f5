//! Values as they are written in a scenario: times and shares.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

/// Every time of a scenario, at most: longer is a slip of the finger, and what is shorter can be
/// added up and multiplied.
pub(super) const SPAN_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// A time with its unit: `250ms`, `1s 500ms`; a day at most.
#[derive(Debug, Clone, Copy, Default, JsonSchema)]
#[schemars(with = "String")]
pub(super) struct Span(pub(super) Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Span, D::Error> {
        struct Written;
        impl serde::de::Visitor<'_> for Written {
            type Value = Span;
            fn expecting(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                to.write_str("a time with its unit, such as \"250ms\"")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Span, E> {
                let wrong = |error| {
                    E::custom(format!(
                        "expected a time with its unit, such as \"250ms\", found \"{text}\" ({error})"
                    ))
                };
                let span = humantime::parse_duration(text).map_err(wrong)?;
                let right = span <= SPAN_MAX;
                if right {
                    Ok(Span(span))
                } else {
                    Err(E::custom(format!("a time must be at most a day, not {text}")))
                }
            }
        }
        from.deserialize_str(Written)
    }
}

/// A share, as it is written: `5%`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share(pub(super) f64);

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Share, D::Error> {
        let text = String::deserialize(from)?;
        let share = terms::text::parse_percent(&text);
        let wrong = || format!("expected a share from 0% to 100%, such as \"5%\", found \"{text}\"");
        share.map(Share).ok_or_else(|| serde::de::Error::custom(wrong()))
    }
}
