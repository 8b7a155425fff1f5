//! A workload file: the options of a load by their names, and its requests, for what does not fit
//! on a line. What is typed beside it counts for more.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::ops::Range;
use std::path::Path;

use bytes::Bytes;
use clap::builder::ValueParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, Args as _, Command, FromArgMatches as _};
use scenarios::{ScenarioError, did_you_mean};
use serde::Deserialize;
use toml::{Spanned, Value};

use super::options::Options;
use super::requests::{Template, one};
use super::target::{Scheme, Target};
use crate::ending::{UsageError, in_plain_words};
use crate::verbs::given::Given;

/// Bytes of a file.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// The one option that scenarios call otherwise, and a file as they do: it has its unit.
const RATE: (&str, &str) = ("rate_per_s", "rate");
/// What can only be typed.
const TYPED_ONLY: [&str; 2] = ["help", "allow_debug"];
/// What stands in a file, and is no option.
const NO_OPTIONS: [&str; 2] = ["target", "request"];
/// What says in another way what is sent.
const INSTEAD_OF_REQUESTS: [&str; 4] = ["requests", "body", "body_file", "method"];

/// The file that a target names: one of TOML, and no URL.
pub(super) fn file(target: &str) -> Option<&Path> {
    (target.ends_with(".toml") && !target.contains("://")).then(|| Path::new(target))
}

/// Reads a file, and what is typed beside it; `given` is what was typed.
///
/// # Errors
/// What of the file cannot be used, with its line; what of it does not fit what is typed.
pub(super) fn read(path: &Path, given: &Given) -> anyhow::Result<(Options, Given)> {
    let name = path.display().to_string();
    let unreadable = |error| {
        UsageError(format!("{error}; a target is a URL such as http://127.0.0.1:8080/, or a file of TOML"))
    };
    let text = files::read_text(path, FILE_BYTES_MAX).map_err(unreadable)?;
    let file = File { name: &name, text: &text, folder: path.parent().unwrap_or(Path::new("")) };
    let Parts { target, requests, words, first_request } = file.parts(given)?;
    // Behind the program and its verb.
    let typed = std::env::args_os().skip(2);
    let all = std::iter::once(OsString::from(VERB)).chain(words.iter().cloned()).chain(typed);
    let matches = command().try_get_matches_from(all).map_err(|error| {
        UsageError(format!("{name}, with what is typed beside it: {}", without_usage(&error)))
    })?;
    let mut options = Options::from_arg_matches(&matches)?;
    if let Some(first) = first_request.filter(|_| options.listen || has_other_scheme(&target)) {
        let what = "[[request]] needs a target of http:// or https://, and no listen";
        return Err(ScenarioError::at(&name, &text, first, what, None).into());
    }
    options.target = target;
    options.templates = requests;
    options.workload = Some(path.to_owned());
    options.workload_words = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    Ok((options, Given::of(&matches)))
}

const VERB: &str = "load";

fn command() -> Command {
    Options::augment_args(Command::new(VERB))
}

/// Whether a target is right, and no HTTP: what is wrong with it is said when it is loaded.
fn has_other_scheme(target: &str) -> bool {
    Target::parse(target).is_ok_and(|target| target.scheme != Scheme::Http)
}

/// What is wrong with words, in one line and without the help.
fn without_usage(error: &clap::Error) -> String {
    let text = in_plain_words(&error.render().to_string());
    let first = text.split("\n\n").next().unwrap_or_default();
    let lines: Vec<&str> = first.trim_start_matches("error: ").lines().map(str::trim).collect();
    lines.join(" ")
}

/// What is in a file.
struct Parts {
    target: String,
    requests: Vec<Template>,
    /// Where the first of them stands.
    first_request: Option<Range<usize>>,
    /// The options, as they would be typed.
    words: Vec<OsString>,
}

/// What of it is no option.
#[derive(Deserialize)]
struct Written {
    target: Option<String>,
    #[serde(default)]
    request: Vec<Spanned<WrittenRequest>>,
}

/// A request as TOML has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRequest {
    name: Option<String>,
    method: Option<String>,
    path: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<Spanned<Value>>,
    #[serde(default = "one")]
    weight: u32,
}

/// Knows the text, so that an error can point into it.
struct File<'a> {
    name: &'a str,
    text: &'a str,
    /// Where the paths in it begin.
    folder: &'a Path,
}

type Key = Spanned<String>;

