//! Calibration: the engine measures what is known. Every protocol's own server and client, and the market behind them treats
//! each call by a formula ([`servers::reference`]); what was measured stands beside what is true.

mod predict;

use std::num::NonZeroU64;
use std::time::Duration;

use clients::load::{Arrivals, Emission, Model, Round, Schedule, Shape};
use clients::protocols::Carriage;
use clock::{Mono, Precision};
use lab::cores::Layout;
use lab::probe::Control;
use lab::stalls::Stalls;
use proto::{Capability, Protocol};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use servers::MarketConfig;
use servers::reference::{Behaviour, Delay, Freeze};

use crate::record::Quantiles;
use crate::run::disturbance::void_reason;
use crate::run::{LinkUsed, Network, Pair, Place, Setup, Taken};
use crate::scenario::{Contender, Link, Workload};
use crate::text;
use predict::{Load, Own, exponential_us, percentile};

/// What was measured beside what is true, on one machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Calibration {
    /// When, in µs since the Unix epoch.
    pub made_at_us: u64,
    /// Kernel and processor, so that it is not taken for another machine's.
    pub machine: String,
    /// The commit of wirebench that measured.
    pub commit: Option<String>,
    /// What it was measured over.
    pub link: LinkUsed,
    /// Share of the time that a loop which does nothing did not get, in gaps above 300 µs, while nothing else ran.
    pub stall_share: f64,
    /// Every comparison.
    pub rows: Vec<Row>,
}

/// One comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    /// The protocol.
    pub protocol: String,
    /// What is known, and in what it is read.
    pub what: String,
    /// What of it is compared: a time in µs, a share, or a count.
    pub unit: Unit,
    /// What is true.
    pub truth: f64,
    /// What was measured.
    pub measured: f64,
    /// How far off it may be.
    pub tolerance: f64,
    /// Values behind it.
    pub n: u64,
    /// How it came out.
    pub outcome: Outcome,
}

/// What a row's numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// µs.
    Micros,
    /// A share of 1.
    Share,
    /// How many.
    Count,
}

impl Unit {
    /// A number of it, for people.
    pub fn show(self, value: f64) -> String {
        match self {
            Unit::Micros => text::micros(value),
            Unit::Share => format!("{:.2} %", value * 100.0),
            Unit::Count => format!("{value:.0}"),
        }
    }
}

/// How a comparison came out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Within the tolerance.
    Within,
    /// Outside, on a machine that would have allowed it.
    Off,
    /// Outside, and the machine was too noisy to tell: why.
    TooNoisy(String),
}

/// Calls per second where a spacing is read: one a millisecond.
const RATE_PER_S: f64 = 1_000.0;
/// Calls per second through a freeze: those of one freeze then find a connection each.
const FREEZE_RATE_PER_S: f64 = 200.0;
const FREEZE: Freeze = Freeze { span: Duration::from_millis(300), period: Duration::from_millis(1_500) };
const DELAY: Duration = Duration::from_millis(2);
/// What a protocol and the machine take for themselves is read at this delay.
const SHORT_DELAY: Duration = Duration::from_micros(500);
/// Calls per second under a delay: one in 1.25 ms, so that neither delay ends while the next call is being sent.
const DELAYED_RATE_PER_S: f64 = 800.0;
const FAILS_EVERY: u64 = 20;
const DISTURBED_EVERY: u64 = 50;
/// How long calls go as fast as they can.
const SATURATED: Duration = Duration::from_millis(500);
const SHAPE: Shape = Shape { connections: 64, in_flight: 1 };
const SUBSCRIBERS: Shape = Shape { connections: 4, in_flight: 1 };
const WARM_UP: Duration = Duration::from_millis(400);
const TIME_OUT: Duration = Duration::from_secs(2);
/// Loads that are disturbed from outside are repeated so often.
const ATTEMPTS: usize = 3;

/// Bytes through a bare pipe before each load, and after.
const CONTROLS: u32 = 400;

/// The tolerances that a quiet machine of two cores is held to, in µs.
const P50_US: f64 = 100.0;
const P99_US: f64 = 300.0;
const SPACING_P50_US: f64 = 10.0;
const SPACING_P99_US: f64 = 100.0;
/// Of a freeze.
const FREEZE_SHARE: f64 = 0.01;
/// Of a quantile of draws that are spread evenly.
const DRAWS_SHARE: f64 = 0.02;
/// The share of the time in stalls from which on a tail says nothing.
const STALL_SHARE_MAX: f64 = 0.001;

