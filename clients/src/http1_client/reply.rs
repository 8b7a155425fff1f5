//! Reads a reply of HTTP/1.1 as its bytes come: its head, and where its body ends (RFC 9112).
//!
//! The reader does no IO, allocates nothing and keeps no body. Wherever the bytes are cut, the
//! result is the same. It looks at each byte of a head a bounded number of times.

#[cfg(test)]
mod against_hyper;
mod chunks;
mod head;
#[cfg(test)]
mod tests;

use crate::connection::CallError;
use crate::limits::{COUNTED_BYTES_MAX, INTERIM_HEADS_MAX};
use crate::reply_body::CountedBody;
use chunks::Chunks;
use head::{Coding, FIELDS_MAX, FIELDS_USUAL, Head, Length, LooksFor};

/// Bytes of one head, with the empty lines before it; what hyper allows.
pub(crate) const HTTP1_HEAD_BYTES_MAX: usize = 408 << 10;
/// Bytes of a reply that are shown where they are not HTTP.
const SHOWN_BYTES_MAX: usize = 60;
/// How each reply begins. The parser wants `HTTP/1.0` or `HTTP/1.1`, but only looks once all is
/// there.
const BEGINNING: &[u8] = b"HTTP/1.";

/// What the request asked for, as far as it decides where the reply ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyTo {
    /// A reply with a body: GET, POST and all the others.
    Content,
    /// A reply without its body: HEAD.
    HeadOnly,
    /// A tunnel: CONNECT. A status 2xx ends HTTP on this connection.
    Tunnel,
    /// Another protocol, by a field `Upgrade`. The status 101 ends HTTP on this connection.
    Upgrade,
}

/// What a reply was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountedReply {
    /// The status of its last head.
    pub status: u16,
    /// Bytes of its body, without what frames the chunks.
    pub bytes: usize,
    /// Bytes of its heads, interim ones (1xx) and empty lines before them included.
    pub head_bytes: usize,
}

/// Reads one reply.
pub struct ReplyReader {
    asked: ReplyTo,
    state: State,
    looks_for: LooksFor,
    /// Bytes of empty lines before the present head.
    blank_bytes: usize,
    interim_heads: usize,
    status: u16,
    head_bytes: usize,
    body: CountedBody,
    keeps_open: bool,
}

enum State {
    Head,
    /// So many bytes of the body are to come, at least one.
    Sized(usize),
    Chunked(Chunks),
    /// The body ends with the connection.
    UntilClosed,
    Done,
}

impl ReplyReader {
    /// Reads the reply to such a request.
    pub fn new(asked: ReplyTo) -> ReplyReader {
        ReplyReader {
            asked,
            state: State::Head,
            looks_for: LooksFor::default(),
            blank_bytes: 0,
            interim_heads: 0,
            status: 0,
            head_bytes: 0,
            body: CountedBody::default(),
            keeps_open: false,
        }
    }

