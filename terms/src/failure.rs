//! How calls fail.

use std::fmt;

/// Failures by kind, as they are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// Connection refused.
    Refused,
    /// Connection lost.
    Reset,
    /// No reply by the deadline.
    TimedOut,
    /// A reply to something else.
    WrongReply,
    /// Not the protocol.
    Protocol,
    /// Answered with a status or a body that is no success.
    Status,
    /// This machine's own limit: open files, ports, memory.
    Client,
    /// Over a limit.
    Limit,
    /// Refused by the market.
    Rejected,
    /// Never sent: too many arrivals waited already, or it waited for too long to be answered in
    /// time.
    Dropped,
    /// A pushed event that did not come in time.
    Missed,
}

impl Failure {
    /// All kinds, in the order in which they are shown.
    pub const ALL: [Failure; 11] = [
        Failure::Refused,
        Failure::Reset,
        Failure::TimedOut,
        Failure::WrongReply,
        Failure::Protocol,
        Failure::Status,
        Failure::Client,
        Failure::Limit,
        Failure::Rejected,
        Failure::Dropped,
        Failure::Missed,
    ];

    /// Its name in records.
    pub fn name(self) -> &'static str {
        match self {
            Failure::Refused => "refused",
            Failure::Reset => "reset",
            Failure::TimedOut => "timed_out",
            Failure::WrongReply => "wrong_reply",
            Failure::Protocol => "protocol",
            Failure::Status => "status",
            Failure::Client => "client",
            Failure::Limit => "limit",
            Failure::Rejected => "rejected",
            Failure::Dropped => "dropped",
            Failure::Missed => "missed",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// How long calls took until they failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FailedAfter {
    /// Calls.
    pub n: u64,
    /// The sum of their times from schedule to failure, in nanoseconds.
    pub sum_ns: u64,
    /// The longest of them, in nanoseconds.
    pub max_ns: u64,
}

impl FailedAfter {
    /// Counts a call that failed after so many nanoseconds.
    pub fn record(&mut self, ns: u64) {
        self.merge(&FailedAfter { n: 1, sum_ns: ns, max_ns: ns });
    }

    /// Adds another's.
    pub(crate) fn merge(&mut self, other: &FailedAfter) {
        self.n += other.n;
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
    }
}
