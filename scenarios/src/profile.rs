//! How much is run: profiles as they are written, and what they are where a file does not say.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use crate::values::Span;

/// How much a run measures: with `--quick`, with `--full`, and without either (`[standard]`).
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WireProfile {
    /// Conditions that are measured; the name of one with axes stands for all its points. Default:
    /// all.
    #[schemars(with = "Option<Vec<String>>", example = ["calls"])]
    pub(super) conditions: Option<Vec<Spanned<String>>>,
    /// Contenders that are measured. The baseline always is. Default: all.
    #[schemars(with = "Option<Vec<String>>", example = ["json", "protobuf"])]
    pub(super) contenders: Option<Vec<Spanned<String>>>,
    /// Rounds, 1 to 1 000. A verdict needs 10. Default: `10` (quick), `12` (standard), `20` (full).
    #[schemars(with = "Option<u32>", example = 15)]
    pub(super) rounds: Option<Spanned<u32>>,
    /// Load before the measured time, in each round. Default: `200ms` (quick), `500ms` (standard),
    /// `1s` (full).
    #[schemars(example = &"500ms")]
    pub(super) warm_up: Option<Span>,
    /// Measured time of each contender, in each round. Default: `600ms` (quick), `2s` (standard),
    /// `4s` (full).
    #[schemars(with = "Option<String>", example = &"1s")]
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
