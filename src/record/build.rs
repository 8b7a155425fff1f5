//! From a run's results to its record.

use std::collections::BTreeMap;
use std::time::Duration;

use clients::HttpVersion;
use clients::load::{Arrivals, Model, Outcome};
use clients::protocols::Carriage;
use lab::cores::Layout;
use lab::machine::Machine;
use proto::Capability;
use proto::encoding::Encoding;

use super::verdict::judge;
use super::{
    CellPart, ConformancePart, Counts, Merged, PlanPart, Quantiles, Record, RoundPart, SCHEMA, ScenarioPart,
    TicksPart, Tool,
};
use crate::plan::{Cell, Plan};
use crate::run::{Measurement, Results};
use crate::scenario::Scenario;

/// The p99 of the engine's own lateness above which a record carries a warning, in µs.
const LAG_P99_US_MAX: f64 = 500.0;
/// The share of a core taken by the hypervisor above which a record carries a warning.
const STEAL_SHARE_MAX: f64 = 0.02;

/// What a run was, beside its results.
#[derive(Debug, Clone)]
pub struct RunInfo {
    /// What was typed.
    pub command: String,
    /// When it began, in µs since the Unix epoch.
    pub started_at_us: u64,
    /// Where it ran.
    pub environment: Machine,
    /// Which cores did what.
    pub layout: Layout,
    /// Seed of the market's data.
    pub market_seed: u64,
}

/// Makes the record, verdicts included.
pub fn record(scenario: &Scenario, plan: &Plan, info: RunInfo, results: &Results) -> Record {
    let pushes = scenario.workload.operation == Capability::Subscribe;
    let warnings = warnings(&info, results, pushes);
    let mut record = Record {
        schema: SCHEMA.to_owned(),
        tool: Tool::this(),
        command: info.command,
        started_at_us: info.started_at_us,
        finished_at_us: clock::wall_time_us(),
        partial: results.partial,
        warnings,
        environment: info.environment,
        layout: info.layout,
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
            .map(|(index, cell)| cell_part(index, cell, plan, results))
            .collect(),
        rounds: results.measurements.iter().map(|measurement| round_part(measurement, plan)).collect(),
        verdicts: Vec::new(),
    };
    record.verdicts = scenario.claims.iter().map(|claim| judge(&record, claim)).collect();
    record
}

impl Tool {
    /// This build.
    pub fn this() -> Tool {
        let known = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let libraries = env!("WIREBENCH_LIBRARIES").split(' ').filter_map(|pair| pair.split_once('='));
        Tool {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: known(env!("WIREBENCH_COMMIT")),
            build: if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned(),
            rustc: known(env!("WIREBENCH_RUSTC")),
            libraries: libraries.map(|(name, version)| (name.to_owned(), version.to_owned())).collect(),
        }
    }
}

fn warnings(info: &RunInfo, results: &Results, pushes: bool) -> Vec<String> {
    let mut warnings = Vec::new();
    if cfg!(debug_assertions) {
        warnings.push("a debug build measured: the figures are several times too high".to_owned());
    }
    if info.layout.shared {
        warnings.push("both ends shared one core: they waited for each other".to_owned());
    }
    let measurements = &results.measurements;
    let late = measurements.iter().filter(|measurement| {
        measurement.outcome.histograms.lag.value_at_quantile(0.99) as f64 / 1e3 > LAG_P99_US_MAX
    });
    let stolen = measurements.iter().filter(|measurement| {
        measurement.server_steal_share.max(measurement.client_steal_share) > STEAL_SHARE_MAX
    });
    let of = measurements.len();
    match late.count() {
        0 => {}
        late if pushes => warnings.push(format!(
            "in {late} of {of} measurements the source emitted with a lag whose p99 was above {LAG_P99_US_MAX} µs: the \
             server's core was busy with earlier events, or with other work"
        )),
        late => warnings.push(format!(
            "in {late} of {of} measurements the engine's own lag had a p99 above {LAG_P99_US_MAX} µs: other work \
             on the client's core, or a slow wake-up; its response times are too high by up to that"
        )),
    }
    match stolen.count() {
        0 => {}
        stolen => warnings.push(format!(
            "in {stolen} of {of} measurements the hypervisor took more than {} % of a core",
            STEAL_SHARE_MAX * 100.0
        )),
    }
    warnings
}

fn plan_part(scenario: &Scenario, plan: &Plan, market_seed: u64) -> PlanPart {
    PlanPart {
        extent: plan.extent,
        seed: plan.seed,
        market_seed,
        operation: scenario.workload.operation.name().to_owned(),
        time_out_us: micros(scenario.workload.time_out),
        handler_wait_us: micros(scenario.workload.handler_wait),
        handler_cpu_us: micros(scenario.workload.handler_cpu),
        warm_up_ms: micros(plan.warm_up) / 1e3,
        duration_ms: micros(plan.duration) / 1e3,
        rounds: plan.rounds.clone(),
    }
}

