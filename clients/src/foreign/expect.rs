//! What a right reply of a foreign HTTP server is: a status, and bytes in its body.

use std::ops::RangeInclusive;
use std::sync::Arc;

use memchr::memmem::Finder;

use crate::connection::CallError;

/// What a right reply is.
#[derive(Debug, Clone, Default)]
pub struct Expect {
    /// Its status.
    pub statuses: Statuses,
    /// Bytes that its body contains, if it must.
    pub body: Option<Arc<Finder<'static>>>,
}

impl Expect {
    /// Expects these bytes in bodies.
    pub fn in_body(text: &str) -> Arc<Finder<'static>> {
        Arc::new(Finder::new(text).into_owned())
    }

    /// Holds a reply to it.
    ///
    /// # Errors
    /// What is not as expected.
    pub(super) fn check(&self, status: u16, bytes: usize, search: &Search<'_>) -> Result<(), CallError> {
        if !self.statuses.contain(status) {
            let reason = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
            let what =
                reason.map_or(format!("status {status}"), |reason| format!("status {status} {reason}"));
            return Err(CallError::Status { status, bytes, what });
        }
        if !search.found() {
            let what = format!("status {status}, and the body does not contain what is expected");
            return Err(CallError::Status { status, bytes, what });
        }
        Ok(())
    }
}

/// Statuses that are successes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statuses(Arc<[RangeInclusive<u16>]>);

impl Default for Statuses {
    /// Below 400.
    fn default() -> Statuses {
        Statuses([100..=399].into())
    }
}

impl Statuses {
    /// Reads `2xx`, `200,304` or `200-204`.
    ///
    /// # Errors
    /// What would be right.
    pub fn parse(text: &str) -> Result<Statuses, String> {
        let wrong = || format!("'{text}': write statuses such as 2xx, 200,304 or 200-204");
        let status = |text: &str| text.parse::<u16>().ok().filter(|status| (100..=599).contains(status));
        let range = |text: &str| {
            let hundred = text.strip_suffix("xx").and_then(|digit| digit.parse::<u16>().ok());
            match (hundred, text.split_once('-')) {
                (Some(hundred @ 1..=5), _) => Some(hundred * 100..=hundred * 100 + 99),
                (_, Some((from, to))) => Some(status(from)?..=status(to)?).filter(|range| !range.is_empty()),
                _ => status(text).map(|status| status..=status),
            }
        };
        let ranges = text.split(',').map(|part| range(part.trim()).ok_or_else(wrong));
        ranges.collect::<Result<Vec<_>, _>>().map(|ranges| Statuses(ranges.into()))
    }

    fn contain(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

/// Looks for bytes in a body that comes in pieces. Nothing is kept of it but what may be their
/// beginning.
pub(super) struct Search<'a> {
    finder: Option<&'a Arc<Finder<'static>>>,
    tail: Vec<u8>,
}

impl<'a> Search<'a> {
    pub(super) fn of(finder: Option<&'a Arc<Finder<'static>>>) -> Search<'a> {
        Search { finder, tail: Vec::new() }
    }

    /// Takes the next piece.
    pub(super) fn read(&mut self, piece: &[u8]) {
        let Some(finder) = self.finder else { return };
        let keep = finder.needle().len().saturating_sub(1);
        let seam = [&self.tail, &piece[..keep.min(piece.len())]].concat();
        if finder.find(piece).is_some() || finder.find(&seam).is_some() {
            self.finder = None;
            return;
        }
        self.tail = if piece.len() >= keep { piece[piece.len() - keep..].to_vec() } else { seam };
        self.tail.drain(..self.tail.len().saturating_sub(keep));
    }

    fn found(&self) -> bool {
        self.finder.is_none()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn statuses_are_read_as_they_are_written() {
        let statuses = Statuses::parse("2xx, 304,400-402").unwrap();
        let right: Vec<u16> = (100..600).filter(|status| statuses.contain(*status)).collect();
        assert_eq!(right, (200..300).chain([304]).chain(400..=402).collect::<Vec<_>>());
        for wrong in ["", "6xx", "20", "abc", "300-200", "200,", "2x"] {
            assert!(Statuses::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn bytes_are_found_however_a_body_is_cut() {
        let text = Expect::in_body("needle");
        let body = b"a haystack with a neeneedle in it";
        for cut in 1..body.len() {
            let mut search = Search::of(Some(&text));
            body.chunks(cut).for_each(|piece| search.read(piece));
            assert!(search.found(), "in pieces of {cut}");
            let mut search = Search::of(Some(&text));
            body[..body.len() - 9].chunks(cut).for_each(|piece| search.read(piece));
            assert!(!search.found(), "in pieces of {cut}");
        }
        assert!(Search::of(None).found());
    }

    proptest! {
        #[test]
        fn any_bytes_are_found_in_any_pieces(
            bytes in prop::collection::vec(0..3_u8, 1..6),
            pieces in prop::collection::vec(prop::collection::vec(0..3_u8, 0..9), 0..9),
        ) {
            let text = Expect::in_body(std::str::from_utf8(&bytes).unwrap());
            let mut search = Search::of(Some(&text));
            for piece in &pieces {
                search.read(piece);
                prop_assert!(search.tail.len() < bytes.len());
            }
            let is_there = pieces.concat().windows(bytes.len()).any(|window| window == bytes);
            prop_assert_eq!(search.found(), is_there);
        }

        #[test]
        fn any_statuses_are_read_or_refused(text in "([0-9x,. -]|[0-9]{3}|xx|[1-5]xx|200-304){0,9}", status: u16) {
            if let Ok(statuses) = Statuses::parse(&text) {
                prop_assert!(!statuses.contain(status) || (100..=599).contains(&status));
            }
        }
    }
}
