//! What is typed after `load`.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clients::foreign::http::Statuses;
use terms::{Arrivals, Expression, Stage};

use super::addresses::{ConnectTo, Resolve, parse_connect_to, parse_resolve};
use super::outcome::parse_threshold;
use super::requests::Template;
use crate::ending::UsageError;
use crate::verbs::expressions::objective;

/// What `load` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Load this server: http://, https://, ws:// or wss:// with HOST:PORT/PATH; tcp://, tls:// or
    /// udp:// with HOST:PORT; grpc:// or grpcs:// with HOST:PORT/package.Service/Method; grpc://,
    /// grpcs:// or quic:// with HOST:PORT for the market's quotes.
    /// Or a file of TOML with a target, options by name, and requests.
    pub(super) target: String,
    /// The requests of such a file.
    #[arg(skip)]
    pub(super) templates: Vec<Template>,
    /// Such a file.
    #[arg(skip)]
    pub(super) workload: Option<PathBuf>,
    /// What it says of options, as it would be typed.
    #[arg(skip)]
    pub(super) workload_words: Vec<String>,
    /// Make this many calls per second (open model). Without it the load is closed.
    #[arg(short, long, value_name = "N", help_heading = LOAD)]
    pub(super) rate: Option<f64>,
    /// Measure for this long [default: 10s, or until -n calls are made].
    #[arg(short, long, value_name = "TIME", value_parser = humantime::parse_duration, help_heading = LOAD)]
    pub(super) duration: Option<Duration>,
    /// Make this many calls, and end. Warms up only where --warm-up says so.
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000), help_heading = LOAD)]
    pub(super) calls: Option<u64>,
    /// Open this many connections.
    #[arg(short, long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=200_000), help_heading = LOAD)]
    pub(super) connections: u32,
    /// Allow this many calls in flight on each connection.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10000), help_heading = LOAD)]
    pub(super) in_flight: u16,
    /// Open a new connection for each call.
    #[arg(long, help_heading = LOAD)]
    pub(super) cold: bool,
    /// Use each connection for this many calls, and open another for the next one.
    #[arg(long, value_name = "N", conflicts_with_all = ["cold", "listen"], value_parser = clap::value_parser!(u64).range(1..), help_heading = LOAD)]
    pub(super) calls_per_connection: Option<u64>,
    /// Make no calls: open all connections and count what comes on them, WebSocket messages or
    /// events of an event stream. --body is the first message of a WebSocket.
    #[arg(long, conflicts_with_all = ["rate", "calls", "stages", "model", "warm_up", "cold", "find_capacity", "fail_on", "requests", "data", "expect_status", "expect_body", "csv", "jsonl", "hlog", "metrics", "report", "in_flight", "greeting"], help_heading = LOAD)]
    pub(super) listen: bool,
    /// Load for this long before measuring [default: 1s].
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, help_heading = LOAD)]
    pub(super) warm_up: Option<Duration>,
    /// Choose when calls are made. open: at scheduled times, however slow the server is. closed:
    /// when the previous call is done, which shows throughput and hides waiting. [default: open
    /// with --rate, else closed]
    #[arg(long, value_enum, help_heading = LOAD)]
    pub(super) model: Option<ModelName>,
    /// Space the arrivals of the open model.
    #[arg(long, value_enum, default_value_t = Spacing::Constant, help_heading = LOAD)]
    pub(super) arrivals: Spacing,
    /// Change the rate along time, in stages such as '100/s for 10s, to 1000/s over 30s'; each has
    /// its own row in the result.
    #[arg(long, value_name = "STAGES", value_parser = stages, conflicts_with_all = ["rate", "duration", "calls", "warm_up", "model", "find_capacity"], help_heading = LOAD)]
    pub(super) stages: Option<Stages>,
    /// Count a call as failed this long after its scheduled time.
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = humantime::parse_duration, help_heading = LOAD)]
    pub(super) time_out: Duration,
    /// Use this HTTP method [default: GET, or POST with a body].
    #[arg(long, help_heading = REQUEST)]
    pub(super) method: Option<http::Method>,
    /// Send this HTTP header, also in a WebSocket handshake, or gRPC metadata; can be repeated.
    #[arg(long, value_name = "NAME: VALUE", help_heading = REQUEST)]
    pub(super) header: Vec<String>,
    /// Send this HTTP body, WebSocket text message, or these bytes over tcp and udp, where \r, \n,
    /// \t, \0, \\ and \xNN are escapes; the next message or datagram is the reply. JSON for a gRPC
    /// method: one value, or several where it takes a stream.
    #[arg(long, conflicts_with = "body_file", help_heading = REQUEST)]
    pub(super) body: Option<String>,
    /// Send the bytes of this file, as they are.
    #[arg(long, value_name = "FILE", help_heading = REQUEST)]
    pub(super) body_file: Option<PathBuf>,
    /// Send these requests: a JSON object a line (method, path, headers, body, weight, name), or an
    /// access log. They are counted together, and each name apart.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["body", "body_file", "method"], help_heading = REQUEST)]
    pub(super) requests: Option<PathBuf>,
    /// Fill in {{NAME}} in paths, headers and bodies from this file: CSV whose first row has the
    /// names, or a JSON object a line.
    #[arg(long, value_name = "FILE", help_heading = REQUEST)]
    pub(super) data: Option<PathBuf>,
    /// Take requests and data in turn, or at random by --seed.
    #[arg(long, value_enum, default_value_t = Order::Turn, help_heading = REQUEST)]
    pub(super) order: Order,
    /// Find the gRPC method in this .proto file, instead of asking the server (reflection).
    #[arg(long, value_name = "FILE", conflicts_with = "descriptor_set", help_heading = REQUEST)]
    pub(super) proto: Option<PathBuf>,
    /// Look for what --proto imports here; can be repeated.
    #[arg(long, value_name = "DIR", requires = "proto", help_heading = REQUEST)]
    pub(super) proto_path: Vec<PathBuf>,
    /// Find the gRPC method in this file, as protoc --descriptor_set_out writes it.
    #[arg(long, value_name = "FILE", help_heading = REQUEST)]
    pub(super) descriptor_set: Option<PathBuf>,
    /// Count HTTP replies with these statuses as successes, such as 2xx or 200,304
    /// [default: below 400].
    #[arg(long, value_name = "STATUS", value_parser = Statuses::parse, help_heading = REQUEST)]
    pub(super) expect_status: Option<Statuses>,
    /// Count HTTP replies as successes only if their body contains this.
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new(), help_heading = REQUEST)]
    pub(super) expect_body: Option<String>,
    /// End a tcp reply at these bytes (escapes as in --body).
    #[arg(long, value_name = "BYTES", conflicts_with_all = ["reply_bytes", "frame"], help_heading = REQUEST)]
    pub(super) reply_until: Option<String>,
    /// End a tcp reply after this many bytes.
    #[arg(long, value_name = "N", conflicts_with = "frame", value_parser = clap::value_parser!(u32).range(1..=16_777_216), help_heading = REQUEST)]
    pub(super) reply_bytes: Option<u32>,
    /// Wait for the server to speak first on each new connection, up to the end of a reply, as SMTP
    /// servers do, or for a first WebSocket message.
    #[arg(long, help_heading = REQUEST)]
    pub(super) greeting: bool,
    /// Ask a tcp or udp server for quotes, in the market's frames.
    #[arg(long, value_enum, conflicts_with_all = ["body", "body_file"], help_heading = REQUEST)]
    pub(super) frame: Option<FrameName>,
    /// Use HTTP/2 instead of HTTP/1.1: by prior knowledge, or negotiated in TLS.
    #[arg(long, help_heading = CONNECTION)]
    pub(super) http2: bool,
    /// Use HTTP/3 over QUIC (https:// only).
    #[arg(long, conflicts_with = "http2", help_heading = CONNECTION)]
    pub(super) http3: bool,
    /// Give up opening a connection after this long [default: --time-out].
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, help_heading = CONNECTION)]
    connect_time_out: Option<Duration>,
    /// Use only this version of TLS [default: 1.3, or 1.2 if the server has no other].
    #[arg(long, value_enum, value_name = "VERSION", help_heading = CONNECTION)]
    pub(super) tls: Option<TlsName>,
    /// Trust only the certificates in this PEM file, instead of the system's.
    #[arg(long, value_name = "FILE", conflicts_with = "insecure", help_heading = CONNECTION)]
    pub(super) root: Option<PathBuf>,
    /// Trust any certificate.
    #[arg(long, help_heading = CONNECTION)]
    pub(super) insecure: bool,
    /// Ask for this name in TLS, and expect it in the certificate [default: the host].
    #[arg(long, value_name = "NAME", help_heading = CONNECTION)]
    pub(super) sni: Option<String>,
    /// Show the server this client certificate (PEM, with its chain).
    #[arg(long, value_name = "FILE", requires = "key", help_heading = CONNECTION)]
    pub(super) cert: Option<PathBuf>,
    /// The private key of --cert (PEM).
    #[arg(long, value_name = "FILE", requires = "cert", help_heading = CONNECTION)]
    pub(super) key: Option<PathBuf>,
    /// Use this address for a host and port, without asking for it: HOST:PORT:ADDRESS; can be
    /// repeated.
    #[arg(long, value_name = "H:P:ADDR", value_parser = parse_resolve, help_heading = CONNECTION)]
    pub(super) resolve: Vec<Resolve>,
    /// Connect to another host and port than the target names: HOST:PORT:HOST:PORT; can be
    /// repeated.
    #[arg(long, value_name = "H:P:H:P", value_parser = parse_connect_to, help_heading = CONNECTION)]
    pub(super) connect_to: Vec<ConnectTo>,
    /// Connect from this address; can be repeated, and then connections take turns.
    #[arg(long, value_name = "ADDR", help_heading = CONNECTION)]
    pub(super) source_address: Vec<IpAddr>,
    /// Connect to this Unix socket instead of the target's host and port.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["resolve", "connect_to", "source_address"], help_heading = CONNECTION)]
    pub(super) unix_socket: Option<PathBuf>,
    /// Allow a target that is neither loopback nor private. Load only what is yours.
    #[arg(long, help_heading = CONNECTION)]
    pub(super) allow_public: bool,
    /// Search for the highest rate at which --objective is met, starting at --rate (or 1000/s).
    #[arg(long, conflicts_with_all = ["model", "fail_on", "duration", "warm_up", "calls"], help_heading = CAPACITY)]
    pub(super) find_capacity: bool,
    /// Require this of a rate.
    #[arg(long, default_value = "response.p99 < 5ms", value_name = "EXPR", value_parser = objective, requires = "find_capacity", help_heading = CAPACITY)]
    pub(super) objective: Expression,
    /// Measure each rate for this long, or longer if the objective needs more calls.
    #[arg(long, default_value = "2s", value_name = "TIME", value_parser = humantime::parse_duration, requires = "find_capacity", help_heading = CAPACITY)]
    pub(super) trial: Duration,
    /// Use this many threads, each pinned to its own core.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = ENGINE)]
    pub(super) workers: u16,
    /// Pin to this core; once for each worker [default: the last that no other load uses].
    #[arg(long, value_name = "N", conflicts_with = "no_pin", help_heading = ENGINE)]
    pub(super) core: Vec<usize>,
    /// Pin to no core.
    #[arg(long, help_heading = ENGINE)]
    pub(super) no_pin: bool,
    /// Choose how the engine waits. sleep: costs no CPU and is tens of µs late. spin: is on time
    /// and burns up to 100 µs of CPU per arrival. [default: spin up to 2000 calls/s per worker]
    #[arg(long, value_enum, help_heading = ENGINE)]
    pub(super) pacing: Option<Pacing>,
    /// Seed the arrivals.
    #[arg(long, default_value_t = 1, value_name = "N", help_heading = ENGINE)]
    pub(super) seed: u64,
    /// Measure with a debug build.
    #[arg(long, help_heading = ENGINE)]
    pub(super) allow_debug: bool,
    /// Print the result as one JSON object to stdout.
    #[arg(short, long, help_heading = OUTPUT)]
    pub(super) json: bool,
    /// Exit with 3 if this is true, such as 'response.p99 > 20ms' or 'failed > 1%', or cannot be
    /// judged; can be repeated.
    #[arg(long, value_name = "EXPR", value_parser = parse_threshold, help_heading = OUTPUT)]
    pub(super) fail_on: Vec<Expression>,
    /// Write a page for people to this file: one HTML file that opens offline, with charts.
    #[arg(long, value_name = "FILE", conflicts_with = "find_capacity", help_heading = OUTPUT)]
    pub(super) report: Option<PathBuf>,
    /// Write what became of the calls of each second to this file, as CSV.
    #[arg(long, value_name = "FILE", conflicts_with = "find_capacity", help_heading = OUTPUT)]
    pub(super) csv: Option<PathBuf>,
    /// Write each call to this file, a JSON object a line; of more than a million those that ended
    /// first.
    #[arg(long, value_name = "FILE", conflicts_with = "find_capacity", help_heading = OUTPUT)]
    pub(super) jsonl: Option<PathBuf>,
    /// Write the four distributions to this file, in HdrHistogram's log format.
    #[arg(long, value_name = "FILE", conflicts_with = "find_capacity", help_heading = OUTPUT)]
    pub(super) hlog: Option<PathBuf>,
    /// Write the result to this file as OpenMetrics, which Prometheus reads.
    #[arg(long, value_name = "FILE", conflicts_with = "find_capacity", help_heading = OUTPUT)]
    pub(super) metrics: Option<PathBuf>,
}

