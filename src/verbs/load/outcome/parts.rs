//! Parts of a result: what came of each stage, of the requests of each name, of failed calls.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use terms::{FailedAfter, Outcome, Point, Quantiles, Stage, TimeSlice};

use super::super::Options;
use super::super::options::Stages;

/// What came of one stage. Its percentiles are known to within 1.6 %.
#[derive(Debug, Serialize)]
pub(super) struct StageReport {
    pub(super) stage: String,
    pub(super) arrivals: u64,
    pub(super) ok: u64,
    /// Right replies that came in it, per second of it.
    pub(super) ok_per_s: f64,
    pub(super) response_p50_us: Option<f64>,
    pub(super) response_p99_us: Option<f64>,
}

pub(super) fn stages(options: &Options, outcome: &Outcome) -> Vec<StageReport> {
    let Some(Stages(stages)) = &options.stages else { return Vec::new() };
    let mut start = Duration::ZERO;
    let of_stage = |(nth, (stage, part)): (usize, (&Stage, &TimeSlice))| {
        let measured = outcome.measured.saturating_sub(start).min(stage.duration).as_secs_f64();
        start += stage.duration;
        let answered = outcome.answered.get(nth).copied().unwrap_or_default();
        StageReport {
            stage: stage.in_words(),
            arrivals: part.arrivals,
            ok: part.ok,
            ok_per_s: if measured > 0.0 { answered as f64 / measured } else { 0.0 },
            response_p50_us: part.response_us(0.5),
            response_p99_us: part.response_us(0.99),
        }
    };
    stages.iter().zip(&outcome.stages).enumerate().map(of_stage).collect()
}

/// What came of the requests of one name.
#[derive(Debug, Serialize)]
pub(super) struct RequestReport {
    pub(super) arrivals: u64,
    pub(super) ok: u64,
    pub(super) failed_total: u64,
    pub(super) statuses: BTreeMap<u16, u64>,
    pub(super) response_us: Reached,
    pub(super) service_us: Quantiles,
    #[serde(skip)]
    pub(super) all_us: Quantiles,
    #[serde(skip)]
    pub(super) failed_share: f64,
}

impl RequestReport {
    pub(super) fn of(outcome: &Outcome) -> RequestReport {
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

pub(super) fn failed_share(outcome: &Outcome) -> f64 {
    outcome.failures() as f64 / outcome.arrivals.max(1) as f64
}

/// How long failed calls of a kind took until they failed, in µs.
#[derive(Debug, Serialize)]
pub(super) struct FailedAfterUs {
    pub(super) mean: f64,
    pub(super) max: f64,
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
pub(super) struct Reached {
    pub(super) n: u64,
    pub(super) p50: Option<f64>,
    pub(super) p90: Option<f64>,
    pub(super) p95: Option<f64>,
    pub(super) p99: Option<f64>,
    pub(super) p999: Option<f64>,
    pub(super) max: Option<f64>,
    pub(super) mean: Option<f64>,
}

impl Reached {
    pub(super) fn of(quantiles: &Quantiles, failed_share: f64) -> Reached {
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
