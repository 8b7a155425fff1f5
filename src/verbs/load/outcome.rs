//! What a load came to: one JSON object, a few lines for people, and what of it a threshold can
//! name.

mod metrics;
mod page;
mod series;
mod shown;
pub(super) use shown::without_password;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;
use terms::{
    Arrivals, Distribution, Expression, FailedAfter, Failure, Figure, Model, Outcome, Phase, Point,
    Quantiles, Stage, TimeSlice, count_within, text,
};

use super::options::Stages;
use super::{Loaded, Options};
use crate::ending::{print_data, say_broken};
use crate::verbs::expressions::absolute_threshold;

/// The object that `--json` prints. Field names carry their unit.
#[derive(Debug, Serialize)]
pub(super) struct LoadReport {
    target: String,
    /// Where the connections lead.
    address: String,
    model: &'static str,
    scheduled_rate_per_s: Option<f64>,
    connections: u32,
    in_flight: u16,
    workers: u16,
    warm_up_s: f64,
    /// How long was measured: less than what was asked for where it was interrupted.
    duration_s: f64,
    interrupted: bool,
    /// From the end of the measured time to the last reply.
    last_replies_after_s: f64,
    /// Calls that were due in the measured time, or made in it: ok + failed.
    arrivals: u64,
    sent: u64,
    ok: u64,
    /// By kind; every kind that occurred.
    failed: BTreeMap<&'static str, u64>,
    failed_total: u64,
    /// How long failed calls took until they failed, by kind.
    failed_after_us: BTreeMap<&'static str, FailedAfterUs>,
    failure_samples: BTreeMap<&'static str, String>,
    /// Replies by status.
    statuses: BTreeMap<u16, u64>,
    /// Bytes of the bodies of replies, where they are counted.
    reply_bytes: u64,
    reconnections: u64,
    /// Successful calls of the measured time, per second of it.
    rate_per_s: f64,
    /// Of those that succeeded; absent where none did.
    client_cpu_us_per_call: Option<f64>,
    /// Of all calls: a failed one is beyond every bound, and a percentile that falls on one is
    /// null.
    response_us: Reached,
    lag_us: Quantiles,
    wait_us: Quantiles,
    service_us: Quantiles,
    /// What new connections spent in each phase of a call.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    phases_us: BTreeMap<&'static str, Quantiles>,
    /// The same of each name that requests have, where there are several.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    requests: BTreeMap<String, RequestReport>,
    /// What came of each stage, where there are stages.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stages: Vec<StageReport>,
    #[serde(skip)]
    outcome: Outcome,
}

/// What came of one stage. Its percentiles are known to within 1.6 %.
#[derive(Debug, Serialize)]
struct StageReport {
    stage: String,
    arrivals: u64,
    ok: u64,
    ok_per_s: f64,
    response_p50_us: Option<f64>,
    response_p99_us: Option<f64>,
}

fn stages(options: &Options, outcome: &Outcome) -> Vec<StageReport> {
    let Some(Stages(stages)) = &options.stages else { return Vec::new() };
    let mut start = Duration::ZERO;
    let of_stage = |(stage, part): (&Stage, &TimeSlice)| {
        let measured = outcome.measured.saturating_sub(start).min(stage.duration).as_secs_f64();
        start += stage.duration;
        StageReport {
            stage: stage.in_words(),
            arrivals: part.arrivals,
            ok: part.ok,
            ok_per_s: if measured > 0.0 { part.ok as f64 / measured } else { 0.0 },
            response_p50_us: part.response_us(0.5),
            response_p99_us: part.response_us(0.99),
        }
    };
    stages.iter().zip(&outcome.stages).map(of_stage).collect()
}

/// What came of the requests of one name.
#[derive(Debug, Serialize)]
struct RequestReport {
    arrivals: u64,
    ok: u64,
    failed_total: u64,
    statuses: BTreeMap<u16, u64>,
    response_us: Reached,
    service_us: Quantiles,
    #[serde(skip)]
    all_us: Quantiles,
    #[serde(skip)]
    failed_share: f64,
}

