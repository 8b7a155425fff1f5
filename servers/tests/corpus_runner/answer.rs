//! What a right answer is, and whether what was heard is one.

use std::fmt;

use proto::frame::Kind;
use proto::v1::FaultCode;

use super::heard::{Heard, Said, Speech, fault_code};

/// Error codes of HTTP/2 by number (RFC 9113, section 7).
const H2_ERRORS: [&str; 14] = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];

/// Alternatives, each of which is right; of one, every part must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answers {
    text: String,
    alternatives: Vec<Vec<Answer>>,
}

/// One part of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    Any,
    Silence,
    Closed,
    Refused,
    Statuses(Vec<Status>),
    Errors,
    Data,
    Reset(Option<u32>),
    GoAway(Option<u32>),
    Grpc(u16),
    Close(u16),
    Message,
    Fault(FaultCode),
    Frame(Kind),
    Alert,
}

/// A status of HTTP, or all of its hundred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Exactly(u16),
    Hundred(u16),
}

impl Status {
    fn parse(text: &str) -> Option<Status> {
        match text.strip_suffix("xx") {
            Some(hundred) => hundred.parse().ok().map(Status::Hundred),
            None => text.parse().ok().filter(|status| (100..600).contains(status)).map(Status::Exactly),
        }
    }

    fn fits(self, status: u16) -> bool {
        match self {
            Status::Exactly(exactly) => status == exactly,
            Status::Hundred(hundred) => status / 100 == hundred,
        }
    }
}

/// How an answer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    Right,
    Wrong,
    /// More must come, or the time must end.
    Open,
}

use Judgement::{Open, Right, Wrong};

fn right_if(right: bool) -> Judgement {
    if right { Right } else { Open }
}

impl Answers {
    /// Reads `400`, `4xx or closed`, `fault limit and closed`, `200, 400`.
    pub(crate) fn parse(text: &str) -> Result<Answers, String> {
        let parts = |alternative: &str| alternative.split(" and ").map(Answer::parse).collect();
        let alternatives = text.split(" or ").map(parts).collect::<Result<_, _>>()?;
        Ok(Answers { text: text.to_owned(), alternatives })
    }

    fn has(&self, answer: &Answer) -> bool {
        self.alternatives.iter().flatten().any(|part| part == answer)
    }

    /// Whether every answer is right.
    pub(crate) fn allow_any(&self) -> bool {
        self.has(&Answer::Any)
    }

    /// Whether it takes time to see that an answer is right: nothing may come.
    pub(crate) fn allow_silence(&self) -> bool {
        self.has(&Answer::Silence)
    }

    pub(crate) fn judge(&self, heard: &Heard) -> Judgement {
        let all = |parts: &Vec<Answer>| {
            let parts: Vec<Judgement> = parts.iter().map(|part| part.judge(heard)).collect();
            [Wrong, Open].into_iter().find(|judgement| parts.contains(judgement)).unwrap_or(Right)
        };
        let judged: Vec<Judgement> = self.alternatives.iter().map(all).collect();
        [Right, Open].into_iter().find(|judgement| judged.contains(judgement)).unwrap_or(Wrong)
    }
}

impl fmt::Display for Answers {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl Answer {
    fn parse(text: &str) -> Result<Answer, String> {
        let wrong = || format!("`{text}` is no answer: README.md lists them");
        let words: Vec<&str> = text.split(' ').collect();
        Ok(match words[..] {
            ["any"] => Answer::Any,
            ["silence"] => Answer::Silence,
            ["closed"] => Answer::Closed,
            ["refused"] => Answer::Refused,
            ["errors"] => Answer::Errors,
            ["data"] => Answer::Data,
            ["message"] => Answer::Message,
            ["alert"] => Answer::Alert,
            ["reset"] => Answer::Reset(None),
            ["goaway"] => Answer::GoAway(None),
            ["reset", code] => Answer::Reset(Some(h2_error(code)?)),
            ["goaway", code] => Answer::GoAway(Some(h2_error(code)?)),
            ["grpc", code] => Answer::Grpc(code.parse().map_err(|_| wrong())?),
            ["close", code] => Answer::Close(code.parse().map_err(|_| wrong())?),
            ["fault", code] => {
                let name = format!("FAULT_CODE_{}", code.to_ascii_uppercase());
                Answer::Fault(FaultCode::from_str_name(&name).ok_or_else(wrong)?)
            }
            ["frame", kind] => {
                let kind = serde_json::from_value(kind.into()).map_err(|_| wrong())?;
                Answer::Frame(kind)
            }
            _ => {
                let statuses = text.split(", ").map(Status::parse).collect::<Option<_>>();
                Answer::Statuses(statuses.ok_or_else(wrong)?)
            }
        })
    }

