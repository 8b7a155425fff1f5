//! What is typed after `load`.

use std::path::PathBuf;
use std::time::Duration;

use terms::{Arrivals, Expression};

use super::outcome::parse_threshold;
use crate::verbs::expressions::objective;

/// What `load` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Load this server: http://, https://, ws:// or wss:// with HOST:PORT/PATH; tcp://, tls:// or
    /// udp:// with HOST:PORT; grpc://, grpcs:// or quic:// with HOST:PORT for the market's quotes.
    pub(super) target: String,
    /// Make this many calls per second (open model).
    #[arg(short, long, value_name = "N", help_heading = LOAD)]
    pub(super) rate: Option<f64>,
    /// Measure for this long.
    #[arg(short, long, default_value = "10s", value_name = "TIME", value_parser = humantime::parse_duration, help_heading = LOAD)]
    pub(super) duration: Duration,
    /// Open this many connections.
    #[arg(short, long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=20000), help_heading = LOAD)]
    pub(super) connections: u16,
    /// Allow this many calls in flight on each connection.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10000), help_heading = LOAD)]
    pub(super) in_flight: u16,
    /// Load for this long before measuring.
    #[arg(long, default_value = "1s", value_name = "TIME", value_parser = humantime::parse_duration, help_heading = LOAD)]
    pub(super) warm_up: Duration,
    /// Choose when calls are made. open: at scheduled times, however slow the server is. closed:
    /// when the previous call is done, which shows throughput and hides waiting.
    #[arg(long, value_enum, default_value_t = ModelName::Open, help_heading = LOAD)]
    pub(super) model: ModelName,
    /// Space the arrivals of the open model.
    #[arg(long, value_enum, default_value_t = Spacing::Constant, help_heading = LOAD)]
    pub(super) arrivals: Spacing,
    /// Count a call as failed this long after its scheduled time.
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = humantime::parse_duration, help_heading = LOAD)]
    pub(super) time_out: Duration,
    /// Use this HTTP method.
    #[arg(long, default_value = "GET", help_heading = REQUEST)]
    pub(super) method: http::Method,
    /// Send this HTTP header, also in a WebSocket handshake; can be repeated.
    #[arg(long, value_name = "NAME: VALUE", help_heading = REQUEST)]
    pub(super) header: Vec<String>,
    /// Send this HTTP body, WebSocket text message, or these bytes over tcp and udp, where \r, \n,
    /// \t, \0, \\ and \xNN are escapes. The next message or datagram is the reply.
    #[arg(long, help_heading = REQUEST)]
    pub(super) body: Option<String>,
    /// End a tcp reply at these bytes (escapes as in --body).
    #[arg(long, value_name = "BYTES", conflicts_with_all = ["reply_bytes", "frame"], help_heading = REQUEST)]
    pub(super) reply_until: Option<String>,
    /// End a tcp reply after this many bytes.
    #[arg(long, value_name = "N", conflicts_with = "frame", value_parser = clap::value_parser!(u32).range(1..=16_777_216), help_heading = REQUEST)]
    pub(super) reply_bytes: Option<u32>,
    /// Ask a tcp or udp server for quotes, in the market's frames.
    #[arg(long, value_enum, help_heading = REQUEST)]
    pub(super) frame: Option<FrameName>,
    /// Use HTTP/2 instead of HTTP/1.1: by prior knowledge, or negotiated in TLS.
    #[arg(long, help_heading = CONNECTION)]
    pub(super) http2: bool,
    /// Use HTTP/3 over QUIC (https:// only).
    #[arg(long, conflicts_with = "http2", help_heading = CONNECTION)]
    pub(super) http3: bool,
    /// Choose the version of TLS.
    #[arg(long, value_enum, default_value_t = TlsName::Tls13, value_name = "VERSION", help_heading = CONNECTION)]
    pub(super) tls: TlsName,
    /// Trust only the certificates in this PEM file, instead of the system's.
    #[arg(long, value_name = "FILE", conflicts_with = "insecure", help_heading = CONNECTION)]
    pub(super) root: Option<PathBuf>,
    /// Trust any certificate.
    #[arg(long, help_heading = CONNECTION)]
    pub(super) insecure: bool,
    /// Allow a target that is neither loopback nor private. Load only what is yours.
    #[arg(long, help_heading = CONNECTION)]
    pub(super) allow_public: bool,
    /// Search for the highest rate at which --objective is met, starting at --rate (or 1000/s).
    #[arg(long, conflicts_with_all = ["model", "fail_on"], help_heading = CAPACITY)]
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
    /// Exit with 3 if this is true, such as 'response.p99 > 20ms' or 'failed > 1%'; can be
    /// repeated.
    #[arg(long, value_name = "EXPR", value_parser = parse_threshold, help_heading = OUTPUT)]
    pub(super) fail_on: Vec<Expression>,
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
pub(super) enum Pacing {
    Sleep,
    Spin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum FrameName {
    Market,
}