impl RequestReport {
    fn of(outcome: &Outcome) -> RequestReport {
        let all_us = Quantiles::of(&outcome.histograms.response);
        RequestReport {
            arrivals: outcome.arrivals,
            ok: outcome.ok,
            failed_total: outcome.failures(),
            statuses: outcome.statuses.clone(),
            response_us: Reached::of(&all_us, failed_share(outcome)),
            service_us: Quantiles::of(&outcome.histograms.service),
            all_us,
            failed_share: failed_share(outcome),
        }
    }
}

fn failed_share(outcome: &Outcome) -> f64 {
    outcome.failures() as f64 / outcome.arrivals.max(1) as f64
}

/// How long failed calls of a kind took until they failed, in µs.
#[derive(Debug, Serialize)]
struct FailedAfterUs {
    mean: f64,
    max: f64,
}

impl From<&FailedAfter> for FailedAfterUs {
    fn from(after: &FailedAfter) -> FailedAfterUs {
        FailedAfterUs {
            mean: after.sum_ns as f64 / 1e3 / after.n.max(1) as f64,
            max: after.max_ns as f64 / 1e3,
        }
    }
}

/// Percentiles that a success reached, in µs; null of others.
#[derive(Debug, Serialize)]
struct Reached {
    n: u64,
    p50: Option<f64>,
    p90: Option<f64>,
    p95: Option<f64>,
    p99: Option<f64>,
    p999: Option<f64>,
    max: Option<f64>,
    mean: Option<f64>,
}

impl Reached {
    fn of(quantiles: &Quantiles, failed_share: f64) -> Reached {
        let at = |point: Point| {
            (quantiles.n > 0 && !point.is_a_failure(failed_share)).then(|| point.of(quantiles))
        };
        let percentile = |share| at(Point::Percentile(share));
        Reached {
            n: quantiles.n,
            p50: percentile(0.5),
            p90: percentile(0.9),
            p95: percentile(0.95),
            p99: percentile(0.99),
            p999: percentile(0.999),
            max: at(Point::Max),
            mean: (failed_share == 0.0).then_some(quantiles.mean),
        }
    }
}

impl LoadReport {
    pub(super) fn new(options: &Options, model: Model, loaded: Loaded, names: Vec<String>) -> LoadReport {
        let Loaded { outcome, cpu, address, interrupted } = loaded;
        let (model, scheduled_rate_per_s) = match model {
            Model::Closed => ("closed", None),
            Model::Open { arrivals: Arrivals::Constant, rate_per_s } => ("open, constant", Some(rate_per_s)),
            Model::Open { arrivals: Arrivals::Poisson, rate_per_s } => ("open, poisson", Some(rate_per_s)),
            Model::Open { arrivals: Arrivals::Burst, rate_per_s } => ("open, burst", Some(rate_per_s)),
        };
        let histograms = &outcome.histograms;
        let failed_share = failed_share(&outcome);
        let measured_s = outcome.measured.as_secs_f64();
        LoadReport {
            target: without_password(&options.target),
            address,
            model,
            scheduled_rate_per_s,
            connections: options.connections,
            in_flight: options.in_flight,
            workers: options.workers,
            warm_up_s: options.warm_up().as_secs_f64(),
            duration_s: measured_s,
            interrupted,
            last_replies_after_s: outcome.elapsed.saturating_sub(outcome.measured).as_secs_f64(),
            arrivals: outcome.arrivals,
            sent: outcome.sent,
            ok: outcome.ok,
            failed: outcome.failed.iter().map(|(kind, count)| (kind.name(), *count)).collect(),
            failed_total: outcome.failures(),
            failed_after_us: outcome
                .failed_after
                .iter()
                .map(|(kind, after)| (kind.name(), after.into()))
                .collect(),
            failure_samples: outcome.samples.iter().map(|(kind, text)| (kind.name(), text.clone())).collect(),
            statuses: outcome.statuses.clone(),
            reply_bytes: outcome.reply_bytes,
            reconnections: outcome.reconnections,
            rate_per_s: if measured_s > 0.0 { outcome.ok as f64 / measured_s } else { 0.0 },
            client_cpu_us_per_call: (outcome.ok > 0).then(|| cpu.as_nanos() as f64 / 1e3 / outcome.ok as f64),
            response_us: Reached::of(&Quantiles::of(&histograms.response), failed_share),
            lag_us: Quantiles::of(&histograms.lag),
            wait_us: Quantiles::of(&histograms.wait),
            service_us: Quantiles::of(&histograms.service),
            phases_us: outcome
                .phases
                .iter()
                .map(|(phase, times)| (phase.name(), Quantiles::of(&times.0)))
                .collect(),
            stages: stages(options, &outcome),
            requests: names.into_iter().zip(outcome.groups.iter().map(RequestReport::of)).collect(),
            outcome,
        }
    }

