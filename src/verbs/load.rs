//! `load`: a load generator for servers that wirebench did not start.

mod addresses;
#[cfg(test)]
mod bent;
mod capacity;
mod cores;
#[cfg(test)]
mod described;
mod fits;
mod grpc;
mod listen;
mod options;
mod outcome;
mod outputs;
mod request;
mod requests;
mod rows;
mod screen;
mod secure;
mod target;
mod workload;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{anyhow, bail};
use clients::foreign::{self, Request, Workers};
use clients::load::{Engine, EngineError, Kept, Round};
use clients::{CallError, Endpoint};
use clock::{Clock, Precision};
use cores::Cores;
pub(crate) use options::Options;
use options::{Pacing, Stages};
use record::Tool;
use requests::Mix;
use target::{Scheme, Target};
use terms::{Model, Schedule, Shape, Stage, text};

use crate::ending::{Ending, UsageError, refuse_debug, say, say_broken};
use crate::signals::stop_on_signals;
use crate::verbs::given::Given;

/// From the order to start to the start.
const LEAD: Duration = Duration::from_millis(30);
/// Arrivals per second and worker up to which spinning takes at most a fifth of a core.
const SPIN_RATE_PER_S_MAX: f64 = 2_000.0;
/// How often a signal is looked for.
const STOP_LOOK_EVERY: Duration = Duration::from_millis(20);
/// Single calls that are kept for a file of them, of all workers.
const CALLS_KEPT_MAX: usize = 1_000_000;
/// The longest that an address is tried over QUIC or UDP while there is another: nobody says that
/// nobody listens there.
const SILENT_ADDRESS_MAX: Duration = Duration::from_secs(1);

/// Loads what is typed, or what a workload file says.
///
/// # Errors
/// Where the target makes no sense or refuses, or the load cannot be made.
pub(crate) fn load(options: &Options, given: &Given, tool: &Tool) -> anyhow::Result<Ending> {
    refuse_debug(tool, options.allow_debug)?;
    match workload::file(&options.target) {
        Some(file) => {
            let (options, given) = workload::read(file, given)?;
            load_as(&options, &given, tool).map_err(|error| match error.downcast::<UsageError>() {
                Ok(UsageError(what)) => UsageError(format!("{}: {what}", file.display())).into(),
                Err(error) => error,
            })
        }
        None => load_as(options, given, tool),
    }
}

fn load_as(options: &Options, given: &Given, tool: &Tool) -> anyhow::Result<Ending> {
    lab::machine::raise_open_files();
    let target = Target::parse(&options.target)?;
    fits::check(options, given, &target)?;
    outputs::check(options)?;
    let model = model(options);
    let schedule = if options.find_capacity {
        capacity::check(options)?;
        Schedule::empty()
    } else {
        schedule(options, model)?
    };
    let (mix, tls) = (Mix::read(options, target.path.path())?, secure::tls(options, &target)?);
    let stop = stop_on_signals()?;
    let addresses = match &options.unix_socket {
        Some(_) => vec![SocketAddr::from(([127, 0, 0, 1], target.port))],
        None => addresses::answering(addresses::addresses(options, &target)?, options, &target, &stop),
    };
    let request = request::request(options, &target, &mix, &endpoint(options, tls.clone(), addresses[0]))?;
    let groups = mix.filled().map(|filled| filled.group).filter(|_| !mix.groups.is_empty()).collect();
    let kept = Kept {
        timeline: !options.find_capacity,
        stage_ends: stage_ends(options),
        groups,
        calls_max: if options.jsonl.is_some() { CALLS_KEPT_MAX / usize::from(options.workers) } else { 0 },
    };
    let load = Load { options, stop, tls, request, kept, addresses, target };
    if options.find_capacity {
        return capacity::find(&load);
    }
    if options.listen {
        return listen::listen(&load);
    }
    if options.is_closed() {
        say_broken(&format!(
            "closed: each of {} connections calls again as soon as it has its reply, which shows throughput and hides \
             waiting; --rate shows the latency under a load",
            options.connections
        ));
    }
    let opened = match load.open() {
        Err(error) if load.stop.load(Ordering::Relaxed) => {
            say(&format!("{error}: nothing was measured"));
            return Ok(Ending::Interrupted);
        }
        opened => opened?,
    };
    let span = Span {
        model,
        warm_up: options.warm_up(),
        duration: measured_time(options, model, &schedule),
        calls_max: options.calls,
    };
    let loaded = load.run(&opened, &span, &schedule)?;
    let interrupted = loaded.interrupted;
    let names = outcome::Names { all: mix.groups, of_requests: load.kept.groups };
    let report = outcome::LoadReport::new(options, model, loaded, names);
    let printed = report.print(options.json);
    let written = outputs::write(options, &report, tool);
    printed?;
    let failed: Vec<String> =
        options.fail_on.iter().filter_map(|threshold| report.failure(threshold)).collect();
    for failure in &failed {
        say(&format!("failed: {failure}"));
    }
    match report.nothing_came() {
        _ if interrupted => Ok(Ending::Interrupted),
        _ if !failed.is_empty() => Ok(Ending::Threshold),
        Some(nothing) => bail!(nothing),
        None if !written => Ok(Ending::Error),
        None => Ok(Ending::Fine),
    }
}

