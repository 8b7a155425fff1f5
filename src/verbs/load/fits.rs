//! Whether what was typed fits together: every argument is held to the target, and to the others,
//! before a connection is opened. An option that would do nothing is refused.

use std::time::Duration;

use terms::ARRIVALS_MAX;

use super::options::{Options, Order, Spacing, TlsName};
use super::target::{Scheme, Target};
use crate::ending::UsageError;
use crate::verbs::given::Given;

/// The longest time that any option may give: schedules and clocks count in nanoseconds.
const TIME_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// The longest time-out: histograms end there.
const TIME_OUT_MAX: Duration = Duration::from_secs(600);
/// Calls in flight of all connections.
const IN_FLIGHT_MAX: u64 = 500_000;
/// Files that the process has open beside its connections: pipes, timers, epoll.
const OTHER_FILES: u64 = 24;

/// Holds all options to each other and to the target.
///
/// # Errors
/// The first that does not fit, and what it needs.
pub(super) fn check(options: &Options, given: &Given, target: &Target) -> Result<(), UsageError> {
    check_times(options)?;
    check_rate(options)?;
    given.check(|name| need(name, options, target))?;
    check_in_flight(options)?;
    check_sockets(options)
}

/// Bounds all calls in flight: each has a place of its own that is kept.
fn check_in_flight(options: &Options) -> Result<(), UsageError> {
    let all = u64::from(options.connections) * u64::from(options.in_flight);
    if all <= IN_FLIGHT_MAX {
        return Ok(());
    }
    Err(UsageError(format!(
        "--connections {} with --in-flight {} are {all} calls in flight, and {IN_FLIGHT_MAX} are the most",
        options.connections, options.in_flight
    )))
}

fn check_times(options: &Options) -> Result<(), UsageError> {
    let wrong = |name: &str, what: &str| Err(UsageError(format!("--{name} {what}")));
    let times = [
        ("duration", options.duration),
        ("measured time", (options.rate.is_some() || options.stages.is_some()).then(|| options.duration())),
        ("time-out", Some(options.time_out)),
        ("connect-time-out", Some(options.connect_time_out())),
        ("trial", Some(options.trial)),
    ];
    for (name, time) in times {
        match time {
            Some(Duration::ZERO) => return wrong(name, "must be greater than 0"),
            Some(time) if time > TIME_MAX => return wrong(name, "must be at most 30 days"),
            _ => {}
        }
    }
    if options.warm_up() > TIME_MAX {
        return wrong("warm-up", "must be at most 30 days");
    }
    if options.time_out > TIME_OUT_MAX {
        return wrong("time-out", "must be at most 10 minutes");
    }
    Ok(())
}

fn check_rate(options: &Options) -> Result<(), UsageError> {
    if options.stages.is_some() {
        return Ok(());
    }
    let Some(rate) = options.rate else {
        return match options.model {
            Some(super::options::ModelName::Open) => {
                Err(UsageError("the open model needs a --rate; without one the load is closed".to_owned()))
            }
            _ => Ok(()),
        };
    };
    if !(rate.is_finite() && rate > 0.0) {
        return Err(UsageError(format!("--rate {rate} must be a number above 0")));
    }
    if options.is_closed() {
        return Err(UsageError("--model closed takes no --rate: the server decides the rate".to_owned()));
    }
    let span = (options.warm_up() + options.duration()).as_secs_f64();
    if !options.find_capacity && rate * span > ARRIVALS_MAX {
        return Err(UsageError(format!(
            "--rate {rate} makes {:.0} calls, and {ARRIVALS_MAX} are the most: lower it, or --duration",
            rate * span
        )));
    }
    Ok(())
}

