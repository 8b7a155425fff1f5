//! What is said of a broken scenario: file, line, key, what is wrong, and what to write instead.

use std::ops::Range;

use miette::{Diagnostic, NamedSource, SourceSpan};
use terms::escape::{terminal_line, terminal_source};

/// A scenario that cannot be used.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum ScenarioError {
    /// There is no scenario of that name.
    #[error("there is no scenario '{name}'")]
    Unknown {
        /// The name asked for.
        name: String,
        /// What there is, or what it may have meant.
        #[help]
        help: String,
    },
    /// Its file cannot be read.
    #[error("a scenario cannot be read: {0}")]
    Unreadable(#[from] files::FileError),
    /// Its text is wrong somewhere.
    #[error("{file}:{line}: {message}")]
    Broken {
        /// The file.
        file: String,
        /// The line of it, the first being 1.
        line: usize,
        /// What is wrong.
        message: String,
        /// The whole text.
        #[source_code]
        text: NamedSource<String>,
        /// Where it is wrong.
        #[label("here")]
        span: SourceSpan,
        /// What to write instead, where that can be guessed.
        #[help]
        help: Option<String>,
    },
    /// A `--set KEY=VALUE` cannot be applied.
    #[error("--set {setting}: {message}")]
    Setting {
        /// The setting.
        setting: String,
        /// What is wrong with it.
        message: String,
    },
}

impl ScenarioError {
    pub(crate) fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> ScenarioError {
        let known: Vec<&str> = known.collect();
        let help = match nearest(name, &known) {
            Some(near) => {
                format!("did you mean '{near}'? `wirebench list` shows all; a file's name ends in .toml")
            }
            None => format!("there is: {}; a file's name ends in .toml", known.join(", ")),
        };
        ScenarioError::Unknown { name: name.to_owned(), help }
    }

    /// Something wrong at a place of the text.
    pub fn at(file: &str, text: &str, span: Range<usize>, message: &str, help: Option<String>) -> Self {
        let line = text[..span.start.min(text.len())].matches('\n').count() + 1;
        // The text is shown where it is wrong, on a terminal, and may be somebody else's.
        let file = terminal_line(file);
        ScenarioError::Broken {
            line,
            message: terminal_line(message).into_owned(),
            text: NamedSource::new(&file, terminal_source(text).into_owned()),
            span: span.into(),
            help: help.map(|help| terminal_line(&help).into_owned()),
            file: file.into_owned(),
        }
    }

    /// What the TOML reader says, with a suggestion where it met a word it does not know.
    pub fn from_toml(file: &str, text: &str, error: &toml::de::Error) -> ScenarioError {
        let span = error.span().unwrap_or(0..0);
        let message = error.message();
        ScenarioError::at(file, text, span, message, suggestion(message))
    }
}

/// What every scenario has: those of its keys for which nothing stands in.
const NEEDED: [&str; 5] = ["name", "question", "workload", "condition", "contender"];

/// serde's messages quote the unknown word and then the known ones:
/// `unknown field `a`, expected one of `b`, `c``.
fn suggestion(message: &str) -> Option<String> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let word = quoted.next()?;
    if message.starts_with("missing field") && NEEDED.contains(&word) {
        let needs = "a scenario needs a name, a question, a [workload], a [[condition]] and a [[contender]], and `extend` takes them from another";
        return Some(format!("{needs}; docs/SCENARIOS.md ends with a whole one"));
    }
    let known: Vec<&str> = quoted.collect();
    let near = nearest(word, &known)?;
    message.starts_with("unknown").then(|| format!("did you mean `{near}`?"))
}

/// The most similar word, if any is similar at all.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let similarity = |candidate: &str| strsim::jaro_winkler(word, candidate);
    let best = known.iter().copied().max_by(|left, right| similarity(left).total_cmp(&similarity(right)))?;
    (similarity(best) > 0.75).then_some(best)
}
