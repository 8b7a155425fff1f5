//! From a run's results to its record.

mod flows;
mod markets;
mod trust;

use std::collections::BTreeMap;
use std::time::Duration;

use judge::capacity::SATURATED_SHARE;
use judge::{judge_all, mean, mean_with_interval};
use record::{
    Calibration, CellPart, ConformancePart, Counts, Distance, EndPart, EndPerCall, FlowPart, HappenedPart,
    Merged, PhasePart, PlanPart, Record, RoundPart, SCHEMA, ScenarioPart, SlicePart, TicksPart, Tool,
    WirePart, WirePerCall,
};
use scenarios::{Cell, Plan, Scenario};
use terms::{
    Arrivals, Changes, Condition, Course, Failure, Layout, Link, Machine, Model, Outcome, Quantiles, Retries,
    Slice, Trouble,
};

use crate::meters::micros;
use crate::{Measurement, Results};
use flows::{flow_parts, jain_of_rounds, queue_of_all, queue_part};
use markets::markets_part;
use trust::{void, warnings};

/// What a run was, beside its results.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct RunInfo {
    /// What measured.
    pub tool: Tool,
    /// What was typed.
    pub command: String,
    /// When it began, in µs since the Unix epoch.
    pub started_at_us: u64,
    /// When it ended, likewise.
    pub finished_at_us: u64,
    /// Where it ran.
    pub environment: Machine,
    /// Which cores did what.
    pub layout: Layout,
    /// What this machine measured of what is known, where it was calibrated before.
    pub calibration: Option<Calibration>,
    /// Seed of the market's data.
    pub market_seed: u64,
}

/// Makes the record, verdicts included.
pub fn record_of(scenario: &Scenario, plan: &Plan, info: RunInfo, results: &Results) -> Record {
    let pushes = scenario.workload.activity.is_pushed();
    let mut warnings = warnings(&info, plan, results, pushes);
    if plan.accept_noise {
        warnings.push(
            "--accept-noise: measurements that were disturbed from outside count all the same".to_owned(),
        );
    }
    let mut record = Record {
        schema: SCHEMA.to_owned(),
        tool: info.tool,
        command: info.command,
        started_at_us: info.started_at_us,
        finished_at_us: info.finished_at_us,
        partial: results.partial,
        void: void(plan, results),
        warnings,
        environment: info.environment,
        layout: info.layout,
        link: results.link.clone(),
        calibration: info.calibration,
        scenario: ScenarioPart {
            name: scenario.name.clone(),
            question: scenario.question.clone(),
            card: scenario.card.clone(),
            analysis: scenario.analysis.clone(),
        },
        plan: plan_part(scenario, plan, info.market_seed),
        conformance: results
            .conformance
            .iter()
            .map(|conformance| ConformancePart {
                contender: conformance.contender.clone(),
                cases: conformance.cases.len(),
                replies_compared_whole: conformance.compared_whole,
            })
            .collect(),
        cells: plan
            .cells
            .iter()
            .enumerate()
            .map(|(index, cell)| cell_part(index, cell, pushes, plan, results))
            .collect(),
        rounds: results.measurements.iter().map(|measurement| round_part(measurement, plan)).collect(),
        acts: results.acts.clone(),
        verdicts: Vec::new(),
        break_evens: Vec::new(),
        map: None,
        aa: Vec::new(),
        comparisons: Vec::new(),
    };
    judge_all(&mut record, scenario);
    record
}

fn is_loopback(results: &Results) -> bool {
    results.link.as_ref().is_none_or(|used| used.link == Link::Loopback)
}

fn plan_part(scenario: &Scenario, plan: &Plan, market_seed: u64) -> PlanPart {
    PlanPart {
        sha256: plan.sha256(scenario),
        extent: plan.extent,
        baseline: scenario.baseline.clone(),
        seed: plan.seed,
        market_seed,
        operation: scenario.workload.activity.name().to_owned(),
        symbols: scenario.workload.amount.symbols,
        candles: scenario.workload.amount.candles,
        ticks_per_s: scenario.workload.ticks_per_s.unwrap_or_default(),
        time_out_us: micros(scenario.workload.time_out),
        handler_wait_us: micros(scenario.workload.handler.wait),
        handler_cpu_us: micros(scenario.workload.handler.cpu),
        warm_up_ms: micros(plan.warm_up) / 1e3,
        duration_ms: micros(plan.duration) / 1e3,
        rounds: plan.rounds.clone(),
    }
}

