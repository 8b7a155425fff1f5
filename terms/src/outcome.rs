//! What a stretch of load leaves: four histograms, and counts of everything.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::{Course, Retries, TimeSlice, Timeline};

/// Failures by kind, as they are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// Connection refused.
    Refused,
    /// Connection lost.
    Reset,
    /// No reply by the deadline.
    TimedOut,
    /// A reply to something else.
    WrongReply,
    /// Not the protocol.
    Protocol,
    /// Answered with a status or a body that is no success.
    Status,
    /// This machine's own limit: open files, ports, memory.
    Client,
    /// Over a limit.
    Limit,
    /// Refused by the market.
    Rejected,
    /// Never sent: too many arrivals waited already, or it waited for too long to be answered in
    /// time.
    Dropped,
    /// A pushed event that did not come in time.
    Missed,
}

impl Failure {
    /// All kinds, in the order in which they are shown.
    pub const ALL: [Failure; 11] = [
        Failure::Refused,
        Failure::Reset,
        Failure::TimedOut,
        Failure::WrongReply,
        Failure::Protocol,
        Failure::Status,
        Failure::Client,
        Failure::Limit,
        Failure::Rejected,
        Failure::Dropped,
        Failure::Missed,
    ];

    /// Its name in records.
    pub fn name(self) -> &'static str {
        match self {
            Failure::Refused => "refused",
            Failure::Reset => "reset",
            Failure::TimedOut => "timed_out",
            Failure::WrongReply => "wrong_reply",
            Failure::Protocol => "protocol",
            Failure::Status => "status",
            Failure::Client => "client",
            Failure::Limit => "limit",
            Failure::Rejected => "rejected",
            Failure::Dropped => "dropped",
            Failure::Missed => "missed",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// A part of a cold call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The server's name is looked up.
    Dns,
    /// TCP connects.
    Connect,
    /// TLS shakes hands; over QUIC that is the connecting too.
    Tls,
    /// All that comes after: an upgrade where there is one, the request, its reply.
    Request,
}

impl Phase {
    /// All, in their order.
    pub const ALL: [Phase; 4] = [Phase::Dns, Phase::Connect, Phase::Tls, Phase::Request];

    /// Its name in records and tables.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Dns => "dns",
            Phase::Connect => "connect",
            Phase::Tls => "tls",
            Phase::Request => "request",
        }
    }
}

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

/// How long calls spent in a phase, in nanoseconds.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct PhaseTimes(#[serde(with = "packed")] pub Histogram<u64>);

/// An empty histogram of nanoseconds, with the bounds that all have.
///
/// # Errors
/// Never, with the constants above: the type of the library's constructor asks for it.
pub fn empty_histogram() -> Result<Histogram<u64>, hdrhistogram::CreationError> {
    Histogram::new_with_bounds(1, VALUE_NS_MAX, SIGNIFICANT_DIGITS)
}

