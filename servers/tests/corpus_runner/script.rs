//! The part of a file behind its head: statements, and the steps that they come to.

use std::time::Duration;

use super::encode;
use super::escape::{self, Line, Part, number};
use super::render;

/// A statement.
#[derive(Debug, Clone)]
pub(super) enum Statement {
    Text(Vec<Part>),
    Bytes(Vec<u8>),
    Times(u64, Vec<Statement>),
    Wrapped(Wrapping, Vec<Statement>),
    Upgrade { path: String, subprotocol: String },
    Request { method: String, path: String },
    Field { name: String, value: Vec<Part> },
    Send,
    Pause(Duration),
    HalfClose,
}

/// What a block puts around the bytes within it.
#[derive(Debug, Clone)]
pub(super) enum Wrapping {
    Get,
    Post { path: String, media_type: String },
    GraphQl { persisted: bool },
    Json,
    Percent,
    Chunk,
    WebSocket { first: u8 },
    Frame { kind: u8, id: Line },
    H2 { kind: u8, flags: u8, stream: Line },
    LongField { name: String },
    Grpc { flag: u8 },
}

/// What is done on a connection, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Sends bytes; one datagram, where datagrams are spoken.
    Send(Vec<u8>),
    /// Waits until the server has said 101.
    Upgraded,
    Pause(Duration),
    /// Says that no more comes, and still reads.
    HalfClose,
}

/// The statements of a file.
#[derive(Debug, Clone)]
pub(crate) struct Script(Vec<Statement>);

/// What is wrong, and in which line of those that were given (from 0).
pub(crate) type Wrong = (usize, String);

impl Script {
    pub(crate) fn parse(lines: &[&str]) -> Result<Script, Wrong> {
        let mut parser = Parser { lines, at: 0 };
        let statements = parser.block(None)?;
        Ok(Script(statements))
    }

    /// The steps, for a server that is found under this host.
    pub(crate) fn steps(&self, host: &str) -> Vec<Step> {
        render::steps(&self.0, host)
    }
}

struct Parser<'a> {
    lines: &'a [&'a str],
    at: usize,
}

impl Parser<'_> {
    /// Statements up to the `end` of the block that began in a line, or up to the last line.
    fn block(&mut self, began: Option<usize>) -> Result<Vec<Statement>, Wrong> {
        let mut statements = Vec::new();
        while let Some(line) = self.lines.get(self.at) {
            let at = self.at;
            self.at += 1;
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if *line == "end" && began.is_some() {
                return Ok(statements);
            }
            statements.push(self.statement(line, at)?);
        }
        match began {
            Some(line) => Err((line, "this block has no `end`".to_owned())),
            None => Ok(statements),
        }
    }

    fn statement(&mut self, line: &str, at: usize) -> Result<Statement, Wrong> {
        let here = |problem: String| (at, problem);
        if let Some(text) = line.strip_prefix('|') {
            let text = text.strip_prefix(' ').unwrap_or(text);
            return escape::parse(text).map(Statement::Text).map_err(here);
        }
        if let Some(statement) = leaf(line).map_err(here)? {
            return Ok(statement);
        }
        let (head, text) = match line.split_once(" | ") {
            Some((head, text)) => (head, Some(text)),
            None => (line, None),
        };
        let words: Vec<&str> = head.split(' ').collect();
        let wrapping = wrapping(&words).map_err(here)?;
        let inner = match text {
            Some(text) => vec![Statement::Text(escape::parse(text).map_err(here)?)],
            None => self.block(Some(at))?,
        };
        match wrapping {
            Block::Times(times) => Ok(Statement::Times(times, inner)),
            Block::Wrapping(wrapping) if is_bytes(&inner) => Ok(Statement::Wrapped(wrapping, inner)),
            Block::Wrapping(_) => Err(here("only bytes can be within this block".to_owned())),
        }
    }
}

fn is_bytes(statements: &[Statement]) -> bool {
    statements.iter().all(|statement| match statement {
        Statement::Times(_, inner) | Statement::Wrapped(_, inner) => is_bytes(inner),
        Statement::Send | Statement::Pause(_) | Statement::HalfClose | Statement::Upgrade { .. } => false,
        _ => true,
    })
}