fn cell_part(index: usize, cell: &Cell, pushed: bool, plan: &Plan, results: &Results) -> CellPart {
    let measured: Vec<&Measurement> = results.measurements.iter().filter(|m| m.cell == index).collect();
    let loopback = is_loopback(results);
    let absent = results.absent.iter().find(|(name, _)| *name == cell.contender.name);
    let (rate_per_s, arrivals) = match cell.condition.model {
        Model::Open { arrivals, rate_per_s } => (
            Some(rate_per_s),
            match arrivals {
                Arrivals::Constant => "constant",
                Arrivals::Poisson => "poisson",
                Arrivals::Burst => "burst",
            },
        ),
        Model::Closed => (None, "closed"),
    };
    CellPart {
        contender: cell.contender.name.clone(),
        condition: cell.condition.name.clone(),
        label: cell.contender.label.clone(),
        condition_label: cell.condition.label.clone(),
        protocol: cell.contender.protocol_name().to_owned(),
        carriage: cell.contender.in_words(),
        connections: cell.condition.shape.connections,
        in_flight: cell.condition.shape.in_flight,
        amount: Some(cell.condition.amount),
        rate_per_s,
        arrivals: arrivals.to_owned(),
        axes: cell.condition.family.as_ref().map(|(_, axes)| axes.clone()).unwrap_or_default(),
        handler_wait_us: micros(cell.condition.handler.wait),
        handler_cpu_us: micros(cell.condition.handler.cpu),
        handler_fails: cell.condition.handler.fails,
        handler_loses: cell.condition.handler.loses,
        market_link: cell.condition.market_link.clone(),
        front: cell.condition.front,
        second_handler_wait_us: cell.condition.second_wait.map(micros),
        handler_concurrency: cell.condition.handler.concurrency,
        cold: cell.condition.shape.cold,
        changes: cell.condition.changes.clone(),
        between: cell.condition.between.as_ref().map(|between| between.words().to_owned()),
        distance: distance(cell, pushed, &measured, results),
        not_offered: cell.not_offered.clone().or_else(|| absent.map(|(_, why)| why.clone())),
        merged: merge(cell, &measured, plan, loopback),
    }
}

/// Slices without an arrival are left out.
fn course(Course { slice, slices, .. }: &Course) -> Vec<SlicePart> {
    let part = |(nth, of): (usize, &Slice)| SlicePart {
        from_s: slice.as_secs_f64() * nth as f64,
        arrivals: of.arrivals,
        failed: of.failed,
        response_mean_us: of.response_ns as f64 / of.arrivals as f64 / 1e3,
        response_max_us: of.longest_ns as f64 / 1e3,
    };
    slices.iter().enumerate().filter(|(_, of)| of.arrivals > 0).map(part).collect()
}

/// Means of so many rounds, up to the last retry.
fn retries(retries: &Retries, rounds: usize) -> Vec<f64> {
    let last = retries.bins.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
    let bins = retries.bins.iter().take(last.min(Merged::RETRY_BINS_MAX));
    bins.map(|count| *count as f64 / rounds.max(1) as f64).collect()
}

/// What a call takes without any distance, at most.
const OWN_TIME_US: f64 = 1_000.0;

/// A warm call crosses the distance once; of a cold one the scenario predicts how often. What is
/// pushed crosses half of it: the one way has no whole number.
fn distance(cell: &Cell, pushed: bool, measured: &[&Measurement], results: &Results) -> Option<Distance> {
    let link = cell.condition.link.as_ref().or(results.link.as_ref().map(|used| &used.link))?;
    let round_trip_us = micros(link.round_trip()?);
    let (counted, _) = counted(measured, |m| m.void.is_none());
    let trips = |measurement: &&Measurement| {
        let median_ns = measurement.outcome.histograms.response.value_at_quantile(0.5);
        median_ns as f64 / 1e3 / round_trip_us
    };
    // A block waits in its sender's socket too: what it takes is no number of round trips.
    let is_a_call = cell.contender.access().is_some();
    let trips: Vec<f64> = counted.iter().filter(|_| is_a_call).map(trips).collect();
    Some(Distance {
        link: link.name().to_owned(),
        round_trip_us,
        // Where that takes no longer than a protocol and the machine do themselves, nothing is to
        // be seen of it.
        predicted: if cell.condition.shape.cold {
            cell.contender.access().and_then(|access| access.cold_round_trips)
        } else {
            Some(1)
        }
        .filter(|_| !pushed && round_trip_us * Distance::TOLERANCE >= OWN_TIME_US),
        round_trips: (!trips.is_empty()).then(|| mean(&trips)),
        uncertainty: mean_with_interval(&trips).map(|(_, half)| half),
    })
}

