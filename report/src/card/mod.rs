//! The card: every claim, grouped as the card groups them, with what the records of a run say of
//! it. The page and the table for a README are drawn from records and from nothing else.

mod evidence;
mod page;

use evidence::State;
use scenarios::{MATRICES, Scenario};
use serde::Deserialize;

pub use page::{card_markdown, card_page};

/// Findings beside the deciding one, up to which a line of the card stays on one sheet of paper.
const OTHERS_WHOLE_MAX: usize = 4;

/// Claims that belong together.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// What they are about.
    pub name: String,
    /// The claims.
    #[serde(rename = "line")]
    pub lines: Vec<Line>,
}

/// One claim of the card.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Its id, such as `A2`.
    pub id: String,
    /// What it says, in our words.
    pub claim: String,
    /// The scenarios that test it, the deciding one first; some may not be built yet.
    pub scenarios: Vec<String>,
    /// The line whose evidence is this one's too.
    #[serde(default, rename = "as")]
    pub like: Option<String>,
    /// The line whose measurements, read the other way round, are its evidence.
    #[serde(default)]
    pub mirrors: Option<String>,
    /// What it says is computed or cited, and no verdict of ours: what is judged stands under it,
    /// and decides nothing about it.
    #[serde(default)]
    pub cited: bool,
    /// What is true by construction, or computed or cited.
    #[serde(default)]
    pub note: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lines {
    group: Vec<Group>,
}

/// The whole card.
///
/// # Errors
/// Where its file is broken; a test keeps that from happening.
pub fn groups() -> Result<Vec<Group>, toml::de::Error> {
    toml::from_str::<Lines>(include_str!("lines.toml")).map(|lines| lines.group)
}

/// The names of all scenarios that there are.
///
/// # Errors
/// Where a built-in scenario is broken; a test keeps that from happening.
pub fn known() -> anyhow::Result<Vec<String>> {
    let measured = Scenario::built_in()?.into_iter().map(|scenario| scenario.name);
    Ok(measured.chain(MATRICES.iter().map(|(name, _)| (*name).to_owned())).collect())
}

/// The names of those that are measured and test the card, in its order, each once; matrices are
/// told apart.
///
/// # Errors
/// As [`known`] and [`groups`].
pub fn scenarios() -> anyhow::Result<Vec<String>> {
    let known: Vec<String> = Scenario::built_in()?.into_iter().map(|scenario| scenario.name).collect();
    let groups = groups()?;
    let named = groups.into_iter().flat_map(|group| group.lines).flat_map(|line| line.scenarios);
    let mut scenarios: Vec<String> = Vec::new();
    for name in named.filter(|name| known.contains(name)) {
        if !scenarios.contains(&name) {
            scenarios.push(name);
        }
    }
    Ok(scenarios)
}

impl Line {
    /// The id under which scenarios have its claims.
    pub fn evidence_id(&self) -> &str {
        self.like.as_deref().unwrap_or(&self.id)
    }

    /// Where its evidence stands already, in words and as that line; `None` where it has its own.
    pub fn borrows(&self) -> Option<(&'static str, &str)> {
        let like = self.like.as_deref().map(|line| ("same evidence as", line));
        like.or_else(|| self.mirrors.as_deref().map(|line| ("turned round from", line)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_line_that_a_scenario_names_is_on_the_card_and_names_the_scenario() {
        let groups = groups().unwrap();
        let lines: Vec<&Line> = groups.iter().flat_map(|group| &group.lines).collect();
        let ids: BTreeSet<&str> = lines.iter().map(|line| line.id.as_str()).collect();
        assert_eq!(ids.len(), lines.len(), "an id twice");
        for line in &lines {
            assert!(ids.contains(line.evidence_id()), "{}", line.id);
            assert!(line.borrows().is_none_or(|(_, other)| ids.contains(other)), "{}", line.id);
        }
        // The A/A scenario tests wirebench and no line of the card.
        for scenario in Scenario::built_in().unwrap().into_iter().filter(|scenario| scenario.name != "aa") {
            let claims = scenario.claims.iter().map(|claim| &claim.card);
            let sought = scenario.break_evens.iter().map(|sought| &sought.card);
            for id in scenario.card.iter().chain(claims).chain(sought) {
                let line = lines.iter().find(|line| line.id == *id);
                let line = line.unwrap_or_else(|| panic!("{}: the card has no {id}", scenario.name));
                assert!(line.scenarios.contains(&scenario.name), "{id} does not name {}", scenario.name);
            }
        }
    }
}