    /// Reads on, and says how many of the bytes it is done with. The others come again at the
    /// beginning of the next ones: they are an unfinished head, or are behind the reply. The pieces
    /// of the body go to `on_body`.
    ///
    /// # Errors
    /// [`CallError::Protocol`] where the bytes are no reply of HTTP/1.1, or nobody can tell where
    /// its body ends (RFC 9112, section 6.3); [`CallError::Limit`] where it is over a bound.
    /// Nothing can be read after an error.
    pub fn read(&mut self, bytes: &[u8], mut on_body: impl FnMut(&[u8])) -> Result<usize, CallError> {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let taken = match &mut self.state {
                State::Head => self.read_head(rest)?,
                State::Sized(left) => {
                    let piece = &rest[..rest.len().min(*left)];
                    *left -= piece.len();
                    if *left == 0 {
                        self.state = State::Done;
                    }
                    self.body.add(piece.len())?;
                    on_body(piece);
                    piece.len()
                }
                State::Chunked(chunks) => {
                    let body = &mut self.body;
                    let taken = chunks.read(rest, |piece| {
                        body.add(piece.len())?;
                        on_body(piece);
                        Ok(())
                    })?;
                    if chunks.are_over() {
                        self.state = State::Done;
                    }
                    taken
                }
                State::UntilClosed => {
                    self.body.add(rest.len())?;
                    on_body(rest);
                    rest.len()
                }
                State::Done => 0,
            };
            if taken == 0 {
                break;
            }
            at += taken;
        }
        Ok(at)
    }

    /// Takes note that the connection has ended, with the bytes that [`ReplyReader::read`] was not
    /// done with.
    ///
    /// # Errors
    /// [`CallError::Reset`] where the reply had not ended (RFC 9112, section 8), and as
    /// [`ReplyReader::read`].
    pub fn end(&mut self, rest: &[u8]) -> Result<(), CallError> {
        let within = match &self.state {
            State::Done => return Ok(()),
            State::UntilClosed => {
                self.state = State::Done;
                return Ok(());
            }
            State::Head if rest.is_empty() && self.head_bytes == 0 => {
                return Err(CallError::Reset("the server closed the connection before a reply".to_owned()));
            }
            State::Head => {
                if let Err(error) = head::parse::<FIELDS_MAX>(rest) {
                    return Err(no_head(error, rest));
                }
                "in its head".to_owned()
            }
            State::Sized(left) => {
                format!("after {} bytes of its body, {left} before its end", self.body.bytes())
            }
            State::Chunked(_) => format!("after {} bytes of its body, in chunks", self.body.bytes()),
        };
        Err(CallError::Reset(format!("the server closed the connection within a reply, {within}")))
    }

    /// The reply, once it is whole.
    pub fn answer(&self) -> Option<CountedReply> {
        matches!(self.state, State::Done).then(|| CountedReply {
            status: self.status,
            bytes: self.body.bytes(),
            head_bytes: self.head_bytes,
        })
    }

    /// Whether the reply lets its connection be used again (RFC 9112, section 9.3).
    pub fn keeps_open(&self) -> bool {
        self.keeps_open
    }

    fn read_head(&mut self, bytes: &[u8]) -> Result<usize, CallError> {
        let blank = head::blank_lines(bytes);
        if blank > 0 {
            self.blank_bytes += blank;
            self.head_bytes += blank;
            self.check_head_bytes(0)?;
            return Ok(blank);
        }
        if bytes == b"\r" {
            return Ok(0);
        }
        let seen = bytes.len().min(BEGINNING.len());
        if bytes[..seen] != BEGINNING[..seen] {
            return Err(CallError::Protocol(format!("not HTTP/1.1: {}", shown(bytes))));
        }
        let Some(head) = self.find_head(bytes)? else { return Ok(0) };
        self.check_head_bytes(head.bytes)?;
        self.head_bytes += head.bytes;
        self.blank_bytes = 0;
        self.looks_for = LooksFor::default();
        self.take_head(&head)?;
        Ok(head.bytes)
    }

    /// The head, once it is whole. Most come in one piece, and are parsed at once; the others once
    /// their end is found, so that nobody makes us parse a head for each of its bytes.
    fn find_head(&mut self, bytes: &[u8]) -> Result<Option<Head>, CallError> {
        if self.looks_for.has_not_begun()
            && let Ok(Some(head)) = head::parse::<FIELDS_USUAL>(bytes)
        {
            return Ok(Some(head));
        }
        let Some(end) = self.looks_for.end(bytes) else {
            self.check_head_bytes(bytes.len())?;
            return Ok(None);
        };
        self.check_head_bytes(end)?;
        match head::parse::<FIELDS_MAX>(&bytes[..end]) {
            Ok(Some(head)) => Ok(Some(head)),
            Ok(None) => Err(CallError::Protocol(format!("a head that has no end: {}", shown(bytes)))),
            Err(error) => Err(no_head(error, bytes)),
        }
    }

    fn check_head_bytes(&self, bytes: usize) -> Result<(), CallError> {
        if self.blank_bytes + bytes <= HTTP1_HEAD_BYTES_MAX {
            return Ok(());
        }
        Err(CallError::Limit(format!("a head of more than {HTTP1_HEAD_BYTES_MAX} bytes")))
    }

    /// Where the body ends (RFC 9112, section 6.3), and whether the connection is of use after it.
    fn take_head(&mut self, head: &Head) -> Result<(), CallError> {
        self.status = head.status;
        self.keeps_open = head.keeps_open();
        match (head.status, self.asked) {
            (..=99, _) => return Err(CallError::Protocol(format!("status {:03}", head.status))),
            (101, ReplyTo::Upgrade) | (200..=299, ReplyTo::Tunnel) => {
                self.keeps_open = false;
                self.state = State::Done;
                return Ok(());
            }
            (101, _) => {
                let switched = "status 101: another protocol, for which nobody asked";
                return Err(CallError::Protocol(switched.to_owned()));
            }
            (100..=199, _) => {
                self.interim_heads += 1;
                if self.interim_heads > INTERIM_HEADS_MAX {
                    let over = format!("more than {INTERIM_HEADS_MAX} interim heads before a reply");
                    return Err(CallError::Limit(over));
                }
                return Ok(());
            }
            (204 | 304, _) | (_, ReplyTo::HeadOnly) => {
                self.state = State::Done;
                return Ok(());
            }
            _ => {}
        }
        self.state = match (head.coding, head.length) {
            (Coding::Chunked, length) => {
                // A length beside it may be an attempt to smuggle (section 6.1), and HTTP/1.0 has
                // no chunks: the reply counts, but whoever is on the way may have read another one.
                self.keeps_open &= length == Length::Unsaid && head.minor_version == 1;
                State::Chunked(Chunks::default())
            }
            (Coding::Malformed, _) => {
                let told = "a transfer coding `chunked` with parameters";
                return Err(CallError::Protocol(told.to_owned()));
            }
            (Coding::Unknown, _) | (Coding::Unsaid, Length::Unsaid) => {
                self.keeps_open = false;
                State::UntilClosed
            }
            (Coding::Unsaid, Length::Malformed) => {
                let told = "a Content-Length that is no number, or several that differ";
                return Err(CallError::Protocol(told.to_owned()));
            }
            (Coding::Unsaid, Length::Bytes(0)) => State::Done,
            (Coding::Unsaid, Length::Bytes(length)) => match usize::try_from(length) {
                Ok(length) if length <= COUNTED_BYTES_MAX => State::Sized(length),
                _ => {
                    let over = format!("a reply of {length} bytes, of {COUNTED_BYTES_MAX} that it may have");
                    return Err(CallError::Limit(over));
                }
            },
        };
        Ok(())
    }
}

fn no_head(error: httparse::Error, bytes: &[u8]) -> CallError {
    match error {
        httparse::Error::TooManyHeaders => {
            CallError::Limit(format!("a head of more than {FIELDS_MAX} fields"))
        }
        error => CallError::Protocol(format!("not a head of HTTP/1.1 ({error}): {}", shown(bytes))),
    }
}

/// The beginning of what came, on one line.
fn shown(bytes: &[u8]) -> String {
    let more = if bytes.len() > SHOWN_BYTES_MAX { " …" } else { "" };
    format!("\"{}\"{more}", bytes[..bytes.len().min(SHOWN_BYTES_MAX)].escape_ascii())
}