impl File<'_> {
    fn parts(&self, given: &Given) -> Result<Parts, ScenarioError> {
        let broken = |error| ScenarioError::from_toml(self.name, self.text, &error);
        let Written { target, request } = toml::from_str(self.text).map_err(broken)?;
        let table: BTreeMap<Key, Spanned<Value>> = toml::from_str(self.text).map_err(broken)?;
        let target = target.ok_or_else(|| {
            let help = "write for example target = \"http://127.0.0.1:8080/\"".to_owned();
            ScenarioError::at(self.name, self.text, 0..0, "there is no target", Some(help))
        })?;
        let (command, mut words) = (command(), Vec::new());
        for (key, value) in table.iter().filter(|(key, _)| !NO_OPTIONS.contains(&key.get_ref().as_str())) {
            let option = self.option(&command, key)?;
            let id = option.get_id().as_str();
            if !request.is_empty() && INSTEAD_OF_REQUESTS.contains(&id) {
                return Err(self.wrong(key, &format!("[[request]] and {id} cannot be used together"), None));
            }
            if !given.has(id) {
                words.extend(self.words(option, value)?);
            }
        }
        let first_request = request.first().map(Spanned::span);
        Ok(Parts { target, requests: self.requests(request, given)?, first_request, words })
    }

    fn wrong<T>(&self, place: &Spanned<T>, message: &str, help: Option<String>) -> ScenarioError {
        ScenarioError::at(self.name, self.text, place.span(), message, help)
    }

    /// The option that a key names.
    fn option<'c>(&self, command: &'c Command, key: &Key) -> Result<&'c Arg, ScenarioError> {
        let name = key.get_ref().as_str();
        let asked = if name == RATE.0 { RATE.1 } else { name };
        let named =
            |option: &&Arg| option.get_long().is_some() && !TYPED_ONLY.contains(&option.get_id().as_str());
        let found = command.get_arguments().filter(named).find(|option| option.get_id() == asked);
        if let Some(option) = found.filter(|_| name != RATE.1) {
            return Ok(option);
        }
        let names = command.get_arguments().filter(named).map(|option| option.get_id().as_str());
        let mut names: Vec<&str> = names.map(|id| if id == RATE.1 { RATE.0 } else { id }).collect();
        names.extend(NO_OPTIONS);
        Err(self.wrong(key, &format!("there is no option '{name}'"), Some(did_you_mean(name, &names))))
    }

    /// An option as it would be typed, once for each of its values; each is tried by itself, so
    /// that what is wrong with it is said at its line.
    fn words(&self, option: &Arg, value: &Spanned<Value>) -> Result<Vec<OsString>, ScenarioError> {
        let long = option.get_long().unwrap_or_default();
        let is_many = matches!(option.get_action(), ArgAction::Append);
        let values = match value.get_ref() {
            Value::Boolean(set) if !option.get_action().takes_values() => {
                return Ok(if *set { vec![format!("--{long}").into()] } else { Vec::new() });
            }
            _ if !option.get_action().takes_values() => {
                return Err(self.wrong(value, "this is true or false", None));
            }
            Value::Array(values) if is_many => values.iter().collect(),
            one => vec![one],
        };
        let word = |one: &Value| {
            let text = match one {
                Value::String(text) => text.clone(),
                Value::Integer(number) => number.to_string(),
                Value::Float(number) => number.to_string(),
                _ if is_many => {
                    return Err(self.wrong(value, "write a text or a number, or several in [ ]", None));
                }
                _ => return Err(self.wrong(value, "write a text or a number", None)),
            };
            let is_path = option.get_value_parser().type_id() == ValueParser::path_buf().type_id();
            let text = if is_path { self.folder.join(text).into_os_string() } else { text.into() };
            let mut word = OsString::from(format!("--{long}="));
            word.push(text);
            self.try_alone(&word, value)?;
            Ok(word)
        };
        values.into_iter().map(word).collect()
    }

    /// Whether the option takes the value, whatever else it needs.
    fn try_alone(&self, word: &OsString, value: &Spanned<Value>) -> Result<(), ScenarioError> {
        let alone = [OsString::from(VERB), OsString::from("http://127.0.0.1/"), word.clone()];
        match command().try_get_matches_from(alone) {
            Err(error) if matches!(error.kind(), ErrorKind::InvalidValue | ErrorKind::ValueValidation) => {
                // The line says which option it is.
                let said = without_usage(&error);
                let of_option = said.split_once(" for '--").and_then(|(before, rest)| {
                    rest.split_once('\'').map(|(_, behind)| format!("{before}{behind}"))
                });
                Err(self.wrong(value, &of_option.unwrap_or(said), None))
            }
            _ => Ok(()),
        }
    }

    fn requests(
        &self,
        written: Vec<Spanned<WrittenRequest>>,
        given: &Given,
    ) -> Result<Vec<Template>, ScenarioError> {
        let Some(first) = written.first() else { return Ok(Vec::new()) };
        if let Some(other) = INSTEAD_OF_REQUESTS.into_iter().find(|id| given.has(id)) {
            let what = format!("[[request]] and --{} cannot be used together", other.replace('_', "-"));
            return Err(self.wrong(first, &what, None));
        }
        if written.iter().all(|request| request.get_ref().weight == 0) {
            return Err(self.wrong(first, "the weight of every request is 0", None));
        }
        written.into_iter().map(|request| self.request(request)).collect()
    }

    fn request(&self, written: Spanned<WrittenRequest>) -> Result<Template, ScenarioError> {
        let place = written.span();
        let WrittenRequest { name, method, path, headers, body, weight } = written.into_inner();
        let text = |body: Spanned<Value>| match body.get_ref() {
            Value::String(text) => Ok(text.clone()),
            value => match json(value) {
                Some(json) => Ok(json.to_string()),
                None => Err(self.wrong(&body, "JSON has no such number", None)),
            },
        };
        let body = body.map(text).transpose()?.map(Bytes::from);
        let request = Template { name, method, path, headers, body, weight };
        match request.what_is_wrong() {
            Some(what) => Err(ScenarioError::at(self.name, self.text, place, what, None)),
            None => Ok(request),
        }
    }
}

/// A value as JSON has it, a time as text; `None` of a number that JSON does not have.
fn json(value: &Value) -> Option<serde_json::Value> {
    Some(match value {
        Value::String(text) => text.as_str().into(),
        Value::Integer(number) => (*number).into(),
        Value::Float(number) => serde_json::Number::from_f64(*number)?.into(),
        Value::Boolean(is_so) => (*is_so).into(),
        Value::Datetime(time) => time.to_string().into(),
        Value::Array(values) => serde_json::Value::Array(values.iter().map(json).collect::<Option<_>>()?),
        Value::Table(table) => {
            let pairs = table.iter().map(|(name, value)| Some((name.clone(), json(value)?)));
            serde_json::Value::Object(pairs.collect::<Option<_>>()?)
        }
    })
}