/// The rate of stages is that of all of them.
fn model(options: &Options) -> Model {
    let of_stages = |Stages(stages): &Stages| {
        let arrivals: f64 = stages.iter().map(Stage::arrivals).sum();
        arrivals / options.duration().as_secs_f64()
    };
    match options.rate.or(options.stages.as_ref().map(of_stages)) {
        Some(rate_per_s) => Model::Open { arrivals: options.arrivals.into(), rate_per_s },
        None => Model::Closed,
    }
}

/// When calls are due, in the warm-up too; nothing in the closed model.
///
/// # Errors
/// Where none is due in the measured time.
fn schedule(options: &Options, model: Model) -> anyhow::Result<Schedule> {
    let Model::Open { arrivals, rate_per_s } = model else { return Ok(Schedule::empty()) };
    let (warm_up, duration) = (options.warm_up(), options.duration());
    let schedule = match &options.stages {
        Some(Stages(stages)) => Schedule::of_stages(arrivals, stages, options.seed),
        None => Schedule::of_round(arrivals, rate_per_s, warm_up, duration, options.seed),
    };
    let schedule = schedule.map_err(|error| UsageError(error.to_string()))?;
    let schedule = match options.calls {
        Some(calls) => schedule.ended_after(calls, warm_up),
        None => schedule,
    };
    let measured = schedule.offsets_ns().iter().filter(|at| **at >= clock::nanos(warm_up)).count();
    if measured == 0 {
        let message = format!(
            "no call is due in {} at {rate_per_s}/s: measure for longer, or raise --rate",
            text::exact(duration)
        );
        return Err(UsageError(message).into());
    }
    Ok(schedule)
}

/// When each stage ends.
fn stage_ends(options: &Options) -> Arc<[Duration]> {
    let Some(Stages(stages)) = &options.stages else { return Arc::default() };
    let mut end = Duration::ZERO;
    let ends = stages.iter().map(|stage| {
        end += stage.duration;
        end
    });
    ends.collect()
}

/// How long is measured: with so many calls of the open model, as long as these take at their rate.
fn measured_time(options: &Options, model: Model, schedule: &Schedule) -> Duration {
    let (Some(_), Model::Open { rate_per_s, .. }) = (options.calls, model) else { return options.duration() };
    let warm_up_ns = clock::nanos(options.warm_up());
    let due = schedule.offsets_ns().iter().filter(|at| **at >= warm_up_ns).count();
    let last_ns = schedule.offsets_ns().last().copied().unwrap_or_default();
    let at_their_rate = Duration::from_secs_f64(due as f64 / rate_per_s);
    at_their_rate.max(Duration::from_nanos(last_ns.saturating_sub(warm_up_ns) + 1))
}

/// A load that can be made: everything that was typed fits.
struct Load<'a> {
    options: &'a Options,
    target: Target,
    addresses: Vec<SocketAddr>,
    tls: Option<clients::Tls>,
    request: Request,
    kept: Kept,
    stop: Arc<AtomicBool>,
}

/// A stretch of load.
struct Span {
    model: Model,
    warm_up: Duration,
    duration: Duration,
    calls_max: Option<u64>,
}

/// Open connections, where they lead, and the cores that their workers hold.
struct Opened {
    engine: Engine,
    address: String,
    _cores: Cores,
}

/// What a load came to, and what it cost this process.
struct Loaded {
    outcome: terms::Outcome,
    cpu: Duration,
    address: String,
    interrupted: bool,
}

