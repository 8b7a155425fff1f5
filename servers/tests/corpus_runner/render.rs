//! What statements come to: bytes, and what is done with them.

use super::encode;
use super::escape::{Line, Part};
use super::script::{Statement, Step, Wrapping};

/// Bytes that one input may come to, at most: more would be a slip of the pen.
const BYTES_MAX: usize = 64 << 20;

/// The steps of statements, for a server that is found under this host.
pub(super) fn steps(statements: &[Statement], host: &str) -> Vec<Step> {
    let mut rendered = Rendered { host, steps: Vec::new(), bytes: Vec::new() };
    rendered.add(statements, 0);
    rendered.flush();
    rendered.steps
}

struct Rendered<'a> {
    host: &'a str,
    steps: Vec<Step>,
    /// What is not sent yet.
    bytes: Vec<u8>,
}

impl Rendered<'_> {
    fn flush(&mut self) {
        if !self.bytes.is_empty() {
            self.steps.push(Step::Send(std::mem::take(&mut self.bytes)));
        }
    }

    fn add(&mut self, statements: &[Statement], round: u64) {
        for statement in statements {
            self.add_one(statement, round);
            assert!(self.bytes.len() < BYTES_MAX, "an input of more than {BYTES_MAX} bytes");
        }
    }

    fn add_one(&mut self, statement: &Statement, round: u64) {
        match statement {
            Statement::Text(parts) => self.bytes.extend(filled(parts, round, self.host)),
            Statement::Bytes(bytes) => self.bytes.extend(bytes),
            Statement::Times(times, inner) => match &inner[..] {
                // The same bytes every time: thousands of brackets, and megabytes of filling.
                [one] if is_constant(one) => {
                    let before = self.bytes.len();
                    self.add_one(one, 0);
                    let once = self.bytes.split_off(before);
                    self.bytes.extend(once.repeat(usize::try_from(*times).unwrap()));
                }
                inner => (0..*times).for_each(|round| self.add(inner, round)),
            },
            Statement::Wrapped(wrapping, inner) => {
                let mut within = Rendered { host: self.host, steps: Vec::new(), bytes: Vec::new() };
                within.add(inner, round);
                self.bytes.extend(wrapping.around(&within.bytes, round, self.host));
            }
            Statement::Upgrade { path, subprotocol } => {
                self.bytes.extend(encode::upgrade_request(path, subprotocol, self.host));
                self.flush();
                self.steps.push(Step::Upgraded);
            }
            Statement::Request { method, path } => {
                let fields = [
                    (":method", &method[..]),
                    (":scheme", "http"),
                    (":path", &path[..]),
                    (":authority", self.host),
                ];
                let fields = fields.map(|(name, value)| encode::field(name.as_bytes(), value.as_bytes()));
                self.bytes.extend(fields.concat());
            }
            Statement::Field { name, value } => {
                let value = filled(value, round, self.host);
                self.bytes.extend(encode::field(name.as_bytes(), &value));
            }
            Statement::Send if self.bytes.is_empty() => self.steps.push(Step::Send(Vec::new())),
            Statement::Send => self.flush(),
            Statement::Pause(span) => {
                self.flush();
                self.steps.push(Step::Pause(*span));
            }
            Statement::HalfClose => {
                self.flush();
                self.steps.push(Step::HalfClose);
            }
        }
    }
}

fn is_constant(statement: &Statement) -> bool {
    match statement {
        Statement::Text(parts) => !parts.iter().any(|part| matches!(part, Part::Round(_))),
        Statement::Bytes(_) => true,
        _ => false,
    }
}

fn filled(parts: &[Part], round: u64, host: &str) -> Vec<u8> {
    let bytes = |part: &Part| match part {
        Part::Bytes(bytes) => bytes.clone(),
        Part::Round(line) => line.at(round).to_string().into_bytes(),
        Part::Host => host.as_bytes().to_vec(),
    };
    parts.iter().flat_map(bytes).collect()
}

impl Wrapping {
    fn around(&self, bytes: &[u8], round: u64, host: &str) -> Vec<u8> {
        let at = |line: &Line| u32::try_from(line.at(round)).unwrap_or(u32::MAX);
        match self {
            Wrapping::Get => encode::get(bytes, host),
            Wrapping::Post { path, media_type } => encode::post(path, media_type, host, bytes),
            Wrapping::GraphQl { persisted } => {
                let body = encode::graphql_body(bytes, *persisted);
                encode::post("/graphql", "application/json", host, &body)
            }
            Wrapping::Json => encode::json_string(bytes),
            Wrapping::Percent => encode::percent(bytes),
            Wrapping::Chunk => encode::chunk(bytes),
            Wrapping::WebSocket { first } => encode::websocket_frame(*first, bytes),
            Wrapping::Frame { kind, id } => encode::frame(*kind, at(id), bytes),
            Wrapping::H2 { kind, flags, stream } => encode::h2_frame(*kind, *flags, at(stream), bytes),
            Wrapping::LongField { name } => encode::field(name.as_bytes(), bytes),
            Wrapping::Grpc { flag } => encode::grpc_message(*flag, bytes),
        }
    }
}
