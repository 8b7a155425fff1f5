//! What the load engine knows of a protocol: a connection that prepares requests and makes calls.

use std::time::Duration;

use proto::v1::FaultCode;
use proto::{Fault, WrongReply};
use terms::{Failure, text};

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

    /// What a reply tells of its call, for the record.
    fn facts(_reply: Self::Reply) -> ReplyFacts {
        ReplyFacts::default()
    }

    /// Waits until another call can be sent at once: what waits here waits in the client, and is no
    /// service of the server's.
    fn place(&self) -> impl Future<Output = ()> {
        std::future::ready(())
    }

    /// Whether something can come on it between calls that must be looked at
    /// ([`Connection::idle`]).
    const LISTENS_IDLE: bool = false;

    /// Looks at what comes while no call is made, and answers it; ends when the connection is lost.
    /// Cancel safe.
    fn idle(&self) -> impl Future<Output = ()> {
        std::future::pending()
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

    /// Time in which a connection must be there, every handshake done.
    fn opening_time(&self) -> Duration {
        CONNECT_TIME_MAX
    }

    /// How many calls a connection can have in flight; `None` where the protocol sets no small
    /// bound.
    fn in_flight_max(&self) -> Option<usize>;
}

/// What a reply tells of its call.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReplyFacts {
    /// The phases of a call that was made from its beginning.
    pub phases: Option<Phases>,
    /// Its HTTP or gRPC status, where the protocol has one.
    pub status: Option<u16>,
    /// Bytes of the reply's body, where they are counted and not decoded.
    pub bytes: usize,
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
    /// No connection was free before its time was over, or too late for a reply.
    #[error("never sent: no connection was free in time")]
    NotSent,
    /// The server says, or shows, that it did not process the call: it can be made again on another
    /// connection (RFC 9113, section 8.7; RFC 9112, section 9.3.1).
    #[error("{0}")]
    Unprocessed(Box<CallError>),
    /// A status, or a body, that is not what was expected.
    #[error("{what}")]
    Status {
        /// The status.
        status: u16,
        /// Bytes of its body.
        bytes: usize,
        /// What is wrong with the reply, in words.
        what: String,
    },
    /// This machine is over a limit of its own.
    #[error("this machine: {0}")]
    Client(String),
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
            CallError::NotSent => Failure::Dropped,
            CallError::Unprocessed(error) => error.failure(),
            CallError::Status { .. } => Failure::Status,
            CallError::Client(_) => Failure::Client,
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
        if let Some(own) = own_limit(error) {
            return CallError::Client(own);
        }
        let cause = in_plain_words(error);
        match error.kind() {
            ErrorKind::ConnectionRefused
            | ErrorKind::NotFound
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable => CallError::Refused(cause),
            ErrorKind::InvalidData => CallError::Protocol(cause),
            ErrorKind::QuotaExceeded => CallError::Limit(cause),
            _ => CallError::Reset(cause),
        }
    }
}

/// Which limit of this machine's an error of the system's is, and what helps; `None` of others.
fn own_limit(error: &std::io::Error) -> Option<String> {
    use nix::libc;
    let helps = match error.raw_os_error()? {
        libc::EMFILE => "allow this process more open files (`ulimit -n 65536`), or use fewer connections",
        libc::ENFILE => "allow more open files (`sysctl fs.file-max`), or use fewer connections",
        libc::EADDRNOTAVAIL | libc::EADDRINUSE => {
            "this machine has no such address, or no local port is left: widen `sysctl net.ipv4.ip_local_port_range`, use more source \
             addresses, or make fewer new connections"
        }
        libc::ENOBUFS | libc::ENOMEM => "the system has no memory left for it: use fewer connections",
        libc::EACCES | libc::EPERM => "the system, or a packet filter, forbids it",
        _ => return None,
    };
    Some(format!("{}: {helps}", in_plain_words(error)))
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

/// Opens a connection, or what there is of it beside, within a time.
///
/// # Errors
/// Its own, or that it took longer.
pub(crate) async fn in_time<T>(
    time: Duration,
    opening: impl Future<Output = Result<T, CallError>>,
) -> Result<T, CallError> {
    clock::limit(time, opening).await.unwrap_or_else(|_| Err(no_connection(time)))
}

/// Says that no connection was there in time.
pub(crate) fn no_connection(time: Duration) -> CallError {
    let time = text::exact(time);
    CallError::Refused(format!(
        "no connection within {time}: the server is silent, or does not finish the handshake"
    ))
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
