//! `load`: a load generator for servers that wirebench did not start.

mod outcome;
mod secure;
mod target;

use std::time::Duration;

use anyhow::{anyhow, bail};
use bytes::Bytes;
use clients::foreign::http::HttpRequest;
use clients::foreign::tcp::ReplyEnd;
use clients::foreign::{self, Request};
use clients::load::{Engine, EngineError, Round};
use clients::{CallError, Endpoint};
use clock::{Clock, Precision};
use indicatif::ProgressBar;
use judge::capacity;
use proto::Operation;
use proto::v1::QuoteRequest;
use record::Tool;
use target::{Scheme, Target};
use terms::text::micros;
use terms::{Arrivals, Carriage, Expression, Failure, HttpVersion, Model, Shape, Streams};

use crate::ending::{Ending, UsageError, refuse_debug};
use crate::progress::in_words;
use crate::verbs::expressions::objective;

/// What `load` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Load this server: http://, https://, ws:// or wss:// with HOST:PORT/PATH; tcp://, tls:// or
    /// udp:// with HOST:PORT; grpc://, grpcs:// or quic:// with HOST:PORT for the market's quotes.
    target: String,
    /// Make this many calls per second (open model).
    #[arg(short, long, value_name = "N", help_heading = LOAD)]
    rate: Option<f64>,
    /// Measure for this long.
    #[arg(short, long, default_value = "10s", value_name = "TIME", value_parser = humantime::parse_duration, help_heading = LOAD)]
    duration: Duration,
    /// Open this many connections.
    #[arg(short, long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=20000), help_heading = LOAD)]
    connections: u16,
    /// Allow this many calls in flight on each connection.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10000), help_heading = LOAD)]
    in_flight: u16,
    /// Load for this long before measuring.
    #[arg(long, default_value = "1s", value_name = "TIME", value_parser = humantime::parse_duration, help_heading = LOAD)]
    warm_up: Duration,
    /// Choose when calls are made. open: at scheduled times, however slow the server is. closed:
    /// when the previous call is done, which shows throughput and hides waiting.
    #[arg(long, value_enum, default_value_t = ModelName::Open, help_heading = LOAD)]
    model: ModelName,
    /// Space the arrivals of the open model.
    #[arg(long, value_enum, default_value_t = Spacing::Constant, help_heading = LOAD)]
    arrivals: Spacing,
    /// Count a call as failed this long after its scheduled time.
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = humantime::parse_duration, help_heading = LOAD)]
    time_out: Duration,
    /// Use this HTTP method.
    #[arg(long, default_value = "GET", help_heading = REQUEST)]
    method: http::Method,
    /// Send this HTTP header, also in a WebSocket handshake; can be repeated.
    #[arg(long, value_name = "NAME: VALUE", help_heading = REQUEST)]
    header: Vec<String>,
    /// Send this HTTP body, WebSocket text message, or these bytes over tcp and udp, where \r, \n,
    /// \t, \0, \\ and \xNN are escapes. The next message or datagram is the reply.
    #[arg(long, help_heading = REQUEST)]
    body: Option<String>,
    /// End a tcp reply at these bytes (escapes as in --body).
    #[arg(long, value_name = "BYTES", conflicts_with_all = ["reply_bytes", "frame"], help_heading = REQUEST)]
    reply_until: Option<String>,
    /// End a tcp reply after this many bytes.
    #[arg(long, value_name = "N", conflicts_with = "frame", value_parser = clap::value_parser!(u32).range(1..=16_777_216), help_heading = REQUEST)]
    reply_bytes: Option<u32>,
    /// Ask a tcp or udp server for quotes, in the market's frames.
    #[arg(long, value_enum, help_heading = REQUEST)]
    frame: Option<FrameName>,
    /// Use HTTP/2 instead of HTTP/1.1: by prior knowledge, or negotiated in TLS.
    #[arg(long, help_heading = CONNECTION)]
    http2: bool,
    /// Use HTTP/3 over QUIC (https:// only).
    #[arg(long, conflicts_with = "http2", help_heading = CONNECTION)]
    http3: bool,
    /// Choose the version of TLS.
    #[arg(long, value_enum, default_value_t = TlsName::Tls13, value_name = "VERSION", help_heading = CONNECTION)]
    tls: TlsName,
    /// Trust only the certificates in this PEM file, instead of the system's.
    #[arg(long, value_name = "FILE", conflicts_with = "insecure", help_heading = CONNECTION)]
    root: Option<std::path::PathBuf>,
    /// Trust any certificate.
    #[arg(long, help_heading = CONNECTION)]
    insecure: bool,
    /// Allow a target that is neither loopback nor private. Load only what is yours.
    #[arg(long, help_heading = CONNECTION)]
    allow_public: bool,
    /// Search for the highest rate at which --objective is met, starting at --rate (or 1000/s).
    #[arg(long, conflicts_with_all = ["model", "fail_on"], help_heading = CAPACITY)]
    find_capacity: bool,
    /// Require this of a rate.
    #[arg(long, default_value = "response.p99 < 5ms", value_name = "EXPR", value_parser = objective, requires = "find_capacity", help_heading = CAPACITY)]
    objective: Expression,
    /// Measure each rate for this long, or longer if the objective needs more calls.
    #[arg(long, default_value = "2s", value_name = "TIME", value_parser = humantime::parse_duration, requires = "find_capacity", help_heading = CAPACITY)]
    trial: Duration,
    /// Use this many threads, each pinned to its own core.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = ENGINE)]
    workers: u16,
    /// Choose how the engine waits. sleep: costs no CPU and is tens of µs late. spin: is on time
    /// and burns up to 100 µs of CPU per arrival. [default: spin up to 2000 calls/s per worker]
    #[arg(long, value_enum, help_heading = ENGINE)]
    pacing: Option<Pacing>,
    /// Seed the arrivals.
    #[arg(long, default_value_t = 1, value_name = "N", help_heading = ENGINE)]
    seed: u64,
    /// Measure with a debug build.
    #[arg(long, help_heading = ENGINE)]
    allow_debug: bool,
    /// Print the result as one JSON object to stdout.
    #[arg(short, long, help_heading = OUTPUT)]
    json: bool,
    /// Exit with 3 if this is true, such as 'response.p99 > 20ms' or 'failed > 1%'; can be
    /// repeated.
    #[arg(long, value_name = "EXPR", value_parser = outcome::parse_threshold, help_heading = OUTPUT)]
    fail_on: Vec<Expression>,
}