    /// Prints the result, and what of it must be known to read it.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn print(&self, json: bool) -> anyhow::Result<()> {
        let text = if json {
            serde_json::to_string(self)? + "\n"
        } else {
            self.in_words(if std::io::stdout().is_terminal() { Numbers::ForPeople } else { Numbers::Plain })
        };
        print_data(&text)?;
        self.notes().iter().for_each(|note| say_broken(note));
        Ok(())
    }

    fn in_words(&self, numbers: Numbers) -> String {
        let mut out = String::new();
        let per_call = self
            .client_cpu_us_per_call
            .map_or_else(|| "–".to_owned(), |us| format!("{} µs", text::three_digits(us)));
        let _ = writeln!(
            out,
            "{} ok, {} failed of {} calls in {}; {} calls/s; client CPU {per_call} per call; {} reconnections",
            numbers.count(self.ok),
            numbers.count(self.failed_total),
            numbers.count(self.arrivals),
            text::micros(self.duration_s * 1e6),
            text::three_digits(self.rate_per_s),
            numbers.count(self.reconnections)
        );
        if !self.statuses.is_empty() {
            let statuses: Vec<_> = self
                .statuses
                .iter()
                .map(|(status, count)| format!("{} × {status}", numbers.count(*count)))
                .collect();
            let _ = writeln!(out, "statuses: {}", statuses.join(", "));
        }
        for (kind, count) in &self.outcome.failed {
            let sample =
                self.outcome.samples.get(kind).map(|sample| format!(": {sample}")).unwrap_or_default();
            let after = self.outcome.failed_after.get(kind).map(FailedAfterUs::from);
            let after = after.map(|after| {
                format!(
                    " (after {}, at most {})",
                    numbers.time_with_unit(after.mean),
                    numbers.time_with_unit(after.max)
                )
            });
            let _ = writeln!(out, "  {} {kind}{sample}{}", numbers.count(*count), after.unwrap_or_default());
        }
        let unit = numbers.unit();
        let _ = writeln!(
            out,
            "{:<10}{:>10}{:>12}{:>12}{:>12}{:>12}{:>12}",
            unit, "n", "p50", "p90", "p99", "p99.9", "max"
        );
        let failed_share = failed_share(&self.outcome);
        out += &numbers.row("response", &Quantiles::of(&self.outcome.histograms.response), failed_share);
        for (name, quantiles) in
            [("lag", &self.lag_us), ("wait", &self.wait_us), ("service", &self.service_us)]
        {
            out += &numbers.row(name, quantiles, 0.0);
        }
        for phase in Phase::ALL {
            if let Some(quantiles) = self.phases_us.get(phase.name()) {
                out += &numbers.row(&format!(" {}", phase.name()), quantiles, 0.0);
            }
        }
        for (nth, stage) in self.stages.iter().enumerate() {
            if nth == 0 {
                let _ = writeln!(out, "{:>10}{:>12}{:>12}{:>12}  stage", "n", "ok/s", "p50", "p99");
            }
            let at = |share: f64, us: Option<f64>| match us {
                _ if !terms::printable(stage.arrivals, share) => "–".to_owned(),
                Some(us) => numbers.time(us),
                None => "failed".to_owned(),
            };
            let _ = writeln!(
                out,
                "{:>10}{:>12}{:>12}{:>12}  {}",
                numbers.count(stage.arrivals),
                text::three_digits(stage.ok_per_s),
                at(0.5, stage.response_p50_us),
                at(0.99, stage.response_p99_us),
                stage.stage
            );
        }
        let mut requests: Vec<_> = self.requests.iter().collect();
        requests.sort_by(|(_, one), (_, other)| other.all_us.p99.total_cmp(&one.all_us.p99));
        if !requests.is_empty() {
            out += "response of each request, the slowest first\n";
        }
        for (name, request) in requests {
            let share = request.failed_share;
            let failed = match request.failed_total {
                0 => String::new(),
                failed => format!(", {} failed", numbers.count(failed)),
            };
            let _ = writeln!(out, "{}  {name}{failed}", numbers.row("", &request.all_us, share).trim_end());
        }
        out
    }

    /// What must be known to read the figures.
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.interrupted {
            notes.push(match self.duration_s {
                0.0 => "interrupted before the measured time: nothing was measured".to_owned(),
                seconds => format!("interrupted: measured for {} s", text::three_digits(seconds)),
            });
        }
        if self.last_replies_after_s >= 0.1 {
            notes.push(format!(
                "the last replies came {} s after the measured time, which the rate leaves out",
                text::three_digits(self.last_replies_after_s)
            ));
        }
        let redirects: u64 = self.statuses.range(300..400).map(|(_, count)| count).sum();
        if redirects > 0 && redirects == self.statuses.values().sum::<u64>() {
            notes.push(
                "every reply was a redirect (3xx), which is not followed: load the URL that it leads to, or add \
                 --expect-status 2xx"
                    .to_owned(),
            );
        }
        let connects = !self.outcome.failed.contains_key(&Failure::Refused);
        if let Some(dropped) = self.outcome.failed.get(&Failure::Dropped).filter(|_| connects) {
            notes.push(format!(
                "offered more than {} connections carry: {} calls were never sent",
                self.connections,
                text::count(*dropped)
            ));
        }
        let is_late = self.lag_us.p99 > LATE_US
            && self.response_us.p99.is_some_and(|p99| self.lag_us.p99 > p99 * LATE_SHARE);
        if is_late {
            notes.push(format!(
                "warning: the load engine was late by {} at p99, which is in the response times: these figures are \
                 partly this client's (another program on its core, or too few --workers)",
                text::micros(self.lag_us.p99)
            ));
        }
        notes
    }

    /// A figure; `None` where a load has no such figure, or nothing to take it from.
    pub(super) fn figure(&self, figure: Figure) -> Option<f64> {
        let histograms = &self.outcome.histograms;
        let failed_share = failed_share(&self.outcome);
        match figure {
            Figure::Time(distribution, point) => {
                let quantiles = Quantiles::of(histogram(distribution, &self.outcome));
                let is_a_failure = distribution == Distribution::Response && point.is_a_failure(failed_share);
                // Of nothing there is no percentile, and no threshold that it could keep; a call
                // that failed is beyond every bound.
                let value = if is_a_failure { f64::INFINITY } else { point.of(&quantiles) };
                (quantiles.n > 0).then_some(value)
            }
            Figure::ClientCpuPerCall => self.client_cpu_us_per_call,
            Figure::Failed => Some(failed_share),
            Figure::Within(us) => {
                // Failed calls stand at the time-out or later, and are within no bound.
                let within = count_within(&histograms.response, us).min(self.ok);
                (self.arrivals > 0).then(|| within as f64 / self.arrivals as f64)
            }
            Figure::RatePerS => Some(self.rate_per_s),
            Figure::CpuPerCall | Figure::ServerCpuPerCall | Figure::CpuPerS | Figure::BytesPerCall => None,
            // It makes each call once, and knows no ledger.
            Figure::AttemptsPerCall | Figure::PeakPer10Ms | Figure::OrdersPerCall | Figure::Duplicates => {
                None
            }
            // Nothing happens to a server that it did not start.
            Figure::CallsInTrouble | Figure::TimeToRecover => None,
            Figure::TimeToMove | Figure::LastCall | Figure::MarketShare(_) | Figure::Imbalance => None,
            // Calls are no flows.
            Figure::Jain | Figure::FlowShare(_) => None,
        }
    }

    /// In words, where a threshold's expression is true of this, or cannot be judged.
    pub(super) fn failure(&self, threshold: &Expression) -> Option<String> {
        let unjudged = |why: String| Some(format!("{} (cannot be judged: {why})", threshold.text));
        let Some(figure) = self.figure(threshold.figure) else {
            return unjudged("no call succeeded".to_owned());
        };
        if let Figure::Time(distribution, Point::Percentile(share)) = threshold.figure {
            let n = histogram(distribution, &self.outcome).len();
            let needed = terms::calls_needed(share);
            if n < needed && figure.is_finite() {
                return unjudged(format!("{n} calls, {needed} needed"));
            }
        }
        let value = || match figure.is_finite() {
            true => threshold.figure.show(figure),
            false => "a call that failed".to_owned(),
        };
        let shown = || format!("{} (it is {})", threshold.text, value());
        threshold.is_true_of(figure).then(shown)
    }

    /// What to say where no call succeeded, and nothing was measured.
    pub(super) fn nothing_came(&self) -> Option<String> {
        nothing_came(&self.outcome)
    }
}