impl Load<'_> {
    /// Opens all connections: to the first of the target's addresses at which somebody answers.
    fn open(&self) -> anyhow::Result<Opened> {
        let options = self.options;
        let cores = Cores::of(options)?;
        let is_silent =
            self.target.scheme == Scheme::Udp || self.target.scheme == Scheme::Quic || options.http3;
        if let Some(path) = &options.unix_socket {
            let endpoint = endpoint(options, self.tls.clone(), self.addresses[0]);
            let engine = self.start(&cores, endpoint, options.connect_time_out());
            let engine = engine.map_err(|error| self.not_opened(&path.display().to_string(), error))?;
            return Ok(Opened { engine, address: path.display().to_string(), _cores: cores });
        }
        for (nth, address) in self.addresses.iter().enumerate() {
            let is_last = nth + 1 == self.addresses.len();
            let time = if is_silent && !is_last {
                options.connect_time_out().min(SILENT_ADDRESS_MAX)
            } else {
                options.connect_time_out()
            };
            match self.start(&cores, endpoint(options, self.tls.clone(), *address), time) {
                Err(EngineError::Connect(error)) if !is_last && !self.stop.load(Ordering::Relaxed) => {
                    let cause = error.sample();
                    say(&format!("{address}: {cause}; trying the next address of {}", self.target.host));
                }
                Err(error) => return Err(self.not_opened(&address.to_string(), error)),
                Ok(engine) => {
                    if nth > 0 {
                        say(&format!("{address} is loaded"));
                    }
                    return Ok(Opened { engine, address: address.to_string(), _cores: cores });
                }
            }
        }
        bail!("{} has no address", self.target.host)
    }

    fn start(
        &self,
        cores: &Cores,
        endpoint: Endpoint,
        opening_time: Duration,
    ) -> Result<Engine, EngineError> {
        let options = self.options;
        let shape = Shape {
            connections: options.connections as usize,
            in_flight: usize::from(options.in_flight),
            cold: options.cold,
        };
        let on_thread = if cores.pinned { lab::cores::pin } else { |_| Ok(()) };
        let workers = Workers {
            cores: &cores.cores,
            shape,
            opening_time,
            calls_per_connection: options.calls_per_connection,
            on_thread,
            kept: self.kept.clone(),
            stop: &self.stop,
        };
        foreign::open(self.request.clone(), endpoint, &workers)
    }

    fn not_opened(&self, address: &str, error: EngineError) -> anyhow::Error {
        match error {
            EngineError::Connect(CallError::Refused(cause)) => match cause.strip_prefix("no connection") {
                Some(silent) => anyhow!("no connection to {address}{silent}"),
                None => anyhow!("cannot connect to {address}: {cause}"),
            },
            EngineError::Connect(CallError::Client(cause)) => anyhow!("this machine: {cause}"),
            EngineError::Connect(error) => anyhow!("cannot load {address}: {}", error.sample()),
            other => other.into(),
        }
    }

    /// Loads for a stretch, over the open connections. A signal ends it: what was measured until
    /// then is the result.
    fn run(&self, opened: &Opened, span: &Span, schedule: &Schedule) -> anyhow::Result<Loaded> {
        let options = self.options;
        let Opened { engine, address, .. } = opened;
        let clock = Clock::System;
        let round = Round {
            model: span.model,
            warm_up: span.warm_up,
            duration: span.duration,
            time_out: options.time_out,
            seed: options.seed,
            start: clock.now() + LEAD,
            precision: precision(options, span.model),
            emission: None,
            calls_max: span.calls_max.filter(|_| span.model == Model::Closed),
        };
        let measured_from = round.start + round.warm_up;
        let done = AtomicBool::new(false);
        let live = engine.live();
        std::thread::scope(|scope| {
            let meter = scope.spawn(|| {
                let mut left = measured_from.since(clock.now());
                while !left.is_zero() && !self.stop.load(Ordering::Relaxed) {
                    clock::pause_thread(left.min(STOP_LOOK_EVERY));
                    left = measured_from.since(clock.now());
                }
                lab::meter::cpu_time(std::process::id())
            });
            let shown = scope.spawn(|| screen::show(self, &round, &live, &done));
            let stopping = scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    if self.stop.load(Ordering::Relaxed) {
                        live.iter().for_each(|live| live.stop());
                        return;
                    }
                    clock::pause_thread(STOP_LOOK_EVERY);
                }
            });
            let outcome = engine.run_scheduled(&round, schedule);
            let after = lab::meter::cpu_time(std::process::id());
            done.store(true, Ordering::Relaxed);
            shown.thread().unpark();
            stopping.join().map_err(|_| EngineError::WorkerLost)?;
            let before = meter.join().map_err(|_| EngineError::WorkerLost)??;
            let interrupted = self.stop.load(Ordering::Relaxed);
            Ok(Loaded {
                outcome: outcome?,
                cpu: after?.saturating_sub(before),
                address: address.clone(),
                interrupted,
            })
        })
    }
}

fn endpoint(options: &Options, tls: Option<clients::Tls>, address: SocketAddr) -> Endpoint {
    Endpoint {
        tls,
        sources: clients::Sources::of(&options.source_address),
        unix_socket: options.unix_socket.as_deref().map(Into::into),
        ..Endpoint::from(address)
    }
}

fn precision(options: &Options, model: Model) -> Precision {
    let workers = f64::from(options.workers);
    match (options.pacing, model) {
        (Some(Pacing::Spin), _) => Precision::Spin,
        (None, Model::Open { rate_per_s, .. }) if rate_per_s <= SPIN_RATE_PER_S_MAX * workers => {
            Precision::Spin
        }
        _ => Precision::Sleep,
    }
}

/// A rate, as people write it.
fn per_second(rate: f64) -> String {
    format!("{}/s", text::plain_number(rate))
}
