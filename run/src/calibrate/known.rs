//! What is known, and how it is read: each load's behaviour, its truth by arithmetic, and its
//! tolerance.

use std::num::NonZeroU64;
use std::time::Duration;

use clients::load::Round;
use clock::{Mono, Precision};
use proto::{Capability, Protocol};
use servers::reference::{Behaviour, Delay, Freeze};
use terms::{Arrivals, Emission, Failure, Model, Quantiles, Schedule, Shape};

use super::bench::{Bench, Found, Loaded, Respect, Surroundings, Turn, middle, tail};
use super::predict::{Load, Own, exponential_us, percentile};
use super::{CalibrationRow, Unit};
use crate::cast::Taken;

/// Calls per second where a spacing is read: one a millisecond.
const RATE_PER_S: f64 = 1_000.0;
/// Calls per second under a delay: one in 1.25 ms, so that no delay ends while the next call is
/// being sent.
const DELAYED_RATE_PER_S: f64 = 800.0;
/// Calls per second through a freeze: those of one freeze then find a connection each.
const FREEZE_RATE_PER_S: f64 = 200.0;
const FREEZE: Freeze = Freeze { span: Duration::from_millis(300), period: Duration::from_millis(1_500) };
const DELAY: Duration = Duration::from_millis(2);
/// What a protocol and the machine take for themselves is read at this delay.
const SHORT_DELAY: Duration = Duration::from_micros(500);
const FAILS_EVERY: u64 = 20;
const DISTURBED_EVERY: u64 = 50;
/// How long calls go as fast as they can.
const SATURATED: Duration = Duration::from_millis(300);
const SHAPE: Shape = Shape { connections: 64, in_flight: 1, cold: false };
const SUBSCRIBERS: Shape = Shape { connections: 4, in_flight: 1, cold: false };
const WARM_UP: Duration = Duration::from_millis(100);
const TIME_OUT: Duration = Duration::from_secs(2);
/// Rounds of a delay, and how long each is.
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(500);
/// Rounds through a freeze, of two periods each.
const FREEZE_ROUNDS: usize = 3;

/// The tolerances that a quiet machine of two cores is held to, in µs.
const P50_US: f64 = 100.0;
const P99_US: f64 = 300.0;
const SPACING_P50_US: f64 = 10.0;
const SPACING_P99_US: f64 = 100.0;
/// Of a freeze.
const FREEZE_SHARE: f64 = 0.01;
/// Of a quantile of draws that are spread evenly.
const DRAWS_SHARE: f64 = 0.02;
/// Of the share of failures.
const FAILURES_SHARE: f64 = 0.001;

/// A percentile of response times: how far off it may be, and how a bare pipe stands for it.
#[derive(Clone, Copy)]
struct Percentile {
    name: &'static str,
    share: f64,
    read: fn(&Quantiles) -> f64,
    tolerance_us: f64,
    respect: Respect,
}

const P50: Percentile = Percentile {
    name: "p50",
    share: 0.5,
    read: |quantiles| quantiles.p50,
    tolerance_us: P50_US,
    respect: middle(|control| control.late_p75_us),
};
const P90: Percentile = Percentile {
    name: "p90",
    share: 0.9,
    read: |quantiles| quantiles.p90,
    tolerance_us: P50_US,
    respect: middle(|control| control.late_p90_us),
};
const P95: Percentile = Percentile { name: "p95", share: 0.95, read: |quantiles| quantiles.p95, ..P90 };
const P99: Percentile = Percentile {
    name: "p99",
    share: 0.99,
    read: |quantiles| quantiles.p99,
    tolerance_us: P99_US,
    respect: tail(|control| control.late_p99_us),
};

/// Everything that is known of what a protocol offers; what there is of it stays in `rows` also
/// where it ends early.
pub(super) fn read(bench: &Bench<'_>, rows: &mut Vec<CalibrationRow>) -> anyhow::Result<()> {
    if bench.protocol.offers().contains(&Capability::Quote) {
        let prompt_us = delays(bench, rows)?;
        freeze(bench, rows, prompt_us)?;
        failures(bench, rows)?;
    }
    if bench.protocol.offers().contains(&Capability::Subscribe) {
        ticks(bench, rows)?;
    }
    Ok(())
}