/// What came of a stretch of load, warm-up left out. Where ticks are pushed, each is a call that
/// the server makes: due when its schedule says, picked up and sent when it is emitted, done when
/// it is received.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Outcome {
    /// The histograms.
    pub histograms: Histograms,
    /// Calls that were due, or made, in the measured time: ok + failed.
    pub arrivals: u64,
    /// Calls that were sent.
    pub sent: u64,
    /// Attempts of calls, those of calls that failed too: one for each call that was sent, and as
    /// many more as its policy repeated it.
    pub attempts: u64,
    /// Calls with the right reply in time.
    pub ok: u64,
    /// The others, by kind.
    pub failed: BTreeMap<Failure, u64>,
    /// How long the others took until they failed, by kind: the response distribution has them at
    /// the time-out or later.
    #[serde(default)]
    pub failed_after: BTreeMap<Failure, FailedAfter>,
    /// Replies by their HTTP or gRPC status; nothing for protocols that have none.
    #[serde(default)]
    pub statuses: BTreeMap<u16, u64>,
    /// Bytes of replies, where they are counted and not decoded.
    #[serde(default)]
    pub reply_bytes: u64,
    /// Connections opened anew: of calls, warm-up included; of subscribers, in the measured time.
    pub reconnections: u64,
    /// One error of each kind that occurred, in words.
    pub samples: BTreeMap<Failure, String>,
    /// Replies that came after their call was given up, or a second time; warm-up included.
    pub late_replies: u64,
    /// Pushed events that came again.
    pub duplicates: u64,
    /// Pushed events that came after a later one.
    pub out_of_order: u64,
    /// The longest run of pushed events that one subscriber missed.
    pub longest_gap: u64,
    /// The longest time in which one subscriber received nothing, within the measured time.
    pub longest_silence: Duration,
    /// From the start of the measuring to the last right reply that came in time: what is waited
    /// for in vain after that is no time in which calls succeeded.
    pub elapsed: Duration,
    /// How long it was measured: the round's duration, or less where it was interrupted or had all
    /// its calls.
    #[serde(default)]
    pub measured: Duration,
    /// The same by when it was due.
    pub course: Course,
    /// Attempts that were made again, by when they were due; nothing where no call is.
    #[serde(default)]
    pub retries: Retries,
    /// What came of the ticks that were pushed beside the calls: the calls of a session.
    pub ticks: Option<Box<Outcome>>,
    /// What came of the calls that need a second market, which are then not among the others.
    #[serde(default)]
    pub apart: Option<Box<Outcome>>,
    /// The same along time, where that is asked for.
    #[serde(default)]
    pub timeline: Option<Box<Timeline>>,
    /// The same of each stage of rates, where there are stages.
    #[serde(default)]
    pub stages: Vec<TimeSlice>,
    /// The same of each group of requests, where there are groups.
    #[serde(default)]
    pub groups: Vec<Outcome>,
    /// What each flow brought; nothing where there are none.
    pub flows: Vec<FlowOutcome>,
    /// What cold calls that succeeded spent in each phase; nothing of others.
    pub phases: BTreeMap<Phase, PhaseTimes>,
}

/// How long calls took until they failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FailedAfter {
    /// Calls.
    pub n: u64,
    /// The sum of their times from schedule to failure, in nanoseconds.
    pub sum_ns: u64,
    /// The longest of them, in nanoseconds.
    pub max_ns: u64,
}

impl FailedAfter {
    /// Counts a call that failed after so many nanoseconds.
    pub fn record(&mut self, ns: u64) {
        self.merge(&FailedAfter { n: 1, sum_ns: ns, max_ns: ns });
    }

    /// Adds another's.
    fn merge(&mut self, other: &FailedAfter) {
        self.n += other.n;
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
    }
}

impl Outcome {
    /// Nothing yet.
    ///
    /// # Errors
    /// As [`Histograms::new`].
    pub fn new() -> Result<Outcome, hdrhistogram::CreationError> {
        Ok(Outcome {
            histograms: Histograms::new()?,
            arrivals: 0,
            sent: 0,
            attempts: 0,
            ok: 0,
            failed: BTreeMap::new(),
            failed_after: BTreeMap::new(),
            statuses: BTreeMap::new(),
            reply_bytes: 0,
            reconnections: 0,
            samples: BTreeMap::new(),
            late_replies: 0,
            duplicates: 0,
            out_of_order: 0,
            longest_gap: 0,
            longest_silence: Duration::ZERO,
            elapsed: Duration::ZERO,
            measured: Duration::ZERO,
            course: Course::default(),
            retries: Retries::default(),
            ticks: None,
            apart: None,
            timeline: None,
            stages: Vec::new(),
            groups: Vec::new(),
            flows: Vec::new(),
            phases: BTreeMap::new(),
        })
    }

    /// Calls that succeeded, those that are counted apart too: what the processor time of both ends
    /// was used for.
    pub fn succeeded(&self) -> u64 {
        self.ok + self.apart.as_ref().map_or(0, |apart| apart.ok)
    }

