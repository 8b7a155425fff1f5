//! What keeps a run's figures from being trusted, in sentences, and which figures each touches.

use std::collections::BTreeSet;

use record::VoidFor;
use scenarios::Plan;

use super::RunInfo;
use crate::{Measurement, Results};

/// The p99 of the engine's own lateness above which a record carries a warning, in µs.
const LAG_P99_US_MAX: f64 = 500.0;
/// The share of a core taken by the hypervisor above which a record carries a warning.
const STEAL_SHARE_TOLD: f64 = 0.02;
/// The share of planned measurements that may be missing for being void; beyond, the run is void.
const VOID_SHARE_MAX: f64 = 0.2;

/// Why a run says nothing, where too many of its measurements were void for everything in the end.
pub(super) fn void(plan: &Plan, results: &Results) -> Option<String> {
    let reasons: Vec<&str> =
        results.measurements.iter().filter(|m| !m.costs_count()).filter_map(|m| m.void.as_deref()).collect();
    let places = |counted: bool| {
        let measured = results.measurements.iter().filter(|m| !counted || m.costs_count());
        measured.map(|m| (m.round, m.cell)).collect::<BTreeSet<_>>().len()
    };
    let ended = if results.partial { places(false) } else { plan.measurements() };
    let missing = ended.saturating_sub(places(true));
    let last = reasons.last()?;
    (missing as f64 > VOID_SHARE_MAX * ended as f64).then(|| {
        format!("{missing} of {ended} measurements were disturbed from outside, also when repeated; the last: {last}")
    })
}

pub(super) fn warnings(info: &RunInfo, plan: &Plan, results: &Results, pushes: bool) -> Vec<String> {
    let mut warnings = Vec::new();
    if info.tool.is_debug() {
        warnings.push("a debug build measured: the figures are several times too high".to_owned());
    }
    for contender in plan.contenders().into_iter().filter(|of| of.is_target()) {
        warnings.push(format!(
            "the server of {} was started by somebody else: its processor time is in no figure, and CPU is the client's alone",
            contender.name
        ));
    }
    if lab::allocations::count().is_some() {
        warnings
            .push("allocations were counted, which costs time: compare no times of this build".to_owned());
    }
    if info.layout.shared {
        warnings.push("both ends shared one core: they waited for each other".to_owned());
    }
    if let Some(because) = results.link.as_ref().and_then(|used| used.instead_because.as_ref()) {
        warnings.push(format!("loopback stood in for the cable: {because}"));
    }
    if results.rounds_kept > 0 {
        warnings.push(format!(
            "rounds 1 to {} of {} were measured by an earlier start of this run, which ended before its time",
            results.rounds_kept,
            plan.rounds.len()
        ));
    }
    warnings.extend(disturbed(&results.measurements));
    let measurements: Vec<&Measurement> = results.measurements.iter().filter(|m| m.void.is_none()).collect();
    // The sender of a flow is late where its socket takes nothing: that is measured, and nobody's
    // fault.
    let free = |measurement: &&&Measurement| measurement.sent.iter().all(|sent| sent.blocked.is_zero());
    let late = measurements.iter().filter(free).filter(|measurement| {
        measurement.outcome.histograms.lag.value_at_quantile(0.99) as f64 / 1e3 > LAG_P99_US_MAX
    });
    let stolen = measurements.iter().filter(|measurement| {
        measurement.server.core_steal_share.max(measurement.client.core_steal_share) > STEAL_SHARE_TOLD
    });
    let of = measurements.len();
    match late.count() {
        0 => {}
        late if pushes => warnings.push(format!(
            "in {late} of {of} measurements the source emitted with a lag whose p99 was above {LAG_P99_US_MAX} µs: the \
             server's core was busy with earlier events, or with other work. It is part of response times; CPU and bytes are \
             not touched"
        )),
        late => warnings.push(format!(
            "in {late} of {of} measurements the engine's own lag had a p99 above {LAG_P99_US_MAX} µs (other work on the client's \
             core, or a slow wake-up). It makes response times at p99 and beyond too high by up to that; CPU and bytes are \
             not touched"
        )),
    }
    match stolen.count() {
        0 => {}
        stolen => warnings.push(format!(
            "in {stolen} of {of} measurements the hypervisor took more than {} % of a core: it touches every figure, of all \
             contenders alike",
            STEAL_SHARE_TOLD * 100.0
        )),
    }
    warnings
}

/// What something else on the machine did, and what that touches.
fn disturbed(measurements: &[Measurement]) -> Vec<String> {
    let all = measurements.len();
    let of = |of: VoidFor| measurements.iter().filter(move |m| m.void.is_some() && m.void_for == of);
    let last = |of: &Measurement| of.void.clone().unwrap_or_default();
    let told = |void_for: VoidFor, what: &str| {
        let (count, example) = (of(void_for).count(), of(void_for).next_back().map(last)?);
        Some(format!("{count} of {all} measurements {what}; the last: {example}"))
    };
    let times = "were disturbed, and their times are discarded; their CPU and bytes count";
    let everything = "were discarded whole";
    [told(VoidFor::Times, times), told(VoidFor::Everything, everything)].into_iter().flatten().collect()
}
