//! Matrix files as they are written, and the check that their claims fit the experiment. Unknown
//! keys are refused.

use judge::matrix::names;
use record::matrix::{Experiment, MatrixClaim, MatrixRule};
use scenarios::{ScenarioError, did_you_mean};
use serde::Deserialize;
use terms::So;
use toml::Spanned;

use super::MatrixScenario;
use record::matrix::Seen;

/// A matrix file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireMatrix {
    name: String,
    question: String,
    #[serde(default)]
    card: Vec<String>,
    analysis: String,
    experiment: Experiment,
    #[serde(default)]
    claim: Vec<WireClaim>,
}

/// A claim, each name with its place.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireClaim {
    card: String,
    sentence: String,
    /// What the count says of a contender, with `{n}` and `{of}` in it.
    #[serde(default)]
    says: Option<String>,
    contender: Spanned<String>,
    counts: Spanned<Vec<Spanned<String>>>,
    #[serde(default)]
    seen: Seen,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    against: Vec<Spanned<String>>,
    holds: Spanned<MatrixRule>,
    /// What a reader should do: a sentence for each verdict.
    #[serde(default)]
    so: So,
}

/// Reads and checks a matrix.
pub(super) fn parse(file: &str, text: &str) -> Result<MatrixScenario, ScenarioError> {
    let wire: WireMatrix =
        toml::from_str(text).map_err(|error| ScenarioError::from_toml(file, text, &error))?;
    let check = Check { file, text, experiment: wire.experiment };
    Ok(MatrixScenario {
        name: wire.name,
        question: wire.question,
        card: wire.card,
        analysis: wire.analysis.trim().to_owned(),
        experiment: wire.experiment,
        claims: wire.claim.into_iter().map(|claim| check.claim(claim)).collect::<Result<_, _>>()?,
    })
}

/// Knows the text, so that an error can point into it.
struct Check<'a> {
    file: &'a str,
    text: &'a str,
    experiment: Experiment,
}

impl Check<'_> {
    fn claim(&self, wire: WireClaim) -> Result<MatrixClaim, ScenarioError> {
        let columns = crate::columns(self.experiment);
        let outcomes = crate::outcomes(self.experiment);
        let columns = names(&columns);
        let outcomes: Vec<&str> = outcomes.iter().map(|outcome| outcome.name.as_str()).collect();
        let against = wire.against;
        if against.is_empty() && *wire.holds.get_ref() != MatrixRule::All {
            return Err(self.at(
                &wire.holds,
                "this takes contenders that it is held against: `against`",
                None,
            ));
        }
        if wire.counts.get_ref().is_empty() {
            return Err(self.at(&wire.counts, "counts: at least one outcome", None));
        }
        let known = |what, names: &[&str], name: Spanned<String>| self.known(what, names, name);
        Ok(MatrixClaim {
            card: wire.card,
            sentence: wire.sentence,
            says: wire.says,
            contender: known("contender", &columns, wire.contender)?,
            counts: wire
                .counts
                .into_inner()
                .into_iter()
                .map(|name| known("outcome", &outcomes, name))
                .collect::<Result<_, _>>()?,
            seen: wire.seen,
            groups: wire.groups,
            against: against
                .into_iter()
                .map(|name| known("contender", &columns, name))
                .collect::<Result<_, _>>()?,
            holds: wire.holds.into_inner(),
            so: wire.so,
        })
    }

    fn known(&self, what: &str, known: &[&str], name: Spanned<String>) -> Result<String, ScenarioError> {
        if known.contains(&name.get_ref().as_str()) {
            return Ok(name.into_inner());
        }
        let help = did_you_mean(name.get_ref(), known);
        Err(self.at(&name, &format!("there is no {what} '{}'", name.get_ref()), Some(help)))
    }

    fn at<T>(&self, place: &Spanned<T>, message: &str, help: Option<String>) -> ScenarioError {
        ScenarioError::at(self.file, self.text, place.span(), message, help)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"name = "m"
question = "?"
analysis = "."
experiment = "typing"
[[claim]]
card = "A5"
sentence = "s"
contender = "grpc"
counts = ["stack"]
against = ["rest-typed"]
holds = "more"
"#;

    /// What is said of a text that is broken.
    fn broken(text: &str) -> String {
        parse("m.toml", text).unwrap_err().to_string()
    }

    #[test]
    fn what_is_wrong_is_said_at_its_line() {
        assert_eq!(parse("m.toml", WHOLE).unwrap().claims[0].counts, ["stack"]);
        for (right, wrong, said) in [
            ("question", "qestion", "m.toml:2: unknown key 'qestion'"),
            ("\"typing\"", "\"tiping\"", "m.toml:4: unknown value 'tiping'"),
            ("contender = \"grpc\"", "contender = \"grcp\"", "m.toml:8: there is no contender 'grcp'"),
            ("[\"stack\"]", "[\"stak\"]", "m.toml:9: there is no outcome 'stak'"),
            ("[\"stack\"]", "[]", "m.toml:9: counts"),
            ("[\"rest-typed\"]", "[\"rest\"]", "m.toml:10: there is no contender 'rest'"),
            ("[\"rest-typed\"]", "[]", "m.toml:11: this takes contenders"),
            ("\"more\"", "\"most\"", "m.toml:11: unknown value 'most'"),
        ] {
            let message = broken(&WHOLE.replacen(right, wrong, 1));
            assert!(message.starts_with(said), "{message}");
        }
    }
}