/// Lag at p99, in µs, below which it is no matter.
const LATE_US: f64 = 500.0;
/// The share of the response time at p99 from which on lag is a part of it that must be known.
const LATE_SHARE: f64 = 0.1;

fn histogram(distribution: Distribution, outcome: &Outcome) -> &Histogram<u64> {
    let histograms = &outcome.histograms;
    distribution.of(&histograms.response, &histograms.lag, &histograms.wait, &histograms.service)
}

/// How numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Numbers {
    /// In groups of three digits, and in the unit that suits each.
    ForPeople,
    /// For programs: digits alone, times in µs.
    Plain,
}

impl Numbers {
    fn count(self, value: u64) -> String {
        if self == Numbers::Plain { value.to_string() } else { text::count(value) }
    }

    fn time(self, us: f64) -> String {
        if self == Numbers::Plain { format!("{us:.1}") } else { text::micros(us) }
    }

    fn time_with_unit(self, us: f64) -> String {
        if self == Numbers::Plain { format!("{us:.1} µs") } else { text::micros(us) }
    }

    /// A row of percentiles: those that fall on a failed call say so.
    fn row(self, name: &str, quantiles: &Quantiles, failed_share: f64) -> String {
        let at = |share| match quantiles.shown(share) {
            _ if quantiles.n > 0 && Point::Percentile(share).is_a_failure(failed_share) => {
                "failed".to_owned()
            }
            Some(us) => self.time(us),
            None => "–".to_owned(),
        };
        let [p50, p90, p99, p999] = [0.5, 0.9, 0.99, 0.999].map(at);
        let max = match quantiles.n {
            0 => "–".to_owned(),
            _ if failed_share > 0.0 => "failed".to_owned(),
            _ => self.time(quantiles.max),
        };
        let n = self.count(quantiles.n);
        format!("{name:<10}{n:>10}{p50:>12}{p90:>12}{p99:>12}{p999:>12}{max:>12}\n")
    }