/// Stages, as one value of an option.
#[derive(Debug, Clone)]
pub(super) struct Stages(pub(super) Vec<Stage>);

fn stages(text: &str) -> Result<Stages, String> {
    terms::parse_stages(text).map(Stages)
}

/// The bytes of a file that an option names.
///
/// # Errors
/// Where it cannot be read or has more than `bytes_max`.
pub(super) fn read_file(option: &str, file: &Path, bytes_max: u64) -> Result<Vec<u8>, UsageError> {
    files::read(file, bytes_max).map_err(|error| UsageError(format!("{option} {error}")))
}

/// How long is measured where nothing says so.
const DURATION: Duration = Duration::from_secs(10);
/// How long calls that are counted may take, all together.
const CALLS_TIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Load before measuring where nothing says so.
const WARM_UP: Duration = Duration::from_secs(1);

impl Options {
    /// Time in which a connection must be there.
    pub(super) fn connect_time_out(&self) -> Duration {
        self.connect_time_out.unwrap_or(self.time_out)
    }

    /// How long is measured.
    pub(super) fn duration(&self) -> Duration {
        if let Some(Stages(stages)) = &self.stages {
            return stages.iter().map(|stage| stage.duration).sum();
        }
        let of_calls = |calls: u64| match self.rate {
            // At random it takes longer, or shorter: five standard deviations more are enough.
            Some(rate_per_s) if self.arrivals == Spacing::Poisson => {
                let most = calls as f64 + 5.0 * (calls as f64).sqrt() + 10.0;
                Duration::try_from_secs_f64(most / rate_per_s).unwrap_or(CALLS_TIME_MAX)
            }
            Some(rate_per_s) => {
                Duration::try_from_secs_f64((calls as f64 - 0.5) / rate_per_s).unwrap_or(CALLS_TIME_MAX)
            }
            None => CALLS_TIME_MAX,
        };
        let of_calls = self.calls.map(of_calls);
        match (self.duration, of_calls) {
            (Some(duration), Some(of_calls)) => duration.min(of_calls),
            (duration, of_calls) => duration.or(of_calls).unwrap_or(DURATION),
        }
    }

