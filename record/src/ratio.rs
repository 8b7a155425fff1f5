//! Ratios with their intervals, as they are kept.

/// How an interval was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Student's t on the mean of the logarithms.
    StudentT,
    /// That, and the bias-corrected and accelerated bootstrap (Efron, JASA 82, 1987): what contains
    /// both.
    StudentTAndBca,
    /// Of a share, that on the rounds' shares, and Clopper and Pearson's exact interval of all that
    /// was counted (Biometrika 26, 1934): what contains both. Where nothing was counted, or
    /// everything, the far end is that of the one-sided interval.
    StudentTAndClopperPearson,
}

/// A ratio of two contenders' figures.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Ratio {
    /// The geometric mean over the rounds.
    pub ratio: f64,
    /// The lower end of the 95 % interval.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// The lower end of the 90 % interval, which two one-sided tests at 5 % come to.
    pub low_90: f64,
    /// Its upper end.
    pub high_90: f64,
    /// Pairs of rounds; of two runs, the rounds (or repeats) of the one with fewer.
    pub n: usize,
    /// How the intervals were made.
    pub method: Method,
}
