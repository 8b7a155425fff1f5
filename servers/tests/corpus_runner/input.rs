//! A file of the corpus: its head and its script. README.md beside the files says how they are
//! written.

use std::fmt;
use std::path::{Path, PathBuf};

use proto::{Protocol, Transport};

use super::answer::Answers;
use super::script::{Script, Step};

/// Connections that an input may open, at most.
const CONNECTIONS_MAX: usize = 400;

/// A file that is no input, with the line that is wrong.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CorpusError {
    pub(crate) file: PathBuf,
    /// Counted from 1.
    pub(crate) line: usize,
    pub(crate) problem: String,
}

impl fmt::Display for CorpusError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.file.display(), self.line, self.problem)
    }
}

/// A server by what it speaks, and what that is carried over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Served {
    pub(crate) protocol: Protocol,
    pub(crate) transport: Transport,
}

impl Served {
    /// Reads `rest`, or `rest over tls`.
    pub(crate) fn parse(text: &str) -> Result<Served, String> {
        let (name, over) = text.split_once(" over ").unwrap_or((text, ""));
        let protocol = Protocol::ALL.into_iter().find(|protocol| protocol.name() == name);
        let protocol = protocol.ok_or_else(|| format!("there is no protocol `{name}`"))?;
        let transports = [Transport::Plain, Transport::Tls, Transport::Quic];
        let transport = match over {
            "" => Some(protocol.transports()[0]),
            over => transports.into_iter().find(|transport| transport.name() == over),
        };
        let carried = transport.filter(|transport| protocol.transports().contains(transport));
        let transport = carried.ok_or_else(|| format!("{name} is not carried over `{over}`"))?;
        Ok(Served { protocol, transport })
    }

    /// Whether it is reached by datagrams.
    pub(crate) fn is_datagrams(self) -> bool {
        self.protocol == Protocol::Udp || self.transport == Transport::Quic
    }
}

impl fmt::Display for Served {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} over {}", self.protocol.name(), self.transport.name())
    }
}

/// One input.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    pub(crate) file: PathBuf,
    pub(crate) servers: Vec<Served>,
    pub(crate) tries: String,
    pub(crate) answers: Answers,
    pub(crate) connections: usize,
    /// Whether what the server says is read.
    pub(crate) reads: bool,
    script: Script,
}

impl Input {
    /// Reads a file.
    pub(crate) fn read(file: &Path) -> Result<Input, CorpusError> {
        let text = std::fs::read_to_string(file).map_err(|error| CorpusError {
            file: file.to_owned(),
            line: 1,
            problem: error.to_string(),
        })?;
        Input::parse(file, &text)
    }

    /// Reads the text of a file.
    pub(crate) fn parse(file: &Path, text: &str) -> Result<Input, CorpusError> {
        let wrong = |line: usize, problem: String| CorpusError { file: file.to_owned(), line, problem };
        let lines: Vec<&str> = text.lines().collect();
        let head = lines.iter().position(|line| line.is_empty());
        let head = head.ok_or_else(|| wrong(lines.len(), "no blank line ends the head".to_owned()))?;
        let script =
            Script::parse(&lines[head + 1..]).map_err(|(line, problem)| wrong(head + 2 + line, problem))?;
        let mut fields = Fields::default();
        for (line, number) in lines[..head].iter().zip(1..) {
            fields.take(line).map_err(|problem| wrong(number, problem))?;
        }
        fields.input(file, script).map_err(|problem| wrong(head + 1, problem))
    }

    /// What is done on each connection to a server at this address.
    pub(crate) fn steps(&self, host: &str) -> Vec<Step> {
        self.script.steps(host)
    }
}

/// The lines of a head, as far as they were read.
#[derive(Default)]
struct Fields {
    servers: Vec<Served>,
    tries: Option<String>,
    answers: Option<Answers>,
    connections: Option<usize>,
    reads: Option<bool>,
}

impl Fields {
    fn take(&mut self, line: &str) -> Result<(), String> {
        let (key, value) = line.split_once(": ").ok_or_else(|| format!("`{line}` is no `key: value`"))?;
        let twice = match key {
            "protocol" => {
                let servers = value.split(", ").map(Served::parse).collect::<Result<_, _>>()?;
                !std::mem::replace(&mut self.servers, servers).is_empty()
            }
            "tries" => self.tries.replace(value.to_owned()).is_some(),
            "answer" => self.answers.replace(Answers::parse(value)?).is_some(),
            "connections" => {
                let count = value.parse().ok().filter(|count| (1..=CONNECTIONS_MAX).contains(count));
                let count = count.ok_or_else(|| format!("connections are 1 to {CONNECTIONS_MAX}"))?;
                self.connections.replace(count).is_some()
            }
            "reads" => {
                let reads = match value {
                    "yes" => true,
                    "no" => false,
                    other => return Err(format!("reads is yes or no, and not `{other}`")),
                };
                self.reads.replace(reads).is_some()
            }
            other => return Err(format!("there is no key `{other}`: README.md lists them")),
        };
        if twice { Err(format!("`{key}` stands twice")) } else { Ok(()) }
    }

    fn input(self, file: &Path, script: Script) -> Result<Input, String> {
        let missing = |key: &str| format!("the head has no `{key}`");
        let answers = self.answers.ok_or_else(|| missing("answer"))?;
        let reads = self.reads.unwrap_or(true);
        if !reads && !answers.allow_any() {
            return Err("what is not read cannot be judged: its answer is any".to_owned());
        }
        if self.servers.is_empty() {
            return Err(missing("protocol"));
        }
        Ok(Input {
            file: file.to_owned(),
            servers: self.servers,
            tries: self.tries.ok_or_else(|| missing("tries"))?,
            answers,
            connections: self.connections.unwrap_or(1),
            reads,
            script,
        })
    }
}
