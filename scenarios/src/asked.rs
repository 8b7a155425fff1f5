//! What a scenario file asks of what was measured, as it is written: claims, break-even points, a
//! map, idle connections.

use schemars::JsonSchema;
use serde::Deserialize;
use terms::{Figure, Prediction, So};
use toml::Spanned;

use crate::wire::Span;

/// A sentence of the card as a comparison.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WireClaim {
    /// The line of the card.
    pub(super) card: String,
    /// What other claims of this file call it, with `turns`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(super) id: Option<Spanned<String>>,
    /// The claim in our words.
    pub(super) sentence: String,
    /// The condition in which it is judged.
    #[schemars(with = "String")]
    pub(super) condition: Spanned<String>,
    /// Whose figure is judged.
    #[schemars(with = "String")]
    pub(super) contender: Spanned<String>,
    /// What the whole 95 % interval of the figure must make true, such as `response.p99 < 1ms`; or,
    /// instead of it, a comparison with another contender: `metric`, `against` and one of three
    /// rules.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(super) holds: Option<Spanned<String>>,
    /// What is compared.
    #[serde(default)]
    pub(super) metric: Option<Figure>,
    /// By whose figure it is divided.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(super) against: Option<Spanned<String>>,
    /// The condition under which the other figure was measured, where it is another one. Without
    /// `against`, it is the same contender's.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(super) against_condition: Option<Spanned<String>>,
    /// The claim holds where the whole 95 % interval of the ratio is below this; one of three.
    #[serde(default)]
    #[schemars(with = "Option<f64>")]
    pub(super) holds_below: Option<Spanned<f64>>,
    /// The claim holds where the whole 95 % interval of the ratio is above this.
    #[serde(default)]
    #[schemars(with = "Option<f64>")]
    pub(super) holds_above: Option<Spanned<f64>>,
    /// The claim holds where the whole 90 % interval of the ratio is within this share of 1: 0.1
    /// for 10 %.
    #[serde(default)]
    #[schemars(with = "Option<f64>")]
    pub(super) same_within: Option<Spanned<f64>>,
    /// What theory says that the ratio is.
    #[serde(default)]
    pub(super) prediction: Option<Prediction>,
    /// The id of another claim of the same line whose verdict is expected to be the opposite one:
    /// if it is, the verdict is *depends*.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(super) turns: Option<Spanned<String>>,
    /// What a reader should do: a sentence for each verdict.
    #[serde(default)]
    pub(super) so: So,
}

/// A point on an axis from which on one contender is better than another.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WireBreakEven {
    /// The line of the card.
    pub(super) card: String,
    /// What is asked, in our words.
    pub(super) sentence: String,
    /// A condition with one axis.
    #[schemars(with = "String")]
    pub(super) condition: Spanned<String>,
    #[schemars(with = "String")]
    pub(super) contender: Spanned<String>,
    #[schemars(with = "String")]
    pub(super) against: Spanned<String>,
    /// What is compared; of `saves_cores` always processor time.
    #[serde(default)]
    pub(super) metric: Option<Figure>,
    /// The ratio of the contender's figure to the other's that is looked for: 1 is where they are
    /// even.
    #[serde(default)]
    #[schemars(with = "Option<f64>")]
    pub(super) crosses: Option<Spanned<f64>>,
    /// Or: the rate at which the contender uses so many cores less. Of an axis of rates.
    #[serde(default)]
    #[schemars(with = "Option<f64>")]
    pub(super) saves_cores: Option<Spanned<f64>>,
}

/// Which contender is cheapest, by an axis and by how old what it brings may be.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WireMap {
    /// The line of the card.
    pub(super) card: String,
    /// What is asked, in our words.
    pub(super) sentence: String,
    /// A condition with one axis.
    #[schemars(with = "String")]
    pub(super) condition: Spanned<String>,
    /// What is least where it is cheapest.
    pub(super) metric: Figure,
    /// Ages that are put up with: a contender that brings anything later is none of that column's.
    #[schemars(with = "Vec<String>")]
    pub(super) tolerances: Spanned<Vec<Span>>,
}

/// Idle connections.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WireHold {
    /// The line of the card.
    pub(super) card: String,
    /// What is asked, in our words.
    pub(super) sentence: String,
    /// How many, one number after the other, rising; at least three.
    #[schemars(with = "Vec<usize>")]
    pub(super) connections: Spanned<Vec<usize>>,
}

/// A server that is killed under its subscribers.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WireRestart {
    /// The line of the card.
    #[schemars(with = "String")]
    pub(super) card: Spanned<String>,
    /// What is asked, in our words.
    pub(super) sentence: String,
    /// Subscribers, each over a connection of its own: one number after the other; quick runs have
    /// the first.
    #[schemars(with = "Vec<usize>")]
    pub(super) connections: Spanned<Vec<usize>>,
    /// Time in which nobody listens, at most 10 s; starting the other server comes on top.
    #[schemars(with = "String")]
    pub(super) down: Spanned<Span>,
    /// How often under each number, 2 to 100.
    #[schemars(with = "u32")]
    pub(super) times: Spanned<u32>,
}

/// Servers that join others behind a balancer at layer 4.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WireScaleOut {
    /// The line of the card.
    #[schemars(with = "String")]
    pub(super) card: Spanned<String>,
    /// What is asked, in our words.
    pub(super) sentence: String,
    /// Subscribers, each over a connection of its own; about as many REST calls are made beside
    /// them, on connections that are kept and on new ones.
    #[schemars(with = "usize")]
    pub(super) connections: Spanned<usize>,
    /// Servers before and after, at most 8.
    #[schemars(with = "[usize; 2]")]
    pub(super) servers: Spanned<[usize; 2]>,
    /// How often, 2 to 100.
    #[schemars(with = "u32")]
    pub(super) times: Spanned<u32>,
}
