//! Thresholds and objectives, as options give them.

use scenarios::with_suggestion;
use terms::{Expression, parse_objective};

/// Reads a threshold such as `response.p99 > 10%`.
pub(super) fn threshold(text: &str) -> Result<Expression, String> {
    Expression::parse(text).map_err(|error| with_suggestion(&error))
}

/// Reads a threshold that compares with nothing, such as `failed > 1%`.
pub(super) fn absolute_threshold(text: &str) -> Result<Expression, String> {
    Expression::parse_absolute(text).map_err(|error| with_suggestion(&error))
}

/// Reads what a rate must keep, such as `response.p99 < 5ms`.
pub(super) fn objective(text: &str) -> Result<Expression, String> {
    parse_objective(text).map_err(|error| with_suggestion(&error))
}