/// Calibrates protocols, each as one contender; `tell` hears of every row and of what begins.
///
/// # Errors
/// Where a process or the network fails.
pub fn calibrate(
    protocols: &[Protocol],
    layout: &Layout,
    machine: String,
    link: Link,
    tell: &mut dyn FnMut(Told<'_>),
) -> anyhow::Result<Calibration> {
    let (network, link) = Network::build(link);
    let mut calibration = Calibration {
        made_at_us: clock::wall_time_us(),
        machine,
        commit: crate::record::Tool::this().commit,
        link,
        stall_share: 0.0,
        rows: Vec::new(),
    };
    let place = Place { layout, network };
    let cores: Vec<usize> = std::iter::once(layout.server).chain(layout.client.iter().copied()).collect();
    let mut watched = 0.0;
    for protocol in protocols {
        tell(Told::Begins(protocol.name()));
        let stalls = Stalls::watch(&cores, Duration::from_secs(1));
        watched += 1.0;
        calibration.stall_share += (stalls.share - calibration.stall_share) / watched;
        let base = control(layout)?;
        let bench = Bench { place: &place, protocol: *protocol, stalls, base };
        let rows = bench.rows()?;
        rows.iter().for_each(|row| tell(Told::Row(row)));
        calibration.rows.extend(rows);
    }
    Ok(calibration)
}

/// What a calibration says while it goes on.
pub enum Told<'a> {
    /// A protocol's turn.
    Begins(&'a str),
    /// A comparison is done.
    Row(&'a Row),
}

/// One protocol on the bench.
struct Bench<'a> {
    place: &'a Place<'a>,
    protocol: Protocol,
    stalls: Stalls,
    /// The bare pipe at the beginning.
    base: Control,
}

/// A load, what disturbed it from outside, and what a bare pipe between the two cores was off by before and after it.
struct Measured {
    pair: Pair,
    taken: Taken,
    /// How much later the median of the bare pipe was than when this protocol's turn began, in µs.
    drift_us: f64,
    disturbed: Option<String>,
    control: Control,
}

impl Measured {
    fn response(&self) -> Quantiles {
        Quantiles::of(&self.taken.outcome.histograms.response)
    }

    /// Why a figure cannot be read to within a tolerance here, given what the control is off by in the same respect: it takes
    /// half of it.
    fn noise(&self, control_us: fn(&Control) -> f64, tolerance_us: f64) -> Option<String> {
        let control_us = control_us(&self.control);
        let control = (control_us > tolerance_us / 2.0).then(|| {
            format!("a bare pipe between the two cores is itself off by {}", text::micros(control_us))
        });
        let drift = (self.drift_us > tolerance_us / 2.0).then(|| {
            format!(
                "a bare pipe between the two cores became {} later meanwhile",
                text::micros(self.drift_us)
            )
        });
        self.disturbed.clone().or(control).or(drift)
    }
}

impl Bench<'_> {
    fn rows(&self) -> anyhow::Result<Vec<Row>> {
        let mut rows = Vec::new();
        if self.protocol.offers().contains(&Capability::Quote) {
            self.calls(&mut rows)?;
        }
        if self.protocol.offers().contains(&Capability::Subscribe) {
            self.ticks(&mut rows)?;
        }
        Ok(rows)
    }

    /// Everything that is read off calls.
    fn calls(&self, rows: &mut Vec<Row>) -> anyhow::Result<()> {
        let steady = open_round(RATE_PER_S, Duration::from_secs(2));
        let at_once = Behaviour::fixed(Duration::ZERO);

        let mut prompt = self.load_calls(at_once, steady)?;
        let apart = spacings_ns(&prompt.pair.arrivals()?, Duration::from_secs_f64(1.0 / RATE_PER_S));
        let spacing = |share| (0.0, percentile(&apart, share) / 1e3, apart.len() as u64);
        let what = "arrivals 1 ms apart, off at the server";
        rows.push(
            self.time(&prompt, format!("{what}, p50"), spacing(0.5), SPACING_P50_US, |c| c.spacing_p50_us),
        );
        rows.push(
            self.tail(&prompt, format!("{what}, p99"), spacing(0.99), SPACING_P99_US, |c| c.spacing_p99_us),
        );

        // A short known delay, before and after, takes the timers and wakes the cores as the long ones do.
        let known = open_round(DELAYED_RATE_PER_S, Duration::from_millis(2_500));
        let before = self.load_calls(Behaviour::fixed(SHORT_DELAY), known)?.taken.outcome.histograms.response;
        let delayed = self.load_calls(Behaviour::fixed(DELAY), known)?;
        let spread = self.load_calls(Behaviour { delay: Delay::Exponential(DELAY), ..at_once }, known)?;
        let after = self.load_calls(Behaviour::fixed(SHORT_DELAY), known)?.taken.outcome.histograms.response;
        let own = Own::beyond(SHORT_DELAY, &before, &after);

        let delay_us = DELAY.as_secs_f64() * 1e6;
        let found = delayed.response();
        let beyond_own = |value: f64| (delay_us, value - own.median_us(), found.n);
        let what = "a delay of 2 ms";
        let (p50, p99) = (beyond_own(found.p50), beyond_own(found.p99));
        rows.push(self.time(&delayed, format!("{what}, p50"), p50, P50_US, |c| c.late_p75_us));
        rows.push(self.tail(&delayed, format!("{what}, p99"), p99, P99_US, |c| c.late_p99_us));

        let found = spread.response();
        let what = "exponential delays of mean 2 ms";
        // The draws are spread evenly to within one in n.
        for (share, name, value) in [(0.5, "p50", found.p50), (0.9, "p90", found.p90)] {
            let truth = exponential_us(delay_us, share);
            let measured = value - own.adds_to_exponential_us(delay_us, share);
            let tolerance = P50_US + DRAWS_SHARE * truth;
            let found = (truth, measured, found.n);
            rows.push(self.time(&spread, format!("{what}, {name}"), found, tolerance, |c| c.late_p90_us));
        }
        let truth = exponential_us(delay_us, 0.99);
        let found = (truth, found.p99 - own.adds_to_exponential_us(delay_us, 0.99), found.n);
        let tolerance = P99_US + DRAWS_SHARE * truth;
        rows.push(self.tail(&spread, format!("{what}, p99"), found, tolerance, |c| c.late_p99_us));

        let frozen = self.freeze(rows, prompt.response().p50)?;

        let behaviour = Behaviour { fails_every: NonZeroU64::new(FAILS_EVERY), ..at_once };
        let failing = self.load_calls(behaviour, steady)?;
        let outcome = &failing.taken.outcome;
        let share = outcome.failures() as f64 / outcome.arrivals.max(1) as f64;
        let found = (1.0 / FAILS_EVERY as f64, share, outcome.arrivals);
        rows.push(self.exact(&failing, "every 20th call fails, share", Unit::Share, found, 0.001));
        if self.protocol == Protocol::Udp {
            let drops = frozen.taken.wire.client.udp_drops + frozen.taken.wire.server.udp_drops;
            let found = (0.0, drops as f64, frozen.taken.outcome.arrivals);
            rows.push(self.exact(
                &frozen,
                "datagrams dropped by the kernel in a freeze",
                Unit::Count,
                found,
                0.0,
            ));
        }
        Ok(())
    }

    /// A server that stands still now and then, and its backlog.
    fn freeze(&self, rows: &mut Vec<Row>, prompt_us: f64) -> anyhow::Result<Measured> {
        let at_once = Behaviour::fixed(Duration::ZERO);
        // Poisson, so that no two freezes fall together with the same calls: the responses are then spread evenly.
        let model = Model::Open { arrivals: Arrivals::Poisson, rate_per_s: FREEZE_RATE_PER_S };
        let round = Round { model, ..open_round(FREEZE_RATE_PER_S, FREEZE.period * 4) };
        // A backlog drains as fast as calls go that wait for nothing.
        let as_fast_as_it_goes = Round { model: Model::Closed, duration: SATURATED, ..round };
        let saturated = self.load_calls(at_once, as_fast_as_it_goes)?.taken.outcome;
        let cost = saturated.elapsed / u32::try_from(saturated.ok.max(1))?;
        let behaviour = Behaviour { freeze: Some(FREEZE), ..at_once };
        let frozen = self.load_calls(behaviour, round)?;
        let predicted = predicted(&frozen, &behaviour, &round, cost)?;
        let found = frozen.response();
        for (share, name, value) in [(0.9, "p90", found.p90), (0.95, "p95", found.p95)] {
            let truth = percentile(&predicted, share) / 1e3 + prompt_us;
            let what = format!("a freeze of 300 ms every 1.5 s, {name}");
            let tolerance = FREEZE_SHARE * truth;
            rows.push(self.tail(&frozen, what, (truth, value, found.n), tolerance, |c| c.late_p99_us));
        }
        Ok(frozen)
    }

    /// Everything that is read off pushed ticks: a delay of their emission, and sequences that were disturbed on purpose.
    fn ticks(&self, rows: &mut Vec<Row>) -> anyhow::Result<()> {
        let disturbs_ticks_every = NonZeroU64::new(DISTURBED_EVERY);
        let behaviour = Behaviour { disturbs_ticks_every, ..Behaviour::fixed(DELAY) };
        let round =
            Round { warm_up: Duration::ZERO, ..open_round(FREEZE_RATE_PER_S, Duration::from_secs(2)) };
        let measured = self.load(Capability::Subscribe, behaviour, round, SUBSCRIBERS)?;
        let outcome = &measured.taken.outcome;
        let ticks = FREEZE_RATE_PER_S * round.duration.as_secs_f64() * SUBSCRIBERS.connections as f64;
        let missed = outcome.failed.get(&clients::Failure::Missed).copied().unwrap_or_default();
        for (what, found) in [
            ("ticks skipped", missed),
            ("ticks doubled", outcome.duplicates),
            ("ticks behind a later one", outcome.out_of_order),
        ] {
            let found = (ticks / DISTURBED_EVERY as f64, found as f64, outcome.arrivals);
            rows.push(self.exact(&measured, what, Unit::Count, found, 0.0));
        }
        // A swapped tick waits for its successor: one in fifty, far above the median.
        let lag = Quantiles::of(&outcome.histograms.lag);
        let found = (DELAY.as_secs_f64() * 1e6, lag.p50, lag.n);
        rows.push(
            self.time(&measured, "ticks emitted 2 ms late, p50".to_owned(), found, P50_US, |c| c.late_p75_us),
        );
        Ok(())
    }

    fn load_calls(&self, behaviour: Behaviour, round: Round) -> anyhow::Result<Measured> {
        self.load(Capability::Quote, behaviour, round, SHAPE)
    }

    /// Loads a fresh pair, again where it was disturbed from outside.
    fn load(
        &self,
        operation: Capability,
        behaviour: Behaviour,
        round: Round,
        shape: Shape,
    ) -> anyhow::Result<Measured> {
        let workload = Workload {
            operation,
            symbols: 1,
            candles: 1,
            model: round.model,
            ticks_per_s: 0.0,
            time_out: TIME_OUT,
            handler_wait: Duration::ZERO,
            handler_cpu: Duration::ZERO,
        };
        let pushes = operation == Capability::Subscribe;
        let contender =
            Contender { name: self.protocol.name().to_owned(), carriage: carriage(self.protocol) };
        let mut attempt = 1;
        loop {
            let before = control(self.place.layout)?;
            let market = MarketConfig { behaviour: Some(behaviour), ..MarketConfig::default() };
            let setup = Setup { market, workload: &workload, conformance: false };
            let (mut pair, _) = self.place.open(&contender, &setup)?;
            let emission = pushes.then_some(Emission {
                first_sequence: 0,
                arrivals: Arrivals::Constant,
                rate_per_s: FREEZE_RATE_PER_S,
            });
            let round = Round { emission, ..round };
            let taken = self.place.load(&mut pair, shape, round, &mut |_| ())?;
            let disturbed = void_reason(&taken, pushes);
            if disturbed.is_none() || attempt == ATTEMPTS {
                let control = before.worse(control(self.place.layout)?);
                let drift_us = control.late_p50_us - self.base.late_p50_us;
                return Ok(Measured { pair, taken, drift_us, disturbed, control });
            }
            attempt += 1;
        }
    }

    /// A time in µs: (truth, measured, n).
    fn time(
        &self,
        of: &Measured,
        what: String,
        found: (f64, f64, u64),
        tolerance: f64,
        control: fn(&Control) -> f64,
    ) -> Row {
        self.row(what, Unit::Micros, found, tolerance, of.noise(control, tolerance))
    }

    /// A time that single events move: where a loop that does nothing is stalled, so is this.
    fn tail(
        &self,
        of: &Measured,
        what: String,
        found: (f64, f64, u64),
        tolerance: f64,
        control: fn(&Control) -> f64,
    ) -> Row {
        let stalled = || {
            format!(
                "a loop that does nothing lost {:.2} % of the time in gaps of up to {:.1} ms",
                self.stalls.share * 100.0,
                self.stalls.longest.as_secs_f64() * 1e3
            )
        };
        let stalled = (self.stalls.share > STALL_SHARE_MAX).then(stalled);
        self.row(what, Unit::Micros, found, tolerance, of.noise(control, tolerance).or(stalled))
    }

    /// A count or a share, which noise does not move unless it makes calls fail.
    fn exact(&self, of: &Measured, what: &str, unit: Unit, found: (f64, f64, u64), tolerance: f64) -> Row {
        self.row(what.to_owned(), unit, found, tolerance, of.disturbed.clone())
    }

    fn row(
        &self,
        what: String,
        unit: Unit,
        (truth, measured, n): (f64, f64, u64),
        tolerance: f64,
        noise: Option<String>,
    ) -> Row {
        let within = (measured - truth).abs() <= tolerance + 1e-9;
        let outcome = match noise {
            _ if within => Outcome::Within,
            Some(noise) => Outcome::TooNoisy(noise),
            None => Outcome::Off,
        };
        Row { protocol: self.protocol.name().to_owned(), what, unit, truth, measured, tolerance, n, outcome }
    }
}

