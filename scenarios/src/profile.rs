//! How much is run: profiles as they are written, and what they are where a file does not say.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use crate::wire::Span;

/// How much is run.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WireProfile {
    /// The conditions that are measured; all by default.
    #[schemars(with = "Option<Vec<String>>")]
    pub(super) conditions: Option<Vec<Spanned<String>>>,
    /// The contenders that are measured; all by default. The baseline is always among them.
    #[schemars(with = "Option<Vec<String>>")]
    pub(super) contenders: Option<Vec<Spanned<String>>>,
    /// 1 to 1 000; verdicts need 10. By default 10 in quick runs, 12 in standard ones, 20 in full
    /// ones.
    #[schemars(with = "Option<u32>")]
    pub(super) rounds: Option<Spanned<u32>>,
    /// Load before the measuring, in each round of each cell. By default 200ms, 500ms, 1s.
    pub(super) warm_up: Option<Span>,
    /// Measured load, in each round of each cell. By default 600ms, 2s, 4s.
    #[schemars(with = "Option<String>")]
    pub(super) duration: Option<Spanned<Span>>,
}

/// What a profile has that its file does not say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usual {
    pub(super) rounds: u32,
    pub(super) warm_up: Duration,
    pub(super) duration: Duration,
}

impl Usual {
    pub(super) const QUICK: Usual = Usual::new(10, 200, 600);
    pub(super) const STANDARD: Usual = Usual::new(12, 500, 2_000);
    pub(super) const FULL: Usual = Usual::new(20, 1_000, 4_000);

    const fn new(rounds: u32, warm_up_ms: u64, duration_ms: u64) -> Usual {
        Usual {
            rounds,
            warm_up: Duration::from_millis(warm_up_ms),
            duration: Duration::from_millis(duration_ms),
        }
    }
}

impl WireProfile {
    /// Whether it measures the condition, or those of that name.
    pub(super) fn measures(&self, name: &str) -> bool {
        self.conditions.as_ref().is_none_or(|named| named.iter().any(|of| of.get_ref() == name))
    }

    /// How long it measures in each round of each cell.
    pub(super) fn duration(&self, usual: Usual) -> Duration {
        self.duration.as_ref().map_or(usual.duration, |duration| duration.get_ref().0)
    }
}
