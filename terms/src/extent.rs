//! How much of a scenario is run.

/// How much of a scenario is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// `--quick`.
    Quick,
    /// The default.
    Standard,
    /// `--full`.
    Full,
}

impl Extent {
    /// As people write it.
    pub fn in_words(self) -> &'static str {
        match self {
            Extent::Quick => "quick",
            Extent::Standard => "standard",
            Extent::Full => "full",
        }
    }
}