/// A statement of one line; `None` where it begins a block.
fn leaf(line: &str) -> Result<Option<Statement>, String> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let words: Vec<&str> = rest.split(' ').collect();
    Ok(Some(match (word, &words[..]) {
        ("hex", pairs) => Statement::Bytes(pairs.iter().map(|pair| hex(pair)).collect::<Result<_, _>>()?),
        ("random", [count, "seed", seed]) => {
            let count = usize::try_from(count_of(count)?).map_err(|error| error.to_string())?;
            Statement::Bytes(encode::random(count, count_of(seed)?))
        }
        ("magic", [""]) => Statement::Bytes(encode::MAGIC.to_vec()),
        ("preface", [""]) => Statement::Bytes(encode::preface()),
        ("upgrade", [path, subprotocol]) => {
            Statement::Upgrade { path: (*path).to_owned(), subprotocol: (*subprotocol).to_owned() }
        }
        ("request", [method, path]) => {
            Statement::Request { method: (*method).to_owned(), path: (*path).to_owned() }
        }
        ("field", [name, ..]) => {
            let value = rest.strip_prefix(*name).unwrap_or_default();
            let value = escape::parse(value.strip_prefix(' ').unwrap_or(value))?;
            Statement::Field { name: (*name).to_owned(), value }
        }
        ("send", [""]) => Statement::Send,
        ("pause", [ms, "ms"]) => Statement::Pause(Duration::from_millis(count_of(ms)?)),
        ("half-close", [""]) => Statement::HalfClose,
        _ => return Ok(None),
    }))
}

fn count_of(text: &str) -> Result<u64, String> {
    number(text).ok_or_else(|| format!("`{text}` is no number"))
}

fn byte_of(text: &str) -> Result<u8, String> {
    let number = count_of(text)?;
    u8::try_from(number).map_err(|_| format!("{number} does not fit a byte"))
}

fn hex(pair: &str) -> Result<u8, String> {
    let byte = u8::from_str_radix(pair, 16).ok().filter(|_| pair.len() == 2);
    byte.ok_or_else(|| format!("`{pair}` is no byte of two hexadecimal digits"))
}

enum Block {
    Times(u64),
    Wrapping(Wrapping),
}

/// What a line that begins a block says.
fn wrapping(words: &[&str]) -> Result<Block, String> {
    let owned = |word: &str| word.to_owned();
    Ok(Block::Wrapping(match words {
        [count, "times"] => return Ok(Block::Times(count_of(count)?)),
        ["get"] => Wrapping::Get,
        ["post", path] => Wrapping::Post { path: owned(path), media_type: owned("application/json") },
        ["post", path, kind] => Wrapping::Post { path: owned(path), media_type: owned(kind) },
        ["graphql"] => Wrapping::GraphQl { persisted: false },
        ["persisted"] => Wrapping::GraphQl { persisted: true },
        ["json"] => Wrapping::Json,
        ["percent"] => Wrapping::Percent,
        ["chunk"] => Wrapping::Chunk,
        ["text"] => Wrapping::WebSocket { first: 0x81 },
        ["binary"] => Wrapping::WebSocket { first: 0x82 },
        ["websocket", first] => Wrapping::WebSocket { first: byte_of(first)? },
        ["frame", kind, id] => Wrapping::Frame { kind: byte_of(kind)?, id: Line::parse(id)? },
        ["h2", kind, flags, stream] => {
            Wrapping::H2 { kind: h2_kind(kind)?, flags: byte_of(flags)?, stream: Line::parse(stream)? }
        }
        ["long-field", name] => Wrapping::LongField { name: owned(name) },
        ["grpc", flag] => Wrapping::Grpc { flag: byte_of(flag)? },
        _ => return Err(format!("`{}` is no statement: README.md lists them", words.join(" "))),
    }))
}

fn h2_kind(name: &str) -> Result<u8, String> {
    const NAMES: [&str; 10] = [
        "data",
        "headers",
        "priority",
        "reset",
        "settings",
        "push",
        "ping",
        "goaway",
        "window",
        "continuation",
    ];
    match NAMES.iter().position(|known| *known == name) {
        Some(kind) => Ok(kind as u8),
        None => byte_of(name),
    }
}
