//! The events of any event stream (SSE), as the HTML standard has them (section 9.2.6): counted,
//! and not kept.

/// The mark that a stream may begin with, which belongs to no line.
const MARK: &[u8] = b"\xef\xbb\xbf";
/// The field that makes an event: comments, and fields such as `retry` or `id`, are none alone.
const DATA: &[u8] = b"data";

/// Finds the ends of events however their stream is cut: a blank line ends one where it has data.
/// Lines end with LF, CRLF or CR.
#[derive(Debug, Default)]
pub struct EventEnds {
    /// Bytes of the mark that came; all of them where it cannot come any more.
    mark: usize,
    line: Line,
    /// Whether the event so far has data.
    has_data: bool,
    after_cr: bool,
}

/// What is known of the line that is being read.
#[derive(Debug, Clone, Copy)]
enum Line {
    /// It has so many bytes, which are the first of [`DATA`].
    Name(usize),
    Data,
    Other,
}

impl Default for Line {
    fn default() -> Line {
        Line::Name(0)
    }
}

impl EventEnds {
    /// How many events end in the next bytes.
    pub fn count(&mut self, bytes: &[u8]) -> u64 {
        let mut events = 0;
        for byte in bytes {
            if self.is_of_mark(*byte) {
                continue;
            }
            let is_second = std::mem::replace(&mut self.after_cr, *byte == b'\r') && *byte == b'\n';
            if is_second {
                continue;
            }
            let is_end = matches!(byte, b'\r' | b'\n');
            self.line = match self.line {
                Line::Name(0) if is_end => {
                    events += u64::from(std::mem::take(&mut self.has_data));
                    Line::Name(0)
                }
                line if is_end => {
                    self.has_data |= matches!(line, Line::Data)
                        || matches!(line, Line::Name(known) if known == DATA.len());
                    Line::Name(0)
                }
                Line::Name(known) if DATA.get(known) == Some(byte) => Line::Name(known + 1),
                Line::Name(known) if known == DATA.len() && *byte == b':' => Line::Data,
                Line::Data => Line::Data,
                Line::Name(_) | Line::Other => Line::Other,
            };
        }
        events
    }

    fn is_of_mark(&mut self, byte: u8) -> bool {
        if self.mark == MARK.len() {
            return false;
        }
        if byte == MARK[self.mark] {
            self.mark += 1;
            return true;
        }
        if self.mark > 0 {
            // What looked like a mark began a line.
            self.line = Line::Other;
        }
        self.mark = MARK.len();
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(text: &[u8], cut: usize) -> u64 {
        let mut ends = EventEnds::default();
        text.chunks(cut).map(|piece| ends.count(piece)).sum()
    }

    #[test]
    fn events_end_at_blank_lines_however_they_are_cut() {
        let text = b": hello\n\ndata: 1\n\ndata: 2\r\nid: 3\r\n\r\n\n:ping\n\ndata:x\r\rdata: unfinished\n";
        for cut in 1..=text.len() {
            assert_eq!(counted(text, cut), 3, "in pieces of {cut}");
        }
    }

    /// As a browser dispatches them: many servers begin with how long to wait before reconnecting.
    #[test]
    fn what_has_no_data_is_no_event() {
        for (text, events) in [
            (&b"retry: 3000\n\ndata: 1\n\n"[..], 1),
            (b"id: 7\n\nevent: x\n\n", 0),
            (b"data\n\ndata:\n\n", 2),
            (b"dat\n\ndatas: 1\n\n data: 1\n\nDATA: 1\n\n", 0),
            (b"\xef\xbb\xbfdata: 1\n\n\xef\xbb\xbfdata: 2\n\n", 1),
            (b"\xef\xbb\xbf\n\ndata: 1\n\n", 1),
            (b"\xef\xbbdata: 1\n\ndata: 2\n\n", 1),
            (b"\xef\n\n\ndata: 2\n\n", 1),
        ] {
            for cut in 1..=text.len() {
                assert_eq!(counted(text, cut), events, "{} in pieces of {cut}", text.escape_ascii());
            }
        }
    }
}
