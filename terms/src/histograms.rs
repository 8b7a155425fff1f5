//! The histograms of calls: their bounds, and how they travel and rest.

use hdrhistogram::Histogram;

/// Nanoseconds that a histogram can hold: from 1 ns to 10 minutes, to three significant digits.
const VALUE_NS_MAX: u64 = 600_000_000_000;

const SIGNIFICANT_DIGITS: u8 = 3;

/// The four histograms, in nanoseconds. `response` has every arrival, failed ones at the time-out
/// or more; `lag` every arrival that was picked up; `wait` those that were sent; `service` those
/// that succeeded.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Histograms {
    /// Done − scheduled.
    #[serde(with = "packed")]
    #[schemars(with = "String")]
    pub response: Histogram<u64>,
    /// Picked up − scheduled.
    #[serde(with = "packed")]
    #[schemars(with = "String")]
    pub lag: Histogram<u64>,
    /// Sent − picked up.
    #[serde(with = "packed")]
    #[schemars(with = "String")]
    pub wait: Histogram<u64>,
    /// Done − sent.
    #[serde(with = "packed")]
    #[schemars(with = "String")]
    pub service: Histogram<u64>,
}

impl Histograms {
    /// Four empty ones.
    ///
    /// # Errors
    /// Never, with the constants above: the type of the library's constructor asks for it.
    pub fn new() -> Result<Histograms, hdrhistogram::CreationError> {
        let empty = empty_histogram()?;
        Ok(Histograms { response: empty.clone(), lag: empty.clone(), wait: empty.clone(), service: empty })
    }

    /// Adds another's counts.
    pub fn merge(&mut self, other: &Histograms) {
        for (mine, theirs) in self.all_mut().into_iter().zip(other.all()) {
            // Equal bounds, so that it cannot fail.
            let _ = mine.1.add(theirs.1);
        }
    }

    /// Forgets all but the responses: each of the four takes 250 KB.
    pub fn keep_responses_only(&mut self) {
        for (_, others) in self.all_mut().into_iter().skip(1) {
            if let Ok(least) = Histogram::new_with_bounds(1, 2, 1) {
                *others = least;
            }
        }
    }

