//! A result as it is printed: in words or as JSON, and what must be known to read it.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use terms::{Failure, Phase, Point, Quantiles, text};

use super::LoadReport;
use super::parts::{FailedAfterUs, failed_share};
use crate::ending::{print_data, say_broken};

/// Lag at p99, in µs, below which it is no matter.
const LATE_US: f64 = 500.0;
/// The share of the response time at p99 from which on lag is a part of it that must be known.
const LATE_SHARE: f64 = 0.1;

/// Statuses that say where else the answer is (RFC 9110, section 15.4).
const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];

impl LoadReport {
    /// Prints the result, and what of it must be known to read it.
    ///
    /// # Errors
    /// The system's.
    pub(in crate::verbs::load) fn print(&self, json: bool) -> anyhow::Result<()> {
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
    pub(super) fn notes(&self) -> Vec<String> {
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
        // Others of 3xx lead nowhere: 304 says that what the client has is still right.
        let redirects: u64 = REDIRECTS.iter().filter_map(|status| self.statuses.get(status)).sum();
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
        let kept = self.outcome.calls.len() as u64;
        if kept > 0 && kept < self.arrivals {
            notes.push(format!(
                "--jsonl has {} of {} calls, those that ended first: more are not kept",
                text::count(kept),
                text::count(self.arrivals)
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