/// Arrivals' spacing, a fixed delay and exponential ones; says how long a call without a delay
/// takes, in µs.
fn delays(bench: &Bench<'_>, rows: &mut Vec<CalibrationRow>) -> anyhow::Result<f64> {
    let prompt = calls(Behaviour::fixed(Duration::ZERO), RATE_PER_S, ROUND);
    let delayed = |delay| calls(Behaviour { delay, ..prompt.behaviour }, DELAYED_RATE_PER_S, ROUND);
    // A short known delay takes the timers and wakes the cores as the long ones do.
    let short = delayed(Delay::Fixed(SHORT_DELAY));
    let (fixed, spread) = (delayed(Delay::Fixed(DELAY)), delayed(Delay::Exponential(DELAY)));
    let ([prompt, short, fixed, spread], among) = bench.load([prompt, short, fixed, spread], ROUNDS)?;
    spacing(rows, &prompt, &among);

    let own_of = |taken: &[Taken]| {
        Own::beyond(SHORT_DELAY, taken.iter().map(|taken| &taken.outcome.histograms.response))
    };
    let (own, own_by_round) = (own_of(&short.rounds), short.rounds.chunks(1).map(own_of).collect::<Vec<_>>());
    let delay_us = DELAY.as_secs_f64() * 1e6;
    let row = |of: &Loaded,
               what: &str,
               percentile: Percentile,
               truth: f64,
               draws: f64,
               takes: &dyn Fn(&Own) -> f64| {
        let response = of.response();
        let by_round = of.each(percentile.read).into_iter().zip(&own_by_round);
        let found = Found {
            truth,
            measured: (percentile.read)(&response) - takes(&own),
            tolerance: percentile.tolerance_us + draws * truth,
            n: response.n,
            off_by_round: by_round.map(|(value, own)| value - takes(own) - truth).collect(),
        };
        among.time(format!("{what}, {}", percentile.name), &found, percentile.respect)
    };
    for percentile in [P50, P99] {
        rows.push(row(&fixed, "a delay of 2 ms", percentile, delay_us, 0.0, &Own::median_us));
    }
    for percentile in [P50, P90, P99] {
        let truth = exponential_us(delay_us, percentile.share);
        let takes = |own: &Own| own.adds_to_exponential_us(delay_us, percentile.share);
        rows.push(row(&spread, "exponential delays of mean 2 ms", percentile, truth, DRAWS_SHARE, &takes));
    }
    Ok(prompt.response().p50)
}

/// How far apart arrivals are at the server.
fn spacing(rows: &mut Vec<CalibrationRow>, prompt: &Loaded, among: &Surroundings) {
    let gap = Duration::from_secs_f64(1.0 / RATE_PER_S);
    let rounds: Vec<Vec<u64>> = prompt.arrivals.iter().map(|arrivals| spacings_ns(arrivals, gap)).collect();
    let mut all = rounds.concat();
    all.sort_unstable();
    for (name, share, tolerance, respect) in [
        ("p50", 0.5, SPACING_P50_US, middle(|control| control.spacing_p50_us)),
        ("p99", 0.99, SPACING_P99_US, tail(|control| control.spacing_p99_us)),
    ] {
        let off = |spacings: &[u64]| percentile(spacings, share) / 1e3;
        let found = Found {
            measured: off(&all),
            tolerance,
            n: all.len() as u64,
            truth: 0.0,
            off_by_round: rounds.iter().map(|round| off(round)).collect(),
        };
        let what = format!("arrivals 1 ms apart, off at the server, {name}");
        rows.push(among.time(what, &found, respect));
    }
}

/// A server that stands still now and then, and its backlog.
fn freeze(bench: &Bench<'_>, rows: &mut Vec<CalibrationRow>, prompt_us: f64) -> anyhow::Result<()> {
    let at_once = Behaviour::fixed(Duration::ZERO);
    let behaviour = Behaviour { freeze: Some(FREEZE), ..at_once };
    // Poisson, so that no two freezes fall together with the same calls: the responses are then
    // spread evenly.
    let model = Model::Open { arrivals: Arrivals::Poisson, rate_per_s: FREEZE_RATE_PER_S };
    let calls = calls(behaviour, FREEZE_RATE_PER_S, FREEZE.period * 2);
    let frozen = Turn { round: Round { model, ..calls.round }, ..calls };
    // A backlog drains as fast as calls go that wait for nothing.
    let round = Round { model: Model::Closed, duration: SATURATED, ..frozen.round };
    let saturated = Turn { behaviour: at_once, round, ..frozen };
    let ([saturated, loaded], among) = bench.load([saturated, frozen], FREEZE_ROUNDS)?;
    let mut predicted = Vec::with_capacity(FREEZE_ROUNDS);
    for (nth, (fast, taken)) in (0..).zip(saturated.rounds.iter().zip(&loaded.rounds)) {
        let cost = fast.outcome.elapsed / u32::try_from(fast.outcome.ok.max(1))?;
        let round = Round { seed: frozen.round.seed + nth, start: taken.start, ..frozen.round };
        let origin = loaded.cast.origin.unwrap_or_default();
        predicted.push(predicted_ns(&behaviour, &round, origin, cost)?);
    }
    let mut all = predicted.concat();
    all.sort_unstable();
    let response = loaded.response();
    for Percentile { name, share, read, respect, .. } in
        [P90, P95].map(|of| Percentile { respect: P99.respect, ..of })
    {
        let truth = |predicted: &[u64]| percentile(predicted, share) / 1e3 + prompt_us;
        let by_round = loaded.each(read).into_iter().zip(&predicted);
        let found = Found {
            truth: truth(&all),
            measured: read(&response),
            tolerance: FREEZE_SHARE * truth(&all),
            n: response.n,
            off_by_round: by_round.map(|(value, predicted)| value - truth(predicted)).collect(),
        };
        let what = format!("a freeze of 300 ms every 1.5 s, {name}");
        rows.push(among.time(what, &found, respect));
    }
    if bench.protocol == Protocol::Udp {
        let drops = |taken: &Taken| taken.wire.udp_drops;
        let drops = loaded.rounds.iter().map(drops).sum::<u64>();
        let found = counted(0.0, drops as f64, response.n);
        rows.push(among.exact("datagrams dropped by the kernel in a freeze", Unit::Count, &found));
    }
    Ok(())
}

