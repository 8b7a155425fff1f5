//! Single calls, for who keeps each of them.

use crate::Failure;

/// What became of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneCall {
    /// When it was due, in nanoseconds after the start of the measured time.
    pub due_ns: u64,
    /// From when it was due until the load engine picked it up, in nanoseconds.
    pub lag_ns: u64,
    /// From then until it was sent, in nanoseconds; `None` where it never was.
    pub wait_ns: Option<u64>,
    /// From when it was due to its reply, or until it failed, in nanoseconds.
    pub response_ns: u64,
    /// Why it failed; `None` where it succeeded.
    pub failure: Option<Failure>,
    /// The HTTP or gRPC status of its reply, where there is one.
    pub status: Option<u16>,
    /// Bytes of the reply's body, where they are counted.
    pub bytes: u64,
    /// Its turn: the requests that are sent in turn are gone round.
    pub turn: usize,
}