/// The measurement of each round of a cell that counts, the last where one was taken again, and how
/// many rounds these are; where none counts, those of all rounds, which are void.
fn counted<'a>(
    measured: &[&'a Measurement],
    counts: impl Fn(&Measurement) -> bool,
) -> (Vec<&'a Measurement>, usize) {
    let of_rounds = |measured: &mut dyn Iterator<Item = &'a Measurement>| {
        measured.map(|m| (m.round, m)).collect::<BTreeMap<_, _>>().into_values().collect::<Vec<_>>()
    };
    let counted = of_rounds(&mut measured.iter().copied().filter(|m| counts(m)));
    match counted.len() {
        0 => (of_rounds(&mut measured.iter().copied()), 0),
        rounds => (counted, rounds),
    }
}

fn merge(cell: &Cell, measured: &[&Measurement], plan: &Plan, loopback: bool) -> Option<Merged> {
    let void = measured.iter().filter(|m| m.void.is_some()).count();
    let (timed, rounds) = counted(measured, |m| m.void.is_none());
    let (costed, rounds_of_costs) = counted(measured, Measurement::costs_count);
    let mut all = timed.first()?.outcome.clone();
    for measurement in &timed[1..] {
        all.merge(&measurement.outcome);
    }
    let span = timed.iter().map(|m| m.outcome.elapsed.max(plan.duration)).sum();
    let mean_of = |rounds: &[&Measurement], figure: &dyn Fn(&Measurement) -> f64| {
        // A round without a success has no cost per call.
        let with_calls = rounds.iter().filter(|m| m.outcome.succeeded() > 0);
        let figures: Vec<f64> = with_calls.map(|m| figure(m) / m.outcome.succeeded() as f64).collect();
        if figures.is_empty() { 0.0 } else { mean(&figures) }
    };
    let mean_per_call = |figure: &dyn Fn(&Measurement) -> f64| mean_of(&costed, figure);
    let end = |of: fn(&Measurement) -> &EndPart| EndPerCall {
        cpu_us_per_call: mean_per_call(&|m| of(m).cpu_us),
        // Other work is in these two, unlike in the process's own time.
        core_busy_us_per_call: mean_of(&timed, &|m| of(m).core_busy_share * of(m).window_us),
        context_switches_per_call: mean_of(&timed, &|m| {
            (of(m).voluntary_switches + of(m).involuntary_switches) as f64
        }),
        allocations_per_call: lab::allocations::count()
            .map(|_| mean_per_call(&|m| of(m).allocations.unwrap_or_default())),
    };
    let wire = |figure: fn(&WirePart) -> u64| mean_per_call(&|m| figure(&m.wire) as f64);
    let counts = counts(&all, span);
    let saturated = costed.iter().filter(|m| m.client.own_share > SATURATED_SHARE).count();
    let client_limited = (saturated > 0).then(|| {
        format!(
            "the client had no processor time left in {saturated} of {} rounds: the server can do at least {:.0}/s",
            costed.len(),
            counts.ok_per_s
        )
    });
    Some(Merged {
        rounds,
        rounds_of_costs: Some(rounds_of_costs),
        void_measurements: void,
        counts,
        client: end(|m| &m.client),
        server: end(|m| &m.server),
        wire: WirePerCall {
            bytes_per_call: wire(|wire| wire.total.bytes),
            packets_per_call: wire(|wire| wire.total.packets),
            to_server_bytes_per_call: (!loopback)
                .then(|| wire(|wire| wire.to_server.map_or(0, |traffic| traffic.bytes))),
            to_client_bytes_per_call: (!loopback)
                .then(|| wire(|wire| wire.to_client.map_or(0, |traffic| traffic.bytes))),
            retransmitted_segments_per_call: wire(|wire| wire.retransmitted_segments),
        },
        client_limited,
        ticks: all.ticks.as_ref().map(|ticks| ticks_part(ticks, span)),
        apart: all.apart.as_ref().map(|calls| ticks_part(calls, span)),
        phases: all
            .phases
            .iter()
            .map(|(phase, times)| PhasePart {
                phase: phase.name().to_owned(),
                time_us: Quantiles::of(&times.0),
            })
            .collect(),
        flows: flow_parts(&cell.contender, &timed, plan),
        jain_index: jain_of_rounds(&cell.contender, &timed, plan),
        queue: queue_of_all(&timed),
        response_us: Quantiles::of(&all.histograms.response),
        lag_us: Quantiles::of(&all.histograms.lag),
        wait_us: Quantiles::of(&all.histograms.wait),
        service_us: Quantiles::of(&all.histograms.service),
        course: course(&all.course),
        retries_per_10ms: retries(&all.retries, timed.len()),
        calls_by_market: calls_by_market(&timed),
    })
}

