//! Scenarios: a question as data. What is written (`wire`) is another type than what is used ([`Scenario`]):
//! once it exists, a scenario is whole and its parts fit together.

mod asked;
mod axis;
mod between;
mod check;
mod contender;
mod diagnose;
mod extension;
mod idle;
mod link;
mod profile;
mod settings;
mod sweep;
mod wire;

use std::path::Path;
use std::time::Duration;

use clients::load::{Arrivals, Emission, Model, Shape};
use proto::Capability;
use servers::Handler;

pub use axis::{Axis, Coordinate};
pub use between::Between;
pub use contender::{Access, Contender, ForeignServer, Screen, Traffic};
pub use diagnose::ScenarioError;
pub(crate) use diagnose::nearest;
pub use idle::{Hold, Restart, ScaleOut};
pub use link::{Link, WanLink};
pub use sweep::{BreakEven, Map, Sought};
pub use wire::json_schema;

use crate::expression::{Distribution, Expression, Figure, Point};
use crate::matrix::MatrixScenario;
use crate::text;

/// A question, and all that is needed to answer it by measuring.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Scenario {
    /// Its name: that of its file.
    pub name: String,
    /// What it asks.
    pub question: String,
    /// The lines of the card that it tests.
    pub card: Vec<String>,
    /// Whether `cargo bench` runs it.
    pub bench: bool,
    /// What surprised, what the numbers depend on, what they do not show.
    pub analysis: String,
    /// What the contenders talk over.
    pub link: Link,
    /// What the clients do.
    pub workload: Workload,
    /// Under what the contenders are compared.
    pub conditions: Vec<Condition>,
    /// What is compared.
    pub contenders: Vec<Contender>,
    /// The contender that the others are compared with, and that is measured twice under two names: what differs between
    /// those two is noise.
    pub baseline: String,
    /// How the highest rate is searched for, where the scenario has it.
    pub capacity: Option<CapacitySearch>,
    /// What is judged.
    pub claims: Vec<Claim>,
    /// From where on one is better than the other.
    pub break_evens: Vec<BreakEven>,
    /// Which contender is cheapest where.
    pub map: Option<Map>,
    /// Idle connections that are held in every extent.
    pub hold: Option<Hold>,
    /// A restart under which they all come back, in every extent.
    pub restart: Option<Restart>,
    /// A scale-out under their connections, in every extent.
    pub scale_out: Option<ScaleOut>,
    /// How much of it is run.
    pub profiles: Profiles,
}

/// A search for the highest rate at which an objective is met, in every cell.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct CapacitySearch {
    /// What must hold.
    pub objective: Expression,
    /// Measured time at each rate.
    pub trial: Duration,
}

/// What the clients do, in every condition.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Workload {
    /// What is done.
    pub activity: Activity,
    /// Symbols of a `quotes` call.
    pub symbols: usize,
    /// Candles of a `history` call.
    pub candles: u32,
    /// When calls are made, unless a condition says otherwise; of `subscribe`, when ticks are emitted.
    pub model: Model,
    /// Ticks that are emitted per second meanwhile, spaced as the calls are; of `session`. `None` for as many as each session places
    /// orders.
    pub ticks_per_s: Option<f64>,
    /// When a call counts as failed, after its schedule.
    pub time_out: Duration,
    /// What the market's handler does, unless a condition says otherwise.
    pub handler: Handler,
}

/// What a workload does.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    /// Something that the market offers: calls of one kind; `subscribe`, where every connection hears every tick; or `session`,
    /// where the calls are orders and every session hears every tick meanwhile.
    Market(Capability),
    /// Flows from the servers' host to the clients', over TCP and UDP themselves.
    Flow(FlowSettings),
}

/// What flows have in common.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct FlowSettings {
    /// Bits of blocks that each receiver reads a second while its sender sends; `None` for as fast as they come.
    pub read_bits_per_s: Option<f64>,
    /// The buffer of each socket, as it is asked for; `None` for what the system gives.
    pub buffer_bytes: Option<usize>,
}

