//! What a stretch of load leaves: four histograms, and counts of everything.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::{Course, FailedAfter, Failure, Histograms, OneCall, Retries, TimeSlice, Timeline, packed};

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

/// How long calls spent in a phase, in nanoseconds.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct PhaseTimes(#[serde(with = "packed")] pub Histogram<u64>);

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
    /// Right replies that came in the measured time, to calls of the warm-up too: by stage of
    /// rates, and all in one where there are none.
    #[serde(default)]
    pub answered: Vec<u64>,
    /// Calls with the right reply that were sent after the measured time, for want of a connection
    /// in it.
    #[serde(default)]
    pub sent_late: u64,
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
    /// Single calls, where they are kept: they do not leave the process.
    #[serde(skip)]
    pub calls: Vec<OneCall>,
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
            answered: Vec::new(),
            sent_late: 0,
            course: Course::default(),
            retries: Retries::default(),
            ticks: None,
            apart: None,
            timeline: None,
            stages: Vec::new(),
            groups: Vec::new(),
            calls: Vec::new(),
            flows: Vec::new(),
            phases: BTreeMap::new(),
        })
    }

    /// Calls that succeeded, those that are counted apart too: what the processor time of both ends
    /// was used for.
    pub fn succeeded(&self) -> u64 {
        self.ok + self.apart.as_ref().map_or(0, |apart| apart.ok)
    }

    /// Counts a right reply that came in the measured time, in this stage of it.
    pub fn count_answer(&mut self, stage: usize) {
        let stages = self.answered.len().max(stage + 1);
        self.answered.resize(stages, 0);
        self.answered[stage] += 1;
    }

    /// Calls with the right reply per second of the measured time; 0 where nothing was measured. A
    /// server that is offered more than it can do works off what waits when that time is over: then
    /// it is the replies that came in it.
    pub fn rate_per_s(&self) -> f64 {
        let replies = if self.sent_late > 0 { self.answered.iter().sum() } else { self.ok };
        let measured_s = self.measured.as_secs_f64();
        if measured_s > 0.0 { replies as f64 / measured_s } else { 0.0 }
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
        self.sent_late += other.sent_late;
        self.answered.resize(self.answered.len().max(other.answered.len()), 0);
        self.answered.iter_mut().zip(&other.answered).for_each(|(mine, theirs)| *mine += theirs);
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
        self.calls.extend_from_slice(&other.calls);
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