const LOAD: &str = "Load";
const REQUEST: &str = "Request and reply";
const CONNECTION: &str = "Connection";
const CAPACITY: &str = "Capacity search";
const ENGINE: &str = "Load engine";
const OUTPUT: &str = "Output";

const EXAMPLES: &str = r"Examples:
  wirebench load http://127.0.0.1:8080/ -r 1000 -d 30s -c 16
  wirebench load http://127.0.0.1:8080/ --model closed --http2
  wirebench load https://127.0.0.1:8443/ -r 500 --root root.pem -j
  wirebench load http://127.0.0.1:8080/ --find-capacity
  wirebench load tcp://127.0.0.1:6379 -r 500 --body 'PING\r\n' --reply-bytes 7
  wirebench load http://127.0.0.1:8080/ -r 500 --fail-on 'response.p99 > 20ms'";

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum TlsName {
    #[value(name = "1.2")]
    Tls12,
    #[value(name = "1.3")]
    Tls13,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ModelName {
    Open,
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Spacing {
    Constant,
    Poisson,
}

impl From<Spacing> for Arrivals {
    fn from(spacing: Spacing) -> Arrivals {
        match spacing {
            Spacing::Constant => Arrivals::Constant,
            Spacing::Poisson => Arrivals::Poisson,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Pacing {
    Sleep,
    Spin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum FrameName {
    Market,
}

/// From the order to start to the start.
const LEAD: Duration = Duration::from_millis(30);
/// Arrivals per second and worker up to which spinning takes at most a fifth of a core.
const SPIN_RATE_PER_S_MAX: f64 = 2_000.0;
/// How often the terminal is told how it is going.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// Loads.
///
/// # Errors
/// Where the target makes no sense or refuses, or the load cannot be made.
pub(crate) fn load(options: &Options, tool: &Tool) -> anyhow::Result<Ending> {
    refuse_debug(tool, options.allow_debug)?;
    lab::machine::raise_open_files();
    let target = Target::parse(&options.target, options.allow_public)?;
    let model = if options.find_capacity { Model::Closed } else { model(options)? };
    let endpoint = Endpoint { tls: secure::tls(options, &target)?, ..Endpoint::from(target.address) };
    let body = || unescape(options.body.as_deref().unwrap_or("\\n")).map(Bytes::from);
    let request = match target.scheme {
        Scheme::Http => {
            let version = match (options.http2, options.http3) {
                (_, true) => HttpVersion::Http3,
                (true, _) => HttpVersion::Http2,
                (false, false) => HttpVersion::Http1,
            };
            Request::Http(version, http_request(options, &target)?)
        }
        Scheme::WebSocket => Request::WebSocket {
            path: target.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            headers: headers(options)?,
            message: options.body.clone().unwrap_or_default(),
        },
        Scheme::Udp if options.frame.is_some() => Request::Market(Carriage::Udp, quotes()),
        Scheme::Udp => Request::Udp(body()?),
        Scheme::Tcp if options.frame.is_some() => Request::Market(Carriage::Tcp, quotes()),
        Scheme::Tcp => {
            let end = reply_end(options)?;
            Request::Tcp(body()?, end)
        }
        Scheme::Grpc => Request::Market(Carriage::Grpc, quotes()),
        Scheme::Quic => Request::Market(Carriage::Quic { streams: Streams::PerCall }, quotes()),
    };
    let engine = start(options, request, endpoint)?;
    if options.find_capacity {
        return find_capacity(options, &engine);
    }
    let loaded = run(options, &engine, model, options.warm_up, options.duration)?;
    let report = outcome::LoadReport::new(options, model, loaded);
    report.print(options.json)?;
    let failed: Vec<String> =
        options.fail_on.iter().filter_map(|threshold| report.failure(threshold)).collect();
    for failure in &failed {
        eprintln!("failed: {failure}");
    }
    match report.nothing_came {
        _ if !failed.is_empty() => Ok(Ending::Threshold),
        Some(nothing) => bail!(nothing),
        None => Ok(Ending::Fine),
    }
}

fn model(options: &Options) -> Result<Model, UsageError> {
    match (options.model, options.rate) {
        (ModelName::Closed, None) => Ok(Model::Closed),
        (ModelName::Closed, Some(_)) => {
            Err(UsageError("--model closed takes no --rate: the server decides the rate".to_owned()))
        }
        (ModelName::Open, None) => {
            Err(UsageError("the open model needs a --rate; without one use --model closed".to_owned()))
        }
        (ModelName::Open, Some(rate_per_s)) => {
            Ok(Model::Open { arrivals: options.arrivals.into(), rate_per_s })
        }
    }
}

/// What a load came to, and what it cost this process.
struct Loaded {
    outcome: terms::Outcome,
    cpu: Duration,
}

/// Opens all connections.
fn start(options: &Options, request: Request, endpoint: Endpoint) -> anyhow::Result<Engine> {
    let allowed = lab::cores::allowed()?;
    if usize::from(options.workers) > allowed.len() {
        let message =
            format!("--workers {}: this process may only use {} cores", options.workers, allowed.len());
        return Err(UsageError(message).into());
    }
    // The last cores: what listens on this machine is more often on the first.
    let cores: Vec<usize> = allowed.into_iter().rev().take(usize::from(options.workers)).collect();
    let shape = Shape {
        connections: usize::from(options.connections),
        in_flight: usize::from(options.in_flight),
        cold: false,
    };
    let address = endpoint.address;
    foreign::open(request, endpoint, &cores, shape, lab::cores::pin).map_err(|error| match error {
        EngineError::Connect(CallError::Refused(cause)) => anyhow!("cannot connect to {address}: {cause}"),
        EngineError::Connect(error) => anyhow!("cannot load {address}: {}", error.sample()),
        other => other.into(),
    })
}

/// Loads for a stretch, over the open connections.
fn run(
    options: &Options,
    engine: &Engine,
    model: Model,
    warm_up: Duration,
    duration: Duration,
) -> anyhow::Result<Loaded> {
    let clock = Clock::System;
    let round = Round {
        model,
        warm_up,
        duration,
        time_out: options.time_out,
        seed: options.seed,
        start: clock.now() + LEAD,
        precision: precision(options, model),
        emission: None,
    };
    let measured_from = round.start + round.warm_up;
    let done = std::sync::atomic::AtomicBool::new(false);
    let live = engine.live();
    std::thread::scope(|scope| {
        let meter = scope.spawn(|| {
            clock::pause_thread(measured_from.since(clock.now()));
            lab::meter::cpu_time(std::process::id())
        });
        let shown = scope.spawn(|| show_progress(options, &round, &live, &done));
        let outcome = engine.run(&round);
        let after = lab::meter::cpu_time(std::process::id())?;
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        shown.thread().unpark();
        let before = meter.join().map_err(|_| EngineError::WorkerLost)??;
        Ok(Loaded { outcome: outcome?, cpu: after.saturating_sub(before) })
    })
}

/// From where a search begins, unless told.
const START_PER_S: f64 = 1_000.0;
/// Load before each trial of a search.
const TRIAL_WARM_UP: Duration = Duration::from_millis(200);

#[allow(clippy::print_stdout, reason = "the result is data")]
fn find_capacity(options: &Options, engine: &Engine) -> anyhow::Result<Ending> {
    let arrivals = options.arrivals.into();
    let start_per_s = options.rate.unwrap_or(START_PER_S);
    if !(start_per_s.is_finite() && start_per_s >= 1.0) {
        return Err(UsageError(format!(
            "--rate {start_per_s} must be at least 1 call per second for a search"
        ))
        .into());
    }
    let found = capacity::search(&options.objective, start_per_s, |rate_per_s| {
        let duration = options.trial.max(capacity::calls_take(&options.objective, rate_per_s));
        let loaded = run(options, engine, Model::Open { arrivals, rate_per_s }, TRIAL_WARM_UP, duration)?;
        let cores = duration.as_secs_f64() * f64::from(options.workers);
        let share = loaded.cpu.as_secs_f64() / cores;
        // A server that is too slow may be quick enough at a lower rate; one that refuses refuses.
        let is_overload =
            |kind: &Failure| matches!(kind, Failure::TimedOut | Failure::Dropped | Failure::Limit);
        let refused = !loaded.outcome.failed.keys().any(is_overload);
        if let Some(nothing) = outcome::nothing_came(&loaded.outcome).filter(|_| refused) {
            bail!("at {rate_per_s:.0}/s {nothing}");
        }
        let trial = judge::capacity::trial(&loaded.outcome, rate_per_s, &options.objective, share);
        if !options.json {
            let (p50, p99) = (micros(trial.response_p50_us), micros(trial.response_p99_us));
            let (word, n) = (if trial.met { "met" } else { "missed" }, terms::text::count(trial.arrivals));
            println!(
                "{rate_per_s:>9.0}/s  p50 {p50:>9}  p99 {p99:>9}  lag p99 {:>9}  n = {n:<8} {word}",
                micros(trial.lag_p99_us)
            );
        }
        anyhow::Ok(trial)
    })?;
    if options.json {
        println!("{}", serde_json::to_string(&found)?);
    } else {
        println!("{}", found.in_words());
    }
    Ok(Ending::Fine)
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

fn show_progress(
    options: &Options,
    round: &Round,
    live: &[std::sync::Arc<clients::load::Live>],
    done: &std::sync::atomic::AtomicBool,
) {
    use std::io::IsTerminal as _;
    let whole = round.warm_up + round.duration;
    if !std::io::stderr().is_terminal() {
        if !options.find_capacity {
            eprintln!("loading {} for {whole:?} …", options.target);
        }
        return;
    }
    let bar = ProgressBar::new_spinner();
    let clock = Clock::System;
    let began = clock.now();
    while !done.load(std::sync::atomic::Ordering::Relaxed) {
        let left = whole.saturating_sub(clock.now().since(began));
        bar.set_message(format!(
            "{} · {} left",
            in_words(&clients::role::progress(live)),
            terms::text::about(left)
        ));
        bar.tick();
        std::thread::park_timeout(PROGRESS_EVERY);
    }
    bar.finish_and_clear();
}

fn http_request(options: &Options, target: &Target) -> Result<HttpRequest, UsageError> {
    Ok(HttpRequest {
        method: options.method.clone(),
        uri: target.uri.clone(),
        headers: headers(options)?,
        body: options.body.clone().unwrap_or_default().into(),
    })
}

fn headers(options: &Options) -> Result<http::HeaderMap, UsageError> {
    let mut headers = http::HeaderMap::new();
    for header in &options.header {
        let wrong = || UsageError(format!("--header '{header}': write 'Name: value'"));
        let (name, value) = header.split_once(':').ok_or_else(wrong)?;
        let name: http::HeaderName = name.trim().parse().map_err(|_| wrong())?;
        headers.append(name, value.trim().parse().map_err(|_| wrong())?);
    }
    Ok(headers)
}

fn reply_end(options: &Options) -> Result<ReplyEnd, UsageError> {
    match (&options.reply_until, options.reply_bytes) {
        (Some(end), _) => match unescape(end)? {
            empty if empty.is_empty() => Err(UsageError("--reply-until must not be empty".to_owned())),
            end => Ok(ReplyEnd::Until(end)),
        },
        (None, Some(bytes)) => Ok(ReplyEnd::Bytes(bytes as usize)),
        (None, None) => Err(UsageError(
            "a tcp:// target needs --reply-until, --reply-bytes or --frame market, to know where a reply ends"
                .to_owned(),
        )),
    }
}

/// Every symbol of the market, so that no cache serves them all.
fn quotes() -> Vec<Operation> {
    let data = proto::data::DataSet::new(0);
    (0..proto::data::SYMBOLS)
        .map(|index| Operation::Quote(QuoteRequest { symbol: data.symbol(index) }))
        .collect()
}

fn unescape(text: &str) -> Result<Vec<u8>, UsageError> {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let wrong = || UsageError(format!("'{text}': a backslash must be followed by r, n, t, 0, \\ or xNN"));
        out.push(match bytes.next() {
            Some(b'r') => b'\r',
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'0') => 0,
            Some(b'\\') => b'\\',
            Some(b'x') => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                let (high, low) = (digit().ok_or_else(wrong)?, digit().ok_or_else(wrong)?);
                (high * 16 + low) as u8
            }
            _ => return Err(wrong()),
        });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_become_bytes() {
        assert_eq!(unescape(r"PING\r\n\x00\\").unwrap(), b"PING\r\n\0\\");
        assert!(unescape(r"\q").is_err() && unescape(r"\x1").is_err() && unescape("\\").is_err());
    }
}