impl Activity {
    /// Its name in scenario files.
    pub fn name(self) -> &'static str {
        match self {
            Activity::Market(capability) => capability.name(),
            Activity::Flow(_) => Activity::FLOW,
        }
    }

    /// The name of flows.
    pub const FLOW: &'static str = "flow";

    /// Whether it is a request that gets a reply, and nothing beside it.
    pub fn is_calls(self) -> bool {
        match self {
            Activity::Market(capability) => {
                !matches!(capability, Capability::Subscribe | Capability::Session)
            }
            Activity::Flow(_) => false,
        }
    }

    /// Whether servers send of themselves: then lag is theirs.
    pub fn is_pushed(self) -> bool {
        matches!(self, Activity::Market(Capability::Subscribe) | Activity::Flow(_))
    }
}

/// One setting of what varies.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Condition {
    /// What it is called.
    pub name: String,
    /// Connections and calls in flight.
    pub shape: Shape,
    /// When calls are made.
    pub model: Model,
    /// What the contenders talk over, where it is not the scenario's: the same hosts, and other ways between them.
    pub link: Option<Link>,
    /// What changes on the link, and when after the start of the measured time.
    pub changes: Vec<String>,
    /// What a relay between clients and servers does meanwhile; `None` where the condition says nothing of one.
    pub between: Option<Between>,
    /// What the market's handler does.
    pub handler: Handler,
    /// Of a condition with axes: its name, and where on them this one is.
    pub family: Option<(String, Vec<Coordinate>)>,
}

impl Condition {
    /// Where it is on an axis of a condition; `None` where it is none of that condition's.
    pub fn on(&self, family: &str, axis: Axis) -> Option<&Coordinate> {
        let (name, coordinates) = self.family.as_ref()?;
        coordinates.iter().find(|coordinate| name == family && coordinate.axis == axis)
    }
}

/// A sentence of the card, as a comparison that can be judged.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Claim {
    /// The line of the card.
    pub card: String,
    /// The claim in our words.
    pub sentence: String,
    /// Where it is judged.
    pub condition: String,
    /// Whose figure is judged.
    pub contender: String,
    /// What it is held against.
    #[serde(flatten)]
    pub test: Test,
    /// What theory says that the ratio is, where it says anything.
    #[serde(default)]
    pub prediction: Option<Prediction>,
}

impl Claim {
    /// Whom it is about: the contender, and whom it is compared with.
    pub fn contenders(&self) -> impl Iterator<Item = &str> {
        let against = match &self.test {
            Test::Compared { against, .. } => Some(against.as_str()),
            Test::Absolute { .. } => None,
        };
        [Some(self.contender.as_str()), against].into_iter().flatten()
    }

    /// What theory says, in the unit of what is judged, and why: `1.50 ×, because …`.
    pub fn predicted(&self) -> Option<String> {
        let Prediction { ratio, because } = self.prediction.as_ref()?;
        let figure = match &self.test {
            Test::Compared { .. } => format!("{} ×", text::ratio(*ratio)),
            Test::Absolute { holds } => holds.figure.show(holds.limit() * ratio),
        };
        Some(format!("{figure}, because {because}"))
    }
}

/// What a contender's figure is held against.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum Test {
    /// Another's, of the same rounds.
    Compared {
        /// What is compared.
        metric: Metric,
        /// By whose figure it is divided.
        against: String,
        /// When the claim holds of the ratio.
        #[serde(flatten)]
        rule: Rule,
    },
    /// A value.
    Absolute {
        /// What the whole 95 % interval of the figure's mean must make true.
        holds: Expression,
    },
}

/// When a claim holds. It does not where the whole interval lies on the other side, and is undecided between.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// The whole 95 % interval of the ratio is below this.
    HoldsBelow(f64),
    /// The whole 95 % interval of the ratio is above this.
    HoldsAbove(f64),
    /// The whole 90 % interval of the ratio is between 1 / (1 + this) and 1 + this: two one-sided tests at 5 %. It does
    /// not hold where the whole 95 % interval is outside of that.
    SameWithin(f64),
}

/// What theory says of a ratio, before any data.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Prediction {
    /// The ratio.
    pub ratio: f64,
    /// Why.
    pub because: String,
}

/// A figure that can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Processor time per call, or per event that was received, client and server together, in µs.
    CpuPerCall,
    /// Median response time, in µs.
    ResponseP50,
    /// 99th percentile of the response time, in µs.
    ResponseP99,
    /// Bytes on the wire per call, or per event, both ways, headers included.
    BytesPerCall,
    /// Processor time per call at the server alone, in µs.
    ServerCpuPerCall,
    /// Processor time that both ends used in a second, in µs: for what costs something whether or not anything happens.
    CpuPerS,
}