    /// All failures.
    pub fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    /// Adds another worker's, or another round's.
    pub fn merge(&mut self, other: &Outcome) {
        self.histograms.merge(&other.histograms);
        self.arrivals += other.arrivals;
        self.sent += other.sent;
        self.attempts += other.attempts;
        self.ok += other.ok;
        self.reconnections += other.reconnections;
        self.late_replies += other.late_replies;
        self.duplicates += other.duplicates;
        self.out_of_order += other.out_of_order;
        self.longest_gap = self.longest_gap.max(other.longest_gap);
        self.longest_silence = self.longest_silence.max(other.longest_silence);
        self.course.merge(&other.course);
        self.retries.merge(&other.retries);
        let beside = [(&mut self.ticks, &other.ticks), (&mut self.apart, &other.apart)];
        for (mine, theirs) in beside {
            match (&mut *mine, theirs) {
                (Some(mine), Some(theirs)) => mine.merge(theirs),
                (None, Some(theirs)) => *mine = Some(theirs.clone()),
                (_, None) => {}
            }
        }
        match (&mut self.timeline, &other.timeline) {
            (Some(mine), Some(theirs)) => mine.merge(theirs),
            (mine @ None, Some(theirs)) => *mine = Some(theirs.clone()),
            (_, None) => {}
        }
        if self.stages.is_empty() {
            self.stages.clone_from(&other.stages);
        } else {
            self.stages.iter_mut().zip(&other.stages).for_each(|(mine, theirs)| mine.merge(theirs));
        }
        if self.groups.is_empty() {
            self.groups.clone_from(&other.groups);
        } else {
            self.groups.iter_mut().zip(&other.groups).for_each(|(mine, theirs)| mine.merge(theirs));
        }
        self.flows.resize(self.flows.len().max(other.flows.len()), FlowOutcome::default());
        for (mine, theirs) in self.flows.iter_mut().zip(&other.flows) {
            mine.merge(theirs);
        }
        for (phase, theirs) in &other.phases {
            match self.phases.entry(*phase) {
                // Equal bounds, so that it cannot fail.
                Entry::Occupied(mut mine) => {
                    let _ = mine.get_mut().0.add(&theirs.0);
                }
                Entry::Vacant(none) => {
                    none.insert(theirs.clone());
                }
            }
        }
        self.elapsed = self.elapsed.max(other.elapsed);
        self.measured = self.measured.max(other.measured);
        self.reply_bytes += other.reply_bytes;
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        for (kind, after) in &other.failed_after {
            self.failed_after.entry(*kind).or_default().merge(after);
        }
        for (kind, count) in &other.failed {
            *self.failed.entry(*kind).or_default() += count;
        }
        for (kind, sample) in &other.samples {
            self.samples.entry(*kind).or_insert_with(|| sample.clone());
        }
    }
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

/// What one flow brought in the measured time.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct FlowOutcome {
    /// Blocks that were given to the sender's socket in the measured time, and came, then or later.
    pub blocks: u64,
    /// Bytes of blocks that came in the measured time.
    pub bytes: u64,
    /// The same, by when they came, in slices of [`FlowOutcome::SLICE`].
    pub course: Vec<u64>,
    /// The most bytes, of those that came, that the sender's socket had taken and nobody had read
    /// yet.
    pub held_bytes_max: u64,
}

impl FlowOutcome {
    /// How long a slice of the course is.
    pub const SLICE: Duration = Duration::from_millis(100);

    /// Adds another round's.
    pub fn merge(&mut self, other: &FlowOutcome) {
        self.blocks += other.blocks;
        self.bytes += other.bytes;
        self.course.resize(self.course.len().max(other.course.len()), 0);
        for (mine, theirs) in self.course.iter_mut().zip(&other.course) {
            *mine += theirs;
        }
        self.held_bytes_max = self.held_bytes_max.max(other.held_bytes_max);
    }
}

/// What one flow's sender did in the measured time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Sent {
    /// Blocks that its socket took whole.
    pub blocks: u64,
    /// How long it had a block and the socket took none.
    pub blocked: Duration,
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
