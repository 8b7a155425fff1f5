//! A load for other people's tools: its seconds as CSV, its calls as JSON lines, its distributions
//! as HdrHistogram's log.

use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::anyhow;
use clock::Mono;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use serde::Serialize;
use terms::escape::terminal_line;
use terms::{Failure, OneCall};

use super::LoadReport;

/// The head of the CSV. Seconds count from the start of the measured time.
const COLUMNS: &str = "at_s,due,ok,failed,response_p50_us,response_p99_us";
/// Nanoseconds in the unit of a log's column of maxima, which is for people.
const NS_PER_MS: f64 = 1e6;

/// One call, as a line of JSON has it.
#[derive(Serialize)]
struct Line<'a> {
    /// When it was due, after the start of the measured time.
    due_s: f64,
    /// Null where it failed: beyond every bound.
    response_us: Option<f64>,
    /// How long it took until it failed.
    failed_after_us: Option<f64>,
    lag_us: f64,
    /// Null where it was never sent.
    wait_us: Option<f64>,
    /// Null where it failed.
    service_us: Option<f64>,
    failed: Option<&'static str>,
    status: Option<u16>,
    reply_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<&'a str>,
}

impl Line<'_> {
    fn of<'a>(call: &OneCall, request: Option<&'a str>) -> Line<'a> {
        let us = |ns: u64| ns as f64 / 1e3;
        let before_service = |wait_ns: u64| call.lag_ns + wait_ns;
        let service_ns = call.wait_ns.map(|wait_ns| call.response_ns.saturating_sub(before_service(wait_ns)));
        Line {
            due_s: call.due_ns as f64 / 1e9,
            response_us: call.failure.is_none().then(|| us(call.response_ns)),
            failed_after_us: call.failure.map(|_| us(call.response_ns)),
            lag_us: us(call.lag_ns),
            wait_us: call.wait_ns.map(us),
            service_us: service_ns.filter(|_| call.failure.is_none()).map(us),
            failed: call.failure.map(Failure::name),
            status: call.status,
            reply_bytes: call.bytes,
            request,
        }
    }
}

impl LoadReport {
    /// When the measured time began.
    pub(in crate::verbs::load) fn measured_from(&self) -> Mono {
        Mono(self.outcome.timeline.as_ref().map_or(0, |timeline| timeline.from_ns))
    }

    /// A line for each second, or for each longer slice of a load of hours. A percentile that falls
    /// on a failed call is empty.
    pub(in crate::verbs::load) fn csv(&self) -> String {
        let mut out = format!("{COLUMNS}\n");
        let Some(timeline) = &self.outcome.timeline else { return out };
        for (nth, slice) in timeline.slices.iter().enumerate() {
            let at_s = nth as f64 * timeline.slice.as_secs_f64();
            let [p50, p99] = [0.5, 0.99]
                .map(|share| slice.response_us(share).map_or_else(String::new, |us| format!("{us:.1}")));
            let failed = slice.arrivals - slice.ok;
            let _ = writeln!(out, "{at_s},{},{},{failed},{p50},{p99}", slice.arrivals, slice.ok);
        }
        out
    }

    /// A line for each call that was kept, in the order in which they were due.
    ///
    /// # Errors
    /// Never: the type of the library asks for it.
    pub(in crate::verbs::load) fn json_lines(&self) -> anyhow::Result<String> {
        let mut calls: Vec<&OneCall> = self.outcome.calls.iter().collect();
        calls.sort_by_key(|call| call.due_ns);
        let mut out = Vec::new();
        for call in calls {
            serde_json::to_writer(&mut out, &Line::of(call, self.names.of(call.turn)))?;
            out.push(b'\n');
        }
        Ok(String::from_utf8(out)?)
    }

    /// The four distributions in nanoseconds, each under its tag, over the measured time.
    ///
    /// # Errors
    /// Where a histogram does not fit the format.
    pub(in crate::verbs::load) fn hlog(&self, began_us: u64) -> anyhow::Result<String> {
        let began = UNIX_EPOCH + Duration::from_micros(began_us);
        let comment = format!(
            "wirebench load {}: nanoseconds; the response of a failed call is its time-out or more",
            self.shown_target()
        );
        let mut out = Vec::new();
        let mut serializer = V2DeflateSerializer::new();
        let mut log = IntervalLogWriterBuilder::new()
            .add_comment(&terminal_line(&comment))
            .with_start_time(began)
            .with_base_time(began)
            .with_max_value_divisor(NS_PER_MS)
            .begin_log_with(&mut out, &mut serializer)?;
        for (name, histogram) in self.outcome.histograms.all() {
            let tag = Tag::new(name).ok_or_else(|| anyhow!("'{name}' cannot be a tag"))?;
            log.write_histogram(histogram, Duration::ZERO, self.outcome.measured, Some(tag))
                .map_err(|error| anyhow!("{error:?}"))?;
        }
        Ok(String::from_utf8(out)?)
    }
}