    /// Each with its name.
    pub fn all(&self) -> [(&'static str, &Histogram<u64>); 4] {
        [("response", &self.response), ("lag", &self.lag), ("wait", &self.wait), ("service", &self.service)]
    }

    fn all_mut(&mut self) -> [(&'static str, &mut Histogram<u64>); 4] {
        [
            ("response", &mut self.response),
            ("lag", &mut self.lag),
            ("wait", &mut self.wait),
            ("service", &mut self.service),
        ]
    }
}

/// An empty histogram of nanoseconds, with the bounds that all have.
///
/// # Errors
/// Never, with the constants above: the type of the library's constructor asks for it.
pub fn empty_histogram() -> Result<Histogram<u64>, hdrhistogram::CreationError> {
    Histogram::new_with_bounds(1, VALUE_NS_MAX, SIGNIFICANT_DIGITS)
}

/// Histograms travel and rest as base64 of HdrHistogram's V2 encoding, deflated: mergeable, under 1
/// KB a run.
pub mod packed {
    use std::io::Read as _;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD_NO_PAD;
    use flate2::read::ZlibDecoder;
    use hdrhistogram::Histogram;
    use hdrhistogram::serialization::{
        Deserializer as HistogramReader, Serializer as _, V2DeflateSerializer,
    };
    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::{SIGNIFICANT_DIGITS, VALUE_NS_MAX};

    /// Bytes before the deflated part: a cookie, and a length.
    const OUTER_BYTES: usize = 8;
    /// Bytes of a histogram's head, once it is inflated: a cookie, the length of the counts, an
    /// offset, digits, the lowest and the highest value, and a ratio.
    const HEAD_BYTES: usize = 40;
    /// Bytes of one that is inflated, at most: each of its 31 744 places takes nine or less.
    const INFLATED_BYTES_MAX: u64 = 512 << 10;

    /// Packs one.
    pub fn pack(histogram: &Histogram<u64>) -> String {
        let mut bytes = Vec::new();
        // Writing to a Vec does not fail, and the counts fit the format.
        let _ = V2DeflateSerializer::new().serialize(histogram, &mut bytes);
        STANDARD_NO_PAD.encode(bytes)
    }

    /// For `#[serde(with)]`.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(histogram: &Histogram<u64>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&pack(histogram))
    }

    /// For `#[serde(with)]`.
    ///
    /// # Errors
    /// Where the text is not a packed histogram.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Histogram<u64>, D::Error> {
        unpack(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }

    /// Unpacks one.
    ///
    /// # Errors
    /// In words, where the text is not a packed histogram.
    pub fn unpack(text: &str) -> Result<Histogram<u64>, String> {
        let bytes = STANDARD_NO_PAD.decode(text).map_err(|error| error.to_string())?;
        let inflated = inflated(bytes.get(OUTER_BYTES..).unwrap_or_default())?;
        check_head(&inflated)?;
        HistogramReader::new().deserialize(&mut inflated.as_slice()).map_err(|error| error.to_string())
    }

    /// What is deflated, up to its bound: a kilobyte can stand for a gigabyte.
    fn inflated(bytes: &[u8]) -> Result<Vec<u8>, String> {
        let mut inflated = Vec::new();
        let mut reader = ZlibDecoder::new(bytes).take(INFLATED_BYTES_MAX + 1);
        let read = reader.read_to_end(&mut inflated).map_err(|error| error.to_string())?;
        let right = u64::try_from(read).is_ok_and(|read| read <= INFLATED_BYTES_MAX);
        if right { Ok(inflated) } else { Err("a histogram is larger than any of ours".to_owned()) }
    }

    /// The head says how much room the reader makes: no more than for one of ours.
    fn check_head(inflated: &[u8]) -> Result<(), String> {
        let (Some(length), Some(digits), Some(high)) =
            (number::<4>(inflated, 4), number::<4>(inflated, 12), number::<8>(inflated, 24))
        else {
            return Err("a histogram is cut short".to_owned());
        };
        let counts = u64::try_from(inflated.len().saturating_sub(HEAD_BYTES)).unwrap_or_default();
        let right = length == counts && digits <= u64::from(SIGNIFICANT_DIGITS) && high <= VALUE_NS_MAX;
        if right { Ok(()) } else { Err("a histogram has other bounds than ours".to_owned()) }
    }

    /// A number of `BYTES` bytes at a place, the highest first.
    fn number<const BYTES: usize>(bytes: &[u8], at: usize) -> Option<u64> {
        let digits = bytes.get(at..at + BYTES)?;
        Some(digits.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD_NO_PAD;
    use flate2::Compression;
    use flate2::read::ZlibEncoder;

    use super::*;

    #[test]
    fn packed_histograms_come_back_whole() {
        let mut histogram = empty_histogram().unwrap();
        for nanos in [1_u64, 1_000, 2_000_000, 7_000_000_000] {
            histogram.record(nanos).unwrap();
        }
        assert_eq!(packed::unpack(&packed::pack(&histogram)).unwrap(), histogram);
        assert!(packed::unpack("no histogram").is_err());
    }

    /// Each of these says in some bytes that there is a gigabyte, or more.
    #[test]
    fn a_packed_histogram_takes_no_more_room_than_one_of_ours() {
        let head = |length: u32, digits: u32, high: u64| {
            let words = [0x1c84_9313_u32, length, 0, digits].map(u32::to_be_bytes).concat();
            let values = [1_u64, high].map(u64::to_be_bytes).concat();
            [words, values, 1_f64.to_be_bytes().to_vec()].concat()
        };
        let packed = |inflated: &[u8]| {
            let mut deflated = Vec::new();
            ZlibEncoder::new(inflated, Compression::best()).read_to_end(&mut deflated).unwrap();
            let length = u32::try_from(deflated.len()).unwrap();
            let outer = [0x1c84_9314_u32, length].map(u32::to_be_bytes).concat();
            STANDARD_NO_PAD.encode([outer, deflated].concat())
        };
        assert!(packed::unpack(&packed(&head(0, 3, VALUE_NS_MAX))).unwrap().is_empty());
        let zeros = [head(64 << 20, 3, VALUE_NS_MAX), vec![0; 64 << 20]].concat();
        for (inflated, says) in [
            (head(u32::MAX, 3, VALUE_NS_MAX), "other bounds"),
            (head(0, 5, VALUE_NS_MAX), "other bounds"),
            (head(0, 3, u64::MAX), "other bounds"),
            (head(0, 3, VALUE_NS_MAX)[..20].to_vec(), "cut short"),
            (zeros, "larger than any of ours"),
        ] {
            let error = packed::unpack(&packed(&inflated)).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
