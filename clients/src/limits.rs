//! The bounds of everything that calls, the same for every protocol where it has such a thing at
//! all. Past one, a call fails and says so, or its connection is replaced; the load goes on, and
//! ends by its time. `docs/PROTOCOLS.md` states them for people.

use std::time::Duration;

use proto::Capability;

use crate::connection::CallError;

/// Time in which a connection must be there: its address found, accepted, every handshake done. TCP
/// sends its first packet four times in it (RFC 6298).
pub(crate) const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);
/// Time behind the last call's time-out after which a round is over, whatever still runs. The
/// watchdog ends calls sooner; this is for a future that would not be ended.
pub(crate) const END_GRACE: Duration = Duration::from_secs(2);
/// Time that a connection nobody uses any more has to send what waits, and its goodbye.
pub(crate) const LINGER_TIME_MAX: Duration = Duration::from_secs(1);
/// Pause before an event source asks again, at least: a server that says 0 and ends at once is not
/// asked without end.
pub(crate) const RETRY_MIN: Duration = Duration::from_millis(1);
/// The longest pause before a reconnection that an event stream may ask for.
pub(crate) const RETRY_MAX: Duration = Duration::from_secs(30);

/// Bytes of the fields of a reply's head, over HTTP/2 and HTTP/3. Over HTTP/1.1 the library has its
/// own bounds, 100 fields and 408 KiB, and for the handshake of a WebSocket 124 fields and 64 KiB:
/// each reads the head in place, and giving it another bound would cost an allocation a reply.
pub(crate) const HEAD_BYTES_MAX: u32 = 64 << 10;
/// Heads on one HTTP/2 connection that came since a call last got one: twice the calls that can be
/// in flight on it (`--in-flight`), with a head and trailers each. Interim ones (1xx) are kept by
/// the library until the last one comes.
pub(crate) const HEADS_AHEAD_MAX: usize = 40_000;
/// Interim heads (1xx) before a reply of HTTP/3.
pub(crate) const INTERIM_HEADS_MAX: usize = 100;
/// Bytes on a stream of an HTTP/3 connection that carries no reply, in all: its settings have
/// twenty.
pub(crate) const CONTROL_BYTES_MAX: usize = 64 << 10;
/// Bytes of a reply that is counted and not decoded, as those of foreign servers are.
pub(crate) const COUNTED_BYTES_MAX: usize = 16 << 20;
/// Bytes of a reply that is decoded, and of a request: three times the largest reply of the market,
/// a history of ten thousand candles in JSON.
pub(crate) const REPLY_BYTES_MAX: usize = 4 << 20;
/// Bytes of replies that a thread collects at once, of all its connections.
pub(crate) const REPLIES_BYTES_MAX: usize = 256 << 20;
/// Bytes of one pushed event: of a message of a subscription or session, of an event of SSE. Those
/// of the market have a hundred or two.
pub(crate) const EVENT_BYTES_MAX: usize = 64 << 10;
/// Events of one subscription or session that may wait to be taken; past it the feed ends with an
/// error, rather than holding up the calls beside it.
pub(crate) const EVENTS_WAITING_MAX: usize = 1_024;
/// Bytes that a connection reads in one turn, before the others have theirs: a server can make two
/// of them a frame.
pub(crate) const TURN_BYTES: usize = 128 << 10;
/// The same of a stream of an HTTP/3 connection that carries no reply: its frames have three.
pub(crate) const CONTROL_TURN_BYTES: usize = 4 << 10;
/// The same of an event stream, whose parser takes longer: a line can have one.
pub(crate) const EVENTS_TURN_BYTES: usize = 8 << 10;
/// Frames or messages that a connection takes in one turn, before the others have theirs.
pub(crate) const FRAMES_A_TURN: usize = 256;

/// Bytes of session requests that may wait to be sent, before more are taken from who makes them.
pub(crate) const SESSION_BYTES_WAITING_MAX: usize = 256 << 10;
/// Bytes of calls, and of answers to Pings, that may wait to be sent on one connection: two of the
/// longest requests. A server that reads nothing does not make the client hold what it will never
/// take: the connection is given up.
pub(crate) const UNSENT_BYTES_MAX: usize = 2 * REPLY_BYTES_MAX;
/// Calls on one HTTP/2 connection that were given up one after the other without a reply, after
/// which the connection is. The library keeps each until the server lets it open a stream.
pub(crate) const GIVEN_UP_MAX: usize = 1_024;

/// Characters of an error that are kept as a sample: servers choose some of them.
pub(crate) const SAMPLE_CHARS_MAX: usize = 300;

/// Flow-control windows, equal to the servers': `servers::Limits` says why.
pub(crate) const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// That of a connection.
pub(crate) const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;

/// Bytes of a reply to this, before it is decoded. A list of nothing takes two bytes an element as
/// it comes, and a hundred or two once it is decoded: four megabytes of quotes would take 280. Each
/// is ten times what the market answers at most.
const fn decoded_bytes_max(capability: Capability) -> usize {
    match capability {
        // A receipt repeats its order.
        Capability::Quote | Capability::PlaceOrder => 128 << 10,
        Capability::Quotes | Capability::Portfolio => 512 << 10,
        Capability::History => REPLY_BYTES_MAX,
        // A batch of ticks; other events have their own bound.
        Capability::Subscribe | Capability::Session => 1 << 20,
    }
}

/// Holds a reply to its bound, before it is decoded.
///
/// # Errors
/// Where it has more bytes.
pub(crate) fn check_reply(capability: Capability, bytes: usize) -> Result<(), CallError> {
    let max = decoded_bytes_max(capability);
    if bytes <= max {
        return Ok(());
    }
    Err(CallError::Limit(format!("a reply of {bytes} bytes, of {max} that one to this may have")))
}