    /// Load before measuring.
    pub(super) fn warm_up(&self) -> Duration {
        let usual = if self.calls.is_some() || self.stages.is_some() { Duration::ZERO } else { WARM_UP };
        self.warm_up.unwrap_or(usual)
    }

    /// Whether there are several requests.
    pub(super) fn has_requests(&self) -> bool {
        self.requests.is_some() || !self.templates.is_empty()
    }

    /// As they are typed, without a command before them.
    #[cfg(test)]
    pub(super) fn typed<T: AsRef<str>>(arguments: &[T]) -> Result<Options, clap::Error> {
        use clap::{Args as _, FromArgMatches as _};
        let command = Options::augment_args(clap::Command::new("load").no_binary_name(true));
        let matches = command.try_get_matches_from(arguments.iter().map(AsRef::as_ref))?;
        Options::from_arg_matches(&matches)
    }

    pub(super) fn is_closed(&self) -> bool {
        let is_closed = self.model.map_or(self.rate.is_none(), |model| model == ModelName::Closed);
        is_closed && !self.find_capacity && !self.listen && self.stages.is_none()
    }
}

const LOAD: &str = "Load";
const REQUEST: &str = "Request and reply";
const CONNECTION: &str = "Connection";
const CAPACITY: &str = "Capacity search";
const ENGINE: &str = "Load engine";
const OUTPUT: &str = "Output";