fn cell_part(index: usize, cell: &Cell, plan: &Plan, results: &Results) -> CellPart {
    let measured: Vec<&Measurement> = results.measurements.iter().filter(|m| m.cell == index).collect();
    let (rate_per_s, arrivals) = match cell.condition.model {
        Model::Open { arrivals, rate_per_s } => (
            Some(rate_per_s),
            match arrivals {
                Arrivals::Constant => "constant",
                Arrivals::Poisson => "poisson",
            },
        ),
        Model::Closed => (None, "closed"),
    };
    CellPart {
        contender: cell.contender.name.clone(),
        condition: cell.condition.name.clone(),
        protocol: cell.contender.carriage.protocol().name().to_owned(),
        carriage: in_words(cell.contender.carriage),
        connections: cell.condition.shape.connections,
        in_flight: cell.condition.shape.in_flight,
        rate_per_s,
        arrivals: arrivals.to_owned(),
        not_offered: cell.not_offered.clone(),
        merged: merge(&measured, plan),
    }
}

fn in_words(carriage: Carriage) -> String {
    let http = |http| match http {
        HttpVersion::Http1 => "HTTP/1.1",
        HttpVersion::Http2 => "HTTP/2",
    };
    let encoding = |encoding| match encoding {
        Encoding::Json => "JSON",
        Encoding::Protobuf => "protobuf",
    };
    match carriage {
        Carriage::Rest { http: version, encoding: of } => {
            format!("REST, {}, {}", http(version), encoding(of))
        }
        Carriage::GraphQl { http: version, persisted: false } => format!("GraphQL, {}, JSON", http(version)),
        Carriage::GraphQl { http: version, persisted: true } => {
            format!("GraphQL, {}, JSON, persisted queries", http(version))
        }
        Carriage::Grpc => "gRPC, HTTP/2, protobuf".to_owned(),
        Carriage::Sse { http: version } => format!("SSE, {}, JSON", http(version)),
        Carriage::WebSocket { encoding: of } => format!("WebSocket, {}", encoding(of)),
        Carriage::Tcp => "TCP frames, protobuf".to_owned(),
        Carriage::Udp => "UDP datagrams, protobuf".to_owned(),
    }
}

fn merge(measured: &[&Measurement], plan: &Plan) -> Option<Merged> {
    let mut all = measured.first()?.outcome.clone();
    for measurement in &measured[1..] {
        all.merge(&measurement.outcome);
    }
    let rounds = measured.len();
    let span = measured.iter().map(|m| m.outcome.elapsed.max(plan.duration)).sum();
    let mean_per_call = |figure: fn(&Measurement) -> f64| {
        let total: f64 = measured.iter().map(|m| figure(m) / m.outcome.ok.max(1) as f64).sum();
        total / rounds as f64
    };
    Some(Merged {
        rounds,
        counts: counts(&all, span),
        client_cpu_us_per_call: mean_per_call(|m| micros(m.client_cpu)),
        server_cpu_us_per_call: mean_per_call(|m| micros(m.server_cpu)),
        loopback_bytes_per_call: Some(mean_per_call(|m| m.loopback.bytes as f64)),
        loopback_packets_per_call: Some(mean_per_call(|m| m.loopback.packets as f64)),
        ticks: all.ticks.as_ref().map(|ticks| ticks_part(ticks, span)),
        response_us: Quantiles::of(&all.histograms.response),
        lag_us: Quantiles::of(&all.histograms.lag),
        wait_us: Quantiles::of(&all.histograms.wait),
        service_us: Quantiles::of(&all.histograms.service),
    })
}

fn round_part(measurement: &Measurement, plan: &Plan) -> RoundPart {
    let outcome = &measurement.outcome;
    RoundPart {
        round: measurement.round,
        cell: measurement.cell,
        counts: counts(outcome, outcome.elapsed.max(plan.duration)),
        client_cpu_us: micros(measurement.client_cpu),
        server_cpu_us: micros(measurement.server_cpu),
        client_steal_share: measurement.client_steal_share,
        server_steal_share: measurement.server_steal_share,
        loopback_bytes: Some(measurement.loopback.bytes),
        loopback_packets: Some(measurement.loopback.packets),
        ticks: outcome.ticks.as_ref().map(|ticks| ticks_part(ticks, outcome.elapsed.max(plan.duration))),
        response_us: Quantiles::of(&outcome.histograms.response),
        lag_us: Quantiles::of(&outcome.histograms.lag),
        wait_us: Quantiles::of(&outcome.histograms.wait),
        service_us: Quantiles::of(&outcome.histograms.service),
        histograms_ns: outcome.histograms.clone(),
    }
}

fn ticks_part(ticks: &Outcome, span: Duration) -> TicksPart {
    TicksPart {
        counts: counts(ticks, span),
        response_us: Quantiles::of(&ticks.histograms.response),
        service_us: Quantiles::of(&ticks.histograms.service),
    }
}

fn counts(outcome: &Outcome, span: Duration) -> Counts {
    let by_name = |kind: &clients::Failure| kind.name().to_owned();
    Counts {
        arrivals: outcome.arrivals,
        sent: outcome.sent,
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
        ok_per_s: outcome.ok as f64 / span.as_secs_f64(),
    }
}

fn micros(span: Duration) -> f64 {
    span.as_nanos() as f64 / 1e3
}
