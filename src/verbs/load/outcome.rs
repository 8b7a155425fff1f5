//! What a load came to, whoever reads it.

mod metrics;
mod page;
mod parts;
mod series;
mod shown;
mod thresholds;
mod words;
pub(super) use shown::without_password;
pub(super) use thresholds::parse_threshold;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use terms::{Arrivals, Model, Outcome, Quantiles, text};

use self::parts::{FailedAfterUs, Reached, RequestReport, StageReport, failed_share};
use super::{Loaded, Options};

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
    /// Calls with the right reply per second of the measured time; where calls were still waiting
    /// to be sent when it was over, the replies that came in it.
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
    /// What the requests are called that are sent in turn.
    #[serde(skip)]
    names: Names,
    #[serde(skip)]
    outcome: Outcome,
}

/// The names of requests that are sent in turn.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// All of them; nothing where there is only one.
    pub(super) all: Vec<String>,
    /// Which of them each request has.
    pub(super) of_requests: Arc<[usize]>,
}

impl Names {
    /// What a request is called that was sent at a turn.
    fn of(&self, turn: usize) -> Option<&str> {
        let nth = self.of_requests.get(turn.checked_rem(self.of_requests.len())?)?;
        self.all.get(*nth).map(String::as_str)
    }
}

impl LoadReport {
    pub(super) fn new(options: &Options, model: Model, loaded: Loaded, names: Names) -> LoadReport {
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
            rate_per_s: outcome.rate_per_s(),
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
            stages: parts::stages(options, &outcome),
            requests: names.all.iter().cloned().zip(outcome.groups.iter().map(RequestReport::of)).collect(),
            names,
            outcome,
        }
    }

    /// What to say where no call succeeded, and nothing was measured.
    pub(super) fn nothing_came(&self) -> Option<String> {
        nothing_came(&self.outcome)
    }
}

/// What to say of an outcome in which no call succeeded, and which measures nothing.
pub(super) fn nothing_came(outcome: &Outcome) -> Option<String> {
    let most = outcome.samples.iter().max_by_key(|(kind, _)| outcome.failed.get(kind));
    let why = most.map(|(kind, text)| format!(" ({}: {text})", kind.name())).unwrap_or_default();
    let nothing = || format!("none of {} calls succeeded{why}", text::count(outcome.arrivals));
    (outcome.ok == 0).then(nothing)
}