const EXAMPLES: &str = r#"Examples:
  wirebench load http://127.0.0.1:8080/                # ten seconds, closed
  wirebench load http://127.0.0.1:8080/ -r 1000 -d 30s -c 16
  wirebench load http://127.0.0.1:8080/orders --body '{}' -n 100
  wirebench load http://127.0.0.1:8080/ -r 500 --fail-on 'response.p99 > 20ms'
  wirebench load http://127.0.0.1:8080/ -r 500 --report load.html
  wirebench load http://127.0.0.1:8080/ --stages '9/s for 5s, to 99/s over 9s'
  wirebench load http://127.0.0.1:8080/ --requests access.log --order random
  wirebench load http://127.0.0.1:8080/ --find-capacity
  wirebench load shop.toml -r 500                     # options and requests in a file
  wirebench load https://127.0.0.1:8443/ -r 500 --root root.pem -j
  wirebench load grpc://127.0.0.1:50051/shop.Shop/Get --body '{"id": 7}'
  wirebench load ws://127.0.0.1:8080/feed --listen -c 5000 -d 30s
  wirebench load tcp://127.0.0.1:6379 -r 500 --body 'PING\r\n' --reply-bytes 7"#;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum TlsName {
    #[value(name = "1.2")]
    Tls12,
    #[value(name = "1.3")]
    Tls13,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum ModelName {
    Open,
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Spacing {
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
pub(super) enum Order {
    Turn,
    Random,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Pacing {
    Sleep,
    Spin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum FrameName {
    Market,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::bent::bent_text;
    use super::*;

    /// Each with what is right for it.
    const ARGUMENTS: &[&str] = &[
        "--stages=100/s for 10s, to 1000/s over 30s,to 0/s over 500ms",
        "--duration=1h 2m 3s",
        "--connect-time-out=5s",
        "--rate=1e3",
        "--calls=100",
        "--expect-status=2xx, 304,400-402",
        "--fail-on=response.p99 > 20ms",
        "--fail-on=failed > 1%",
        "--resolve=a.test:443:127.0.0.1,[::1]",
        "--connect-to=[::1]:443:b.test:8443",
        "--source-address=::1",
        "--method=GET",
    ];

    proptest! {
        // Each makes all that `--help` tells of.
        #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 8, ..ProptestConfig::default() })]

        /// Whatever is typed is refused, or has a time that can be told.
        #[test]
        fn any_arguments_are_read_or_refused(
            one in bent_text(ARGUMENTS), other in bent_text(ARGUMENTS), is_poisson: bool,
        ) {
            let arguments = ["--arrivals", if is_poisson { "poisson" } else { "constant" }, &one, &other, "tcp://a.test:1"];
            if let Ok(options) = Options::typed(&arguments) {
                let _ = (options.duration(), options.warm_up(), options.connect_time_out(), options.is_closed());
                prop_assert!(!options.duration().is_zero() || options.duration == Some(Duration::ZERO) || options.rate.is_some());
            }
        }
    }
}
