//! A question, whole and checked, and where it is found: built in, or in a file.

use std::path::Path;
use std::time::Duration;

use terms::{Act, BreakEven, Claim, Condition, Contender, Extent, Link, Map, Workload};

use crate::{ScenarioError, check, extension, settings};

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
    /// The contender that the others are compared with, and that is measured twice under two names:
    /// what differs between those two is noise.
    pub baseline: String,
    /// What is judged.
    pub claims: Vec<Claim>,
    /// From where on one is better than the other.
    pub break_evens: Vec<BreakEven>,
    /// Which contender is cheapest where.
    pub map: Option<Map>,
    /// What is done beside the rounds, in its order.
    pub acts: Vec<Act>,
    /// How much of it is run.
    pub profiles: Profiles,
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

/// Bytes of a scenario's file, at most: the largest that is built in has 9 kB.
pub(crate) const FILE_BYTES_MAX: u64 = 1 << 20;

/// The scenarios that are built in, by name.
pub(crate) const BUILT_IN: [(&str, &str); 33] = [
    ("rest-vs-grpc", include_str!("../rest-vs-grpc.toml")),
    ("rest-vs-grpc-portfolio", include_str!("../rest-vs-grpc-portfolio.toml")),
    ("rest-vs-grpc-size", include_str!("../rest-vs-grpc-size.toml")),
    ("push", include_str!("../push.toml")),
    ("sse-reconnect", include_str!("../sse-reconnect.toml")),
    ("session", include_str!("../session.toml")),
    ("https-tax", include_str!("../https-tax.toml")),
    ("tcp-delivers", include_str!("../tcp-delivers.toml")),
    ("tcp-dies", include_str!("../tcp-dies.toml")),
    ("tcp-backpressure", include_str!("../tcp-backpressure.toml")),
    ("tcp-congestion", include_str!("../tcp-congestion.toml")),
    ("udp-latency", include_str!("../udp-latency.toml")),
    ("head-of-line", include_str!("../head-of-line.toml")),
    ("nearby", include_str!("../nearby.toml")),
    ("ny-london", include_str!("../ny-london.toml")),
    ("overfetching", include_str!("../overfetching.toml")),
    ("overfetching-far", include_str!("../overfetching-far.toml")),
    ("grpc-break-even", include_str!("../grpc-break-even.toml")),
    ("push-ladder", include_str!("../push-ladder.toml")),
    ("bidirectional", include_str!("../bidirectional.toml")),
    ("polling-break-even", include_str!("../polling-break-even.toml")),
    ("cost-of-state", include_str!("../cost-of-state.toml")),
    ("aa", include_str!("../aa.toml")),
    ("balance-client", include_str!("../balance-client.toml")),
    ("balance-dedicated", include_str!("../balance-dedicated.toml")),
    ("balance-checks", include_str!("../balance-checks.toml")),
    ("balance-dns", include_str!("../balance-dns.toml")),
    ("l4-vs-l7", include_str!("../l4-vs-l7.toml")),
    ("timeouts", include_str!("../timeouts.toml")),
    ("retry-backoff", include_str!("../retry-backoff.toml")),
    ("retry-jitter", include_str!("../retry-jitter.toml")),
    ("idempotency", include_str!("../idempotency.toml")),
    ("circuit-breaker", include_str!("../circuit-breaker.toml")),
];

/// The matrices that are built in, by name, with their texts: what is asked of them is read by the
/// room that fills them.
pub const MATRICES: [(&str, &str); 2] =
    [("typing", include_str!("../typing.toml")), ("reach", include_str!("../reach.toml"))];

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

    /// The file of a built-in scenario or matrix, as it is written.
    ///
    /// # Errors
    /// Where none is called that, with the name that may be meant.
    pub fn file_of(name: &str) -> Result<&'static str, ScenarioError> {
        let all = || BUILT_IN.iter().chain(&MATRICES);
        let found = all().find(|(known, _)| *known == name);
        let unknown = || ScenarioError::unknown(name, all().map(|(name, _)| *name));
        found.map(|(_, text)| *text).ok_or_else(unknown)
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
            return Err(ScenarioError::unknown(
                name_or_file,
                names.chain(MATRICES.iter().map(|(name, _)| *name)),
            ));
        }
        let text = files::read_text(Path::new(name_or_file), FILE_BYTES_MAX)?;
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

    /// Its own numbers for how much is run.
    pub fn profile(&self, extent: Extent) -> &Profile {
        match extent {
            Extent::Quick => &self.profiles.quick,
            Extent::Standard => &self.profiles.standard,
            Extent::Full => &self.profiles.full,
        }
    }

    /// Whether a relay stands between clients and servers: in every condition, if one of them says
    /// what it does.
    pub fn is_relayed(&self) -> bool {
        self.conditions.iter().any(|condition| condition.between.is_some())
    }

    /// Whether the markets behind fronts are on a host of their own: in every condition, if one of
    /// them says what lies between.
    pub fn markets_are_elsewhere(&self) -> bool {
        self.conditions.iter().any(|condition| condition.market_link.is_some())
    }

    /// A condition by name.
    pub fn condition(&self, name: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written before any data, so that it cannot follow them.
    #[test]
    fn every_claim_says_what_to_do_whatever_comes_of_it() {
        for scenario in Scenario::built_in().unwrap() {
            for claim in &scenario.claims {
                let so = &claim.so;
                let whole = so.holds.is_some()
                    && so.does_not_hold.is_some()
                    && so.depends.is_some() == claim.turns.is_some();
                assert!(whole, "{}: ‘{}’ lacks a `so`", scenario.name, claim.sentence);
                let said = [&so.holds, &so.does_not_hold, &so.depends].into_iter().flatten();
                for words in said {
                    assert!(words.ends_with('.') && words.len() < 160, "{}: ‘{words}’", scenario.name);
                }
            }
        }
    }

    #[test]
    fn every_built_in_scenario_is_whole_and_named_after_its_file() {
        let scenarios = Scenario::built_in().unwrap();
        for (scenario, (name, _)) in scenarios.iter().zip(BUILT_IN) {
            assert_eq!(scenario.name, name);
            assert!(!scenario.analysis.is_empty(), "{name} says nothing of what it depends on");
        }
        let files = std::fs::read_dir(env!("CARGO_MANIFEST_DIR")).unwrap();
        let files = files.filter(|file| {
            file.as_ref()
                .unwrap()
                .file_name()
                .into_string()
                .is_ok_and(|name| name.ends_with(".toml") && name != "Cargo.toml")
        });
        let built_in = BUILT_IN.len() + MATRICES.len();
        assert_eq!(files.count(), built_in, "a scenario's file is not built in");
    }
}
