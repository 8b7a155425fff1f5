//! What is said of a broken scenario: file, line, key, what is wrong, and what to write instead.

use std::ops::Range;

use miette::{Diagnostic, NamedSource, SourceSpan};
use terms::escape::{terminal_line, terminal_source};

use crate::plain::{Told, label, plain};
use crate::suggest::{nearest, told_apart};

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
    #[error("{0}")]
    #[diagnostic(help("`wirebench list` shows the built-in scenarios, which need no file"))]
    Unreadable(files::FileError),
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
        #[label("{label}")]
        span: SourceSpan,
        /// What is wrong there, in a few words.
        label: String,
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

// By hand: as the source it would be said a second time.
impl From<files::FileError> for ScenarioError {
    fn from(error: files::FileError) -> ScenarioError {
        ScenarioError::Unreadable(error)
    }
}

impl ScenarioError {
    pub(crate) fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> ScenarioError {
        let known: Vec<&str> = known.collect();
        let help = match nearest(name, &known) {
            Some(near) => format!("did you mean '{near}'?"),
            None => "`wirebench list` shows all scenarios; the name of a file ends in .toml".to_owned(),
        };
        ScenarioError::Unknown { name: terminal_line(name).into_owned(), help }
    }

    /// Something wrong at a place of the text.
    pub fn at(file: &str, text: &str, span: Range<usize>, message: &str, help: Option<String>) -> Self {
        let line = text[..span.start.min(text.len())].matches('\n').count() + 1;
        let (message, help) = match (told_apart(message), help) {
            (Some((message, suggested)), None) => (message, Some(suggested)),
            (_, help) => (message.to_owned(), help),
        };
        // The text is shown where it is wrong, on a terminal, and may be somebody else's.
        let file = terminal_line(file);
        ScenarioError::Broken {
            line,
            label: terminal_line(&label(&message)).into_owned(),
            message: terminal_line(&message).into_owned(),
            text: NamedSource::new(&file, terminal_source(text).into_owned()),
            span: span.into(),
            help: help.map(|help| terminal_line(&help).into_owned()),
            file: file.into_owned(),
        }
    }

    /// What the TOML reader says, with a suggestion where it met a word it does not know.
    pub fn from_toml(file: &str, text: &str, error: &toml::de::Error) -> ScenarioError {
        let Told { message, help } = plain(error.message());
        ScenarioError::at(file, text, error.span().unwrap_or(0..0), &message, help)
    }
}
