//! What a scenario file asks of what was measured, as it is written: claims, break-even points, a
//! map, idle connections.

use schemars::JsonSchema;
use serde::Deserialize;
use terms::{Figure, Prediction, So};
use toml::Spanned;

use crate::values::Span;

/// A claim that a run judges.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WireClaim {
    /// Line of the card, or any label of yours.
    #[schemars(example = &"A2")]
    pub(super) card: String,
    /// Name by which the `turns` of another claim refers to this one. Default: none.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"large-replies")]
    pub(super) id: Option<Spanned<String>>,
    /// The claim in one sentence, written before the first run.
    #[schemars(example = &"gRPC costs less CPU per call than REST")]
    pub(super) sentence: String,
    /// Condition under which the contender is judged.
    #[schemars(with = "String", example = &"calls")]
    pub(super) condition: Spanned<String>,
    /// Contender that is judged.
    #[schemars(with = "String", example = &"grpc")]
    pub(super) contender: Spanned<String>,
    /// What the whole 95 % interval of the figure must satisfy: a figure, `<` or `>`, and a value.
    /// Default: none: the claim is a comparison.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"response.p99 < 1ms")]
    pub(super) holds: Option<Spanned<String>>,
    /// Figure that is compared, such as `cpu_per_call`, `response.p90` or `bytes_per_call`.
    /// Default: needed in a comparison.
    #[serde(default)]
    #[schemars(example = &"cpu_per_call")]
    pub(super) metric: Option<Figure>,
    /// Contender whose figure divides the other's. Default: the same contender, where
    /// `against_condition` is set; needed otherwise in a comparison.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"rest")]
    pub(super) against: Option<Spanned<String>>,
    /// Condition under which the figure of `against` is taken. Default: `condition`.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"few")]
    pub(super) against_condition: Option<Spanned<String>>,
    /// The claim holds where the whole 95 % interval of the ratio is below this. Default: none: a
    /// comparison has one of the three rules.
    #[serde(default)]
    #[schemars(with = "Option<f64>", example = 1.0)]
    pub(super) holds_below: Option<Spanned<f64>>,
    /// The claim holds where the whole 95 % interval of the ratio is above this. Default: none.
    #[serde(default)]
    #[schemars(with = "Option<f64>", example = 1.2)]
    pub(super) holds_above: Option<Spanned<f64>>,
    /// The claim holds where the whole 90 % interval of the ratio is within this share of 1: `0.1`
    /// is 10 %. Default: none.
    #[serde(default)]
    #[schemars(with = "Option<f64>", example = 0.1)]
    pub(super) same_within: Option<Spanned<f64>>,
    /// What theory predicts, written before the first run.
    #[serde(default)]
    pub(super) prediction: Option<Prediction>,
    /// The `id` of another claim of the same line of the card. Where both claims are decided, one
    /// each way, the verdict is *depends*. Default: none.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"large-replies")]
    pub(super) turns: Option<Spanned<String>>,
    /// Advice to a reader: one sentence for each verdict, written before the first run.
    #[serde(default)]
    pub(super) so: So,
}

/// A search along an axis for the point at which one contender's figure becomes the smaller one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WireBreakEven {
    /// Line of the card, or any label of yours.
    #[schemars(example = &"A4")]
    pub(super) card: String,
    /// The question in one sentence.
    #[schemars(example = &"Above which rate does protobuf save a tenth of the CPU?")]
    pub(super) sentence: String,
    /// A condition with one axis of numbers or times.
    #[schemars(with = "String", example = &"rates")]
    pub(super) condition: Spanned<String>,
    /// Contender whose figure falls below the other's.
    #[schemars(with = "String", example = &"protobuf")]
    pub(super) contender: Spanned<String>,
    /// Contender that it is compared with.
    #[schemars(with = "String", example = &"json")]
    pub(super) against: Spanned<String>,
    /// Figure that is compared. Default: needed with `crosses`; CPU with `saves_cores`.
    #[serde(default)]
    #[schemars(example = &"cpu_per_call")]
    pub(super) metric: Option<Figure>,
    /// Ratio of the two figures that is searched for; `1.0` is where they are equal. Default: none:
    /// `saves_cores` is set.
    #[serde(default)]
    #[schemars(with = "Option<f64>", example = 0.9)]
    pub(super) crosses: Option<Spanned<f64>>,
    /// Cores that the contender must save; the rate is searched for. The axis is `rate_per_s`.
    /// Default: none: `crosses` is set.
    #[serde(default)]
    #[schemars(with = "Option<f64>", example = 1.0)]
    pub(super) saves_cores: Option<Spanned<f64>>,
}