    fn judge(&self, heard: &Heard) -> Judgement {
        match self {
            Answer::Any => Right,
            Answer::Silence if heard.is_silent() => Right,
            Answer::Silence => Wrong,
            Answer::Closed if is_served(heard) => Wrong,
            Answer::Closed => right_if(heard.closed),
            Answer::Refused if is_served(heard) => Wrong,
            Answer::Refused => right_if(is_refused(heard)),
            Answer::Statuses(expected) => statuses(expected, heard),
            Answer::Errors => graphql(heard, true),
            Answer::Data => graphql(heard, false),
            Answer::Reset(code) => codes(heard, *code, |http2| &http2.resets),
            Answer::GoAway(code) => codes(heard, *code, |http2| &http2.goaways),
            Answer::Grpc(code) => match heard.http2().map(|http2| http2.grpc_statuses) {
                Some(said) if said.contains(code) => Right,
                Some(said) if !said.is_empty() => Wrong,
                _ => Open,
            },
            Answer::Close(code) => right_if(heard.said().contains(&Said::Close(Some(*code)))),
            Answer::Message => right_if(heard.said().iter().any(|said| !matches!(said, Said::Close(_)))),
            Answer::Fault(code) => right_if(heard.said().iter().any(|said| match said {
                Said::Frame(Kind::Fault, payload) => fault_code(payload) == Some(*code),
                _ => false,
            })),
            Answer::Frame(kind) => {
                right_if(heard.said().iter().any(|said| matches!(said, Said::Frame(said, _) if said == kind)))
            }
            Answer::Alert => right_if(heard.bytes.first() == Some(&21)),
        }
    }
}

fn h2_error(name: &str) -> Result<u32, String> {
    let code = H2_ERRORS.iter().position(|known| *known == name);
    code.map(|code| code as u32).ok_or_else(|| format!("`{name}` is no error of HTTP/2"))
}

/// Whether something was done that was asked over HTTP.
fn is_served(heard: &Heard) -> bool {
    heard.statuses().iter().any(|status| *status < 400 && *status != 100)
}

fn is_refused(heard: &Heard) -> bool {
    let said = heard.http2().is_some_and(|http2| !http2.resets.is_empty() || !http2.goaways.is_empty());
    heard.closed || said || heard.statuses().iter().any(|status| *status >= 400)
}

/// One status is expected of every stream of HTTP/2; more are expected in this order, and no more.
fn statuses(expected: &[Status], heard: &Heard) -> Judgement {
    let said = heard.statuses();
    if let ([one], Some(_)) = (expected, heard.http2()) {
        return match said.iter().all(|status| one.fits(*status)) {
            true => right_if(!said.is_empty()),
            false => Wrong,
        };
    }
    let fit = said.len() <= expected.len()
        && said.iter().zip(expected).all(|(status, expected)| expected.fits(*status));
    if fit { right_if(said.len() == expected.len()) } else { Wrong }
}

/// Whether GraphQL answered: with errors, or with data and none.
fn graphql(heard: &Heard, errors: bool) -> Judgement {
    let texts: Vec<String> = if heard.speech == Speech::WebSocket {
        // The others open, keep up and end what is answered.
        let is_answer =
            |text: &String| [r#""type":"next""#, r#""type":"error""#].iter().any(|kind| text.contains(kind));
        let text = |said: Said| match said {
            Said::Text(text) => Some(text).filter(is_answer),
            Said::Frame(..) | Said::Close(_) => None,
        };
        heard.said().into_iter().filter_map(text).collect()
    } else {
        let responses = heard.http1();
        if responses.iter().any(|response| response.status != 200) {
            return Wrong;
        }
        let body = |body: Vec<u8>| String::from_utf8_lossy(&body).into_owned();
        responses.into_iter().filter_map(|response| response.body).map(body).collect()
    };
    let failed = |text: &String| text.contains(r#""errors":["#) || text.contains(r#""type":"error""#);
    let fits = |text: &String| failed(text) == errors && (errors || text.contains(r#""data":"#));
    if texts.iter().all(fits) { right_if(!texts.is_empty()) } else { Wrong }
}

fn codes(heard: &Heard, code: Option<u32>, of: impl Fn(&super::http2::Http2) -> &Vec<u32>) -> Judgement {
    let Some(http2) = heard.http2() else { return Open };
    right_if(of(&http2).iter().any(|said| code.is_none_or(|code| *said == code)))
}
