//! Right texts, bent: what readers of files, arguments and answers are tried with.

use proptest::prelude::*;
use proptest::sample::{Index, select};

/// What means something to one reader or another.
const PIECES: &[&[u8]] = &[
    b"\0",
    b"\t",
    b"\n",
    b"\r\n",
    b" ",
    b"\"",
    b"\\",
    b"\\u00",
    b"{",
    b"}",
    b"{{",
    b"}}",
    b"{{id}}",
    b"[",
    b"]",
    b":",
    b"://",
    b",",
    b";",
    b"-",
    b"+",
    b".",
    b"..",
    b"/",
    b"//",
    b"?",
    b"#",
    b"@",
    b"%",
    b"%25",
    b"%zz",
    b"0",
    b"-1",
    b"65536",
    b"4294967296",
    b"18446744073709551616",
    b"1e999",
    b"nan",
    b"0x7f",
    b"null",
    b"true",
    b"[::1]",
    b"xn--",
    b"1y",
    b"/s for ",
    b"to ",
    b"HTTP/1.1",
    b"\xef\xbb\xbf",
    b"\xff",
    b"\xc3",
    "ü\u{301}\u{202e}".as_bytes(),
];
/// Bytes of a text, at most.
const BYTES_MAX: usize = 64 << 10;

/// One of these texts, with pieces put in, taken out, changed, repeated and swapped.
pub(super) fn bent<T: AsRef<[u8]> + std::fmt::Debug + 'static>(
    right: &'static [T],
) -> impl Strategy<Value = Vec<u8>> {
    let bend = (0..7_u8, any::<[Index; 3]>(), 0..13_u32);
    (0..right.len(), prop::collection::vec(bend, 0..6), select(PIECES)).prop_map(|(nth, bends, last)| {
        let mut text = right[nth].as_ref().to_vec();
        for (what, [one, other, piece], times) in bends {
            let (one, other) = (one.index(text.len() + 1), other.index(text.len() + 1));
            let range = one.min(other)..one.max(other);
            match what {
                0 => text.truncate(one),
                1 => drop(text.splice(one..one, piece.get(PIECES).iter().copied())),
                2 => drop(text.splice(range, piece.get(PIECES).iter().copied())),
                3 => drop(text.drain(range)),
                4 => text.get_mut(one).into_iter().for_each(|byte| *byte ^= 1 << (times % 8)),
                5 => {
                    let repeated =
                        text[range.clone()].repeat(1 << times.min(16 - range.len().max(1).ilog2().min(16)));
                    drop(text.splice(range, repeated));
                }
                _ => drop(text.splice(one..one, last.repeat(1 << times))),
            }
            text.truncate(BYTES_MAX);
        }
        text
    })
}

/// The same, as text.
pub(super) fn bent_text<T: AsRef<[u8]> + std::fmt::Debug + 'static>(
    right: &'static [T],
) -> impl Strategy<Value = String> {
    bent(right).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}
