//! The shape of a record's text, looked at before anything of it is kept: how much there is, how
//! deep it goes, and how large its numbers are. What passes takes memory in proportion to these
//! bounds, whatever it says.

use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

/// Lists and objects within each other, at most; our own go 8 deep.
const DEPTH_MAX: usize = 32;
/// Values of a record, at most: a measurement has about 110, and a record no more than
/// [`terms::bounds::RECORDED_MAX`] of them.
const VALUES_MAX: usize = 2_000_000;
/// Bytes of one text, at most: a histogram with a count in each of its places has less.
const TEXT_BYTES_MAX: usize = 1 << 20;
/// Whole numbers, at most: what every reader of JSON keeps exactly, and what can be added up.
const WHOLE_MAX: u64 = 1 << 53;
/// Other numbers, at most: 30 000 years in µs.
const NUMBER_MAX: f64 = 1e18;
/// Keys of numbers that are drawn and never reckoned with.
const SEEDS: [&str; 2] = ["seed", "market_seed"];

/// Looks at the whole text; keeps nothing of it.
///
/// # Errors
/// In words, where it is no JSON or beyond a bound.
pub(crate) fn check(text: &[u8]) -> Result<(), String> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let mut values = 0;
    Look { values: &mut values, depth: 0, is_seed: false }
        .deserialize(&mut reader)
        .and_then(|()| reader.end())
        .map_err(|error| error.to_string())
}

/// Takes the beginnings of a terminal's commands (ESC, and the characters from U+007F to U+009F)
/// out of a JSON text, where it is: nobody's words have them.
pub(crate) fn without_commands(text: &mut [u8]) {
    let mut at = 0;
    while at < text.len() {
        at += match &mut text[at..] {
            [b'\\', b'u', hex @ ..] if hex.len() >= 4 => {
                if is_command(&hex[..4]) {
                    hex[..4].copy_from_slice(b"fffd");
                }
                6
            }
            [b'\\', ..] => 2,
            // U+0080 to U+009F become U+00BF, which is as long.
            [0xc2, second @ 0x80..=0x9f, ..] => {
                *second = 0xbf;
                2
            }
            [delete @ 0x7f, ..] => {
                *delete = b'?';
                1
            }
            _ => 1,
        };
    }
}

fn is_command(hex: &[u8]) -> bool {
    let hex = std::str::from_utf8(hex).ok();
    let code = hex.and_then(|hex| u32::from_str_radix(hex, 16).ok());
    code.is_some_and(|code| code == 0x1b || (0x7f..=0x9f).contains(&code))
}

/// Looks at one value and those within it.
struct Look<'a> {
    values: &'a mut usize,
    depth: usize,
    is_seed: bool,
}

impl Look<'_> {
    fn within(&mut self, is_seed: bool) -> Look<'_> {
        Look { values: self.values, depth: self.depth + 1, is_seed }
    }
}

impl<'de> DeserializeSeed<'de> for Look<'_> {
    type Value = ();
    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        *self.values += 1;
        if *self.values > VALUES_MAX {
            return Err(D::Error::custom(format!("it has more than {VALUES_MAX} values")));
        }
        if self.depth > DEPTH_MAX {
            return Err(D::Error::custom(format!("it is nested more than {DEPTH_MAX} deep")));
        }
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = ();

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        if number <= WHOLE_MAX || self.is_seed { Ok(()) } else { Err(too_large(number)) }
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        if number.unsigned_abs() <= WHOLE_MAX { Ok(()) } else { Err(too_large(number)) }
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        if number.abs() <= NUMBER_MAX { Ok(()) } else { Err(too_large(number)) }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        require_short(text)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(self.within(false))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut object: A) -> Result<(), A::Error> {
        while let Some(is_seed) = object.next_key_seed(Key)? {
            object.next_value_seed(self.within(is_seed))?;
        }
        Ok(())
    }
}

fn too_large<E: Error>(number: impl fmt::Display) -> E {
    E::custom(format!("{number} is larger than any figure of a record"))
}

fn require_short<E: Error>(text: &str) -> Result<(), E> {
    let right = text.len() <= TEXT_BYTES_MAX;
    if right { Ok(()) } else { Err(E::custom(format!("a text has more than {TEXT_BYTES_MAX} bytes"))) }
}

/// Looks at a key: whether it is a seed's.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = bool;
    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<bool, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = bool;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        require_short(key).map(|()| SEEDS.contains(&key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_too_deep_or_too_large_is_refused() {
        let zeros = format!("[{}0]", "0,".repeat(VALUES_MAX));
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        let long = format!("\"{}\"", "x".repeat(TEXT_BYTES_MAX + 1));
        for (text, says) in [
            (zeros.as_str(), "more than 2000000 values"),
            (&deep(40), "nested more than 32 deep"),
            (&deep(1_000_000), "nested more than 32 deep"),
            (&"{\"a\":".repeat(100_000), "nested more than 32 deep"),
            (&long, "a text has more than"),
            ("1e19", "is larger than any figure"),
            ("1e999", "out of range"),
            ("{\"n\": 9007199254740993}", "9007199254740993 is larger"),
            ("{\"n\": -9007199254740993}", "is larger"),
            ("\u{0}\u{0}\u{0}", "expected value"),
            ("{} {}", "trailing characters"),
        ] {
            let error = check(text.as_bytes()).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
        let right =
            "{\"seed\": 18446744073709551615, \"n\": 9007199254740992, \"list\": [1e18, -1, null, true]}";
        assert_eq!(check(right.as_bytes()), Ok(()));
        assert_eq!(check(deep(30).as_bytes()), Ok(()));
    }

    #[test]
    fn no_text_begins_a_command_of_a_terminal() {
        let text = r#"{"a": "\u001b[31m \\u001b \u001B]0;x \u009b1m", "\u0085": "b\u007f"}"#;
        let mut bytes = [text.as_bytes(), "\u{9b}\u{7f}\u{85}é".as_bytes()].concat();
        without_commands(&mut bytes);
        let expected = r#"{"a": "\ufffd[31m \\u001b \ufffd]0;x \ufffd1m", "\ufffd": "b\ufffd"}"#;
        assert_eq!(String::from_utf8(bytes).unwrap(), format!("{expected}¿?¿é"));
        let mut cut = b"\"\\u00".to_vec();
        without_commands(&mut cut);
        assert_eq!(cut, b"\"\\u00");
    }
}
