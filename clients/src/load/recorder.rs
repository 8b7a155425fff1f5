//! How calls become counts: what each leaves in the four histograms, and among the failures.

use std::time::Duration;

use clock::Mono;
use hdrhistogram::Histogram;

use terms::{Course, Failure, Outcome, PhaseTimes, empty_histogram};

use crate::phases::Phases;

/// How the engine fills an outcome.
pub(super) trait Recording: Sized {
    /// Nothing yet, of a stretch of measured time.
    ///
    /// # Errors
    /// As [`Histograms::new`].
    fn over(from: Mono, duration: Duration) -> Result<Outcome, hdrhistogram::CreationError>;

    /// Counts an answer by its status, and its bytes.
    fn record_answer(&mut self, status: Option<u16>, bytes: usize);

    /// Records a call along time, where that is kept.
    fn record_in_time(&mut self, due: Mono, response_ns: u64, failed: bool);

    /// Records what a call spent in each phase.
    fn record_phases(&mut self, phases: &Phases);

    /// Records a pushed event that never came. Nobody knows whether and when it was emitted: it
    /// stands in the response distribution alone, at the time-out.
    fn record_missed(&mut self, due: Mono, time_out: Duration);

    /// Records a call that ended, well or not. A failed one stays in the response distribution, at
    /// the time-out or at its own time where that is longer, and leaves the service distribution
    /// alone.
    fn record(&mut self, times: &CallTimes, failure: Option<Failure>, time_out: Duration);
}

impl Recording for Outcome {
    fn over(from: Mono, duration: Duration) -> Result<Outcome, hdrhistogram::CreationError> {
        Ok(Outcome { course: Course::over(from.0, duration), ..Outcome::new()? })
    }

    fn record_answer(&mut self, status: Option<u16>, bytes: usize) {
        self.reply_bytes += bytes as u64;
        if let Some(status) = status {
            *self.statuses.entry(status).or_default() += 1;
        }
    }

    fn record_in_time(&mut self, due: Mono, response_ns: u64, failed: bool) {
        if let Some(timeline) = &mut self.timeline {
            timeline.record(due.0, response_ns, failed);
        }
    }

    fn record_phases(&mut self, phases: &Phases) {
        for (phase, took) in phases {
            // Bounds that are right: it does not fail.
            let Ok(none) = empty_histogram() else { return };
            let times = self.phases.entry(*phase).or_insert(PhaseTimes(none));
            record(&mut times.0, clock::nanos(*took));
        }
    }

    fn record_missed(&mut self, due: Mono, time_out: Duration) {
        self.arrivals += 1;
        record(&mut self.histograms.response, clock::nanos(time_out));
        self.course.record(due.0, clock::nanos(time_out), true);
        *self.failed.entry(Failure::Missed).or_default() += 1;
    }

    fn record(&mut self, times: &CallTimes, failure: Option<Failure>, time_out: Duration) {
        self.arrivals += 1;
        self.attempts += u64::from(times.attempts);
        let response = times.done.nanos_since(times.scheduled);
        record(&mut self.histograms.lag, times.picked_up.nanos_since(times.scheduled));
        if let Some(sent) = times.sent {
            self.sent += 1;
            record(&mut self.histograms.wait, sent.nanos_since(times.picked_up));
        }
        match (failure, times.sent) {
            (None, Some(sent)) => {
                self.ok += 1;
                let after = Duration::from_nanos(times.done.0.saturating_sub(self.course.from_ns));
                self.elapsed = self.elapsed.max(after);
                record(&mut self.histograms.response, response);
                self.course.record(times.scheduled.0, response, false);
                self.record_in_time(times.scheduled, response, false);
                record(&mut self.histograms.service, times.done.nanos_since(sent));
            }
            (failure, _) => {
                let failure = failure.unwrap_or(Failure::Dropped);
                self.failed_after.entry(failure).or_default().record(response);
                let response = response.max(clock::nanos(time_out));
                record(&mut self.histograms.response, response);
                self.course.record(times.scheduled.0, response, true);
                self.record_in_time(times.scheduled, response, true);
                *self.failed.entry(failure).or_default() += 1;
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
    /// How often it was sent.
    pub(super) attempts: u32,
    pub(super) done: Mono,
}

fn record(histogram: &mut Histogram<u64>, nanos: u64) {
    histogram.saturating_record(nanos.max(1));
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
            attempts: u32::from(sent.is_some()),
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
}
