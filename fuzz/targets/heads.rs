//! Streams of HTTP/2 and HTTP/3, cut anywhere: their frames are those of the whole stream.
#![no_main]

use clients::http2_heads::HeadFrames;
use libfuzzer_sys::fuzz_target;
use streams::http3::{BoundedFrames, OverBound};

const FRAME_BYTES_MAX: u64 = 64 << 10;

// The first byte says which HTTP, the second where the stream is cut.
fuzz_target!(|data: &[u8]| {
    let [which, step, bytes @ ..] = data else { return };
    let mut pieces = bytes.chunks(usize::from(*step).max(1));
    if which & 1 == 0 {
        let mut frames = HeadFrames::default();
        let heads: usize = pieces.map(|piece| frames.count(piece)).sum();
        assert_eq!(heads, http2_heads(bytes), "every {step} bytes");
    } else {
        let mut frames = BoundedFrames::up_to(FRAME_BYTES_MAX);
        let followed = pieces.try_for_each(|piece| frames.follow(piece));
        assert_eq!(followed, http3_frames(bytes), "every {step} bytes");
    }
});

/// RFC 9113, section 4.1.
fn http2_heads(mut bytes: &[u8]) -> usize {
    let mut heads = 0;
    while let Some((&[high, middle, low, kind, ..], rest)) = bytes.split_first_chunk::<9>() {
        heads += usize::from(kind == 1);
        let length = u32::from_be_bytes([0, high, middle, low]) as usize;
        bytes = rest.get(length..).unwrap_or_default();
    }
    heads
}

/// RFC 9114, section 7.1.
fn http3_frames(mut bytes: &[u8]) -> Result<(), OverBound> {
    while let Some(((kind, length), rest)) =
        number(bytes).and_then(|(kind, rest)| number(rest).map(|(length, rest)| ((kind, length), rest)))
    {
        if kind != 0 && length > FRAME_BYTES_MAX {
            return Err(OverBound::Frame(length, FRAME_BYTES_MAX));
        }
        bytes = usize::try_from(length).ok().and_then(|length| rest.get(length..)).unwrap_or_default();
    }
    Ok(())
}

/// A whole integer and what is behind it (RFC 9000, section 16).
fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = bytes.split_at_checked(1 << (bytes.first()? >> 6))?;
    let value = number.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
    Some((value & (u64::MAX >> (66 - 8 * number.len())), rest))
}
