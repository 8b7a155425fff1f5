//! Event streams (SSE), cut anywhere: as many events as their whole lines have.
#![no_main]

use clients::foreign::events::EventEnds;
use libfuzzer_sys::fuzz_target;

// The first byte says where the stream is cut.
fuzz_target!(|data: &[u8]| {
    let [step, bytes @ ..] = data else { return };
    let mut ends = EventEnds::default();
    let cut: u64 = bytes.chunks(usize::from(*step).max(1)).map(|piece| ends.count(piece)).sum();
    assert_eq!(cut, in_lines(bytes), "every {step} bytes");
});

/// The events of a whole stream, line by line (HTML, section 9.2.6).
fn in_lines(bytes: &[u8]) -> u64 {
    let mut rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let (mut events, mut has_data) = (0, false);
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
        let (line, end) = rest.split_at(at);
        rest = end.strip_prefix(b"\r\n").unwrap_or(&end[1..]);
        match line.split(|byte| *byte == b':').next() {
            _ if line.is_empty() => events += u64::from(std::mem::take(&mut has_data)),
            name => has_data |= name == Some(b"data"),
        }
    }
    events
}
