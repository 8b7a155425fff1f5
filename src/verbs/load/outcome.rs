//! What a load came to: one JSON object, a few lines for people, and what of it a threshold can
//! name.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;
use terms::escape::terminal_line;
use terms::{Arrivals, Distribution, Expression, Figure, Model, Outcome, Quantiles, share_within, text};

use super::{Loaded, Options};
use crate::verbs::expressions::absolute_threshold;

/// The object that `--json` prints. Field names carry their unit.
#[derive(Debug, Serialize)]
pub(super) struct LoadReport {
    target: String,
    model: &'static str,
    scheduled_rate_per_s: Option<f64>,
    connections: u16,
    in_flight: u16,
    warm_up_s: f64,
    duration_s: f64,
    /// Calls that were due in the measured time, or made in it: ok + failed.
    arrivals: u64,
    sent: u64,
    ok: u64,
    /// By kind; every kind that occurred.
    failed: BTreeMap<&'static str, u64>,
    failed_total: u64,
    /// What to say where no call succeeded.
    #[serde(skip)]
    pub(super) nothing_came: Option<String>,
    failure_samples: BTreeMap<&'static str, String>,
    reconnections: u64,
    /// Successful calls per second, from the start of the measuring to the last reply.
    rate_per_s: f64,
    /// Of those that succeeded; absent where none did.
    client_cpu_us_per_call: Option<f64>,
    response_us: Quantiles,
    #[serde(skip)]
    response_ns: Histogram<u64>,
    lag_us: Quantiles,
    wait_us: Quantiles,
    service_us: Quantiles,
}

impl LoadReport {
    pub(super) fn new(options: &Options, model: Model, loaded: Loaded) -> LoadReport {
        let Loaded { outcome, cpu } = loaded;
        let (model, scheduled_rate_per_s) = match model {
            Model::Closed => ("closed", None),
            Model::Open { arrivals: Arrivals::Constant, rate_per_s } => ("open, constant", Some(rate_per_s)),
            Model::Open { arrivals: Arrivals::Poisson, rate_per_s } => ("open, poisson", Some(rate_per_s)),
            Model::Open { arrivals: Arrivals::Burst, rate_per_s } => ("open, burst", Some(rate_per_s)),
        };
        LoadReport {
            target: options.target.clone(),
            model,
            scheduled_rate_per_s,
            connections: options.connections,
            in_flight: options.in_flight,
            warm_up_s: options.warm_up.as_secs_f64(),
            duration_s: options.duration.as_secs_f64(),
            arrivals: outcome.arrivals,
            sent: outcome.sent,
            ok: outcome.ok,
            failed: outcome.failed.iter().map(|(kind, count)| (kind.name(), *count)).collect(),
            failed_total: outcome.failures(),
            nothing_came: nothing_came(&outcome),
            failure_samples: outcome.samples.iter().map(|(kind, text)| (kind.name(), text.clone())).collect(),
            reconnections: outcome.reconnections,
            rate_per_s: outcome.ok as f64 / outcome.elapsed.max(options.duration).as_secs_f64(),
            client_cpu_us_per_call: (outcome.ok > 0).then(|| cpu.as_nanos() as f64 / 1e3 / outcome.ok as f64),
            response_us: Quantiles::of(&outcome.histograms.response),
            response_ns: outcome.histograms.response,
            lag_us: Quantiles::of(&outcome.histograms.lag),
            wait_us: Quantiles::of(&outcome.histograms.wait),
            service_us: Quantiles::of(&outcome.histograms.service),
        }
    }

    #[allow(clippy::print_stdout, reason = "the result is data")]
    pub(super) fn print(&self, json: bool) -> anyhow::Result<()> {
        if json {
            println!("{}", serde_json::to_string(self)?);
            return Ok(());
        }
        println!(
            "{} ok, {} failed of {} calls; {} calls/s; client CPU {} per call; {} reconnections",
            text::count(self.ok),
            text::count(self.failed_total),
            text::count(self.arrivals),
            text::three_digits(self.rate_per_s),
            self.client_cpu_us_per_call.map_or_else(|| "–".to_owned(), text::micros),
            self.reconnections
        );
        for (kind, count) in &self.failed {
            let sample = self
                .failure_samples
                .get(kind)
                .map(|text| format!(": {}", terminal_line(text)))
                .unwrap_or_default();
            println!("  {} {kind}{sample}", text::count(*count));
        }
        println!("{:<10}{:>10}{:>12}{:>12}{:>12}{:>12}{:>12}", "", "n", "p50", "p90", "p99", "p99.9", "max");
        for (name, quantiles) in [
            ("response", &self.response_us),
            ("lag", &self.lag_us),
            ("wait", &self.wait_us),
            ("service", &self.service_us),
        ] {
            let at = |share| quantiles.shown(share).map_or_else(|| "–".to_owned(), text::micros);
            let [p50, p90, p99, p999] = [0.5, 0.9, 0.99, 0.999].map(at);
            let (n, max) = (text::count(quantiles.n), text::micros(quantiles.max));
            println!("{name:<10}{n:>10}{p50:>12}{p90:>12}{p99:>12}{p999:>12}{max:>12}");
        }
        Ok(())
    }

    /// A figure; `None` where a load has no such figure, or nothing to take it from.
    pub(super) fn figure(&self, figure: Figure) -> Option<f64> {
        match figure {
            Figure::Time(distribution, point) => {
                let quantiles =
                    distribution.of(&self.response_us, &self.lag_us, &self.wait_us, &self.service_us);
                let failed_share = self.failed_total as f64 / self.arrivals.max(1) as f64;
                let is_a_failure = distribution == Distribution::Response && point.is_a_failure(failed_share);
                // Of nothing there is no percentile, and no threshold that it could keep; a call
                // that failed is beyond every bound.
                let value = if is_a_failure { f64::INFINITY } else { point.of(quantiles) };
                (quantiles.n > 0).then_some(value)
            }
            Figure::ClientCpuPerCall => self.client_cpu_us_per_call,
            Figure::Failed => Some(self.failed_total as f64 / self.arrivals.max(1) as f64),
            Figure::Within(us) => share_within(&self.response_ns, us),
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

    /// In words, where a threshold's expression is true of this.
    pub(super) fn failure(&self, threshold: &Expression) -> Option<String> {
        let Some(figure) = self.figure(threshold.figure) else {
            return Some(format!("{} (cannot be judged: no call succeeded)", threshold.text));
        };
        let value = || match figure.is_finite() {
            true => threshold.figure.show(figure),
            false => "a call that failed".to_owned(),
        };
        let shown = || format!("{} (it is {})", threshold.text, value());
        threshold.is_true_of(figure).then(shown)
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
        Figure::CpuPerCall | Figure::ServerCpuPerCall | Figure::BytesPerCall => Err(
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
