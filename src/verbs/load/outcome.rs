//! What a load came to: one JSON object, a few lines for people, and the thresholds it is held to.

use std::collections::BTreeMap;

use clients::load::{Arrivals, Model};
use serde::Serialize;

use super::{Loaded, Options};
use crate::record::Quantiles;
use crate::text;

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
    failure_samples: BTreeMap<&'static str, String>,
    reconnections: u64,
    /// Successful calls per second, from the start of the measuring to the last reply.
    rate_per_s: f64,
    client_cpu_us_per_call: f64,
    response_us: Quantiles,
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
            failure_samples: outcome.samples.iter().map(|(kind, text)| (kind.name(), text.clone())).collect(),
            reconnections: outcome.reconnections,
            rate_per_s: outcome.ok as f64 / outcome.elapsed.max(options.duration).as_secs_f64(),
            client_cpu_us_per_call: cpu.as_nanos() as f64 / 1e3 / outcome.ok.max(1) as f64,
            response_us: Quantiles::of(&outcome.histograms.response),
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
            text::micros(self.client_cpu_us_per_call),
            self.reconnections
        );
        for (kind, count) in &self.failed {
            let sample = self.failure_samples.get(kind).map(|text| format!(": {text}")).unwrap_or_default();
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

    /// A figure by its path: times in µs, shares and counts as they are.
    fn figure(&self, path: &str) -> Option<f64> {
        let (distribution, point) = path.split_once('.').unwrap_or((path, ""));
        let quantiles = match distribution {
            "response" => &self.response_us,
            "lag" => &self.lag_us,
            "wait" => &self.wait_us,
            "service" => &self.service_us,
            "failed" => return Some(self.failed_total as f64 / self.arrivals.max(1) as f64),
            "rate_per_s" => return Some(self.rate_per_s),
            "client_cpu_per_call" => return Some(self.client_cpu_us_per_call),
            _ => return None,
        };
        // Of nothing there is no percentile, and no threshold that it could keep.
        if quantiles.n == 0 {
            return None;
        }
        Some(match point {
            "p50" => quantiles.p50,
            "p90" => quantiles.p90,
            "p95" => quantiles.p95,
            "p99" => quantiles.p99,
            "p999" => quantiles.p999,
            "max" => quantiles.max,
            "mean" => quantiles.mean,
            _ => return None,
        })
    }
}

/// Paths that a threshold can name.
const PATHS: &str = "response, lag, wait or service with .p50, .p90, .p95, .p99, .p999, .max or .mean; failed; \
                     rate_per_s; client_cpu_per_call";

/// A condition that must not be true: a path, an operator, a value with its unit.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Threshold {
    text: String,
    path: String,
    above: bool,
    value: f64,
}

impl Threshold {
    /// Reads `response.p99 > 20ms`, `failed > 1%`, `rate_per_s < 900`.
    pub(super) fn parse(text: &str) -> Result<Threshold, String> {
        let at = text.find(['<', '>']).ok_or("write PATH > VALUE or PATH < VALUE")?;
        let (path, rest) = text.split_at(at);
        let path = path.trim().to_owned();
        if !names_a_figure(&path) {
            return Err(format!("there is no '{path}': {PATHS}"));
        }
        let is_time = path.contains('.') || path == "client_cpu_per_call";
        let value = rest[1..].trim();
        let value = match value.strip_suffix('%') {
            Some(percent) if path == "failed" => percent.trim().parse::<f64>().ok().map(|p| p / 100.0),
            Some(_) => {
                return Err(
                    "a percentage needs something to compare with: only `failed` is a share".to_owned()
                );
            }
            None if is_time => humantime::parse_duration(value).ok().map(|span| span.as_nanos() as f64 / 1e3),
            None if path == "failed" && value.parse::<f64>().is_ok_and(|share| share > 1.0) => {
                return Err(format!("`failed` is a share of all calls: write {value}% or a number up to 1"));
            }
            None => value.parse::<f64>().ok(),
        };
        let value = value.ok_or_else(|| {
            let unit = if is_time {
                "a time with its unit, such as 20ms"
            } else {
                "a number, or a share such as 1%"
            };
            format!("'{}' is not {unit}", rest[1..].trim())
        })?;
        Ok(Threshold { text: text.to_owned(), path, above: rest.starts_with('>'), value })
    }

    /// In words, where it is true of a report.
    pub(super) fn failure(&self, report: &LoadReport) -> Option<String> {
        let Some(figure) = report.figure(&self.path) else {
            return Some(format!("{} (there is nothing to hold to it: no call succeeded)", self.text));
        };
        let failed = if self.above { figure > self.value } else { figure < self.value };
        let shown = match self.path.as_str() {
            "failed" => format!("{:.3} %", figure * 100.0),
            "rate_per_s" => format!("{figure:.1}/s"),
            _ => text::micros(figure),
        };
        failed.then(|| format!("{} (it is {shown})", self.text))
    }
}

fn names_a_figure(path: &str) -> bool {
    let distributions = ["response", "lag", "wait", "service"];
    let points = ["p50", "p90", "p95", "p99", "p999", "max", "mean"];
    match path.split_once('.') {
        Some((distribution, point)) => distributions.contains(&distribution) && points.contains(&point),
        None => ["failed", "rate_per_s", "client_cpu_per_call"].contains(&path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_a_path_an_operator_and_a_value_with_its_unit() {
        let threshold = Threshold::parse("response.p99 > 20ms").unwrap();
        assert!(threshold.above && (threshold.value - 20_000.0).abs() < 1e-9);
        assert!((Threshold::parse("failed>1%").unwrap().value - 0.01).abs() < 1e-12);
        assert!(!Threshold::parse("rate_per_s < 900").unwrap().above);
        for wrong in [
            "response.p99 > 20",
            "response.p98 > 1ms",
            "p99 > 1ms",
            "response.p99",
            "rate_per_s > 5%",
            "failed > 5",
        ] {
            assert!(Threshold::parse(wrong).is_err(), "{wrong}");
        }
    }
}