impl Metric {
    /// Those in which every contender is compared with the baseline.
    pub const COMPARED: [Metric; 3] = [Metric::CpuPerCall, Metric::ResponseP50, Metric::ResponseP99];

    /// The same, as thresholds name it.
    pub fn figure(self) -> Figure {
        match self {
            Metric::CpuPerCall => Figure::CpuPerCall,
            Metric::ResponseP50 => Figure::Time(Distribution::Response, Point::Percentile(0.5)),
            Metric::ResponseP99 => Figure::Time(Distribution::Response, Point::Percentile(0.99)),
            Metric::BytesPerCall => Figure::BytesPerCall,
            Metric::ServerCpuPerCall => Figure::ServerCpuPerCall,
            Metric::CpuPerS => Figure::CpuPerS,
        }
    }

    /// In words, where a call is called this.
    pub fn in_words(self, noun: &str) -> String {
        match self {
            Metric::CpuPerCall => format!("CPU per {noun}"),
            Metric::ResponseP50 => "response p50".to_owned(),
            Metric::ResponseP99 => "response p99".to_owned(),
            Metric::BytesPerCall => format!("bytes per {noun}"),
            Metric::ServerCpuPerCall => format!("the server's CPU per {noun}"),
            Metric::CpuPerS => "CPU per second".to_owned(),
        }
    }
}

/// How much of a scenario is run.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Profiles {
    /// `--quick`.
    pub quick: Profile,
    /// Neither.
    pub standard: Profile,
    /// `--full`.
    pub full: Profile,
}

/// One extent.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Profile {
    /// The conditions that are run.
    pub conditions: Vec<String>,
    /// The contenders that are measured, the baseline and its twin among them.
    pub contenders: Vec<String>,
    /// Rounds.
    pub rounds: u32,
    /// Load before the measuring, in each round of each cell.
    pub warm_up: Duration,
    /// Measured load, in each round of each cell.
    pub duration: Duration,
}

/// The scenarios that are built in, by name.
const BUILT_IN: [(&str, &str); 23] = [
    ("rest-vs-grpc", include_str!("../../scenarios/rest-vs-grpc.toml")),
    ("rest-vs-grpc-portfolio", include_str!("../../scenarios/rest-vs-grpc-portfolio.toml")),
    ("rest-vs-grpc-history", include_str!("../../scenarios/rest-vs-grpc-history.toml")),
    ("push", include_str!("../../scenarios/push.toml")),
    ("sse-reconnect", include_str!("../../scenarios/sse-reconnect.toml")),
    ("session", include_str!("../../scenarios/session.toml")),
    ("https-tax", include_str!("../../scenarios/https-tax.toml")),
    ("tcp-delivers", include_str!("../../scenarios/tcp-delivers.toml")),
    ("tcp-dies", include_str!("../../scenarios/tcp-dies.toml")),
    ("tcp-backpressure", include_str!("../../scenarios/tcp-backpressure.toml")),
    ("tcp-congestion", include_str!("../../scenarios/tcp-congestion.toml")),
    ("udp-latency", include_str!("../../scenarios/udp-latency.toml")),
    ("head-of-line", include_str!("../../scenarios/head-of-line.toml")),
    ("nearby", include_str!("../../scenarios/nearby.toml")),
    ("ny-london", include_str!("../../scenarios/ny-london.toml")),
    ("overfetching", include_str!("../../scenarios/overfetching.toml")),
    ("overfetching-far", include_str!("../../scenarios/overfetching-far.toml")),
    ("grpc-break-even", include_str!("../../scenarios/grpc-break-even.toml")),
    ("push-ladder", include_str!("../../scenarios/push-ladder.toml")),
    ("bidirectional", include_str!("../../scenarios/bidirectional.toml")),
    ("polling-break-even", include_str!("../../scenarios/polling-break-even.toml")),
    ("cost-of-state", include_str!("../../scenarios/cost-of-state.toml")),
    ("aa", include_str!("../../scenarios/aa.toml")),
];

impl Scenario {
    /// Every built-in scenario.
    ///
    /// # Errors
    /// Where one is broken; a test keeps that from happening.
    pub fn built_in() -> Result<Vec<Scenario>, ScenarioError> {
        BUILT_IN
            .iter()
            .map(|(name, text)| Scenario::parse(&format!("scenarios/{name}.toml"), text, &[]))
            .collect()
    }

