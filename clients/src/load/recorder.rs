//! What a stretch of load leaves: four histograms, and counts of everything.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use clock::Mono;
use hdrhistogram::Histogram;

use super::FlowOutcome;
use super::course::Course;
use crate::Failure;
use crate::phases::{Phase, Phases};

/// Nanoseconds that a histogram can hold: from 1 ns to 10 minutes, to three significant digits.
const VALUE_NS_MAX: u64 = 600_000_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

/// The four histograms, in nanoseconds. `response` has every arrival, failed ones at the time-out or more; `lag`
/// every arrival that was picked up; `wait` those that were sent; `service` those that succeeded.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Histograms {
    /// Done − scheduled.
    #[serde(with = "packed")]
    pub response: Histogram<u64>,
    /// Picked up − scheduled.
    #[serde(with = "packed")]
    pub lag: Histogram<u64>,
    /// Sent − picked up.
    #[serde(with = "packed")]
    pub wait: Histogram<u64>,
    /// Done − sent.
    #[serde(with = "packed")]
    pub service: Histogram<u64>,
}

/// How long calls spent in a phase, in nanoseconds.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct PhaseTimes(#[serde(with = "packed")] pub Histogram<u64>);

fn empty() -> Result<Histogram<u64>, hdrhistogram::CreationError> {
    Histogram::new_with_bounds(1, VALUE_NS_MAX, SIGNIFICANT_DIGITS)
}

impl Histograms {
    /// Four empty ones.
    ///
    /// # Errors
    /// Never, with the constants above: the type of the library's constructor asks for it.
    pub fn new() -> Result<Histograms, hdrhistogram::CreationError> {
        let empty = empty()?;
        Ok(Histograms { response: empty.clone(), lag: empty.clone(), wait: empty.clone(), service: empty })
    }

    /// Adds another's counts.
    pub fn merge(&mut self, other: &Histograms) {
        for (mine, theirs) in self.all_mut().into_iter().zip(other.all()) {
            // Equal bounds, so that it cannot fail.
            let _ = mine.1.add(theirs.1);
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

/// What came of a stretch of load, warm-up left out. Where ticks are pushed, each is a call that the server makes: due
/// when its schedule says, picked up and sent when it is emitted, done when it is received.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Outcome {
    /// The histograms.
    pub histograms: Histograms,
    /// Calls that were due, or made, in the measured time: ok + failed.
    pub arrivals: u64,
    /// Calls that were sent.
    pub sent: u64,
    /// Calls with the right reply in time.
    pub ok: u64,
    /// The others, by kind.
    pub failed: BTreeMap<Failure, u64>,
    /// Connections opened anew, warm-up included.
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
    /// From the start of the measuring to the last reply.
    pub elapsed: Duration,
    /// The same by when it was due.
    pub course: Course,
    /// What came of the ticks that were pushed beside the calls: the calls of a session.
    pub ticks: Option<Box<Outcome>>,
    /// What each flow brought; nothing where there are none.
    pub flows: Vec<FlowOutcome>,
    /// What cold calls that succeeded spent in each phase; nothing of others.
    pub phases: BTreeMap<Phase, PhaseTimes>,
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
            ok: 0,
            failed: BTreeMap::new(),
            reconnections: 0,
            samples: BTreeMap::new(),
            late_replies: 0,
            duplicates: 0,
            out_of_order: 0,
            longest_gap: 0,
            longest_silence: Duration::ZERO,
            elapsed: Duration::ZERO,
            course: Course::default(),
            ticks: None,
            flows: Vec::new(),
            phases: BTreeMap::new(),
        })
    }

    /// Nothing yet, of a stretch of measured time.
    ///
    /// # Errors
    /// As [`Histograms::new`].
    pub(super) fn over(from: Mono, duration: Duration) -> Result<Outcome, hdrhistogram::CreationError> {
        Ok(Outcome { course: Course::over(from, duration), ..Outcome::new()? })
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
        self.ok += other.ok;
        self.reconnections += other.reconnections;
        self.late_replies += other.late_replies;
        self.duplicates += other.duplicates;
        self.out_of_order += other.out_of_order;
        self.longest_gap = self.longest_gap.max(other.longest_gap);
        self.longest_silence = self.longest_silence.max(other.longest_silence);
        self.course.merge(&other.course);
        match (&mut self.ticks, &other.ticks) {
            (Some(mine), Some(theirs)) => mine.merge(theirs),
            (None, Some(theirs)) => self.ticks = Some(theirs.clone()),
            (_, None) => {}
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
        for (kind, count) in &other.failed {
            *self.failed.entry(*kind).or_default() += count;
        }
        for (kind, sample) in &other.samples {
            self.samples.entry(*kind).or_insert_with(|| sample.clone());
        }
    }

    /// Records what a call spent in each phase.
    pub(super) fn record_phases(&mut self, phases: &Phases) {
        for (phase, took) in phases {
            // Bounds that are right: it does not fail.
            let Ok(none) = empty() else { return };
            let times = self.phases.entry(*phase).or_insert(PhaseTimes(none));
            record(&mut times.0, clock::nanos(*took));
        }
    }

    /// Records a pushed event that never came. Nobody knows whether and when it was emitted: it stands in the response
    /// distribution alone, at the time-out.
    pub(super) fn record_missed(&mut self, due: Mono, time_out: Duration) {
        self.arrivals += 1;
        record(&mut self.histograms.response, clock::nanos(time_out));
        self.course.record(due, clock::nanos(time_out), true);
        *self.failed.entry(Failure::Missed).or_default() += 1;
    }

    /// Records a call that ended, well or not. A failed one stays in the response distribution, at the
    /// time-out or at its own time where that is longer, and leaves the service distribution alone.
    pub(super) fn record(&mut self, times: &CallTimes, failure: Option<Failure>, time_out: Duration) {
        self.arrivals += 1;
        let response = times.done.nanos_since(times.scheduled);
        record(&mut self.histograms.lag, times.picked_up.nanos_since(times.scheduled));
        if let Some(sent) = times.sent {
            self.sent += 1;
            record(&mut self.histograms.wait, sent.nanos_since(times.picked_up));
        }
        match (failure, times.sent) {
            (None, Some(sent)) => {
                self.ok += 1;
                record(&mut self.histograms.response, response);
                self.course.record(times.scheduled, response, false);
                record(&mut self.histograms.service, times.done.nanos_since(sent));
            }
            (failure, _) => {
                let response = response.max(clock::nanos(time_out));
                record(&mut self.histograms.response, response);
                self.course.record(times.scheduled, response, true);
                *self.failed.entry(failure.unwrap_or(Failure::Dropped)).or_default() += 1;
            }
        }
    }
}

