//! What of a result a threshold can name, and whether it keeps to one.

use hdrhistogram::Histogram;
use terms::{Distribution, Expression, Figure, Outcome, Point, Quantiles, count_within};

use super::LoadReport;
use super::parts::failed_share;
use crate::verbs::expressions::absolute_threshold;

impl LoadReport {
    /// A figure; `None` where a load has no such figure, or nothing to take it from.
    pub(in crate::verbs::load) fn figure(&self, figure: Figure) -> Option<f64> {
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
    pub(in crate::verbs::load) fn failure(&self, threshold: &Expression) -> Option<String> {
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
}

fn histogram(distribution: Distribution, outcome: &Outcome) -> &Histogram<u64> {
    let histograms = &outcome.histograms;
    distribution.of(&histograms.response, &histograms.lag, &histograms.wait, &histograms.service)
}

/// Reads a threshold that a load can be held to.
pub(in crate::verbs::load) fn parse_threshold(text: &str) -> Result<Expression, String> {
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