/// A known share of failures.
fn failures(bench: &Bench<'_>, rows: &mut Vec<CalibrationRow>) -> anyhow::Result<()> {
    let fails_every = NonZeroU64::new(FAILS_EVERY);
    let behaviour = Behaviour { fails_every, ..Behaviour::fixed(Duration::ZERO) };
    let ([failing], among) = bench.load([calls(behaviour, RATE_PER_S, ROUND * 4)], 1)?;
    for Taken { outcome, .. } in &failing.rounds {
        let share = outcome.failures() as f64 / outcome.arrivals.max(1) as f64;
        let found = counted(1.0 / FAILS_EVERY as f64, share, outcome.arrivals);
        let found = Found { tolerance: FAILURES_SHARE, ..found };
        rows.push(among.exact("every 20th call fails, share", Unit::Share, &found));
    }
    Ok(())
}

/// Everything that is read off pushed ticks: a delay of their emission, and sequences that were
/// disturbed on purpose.
fn ticks(bench: &Bench<'_>, rows: &mut Vec<CalibrationRow>) -> anyhow::Result<()> {
    let disturbs_ticks_every = NonZeroU64::new(DISTURBED_EVERY);
    let behaviour = Behaviour { disturbs_ticks_every, ..Behaviour::fixed(DELAY) };
    let emission =
        Emission { first_sequence: 0, arrivals: Arrivals::Constant, rate_per_s: FREEZE_RATE_PER_S };
    let calls = calls(behaviour, FREEZE_RATE_PER_S, ROUND * 4);
    let round = Round { warm_up: Duration::ZERO, emission: Some(emission), ..calls.round };
    let turn = Turn { operation: Capability::Subscribe, shape: SUBSCRIBERS, round, ..calls };
    let ([loaded], among) = bench.load([turn], 1)?;
    for Taken { outcome, .. } in &loaded.rounds {
        let ticks = FREEZE_RATE_PER_S * round.duration.as_secs_f64() * SUBSCRIBERS.connections as f64;
        let missed = outcome.failed.get(&Failure::Missed).copied().unwrap_or_default();
        for (what, found) in [
            ("ticks skipped", missed),
            ("ticks doubled", outcome.duplicates),
            ("ticks behind a later one", outcome.out_of_order),
        ] {
            let found = counted(ticks / DISTURBED_EVERY as f64, found as f64, outcome.arrivals);
            rows.push(among.exact(what, Unit::Count, &found));
        }
        // A swapped tick waits for its successor: one in fifty, far above the median.
        let lag = Quantiles::of(&outcome.histograms.lag);
        let found = counted(DELAY.as_secs_f64() * 1e6, lag.p50, lag.n);
        let found = Found { tolerance: P50_US, ..found };
        rows.push(among.time("ticks emitted 2 ms late, p50".to_owned(), &found, P50.respect));
    }
    Ok(())
}

/// What is one number, and has no tolerance unless it is given one.
fn counted(truth: f64, measured: f64, n: u64) -> Found {
    Found { truth, measured, tolerance: 0.0, n, off_by_round: Vec::new() }
}

fn calls(behaviour: Behaviour, rate_per_s: f64, duration: Duration) -> Turn {
    let round = Round {
        model: Model::Open { arrivals: Arrivals::Constant, rate_per_s },
        warm_up: WARM_UP,
        duration,
        time_out: TIME_OUT,
        seed: 1,
        start: Mono::default(),
        // The client has a core to itself, and an arrival a millisecond: spinning buys exactness.
        precision: Precision::Spin,
        emission: None,
        calls_max: None,
    };
    Turn { operation: Capability::Quote, behaviour, shape: SHAPE, round }
}

/// How far each gap between arrivals is off, sorted, in ns.
fn spacings_ns(arrivals: &[Mono], gap: Duration) -> Vec<u64> {
    let gap_ns = clock::nanos(gap);
    let mut off: Vec<u64> =
        arrivals.windows(2).map(|pair| pair[1].nanos_since(pair[0]).abs_diff(gap_ns)).collect();
    off.sort_unstable();
    off
}

/// What arithmetic says of a round, in ns, sorted.
fn predicted_ns(
    behaviour: &Behaviour,
    round: &Round,
    origin: Mono,
    cost: Duration,
) -> anyhow::Result<Vec<u64>> {
    let Model::Open { arrivals, rate_per_s } = round.model else { return Ok(Vec::new()) };
    let schedule = Schedule::of_round(arrivals, rate_per_s, round.warm_up, round.duration, round.seed)?;
    let load = Load {
        offsets_ns: schedule.offsets_ns(),
        start: round.start,
        warm_up: round.warm_up,
        slots: SHAPE.connections * SHAPE.in_flight,
        cost,
    };
    Ok(load.responses_ns(behaviour, origin))
}
