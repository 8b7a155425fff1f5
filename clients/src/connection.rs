//! What the load engine knows of a protocol: a connection that prepares requests and makes calls.

use std::time::Duration;

use proto::v1::FaultCode;
use proto::{Fault, WrongReply};
use terms::Failure;

use crate::limits::{CONNECT_TIME_MAX, SAMPLE_CHARS_MAX};
use crate::phases::Phases;

/// An open connection. Not `Send`: it belongs to one worker on one thread.
///
/// `call` takes `&self`, so that many calls share a connection where the protocol can.
pub trait Connection: 'static {
    /// What a call is made from.
    type Request;
    /// The request, encoded before the run.
    type Prepared: 'static;
    /// The reply, decoded.
    type Reply;

    /// Encodes a request, so that the run does not.
    ///
    /// # Errors
    /// Where the protocol does not offer the operation, or cannot carry it.
    fn prepare(&self, request: &Self::Request) -> Result<Self::Prepared, Unsupported>;

    /// Makes one call and decodes its reply. Dropping the future abandons the call: its reply, if
    /// it comes, is not taken for another's. Where `time_left` is given, a call of the market's
    /// protocols says it to the server.
    fn call(
        &self,
        prepared: &Self::Prepared,
        time_left: Option<Duration>,
    ) -> impl Future<Output = Result<Self::Reply, CallError>>;

    /// Whether another call can be made on it.
    fn is_open(&self) -> bool;

    /// What a reply says of the phases of its call, where it was made from its beginning.
    fn phases(_reply: &Self::Reply) -> Option<&Phases> {
        None
    }

    /// Replies that came after their call was given up, or a second time, on this connection so
    /// far; 0 where the protocol cannot tell them.
    fn late_replies(&self) -> u64 {
        0
    }
}

/// Opens connections of one kind to one server.
pub trait Connector: Clone + 'static {
    /// What it opens.
    type Connection: Connection;

    /// Opens a connection.
    fn connect(&self) -> impl Future<Output = Result<Self::Connection, CallError>>;

    /// Opens a connection that is for one call, and may send the call at once where another would
    /// first say who it is.
    fn connect_for_one_call(&self) -> impl Future<Output = Result<Self::Connection, CallError>> {
        self.connect()
    }

    /// How many calls a connection can have in flight; `None` where the protocol sets no small
    /// bound.
    fn in_flight_max(&self) -> Option<usize>;
}

/// An operation that a protocol does not offer or cannot carry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unsupported(pub String);

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CallError {
    /// Nobody listens there, or it would not have us.
    #[error("cannot connect: {0}")]
    Refused(String),
    /// The connection broke.
    #[error("connection lost: {0}")]
    Reset(String),
    /// No reply by the deadline.
    #[error("no reply within the time-out")]
    TimedOut,
    /// A reply to something else.
    #[error("wrong reply: {0}")]
    WrongReply(#[from] WrongReply),
    /// Bytes that are not the protocol, or a status that is no answer.
    #[error("protocol error: {0}")]
    Protocol(String),
    /// The server, or this client, is over a limit.
    #[error("over a limit: {0}")]
    Limit(String),
    /// The market refused.
    #[error("refused by the market: {0}")]
    Rejected(Fault),
}

impl From<Fault> for CallError {
    fn from(fault: Fault) -> CallError {
        match fault.code {
            FaultCode::Limit => CallError::Limit(fault.detail),
            FaultCode::DeadlineExceeded => CallError::TimedOut,
            _ => CallError::Rejected(fault),
        }
    }
}

impl From<Unsupported> for CallError {
    fn from(error: Unsupported) -> CallError {
        CallError::Protocol(error.to_string())
    }
}

impl CallError {
    /// The kind it is counted under.
    pub fn failure(&self) -> Failure {
        match self {
            CallError::Refused(_) => Failure::Refused,
            CallError::Reset(_) => Failure::Reset,
            CallError::TimedOut => Failure::TimedOut,
            CallError::WrongReply(_) => Failure::WrongReply,
            CallError::Protocol(_) => Failure::Protocol,
            CallError::Limit(_) => Failure::Limit,
            CallError::Rejected(_) => Failure::Rejected,
        }
    }

    /// What is told of it: one line of bounded length. A server that is asked for an error may
    /// answer with a megabyte, or with what a terminal takes for commands.
    pub fn sample(&self) -> String {
        let text = self.to_string();
        let mut told = String::new();
        for character in text.chars().take(SAMPLE_CHARS_MAX) {
            if character.is_control() {
                told.extend(character.escape_default());
            } else {
                told.push(character);
            }
        }
        if text.chars().nth(SAMPLE_CHARS_MAX).is_some() {
            told.push_str(" …");
        }
        told
    }

    /// What an error of the system's means for a call.
    pub(crate) fn from_io(error: &std::io::Error) -> CallError {
        use std::io::ErrorKind;
        let cause = in_plain_words(error);
        match error.kind() {
            ErrorKind::ConnectionRefused | ErrorKind::AddrNotAvailable | ErrorKind::NotFound => {
                CallError::Refused(cause)
            }
            ErrorKind::InvalidData => CallError::Protocol(cause),
            ErrorKind::QuotaExceeded => CallError::Limit(cause),
            _ => CallError::Reset(cause),
        }
    }
}

/// `connection refused`, of the system's `Connection refused (os error 111)`.
fn in_plain_words(error: &std::io::Error) -> String {
    let text = error.to_string();
    if error.raw_os_error().is_none() {
        return text;
    }
    let words = text.split(" (os error ").next().unwrap_or_default();
    words.chars().take(1).flat_map(char::to_lowercase).chain(words.chars().skip(1)).collect()
}

/// Opens a connection, or what there is of it beside, within [`CONNECT_TIME_MAX`].
///
/// # Errors
/// Its own, or that it took longer.
pub(crate) async fn in_time<T>(opening: impl Future<Output = Result<T, CallError>>) -> Result<T, CallError> {
    clock::limit(CONNECT_TIME_MAX, opening).await.unwrap_or_else(|_| {
        let seconds = CONNECT_TIME_MAX.as_secs();
        let silent = format!(
            "no connection within {seconds} s: the server is silent, or does not finish the handshake"
        );
        Err(CallError::Refused(silent))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_its_cause_once() {
        let refused = CallError::from_io(&std::io::Error::from_raw_os_error(nix::libc::ECONNREFUSED));
        assert_eq!(refused.sample(), "cannot connect: connection refused");
    }

    #[test]
    fn a_sample_is_a_line_of_bounded_length() {
        let sample = CallError::Protocol(format!("\u{1b}[2J\r\n{}", "ä".repeat(1 << 20))).sample();
        assert!(sample.starts_with(r"protocol error: \u{1b}[2J\r\nää"), "{sample}");
        assert!(sample.ends_with("ä …") && sample.chars().count() < SAMPLE_CHARS_MAX + 20, "{sample}");
        assert_eq!(CallError::TimedOut.sample(), CallError::TimedOut.to_string());
    }
}
