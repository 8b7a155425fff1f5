//! Heads of replies: where one ends, and what it says of its body and its connection.

use std::mem::MaybeUninit;

/// Fields for which the first attempt at a head has room: one on the stack that stays in the cache.
pub(super) const FIELDS_USUAL: usize = 64;
/// Fields of a head at most. hyper allows 100.
pub(super) const FIELDS_MAX: usize = 1_024;

/// What a head says, as far as it decides anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// Its own bytes, the empty line included.
    pub(super) bytes: usize,
    pub(super) status: u16,
    /// That of HTTP/1.0 or HTTP/1.1.
    pub(super) minor_version: u8,
    pub(super) length: Length,
    pub(super) coding: Coding,
    says_close: bool,
    says_keep_alive: bool,
}

/// What the fields `Content-Length` say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    Unsaid,
    Bytes(u64),
    /// No number, one beyond all bounds, or several that differ.
    Malformed,
}

/// What the fields `Transfer-Encoding` say of the last coding, which frames the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Unsaid,
    Chunked,
    /// Another one: the body ends with the connection.
    Unknown,
    /// `chunked` has no parameters (RFC 9112, section 7.1).
    Malformed,
}

impl Head {
    /// Whether the connection is kept behind a reply whose end is known (RFC 9112, section 9.3).
    pub(super) fn keeps_open(&self) -> bool {
        !self.says_close && (self.minor_version == 1 || self.says_keep_alive)
    }

    fn field(&mut self, name: &str, value: &[u8]) {
        // Most fields are none of these, and differ in length.
        match name.len() {
            10 if name.eq_ignore_ascii_case("connection") => {
                for option in list(value) {
                    self.says_close |= option.eq_ignore_ascii_case(b"close");
                    self.says_keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            14 if name.eq_ignore_ascii_case("content-length") => {
                for length in list(value) {
                    self.length = self.length.and(length);
                }
            }
            17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                for coding in list(value) {
                    self.coding = self.coding.then(coding);
                }
            }
            _ => {}
        }
    }
}

impl Length {
    /// Several that are equal count as one (RFC 9112, section 6.3).
    fn and(self, text: &[u8]) -> Length {
        match (self, number(text)) {
            (Length::Unsaid, Some(bytes)) => Length::Bytes(bytes),
            (Length::Bytes(before), Some(bytes)) if before == bytes => self,
            _ => Length::Malformed,
        }
    }
}

impl Coding {
    fn then(self, name: &[u8]) -> Coding {
        const CHUNKED: &[u8] = b"chunked";
        match name.split_at_checked(CHUNKED.len()) {
            // An empty element of a list is none, but the field is there.
            _ if name.is_empty() && self != Coding::Unsaid => self,
            Some((begin, [])) if begin.eq_ignore_ascii_case(CHUNKED) => Coding::Chunked,
            Some((begin, [b' ' | b'\t' | b';', ..])) if begin.eq_ignore_ascii_case(CHUNKED) => {
                Coding::Malformed
            }
            _ => Coding::Unknown,
        }
    }
}

/// Only digits are a number: no sign, no blank.
fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// The elements of a list, without the blanks around them; those of a folded line among the blanks.
fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// Parses a head with room for so many fields; `None` where it goes on.
///
/// A line may end with a bare LF (RFC 9112, section 2.2), and a value go on in the next line
/// (section 5.2).
///
/// # Errors
/// The parser's.
pub(super) fn parse<const FIELDS: usize>(bytes: &[u8]) -> Result<Option<Head>, httparse::Error> {
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let mut config = httparse::ParserConfig::default();
    config.allow_obsolete_multiline_headers_in_responses(true);
    let status = config.parse_response_with_uninit_headers(&mut parsed, bytes, &mut fields)?;
    let httparse::Status::Complete(bytes) = status else { return Ok(None) };
    let mut head = Head {
        bytes,
        status: parsed.code.unwrap_or_default(),
        minor_version: parsed.version.unwrap_or_default(),
        length: Length::Unsaid,
        coding: Coding::Unsaid,
        says_close: false,
        says_keep_alive: false,
    };
    for field in parsed.headers {
        head.field(field.name, field.value);
    }
    Ok(Some(head))
}

/// Bytes of whole empty lines at the beginning.
pub(super) fn blank_lines(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        at += match &bytes[at..] {
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            _ => return at,
        };
    }
}

/// Looks for the end of a head that comes in pieces, at each byte once.
#[derive(Default)]
pub(super) struct LooksFor {
    /// Before here it does not end.
    seen: usize,
}

impl LooksFor {
    /// Whether these are the first bytes of the head.
    pub(super) fn has_not_begun(&self) -> bool {
        self.seen == 0
    }

    /// Where the head ends: behind the first line that is empty. It begins with one that is not.
    pub(super) fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        while let Some(found) = bytes[self.seen..].iter().position(|byte| *byte == b'\n') {
            let line_end = self.seen + found;
            match &bytes[line_end + 1..] {
                [b'\n', ..] => return Some(line_end + 2),
                [b'\r', b'\n', ..] => return Some(line_end + 3),
                [] | [b'\r'] => {
                    self.seen = line_end;
                    return None;
                }
                _ => self.seen = line_end + 1,
            }
        }
        self.seen = bytes.len();
        None
    }
}