/// A bare pipe from the client's core to the server's.
fn control(layout: &Layout) -> std::io::Result<Control> {
    let client = layout.client.first().copied().unwrap_or(layout.server);
    Control::watch(client, layout.server, Duration::from_millis(1), CONTROLS)
}

/// The way of carrying that stands for a protocol.
fn carriage(protocol: Protocol) -> Carriage {
    use clients::HttpVersion::Http1;
    use proto::encoding::Encoding::Json;
    match protocol {
        Protocol::Rest => Carriage::Rest { http: Http1, encoding: Json },
        Protocol::GraphQl => Carriage::GraphQl { http: Http1, persisted: false },
        Protocol::Grpc => Carriage::Grpc,
        Protocol::Sse => Carriage::Sse { http: Http1 },
        Protocol::WebSocket => Carriage::WebSocket { encoding: Json },
        Protocol::Tcp => Carriage::Tcp,
        Protocol::Udp => Carriage::Udp,
    }
}

fn open_round(rate_per_s: f64, duration: Duration) -> Round {
    Round {
        model: Model::Open { arrivals: Arrivals::Constant, rate_per_s },
        warm_up: WARM_UP,
        duration,
        time_out: TIME_OUT,
        seed: 1,
        start: Mono::default(),
        // The client has a core to itself, and an arrival a millisecond: spinning buys exactness.
        precision: Precision::Spin,
        emission: None,
    }
}

/// How far each gap between arrivals is off, sorted, in ns.
fn spacings_ns(arrivals: &[Mono], gap: Duration) -> Vec<u64> {
    let gap_ns = clock::nanos(gap);
    let mut off: Vec<u64> =
        arrivals.windows(2).map(|pair| pair[1].nanos_since(pair[0]).abs_diff(gap_ns)).collect();
    off.sort_unstable();
    off
}

fn predicted(
    measured: &Measured,
    behaviour: &Behaviour,
    round: &Round,
    cost: Duration,
) -> anyhow::Result<Vec<u64>> {
    let Model::Open { arrivals, rate_per_s } = round.model else { return Ok(Vec::new()) };
    let schedule = Schedule::new(arrivals, rate_per_s, round.warm_up + round.duration, round.seed)?;
    let load = Load {
        offsets_ns: schedule.offsets_ns(),
        start: measured.taken.start,
        warm_up: round.warm_up,
        slots: SHAPE.connections * SHAPE.in_flight,
        cost,
    };
    Ok(load.responses_ns(behaviour, measured.pair.origin.unwrap_or_default()))
}
