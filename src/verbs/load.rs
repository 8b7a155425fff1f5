//! `load`: a load generator for servers that wirebench did not start.

mod options;
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
pub(crate) use options::Options;
use options::{ModelName, Pacing};
use proto::Operation;
use proto::v1::QuoteRequest;
use record::Tool;
use target::{Scheme, Target};
use terms::text::micros;
use terms::{Carriage, Failure, HttpVersion, Model, Shape, Streams};

use crate::ending::{Ending, UsageError, refuse_debug};
use crate::progress::in_words;

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