fn round_part(measurement: &Measurement, plan: &Plan) -> RoundPart {
    let outcome = &measurement.outcome;
    let condition = &plan.cells[measurement.cell].condition;
    let recovered = time_to_recover(outcome, condition, &measurement.happened);
    RoundPart {
        round: measurement.round,
        cell: measurement.cell,
        counts: counts(outcome, outcome.elapsed.max(plan.duration)),
        void: measurement.void.clone(),
        void_for: measurement.void_for,
        orders: measurement.orders,
        calls_in_trouble: measurement.calls_in_trouble,
        happened: measurement.happened.clone(),
        markets: markets_part(measurement, condition),
        peak_per_10ms: outcome.retries.peak(),
        time_to_recover_us: recovered.flatten().map(micros),
        never_recovered: recovered == Some(None),
        client: measurement.client,
        server: measurement.server,
        wire: measurement.wire,
        ticks: outcome.ticks.as_ref().map(|ticks| ticks_part(ticks, outcome.elapsed.max(plan.duration))),
        apart: outcome.apart.as_ref().map(|calls| ticks_part(calls, outcome.elapsed.max(plan.duration))),
        flows: flow_parts(&plan.cells[measurement.cell].contender, &[measurement], plan)
            .into_iter()
            .map(|part| FlowPart { course_bits_per_s: Vec::new(), ..part })
            .collect(),
        queue: measurement.way.as_ref().map(queue_part),
        response_us: Quantiles::of(&outcome.histograms.response),
        lag_us: Quantiles::of(&outcome.histograms.lag),
        wait_us: Quantiles::of(&outcome.histograms.wait),
        service_us: Quantiles::of(&outcome.histograms.service),
        histograms_ns: outcome.histograms.clone(),
    }
}

/// Calls that came to each market, of all rounds.
fn calls_by_market(measurements: &[&Measurement]) -> Vec<Vec<u64>> {
    let mut all: Vec<Vec<u64>> = Vec::new();
    for calls in measurements.iter().map(|of| &of.calls_by_market).filter(|calls| !calls.is_empty()) {
        if all.is_empty() {
            all.clone_from(calls);
            continue;
        }
        for (sums, counts) in all.iter_mut().zip(calls) {
            sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
    }
    all
}

/// The share of calls in a slice that may fail after a recovery.
const RECOVERED_FAILED_SHARE: f64 = 0.05;

/// Of the calls that need a market that had trouble; nothing within where they do not recover.
fn time_to_recover(
    outcome: &Outcome,
    condition: &Condition,
    happened: &[HappenedPart],
) -> Option<Option<Duration>> {
    let troubles = Changes::troubles(&condition.changes);
    // A process that is back listens a while after it was to.
    let at = |part: &HappenedPart| Duration::try_from_secs_f64(part.at_us / 1e6).unwrap_or_default();
    let back = happened.iter().map(at).max();
    let end = troubles.iter().map(Trouble::end).max()?.max(back.unwrap_or_default());
    let only = |nth| troubles.iter().all(|trouble| trouble.market == Some(nth));
    let mut course = outcome.course.clone();
    match &outcome.apart {
        Some(apart) if only(2) => course.clone_from(&apart.course),
        Some(apart) if !only(1) => course.merge(&apart.course),
        _ => {}
    }
    Some(course.recovers_after(end, RECOVERED_FAILED_SHARE))
}

fn ticks_part(ticks: &Outcome, span: Duration) -> TicksPart {
    TicksPart {
        counts: counts(ticks, span),
        response_us: Quantiles::of(&ticks.histograms.response),
        service_us: Quantiles::of(&ticks.histograms.service),
    }
}

fn counts(outcome: &Outcome, span: Duration) -> Counts {
    let by_name = |kind: &Failure| kind.name().to_owned();
    Counts {
        arrivals: outcome.arrivals,
        sent: outcome.sent,
        attempts: outcome.attempts,
        ok: outcome.ok,
        failed: outcome.failed.iter().map(|(kind, count)| (by_name(kind), *count)).collect(),
        failure_samples: outcome
            .samples
            .iter()
            .map(|(kind, sample)| (by_name(kind), sample.clone()))
            .collect::<BTreeMap<_, _>>(),
        reconnections: outcome.reconnections,
        late_replies: outcome.late_replies,
        duplicates: outcome.duplicates,
        out_of_order: outcome.out_of_order,
        longest_gap: outcome.longest_gap,
        longest_silence_us: micros(outcome.longest_silence),
        ok_per_s: outcome.ok as f64 / span.as_secs_f64(),
    }
}
