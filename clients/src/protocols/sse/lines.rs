//! Whole lines of an event stream, before its parser sees them. The parser keeps what it has of a
//! line and of an event, however long; it reads a line again from its beginning with each chunk,
//! and moves all that is behind a line with each line.

use bytes::{Bytes, BytesMut};

use crate::connection::CallError;
use crate::limits::EVENT_BYTES_MAX;

/// Bytes that the parser is given at once, a longer line excepted. Those of a chunk of a hundred
/// kilobytes of empty lines would be moved a hundred thousand times.
const PIECE_BYTES: usize = 1 << 10;

/// What has come of a stream and is not given yet.
#[derive(Default)]
pub(super) struct Lines {
    /// The beginning of a line.
    held: BytesMut,
    /// Bytes that were given since the last event.
    since_event: usize,
}

impl Lines {
    /// The lines that are whole with this chunk, in pieces.
    ///
    /// # Errors
    /// Where a line, or what comes without an event, has more bytes than an event may have; where
    /// they are no text.
    pub(super) fn add(&mut self, mut chunk: Bytes) -> Result<Pieces, CallError> {
        let whole = chunk.split_to(chunk.iter().rposition(is_line_end).map_or(0, |at| at + 1));
        let whole = if self.held.is_empty() || whole.is_empty() {
            whole
        } else {
            self.held.extend_from_slice(&whole);
            self.held.split().freeze()
        };
        self.held.extend_from_slice(&chunk);
        if std::str::from_utf8(&whole).is_err() {
            // The decoder would keep all that comes behind it, in the hope that it becomes a
            // character.
            return Err(CallError::Protocol("an event stream that is not UTF-8".to_owned()));
        }
        self.since_event += whole.len();
        // Comments keep a stream alive, and events may have names that nobody listens for; lines
        // with nothing in them are for nobody.
        if self.since_event > EVENT_BYTES_MAX && whole.contains(&b':') {
            self.since_event = behind_the_last_event(&whole).unwrap_or(self.since_event);
        }
        if self.since_event.max(self.held.len()) > EVENT_BYTES_MAX {
            let over = format!("more than {EVENT_BYTES_MAX} bytes of one event");
            return Err(CallError::Limit(over));
        }
        Ok(Pieces(whole))
    }

    /// Counts from here on: the parser had an event.
    pub(super) fn event_came(&mut self) {
        self.since_event = 0;
    }
}

fn is_line_end(byte: &u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// Bytes behind the last empty line; `None` where there is none.
fn behind_the_last_event(lines: &[u8]) -> Option<usize> {
    let ends: [&[u8]; 3] = [b"\n\n", b"\r\r", b"\r\n\r\n"];
    let behind = |end: &[u8]| {
        let at = lines.windows(end.len()).rposition(|window| window == end)?;
        Some(lines.len() - at - end.len())
    };
    ends.into_iter().filter_map(behind).min()
}

/// Lines, some at a time.
pub(super) struct Pieces(Bytes);

impl Iterator for Pieces {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.0.len() <= PIECE_BYTES {
            let rest = std::mem::take(&mut self.0);
            return (!rest.is_empty()).then_some(rest);
        }
        let in_piece = self.0[..PIECE_BYTES].iter().rposition(is_line_end);
        let end = in_piece.or_else(|| self.0.iter().position(is_line_end));
        Some(self.0.split_to(end.map_or(self.0.len(), |at| at + 1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_refused_and_what_is_cut_is_not() {
        let mut lines = Lines::default();
        assert!(lines.add(Bytes::from_static(b"data: \xc3")).is_ok());
        assert!(lines.add(Bytes::from_static(b"\xa4\n")).is_ok());
        assert!(lines.add(Bytes::from_static(b"data: \xff\n\n")).is_err());
    }

    #[test]
    fn lines_come_whole_and_in_pieces() {
        let mut lines = Lines::default();
        let mut add = |chunk: &'static str| {
            let pieces = lines.add(Bytes::from_static(chunk.as_bytes())).unwrap();
            pieces.map(|piece| String::from_utf8(piece.to_vec()).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(add("da"), Vec::<String>::new());
        assert_eq!(add("ta: 1\n\nda"), ["data: 1\n\n"]);
        assert_eq!(add("\r"), ["da\r"]);
        let long = Bytes::from("data: 12345678\n".repeat(1_000));
        let pieces: Vec<Bytes> = Pieces(long.clone()).collect();
        assert!(pieces.iter().all(|piece| piece.len() <= PIECE_BYTES && piece.ends_with(b"\n")));
        assert_eq!(pieces.concat(), long);
    }
}
