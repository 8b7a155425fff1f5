//! A load as OpenMetrics, for Prometheus and what reads its format. It has no timestamps, so that
//! a file of it can lie in a folder that an exporter reads.

use std::fmt::Write as _;

use record::Tool;
use terms::{Outcome, count_within};

use super::LoadReport;

/// Upper bounds of the response's buckets, in seconds.
const BOUNDS_S: [f64; 18] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
    10.0, 30.0, 60.0,
];

/// Families of metrics, as they are written.
struct Exposition(String);

impl Exposition {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# TYPE {name} {kind}");
        if let Some(unit) = ["seconds", "bytes"].into_iter().find(|unit| name.ends_with(unit)) {
            let _ = writeln!(self.0, "# UNIT {name} {unit}");
        }
        let _ = writeln!(self.0, "# HELP {name} {help}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let labels: Vec<String> =
            labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: Option<f64>) {
        if let Some(value) = value.filter(|value| value.is_finite()) {
            self.family(name, "gauge", help);
            self.sample(name, &[], value);
        }
    }
}

/// As a label's value is written.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

impl LoadReport {
    /// The result as OpenMetrics.
    pub(in crate::verbs::load) fn metrics(&self, tool: &Tool) -> String {
        let mut out = Exposition(String::new());
        let labels = [
            ("target", self.shown_target()),
            ("address", self.address.clone()),
            ("model", self.model.to_owned()),
            ("connections", self.connections.to_string()),
            ("in_flight", self.in_flight.to_string()),
            ("workers", self.workers.to_string()),
            ("version", tool.version.clone()),
        ];
        let labels: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
        out.family("wirebench_load", "info", "What was loaded, and how.");
        out.sample("wirebench_load_info", &labels, 1.0);
        self.calls(&mut out);
        responses(&mut out, &self.outcome);
        out.gauge(
            "wirebench_load_asked_calls_per_second",
            "Calls per second that were asked for, in the open model.",
            self.scheduled_rate_per_s,
        );
        let help = "Calls per second that succeeded.";
        out.gauge("wirebench_load_ok_calls_per_second", help, Some(self.rate_per_s));
        let lag = (self.lag_us.n > 0).then_some(self.lag_us.p99 / 1e6);
        let help = "How late the load engine was at its 99th percentile.";
        out.gauge("wirebench_load_lag_p99_seconds", help, lag);
        out.gauge(
            "wirebench_load_client_cpu_seconds_per_call",
            "CPU time of the load generator for each call that succeeded.",
            self.client_cpu_us_per_call.map(|us| us / 1e6),
        );
        let help = "How long the load was measured.";
        out.gauge("wirebench_load_measured_seconds", help, Some(self.duration_s));
        let help = "Whether the load was interrupted (1) or ended by itself (0).";
        out.gauge("wirebench_load_interrupted", help, Some(f64::from(u8::from(self.interrupted))));
        out.0 + "# EOF\n"
    }

    /// Counts of calls by what became of them, of replies by status, of requests by name.
    fn calls(&self, out: &mut Exposition) {
        let name = "wirebench_load_calls";
        out.family(name, "counter", "Calls that were due in the measured time, by result.");
        let total = format!("{name}_total");
        out.sample(&total, &[("result", "ok")], self.ok as f64);
        for (kind, count) in &self.failed {
            out.sample(&total, &[("result", "failed"), ("kind", kind)], *count as f64);
        }
        let name = "wirebench_load_replies";
        if !self.statuses.is_empty() {
            out.family(name, "counter", "Replies in the measured time, by their HTTP or gRPC status.");
        }
        for (status, count) in &self.statuses {
            out.sample(&format!("{name}_total"), &[("status", &status.to_string())], *count as f64);
        }
        let name = "wirebench_load_requests";
        if !self.requests.is_empty() {
            out.family(name, "counter", "Calls that were due in the measured time, by name and result.");
        }
        for (request, report) in &self.requests {
            for (result, count) in [("ok", report.ok), ("failed", report.failed_total)] {
                let labels = [("request", request.as_str()), ("result", result)];
                out.sample(&format!("{name}_total"), &labels, count as f64);
            }
        }
    }
}

/// Response times as a histogram. A failed call is within no bound but the last.
fn responses(out: &mut Exposition, outcome: &Outcome) {
    let histogram = &outcome.histograms.response;
    let name = "wirebench_load_response_seconds";
    out.family(
        name,
        "histogram",
        "From the scheduled time of a call to its reply. A failed call is in the last bucket alone, and in the sum \
         with its time-out or more.",
    );
    for bound_s in BOUNDS_S {
        let within = count_within(histogram, bound_s * 1e6).min(outcome.ok);
        out.sample(&format!("{name}_bucket"), &[("le", &format!("{bound_s:?}"))], within as f64);
    }
    out.sample(&format!("{name}_bucket"), &[("le", "+Inf")], histogram.len() as f64);
    let sum_s = if histogram.is_empty() { 0.0 } else { histogram.mean() * histogram.len() as f64 / 1e9 };
    out.sample(&format!("{name}_sum"), &[], sum_s);
    out.sample(&format!("{name}_count"), &[], histogram.len() as f64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_a_failed_call_is_within_no_bound() {
        let mut out = Exposition(String::new());
        out.sample("x", &[("a", "1\\2\"3\n4")], 0.5);
        assert_eq!(out.0, "x{a=\"1\\\\2\\\"3\\n4\"} 0.5\n");
        let mut outcome = Outcome::new().unwrap();
        for response_ns in [200_000, 700_000, 5_000_000_000] {
            outcome.histograms.response.record(response_ns).unwrap();
        }
        (outcome.arrivals, outcome.ok) = (3, 2);
        let mut out = Exposition(String::new());
        responses(&mut out, &outcome);
        let buckets = [("0.0001", 0), ("0.00025", 1), ("0.001", 2), ("10.0", 2), ("60.0", 2), ("+Inf", 3)];
        for (le, n) in buckets {
            let line = format!("wirebench_load_response_seconds_bucket{{le=\"{le}\"}} {n}\n");
            assert!(out.0.contains(&line), "{line}{}", out.0);
        }
    }
}