    /// Finds a scenario by its name or its file, and changes it by `KEY=VALUE` pairs.
    ///
    /// # Errors
    /// Where there is none, or it is broken: at its line.
    pub fn find(name_or_file: &str, settings: &[String]) -> Result<Scenario, ScenarioError> {
        if let Some((name, text)) = BUILT_IN.iter().find(|(name, _)| *name == name_or_file) {
            return Scenario::parse(&format!("scenarios/{name}.toml"), text, settings);
        }
        let is_file = name_or_file.ends_with(".toml") || Path::new(name_or_file).exists();
        if !is_file {
            let names = BUILT_IN.iter().map(|(name, _)| *name);
            return Err(ScenarioError::unknown(name_or_file, names.chain(MatrixScenario::names())));
        }
        let text = std::fs::read_to_string(name_or_file)
            .map_err(|reason| ScenarioError::Unreadable { file: name_or_file.to_owned(), reason })?;
        Scenario::parse(name_or_file, &text, settings)
    }

    /// Reads a scenario from its text.
    ///
    /// # Errors
    /// Where it is broken: at its line.
    pub fn parse(file: &str, text: &str, settings: &[String]) -> Result<Scenario, ScenarioError> {
        let Some(whole) = extension::extended(file, text)? else {
            return Scenario::parse_whole(file, text, settings);
        };
        Scenario::parse_whole(&format!("{file} with what it extends"), &whole, settings).map_err(|error| {
            if settings.is_empty() { extension::at_home(error, &whole, file, text) } else { error }
        })
    }

    fn parse_whole(file: &str, text: &str, settings: &[String]) -> Result<Scenario, ScenarioError> {
        if settings.is_empty() {
            return check::parse(file, text);
        }
        let changed = settings::with_settings(file, text, settings)?;
        check::parse(&format!("{file} with --set"), &changed)
    }

    /// What a contender is called where it is measured a second time.
    pub fn again(name: &str) -> String {
        format!("{name}-again")
    }

    /// A contender by name.
    pub fn contender(&self, name: &str) -> Option<&Contender> {
        self.contenders.iter().find(|contender| contender.name == name)
    }

    /// Whether a relay stands between clients and servers: in every condition, if one of them says what it does.
    pub fn is_relayed(&self) -> bool {
        self.conditions.iter().any(|condition| condition.between.is_some())
    }

    /// A condition by name.
    pub fn condition(&self, name: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.name == name)
    }
}

impl Workload {
    /// What a server emits in a round of a condition, its first sequence left open; `None` where nothing is listened for.
    pub fn emission(&self, condition: &Condition) -> Option<Emission> {
        let Activity::Market(capability) = self.activity else { return None };
        let (arrivals, rate_per_s) = match (capability, condition.model) {
            (Capability::Subscribe, Model::Open { arrivals, rate_per_s }) => (arrivals, rate_per_s),
            (Capability::Session, Model::Open { arrivals, rate_per_s }) => {
                let own = rate_per_s / condition.shape.connections as f64;
                (arrivals, self.ticks_per_s.unwrap_or(own))
            }
            (Capability::Session, Model::Closed) => (Arrivals::Poisson, self.ticks_per_s?),
            _ => return None,
        };
        Some(Emission { first_sequence: 0, arrivals, rate_per_s })
    }

    /// The model of a rate given in a scenario: none is the closed model.
    fn model(rate_per_s: Option<f64>, arrivals: Arrivals) -> Model {
        match rate_per_s {
            Some(rate_per_s) => Model::Open { arrivals, rate_per_s },
            None => Model::Closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_scenario_is_whole_and_named_after_its_file() {
        let scenarios = Scenario::built_in().unwrap();
        for (scenario, (name, _)) in scenarios.iter().zip(BUILT_IN) {
            assert_eq!(scenario.name, name);
            assert!(!scenario.analysis.is_empty(), "{name} says nothing of what it depends on");
        }
        let matrices = MatrixScenario::built_in().unwrap();
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios")).unwrap();
        let files = files.filter(|file| {
            file.as_ref().unwrap().path().extension().is_some_and(|extension| extension == "toml")
        });
        let built_in = BUILT_IN.len() + matrices.len();
        assert_eq!(files.count(), built_in, "a scenario's file is not built in");
    }
}