/// What an option needs that is not there; `None` where it has a use.
fn need(name: &str, options: &Options, target: &Target) -> Option<String> {
    let scheme = target.scheme;
    let (http, websocket) = (scheme == Scheme::Http, scheme == Scheme::WebSocket);
    let method = target.method().is_some();
    let market = options.frame.is_some() || scheme == Scheme::Quic || (scheme == Scheme::Grpc && !method);
    let plain_tcp = scheme == Scheme::Tcp && !market;
    let over_quic = options.http3 || scheme == Scheme::Quic;
    let open = !options.is_closed() && !options.listen;
    let unless = |fits: bool, what: &str| (!fits).then(|| what.to_owned());
    let secure = "a target of https://, wss://, tls://, grpcs:// or quic://";
    match name {
        "method" | "expect_status" | "expect_body" => unless(http, "a target of http:// or https://"),
        "header" => unless(
            http || websocket || method,
            "a target of http://, https://, ws:// or wss://, or a gRPC method",
        ),
        "requests" => unless(http, "a target of http:// or https://"),
        "data" => unless(!market, "a target whose requests are yours: this one is asked for quotes"),
        "proto" | "descriptor_set" => {
            unless(method, "a target such as grpc://HOST:PORT/package.Service/Method")
        }
        "objective" | "trial" => unless(options.find_capacity, "--find-capacity"),
        "proto_path" => unless(options.proto.is_some(), "--proto"),
        "order" => unless(
            options.has_requests() || options.data.is_some(),
            "several requests (--requests, or [[request]] in a file) or --data",
        ),
        "body" | "body_file" => {
            unless(!market, "a target whose requests are yours: this one is asked for quotes")
        }
        "reply_until" | "reply_bytes" => unless(plain_tcp, "a target of tcp:// or tls://"),
        "greeting" => unless(
            plain_tcp || websocket,
            "a target of tcp://, tls://, ws:// or wss://, and no --frame market",
        ),
        "frame" => {
            unless(matches!(scheme, Scheme::Tcp | Scheme::Udp), "a target of tcp://, tls:// or udp://")
        }
        "http2" => unless(http, "a target of http:// or https://"),
        "http3" => unless(http && target.secure, "a target of https://"),
        "root" | "insecure" | "sni" | "cert" => unless(target.secure, secure),
        "tls" if over_quic && options.tls == Some(TlsName::Tls12) => {
            Some("another version than 1.2 with QUIC, which includes TLS 1.3".to_owned())
        }
        "tls" => unless(target.secure, secure),
        "in_flight" if options.in_flight > 1 => unless(
            (market || method || options.http2 || options.http3) && !options.cold,
            "--http2, --http3, --frame market, grpc:// or quic://, and no --cold: elsewhere a connection carries \
             one call at a time; use more --connections",
        ),
        "cold" | "calls_per_connection" if scheme == Scheme::Udp => {
            Some("a target with connections, which udp:// does not have".to_owned())
        }
        "calls_per_connection" => unless(
            options.calls_per_connection.is_none_or(|calls| calls >= u64::from(options.in_flight)),
            "at least as many calls as --in-flight allows at a time",
        ),
        "rate" => None,
        "arrivals" | "pacing" => unless(open, "the open model: add --rate"),
        "seed" => unless(
            (open && options.arrivals == Spacing::Poisson) || options.order == Order::Random,
            "--arrivals poisson or --order random: nothing else is drawn",
        ),
        "unix_socket" => unless(
            !matches!(scheme, Scheme::Udp | Scheme::Quic) && !over_quic,
            "a target over TCP, and no --http3",
        ),
        "listen" => unless(
            (http && !options.http3) || websocket,
            "a target of ws://, wss://, http:// or https://, and no --http3",
        ),
        "workers" => unless(
            u32::from(options.workers) <= options.connections,
            "as many --connections: each worker has its own",
        ),
        "core" => unless(
            options.core.len() == usize::from(options.workers)
                && options.core.iter().collect::<std::collections::BTreeSet<_>>().len() == options.core.len(),
            &format!("to be given once for each of {} workers, another each time", options.workers),
        ),
        _ => None,
    }
}

/// Holds the connections to the files that this process may have open.
fn check_sockets(options: &Options) -> Result<(), UsageError> {
    let Some(allowed) = lab::machine::open_files() else { return Ok(()) };
    let needed = u64::from(options.connections) + OTHER_FILES + 4 * u64::from(options.workers);
    if needed <= allowed {
        return Ok(());
    }
    Err(UsageError(format!(
        "--connections {} needs {needed} open files, and this process may have {allowed}: raise the limit \
         (`ulimit -n {needed}`), or use fewer",
        options.connections
    )))
}