/// The instants of one call.
#[derive(Debug, Clone, Copy)]
pub(super) struct CallTimes {
    pub(super) scheduled: Mono,
    pub(super) picked_up: Mono,
    /// `None` where it never was.
    pub(super) sent: Option<Mono>,
    pub(super) done: Mono,
}

fn record(histogram: &mut Histogram<u64>, nanos: u64) {
    histogram.saturating_record(nanos.max(1));
}

/// Histograms travel and rest as base64 of HdrHistogram's V2 encoding, deflated: mergeable, under 1 KB a run.
pub mod packed {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD_NO_PAD;
    use hdrhistogram::Histogram;
    use hdrhistogram::serialization::{
        Deserializer as HistogramReader, Serializer as _, V2DeflateSerializer,
    };
    use serde::{Deserialize as _, Deserializer, Serializer};

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
        HistogramReader::new().deserialize(&mut bytes.as_slice()).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME_OUT: Duration = Duration::from_millis(100);

    fn times(scheduled: u64, picked_up: u64, sent: Option<u64>, done: u64) -> CallTimes {
        CallTimes {
            scheduled: Mono(scheduled),
            picked_up: Mono(picked_up),
            sent: sent.map(Mono),
            done: Mono(done),
        }
    }

    #[test]
    fn response_is_lag_and_wait_and_service() {
        let mut outcome = Outcome::new().unwrap();
        outcome.record(&times(1_000, 1_030, Some(1_050), 1_900), None, TIME_OUT);
        let [response, lag, wait, service] = outcome.histograms.all().map(|(_, histogram)| histogram.max());
        assert_eq!((response, lag, wait, service), (900, 30, 20, 850));
    }

    #[test]
    fn failures_stay_in_the_response_at_the_time_out_or_more() {
        let mut outcome = Outcome::new().unwrap();
        outcome.record(&times(0, 5, Some(6), 50), Some(Failure::Reset), TIME_OUT);
        outcome.record(&times(0, 5, None, 300_000_000), Some(Failure::TimedOut), TIME_OUT);
        assert!(outcome.histograms.response.min() >= 99_900_000);
        assert!(outcome.histograms.response.max() >= 299_000_000);
        assert_eq!((outcome.ok, outcome.sent, outcome.failures()), (0, 1, 2));
        assert!(outcome.histograms.service.is_empty());
    }

    #[test]
    fn packed_histograms_come_back_whole() {
        let mut outcome = Outcome::new().unwrap();
        for nanos in [1_u64, 1_000, 2_000_000, 7_000_000_000] {
            outcome.record(&times(0, 0, Some(0), nanos), None, TIME_OUT);
        }
        let text = packed::pack(&outcome.histograms.response);
        assert_eq!(packed::unpack(&text).unwrap(), outcome.histograms.response);
        assert!(packed::unpack("no histogram").is_err());
    }
}