    fn unit(self) -> &'static str {
        if self == Numbers::Plain { "µs" } else { "" }
    }
}

/// What to say of an outcome in which no call succeeded, and which measures nothing.
pub(super) fn nothing_came(outcome: &Outcome) -> Option<String> {
    let first = outcome.samples.iter().next().map(|(kind, text)| format!(" ({}: {text})", kind.name()));
    let nothing =
        || format!("none of {} calls succeeded{}", text::count(outcome.arrivals), first.unwrap_or_default());
    (outcome.ok == 0).then(nothing)
}

/// Reads a threshold that a load can be held to.
pub(super) fn parse_threshold(text: &str) -> Result<Expression, String> {
    let threshold = absolute_threshold(text)?;
    match threshold.figure {
        Figure::CpuPerCall | Figure::ServerCpuPerCall | Figure::CpuPerS | Figure::BytesPerCall => Err(
            "wirebench cannot see the CPU and bytes of a server that it did not start: use client_cpu_per_call"
                .to_owned(),
        ),
        Figure::AttemptsPerCall | Figure::PeakPer10Ms => {
            Err("wirebench load makes each call once".to_owned())
        }
        Figure::OrdersPerCall | Figure::Duplicates => Err("wirebench load does not see the server's ledger".to_owned()),
        Figure::CallsInTrouble | Figure::TimeToRecover => Err("nothing happens to a server that wirebench did not start".to_owned()),
        Figure::TimeToMove | Figure::LastCall | Figure::MarketShare(_) | Figure::Imbalance => {
            Err("a load knows of one server only".to_owned())
        }
        Figure::Jain | Figure::FlowShare(_) => Err("this is a figure of flows, not of calls".to_owned()),
        _ => Ok(threshold),
    }
}