/// A map of the contender with the least of a figure.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WireMap {
    /// Line of the card, or any label of yours.
    #[schemars(example = &"R5")]
    pub(super) card: String,
    /// The question in one sentence.
    #[schemars(example = &"Which channel costs least, by event rate and age?")]
    pub(super) sentence: String,
    /// A condition with one axis of numbers or times.
    #[schemars(with = "String", example = &"rates")]
    pub(super) condition: Spanned<String>,
    /// Figure that is compared.
    #[schemars(example = &"cpu_per_s")]
    pub(super) metric: Figure,
    /// Ages that an event may have. A contender that delivered anything later in the whole run is
    /// not in that column.
    #[schemars(with = "Vec<String>", example = ["100ms", "1s"])]
    pub(super) tolerances: Spanned<Vec<Span>>,
}

/// Idle connections that are held.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WireHold {
    /// Line of the card, or any label of yours.
    #[schemars(example = &"R4")]
    pub(super) card: String,
    /// The question in one sentence.
    #[schemars(example = &"How much memory does an idle connection cost?")]
    pub(super) sentence: String,
    /// Connections that are held, one number after the other, rising: at least three numbers, each
    /// at most 20 000.
    #[schemars(with = "Vec<usize>", example = [1_000, 2_500, 5_000])]
    pub(super) connections: Spanned<Vec<usize>>,
}

/// A server that is killed under its subscribers.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WireRestart {
    /// Line of the card, or any label of yours.
    #[schemars(with = "String", example = &"R4")]
    pub(super) card: Spanned<String>,
    /// The question in one sentence.
    #[schemars(example = &"How long do all subscribers take to come back?")]
    pub(super) sentence: String,
    /// Subscribers, each over its own connection: one number after the other, rising. Quick runs
    /// use the first.
    #[schemars(with = "Vec<usize>", example = [1_000, 10_000])]
    pub(super) connections: Spanned<Vec<usize>>,
    /// Minimum time without a listener, at most 10 s; the start of the other server comes on top.
    #[schemars(with = "String", example = &"500ms")]
    pub(super) down: Spanned<Span>,
    /// Restarts for each number, 2 to 100.
    #[schemars(with = "u32", example = 5)]
    pub(super) times: Spanned<u32>,
}

/// Servers that join others behind a balancer at layer 4.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WireScaleOut {
    /// Line of the card, or any label of yours.
    #[schemars(with = "String", example = &"R4")]
    pub(super) card: Spanned<String>,
    /// The question in one sentence.
    #[schemars(example = &"How much load does a third server get?")]
    pub(super) sentence: String,
    /// Subscribers, at most 2 000. About as many REST calls run beside them, on kept and on new
    /// connections.
    #[schemars(with = "usize", example = 300)]
    pub(super) connections: Spanned<usize>,
    /// Servers before and after, at most 8.
    #[schemars(with = "[usize; 2]", example = [2, 3])]
    pub(super) servers: Spanned<[usize; 2]>,
    /// Repetitions, 2 to 100; quick runs make at most 2.
    #[schemars(with = "u32", example = 3)]
    pub(super) times: Spanned<u32>,
}
