//! `serve`: the market behind protocols, or a reference server, until Ctrl-C.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use proto::{Protocol, Transport};
use scenarios::did_you_mean;
use servers::protocols::{Carrier, Settings};
use servers::reference::{self, Behaviour, Freeze};
use servers::tls::Identity;
use servers::{Limits, Market, MarketConfig, Shutdown};
use terms::Handler;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::ending::{Ending, UsageError, say};
use crate::signals::hears_hang_up;

/// What `serve` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Serve these protocols (`wirebench list`), or all; or `reference`, a server with a known
    /// delay over HTTP/1.1 and the TCP frame.
    #[arg(value_name = "PROTOCOL")]
    protocols: Vec<String>,
    /// Listen on this address. Any but a loopback address lets other machines in.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST), value_name = "IP", help_heading = ADDRESS)]
    bind: IpAddr,
    /// Listen on this port, if there is only one address; 0 lets the system choose.
    #[arg(long, default_value_t = 0, help_heading = ADDRESS)]
    port: u16,
    /// Carry the protocols over these transports, each on its own address. rest over quic is
    /// HTTP/3.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "plain", help_heading = ADDRESS)]
    over: Vec<Over>,
    /// Write the root certificate (PEM) to this file, for clients of tls and quic to trust. Each
    /// start makes a new one.
    #[arg(long, value_name = "FILE", help_heading = ADDRESS)]
    root: Option<PathBuf>,
    /// Emit this many ticks per second.
    #[arg(long, default_value_t = 10.0, value_name = "N", help_heading = MARKET)]
    tick_rate: f64,
    /// Wait this long in the handler before each reply.
    #[arg(long, default_value = "0ms", value_name = "TIME", value_parser = humantime::parse_duration, help_heading = MARKET)]
    handler_wait: Duration,
    /// Burn this much CPU time in the handler before each reply.
    #[arg(long, default_value = "0ms", value_name = "TIME", value_parser = humantime::parse_duration, help_heading = MARKET)]
    handler_cpu: Duration,
    /// Answer this share of the calls with "unavailable", such as 5%.
    #[arg(long, default_value = "0%", value_name = "SHARE", value_parser = parse_share, help_heading = MARKET)]
    handler_fails: f64,
    /// Lose the replies to this share of the calls after all is done: they leave 2 s late.
    #[arg(long, default_value = "0%", value_name = "SHARE", value_parser = parse_share, help_heading = MARKET)]
    handler_loses: f64,
    /// Keep orders in this file of SQLite, across restarts. By default they are in memory.
    #[arg(long, value_name = "FILE", help_heading = MARKET)]
    ledger: Option<PathBuf>,
    /// Seed the market's data.
    #[arg(long, default_value_t = 42, value_name = "N", help_heading = MARKET)]
    seed: u64,
    /// Show GraphiQL at the root of the graphql address. The browser loads its scripts from
    /// unpkg.com.
    #[arg(long, help_heading = MARKET)]
    graphiql: bool,
    /// Serve gRPC-Web for browsers on the grpc address too, over HTTP/1.1.
    #[arg(long, help_heading = MARKET)]
    grpc_web: bool,
    /// Reply this long after each request.
    #[arg(long, default_value = "2ms", value_name = "TIME", value_parser = humantime::parse_duration, help_heading = REFERENCE)]
    delay: Duration,
    /// Freeze for a time in every period, such as 500ms/5s.
    #[arg(long, value_name = "TIME/PERIOD", value_parser = parse_freeze, help_heading = REFERENCE)]
    freeze: Option<Freeze>,
    /// Run on this core only.
    #[arg(long, value_name = "N", help_heading = ADDRESS)]
    core: Option<usize>,
}

const ADDRESS: &str = "Addresses and core";
const MARKET: &str = "The market";
const REFERENCE: &str = "The reference server";

const EXAMPLES: &str = "\
Examples:
  wirebench serve rest --port 8080
  wirebench serve rest grpc --over tls,plain --root root.pem
  wirebench serve graphql --graphiql
  wirebench serve rest --ledger orders.sqlite --handler-loses 20%
  wirebench serve reference --delay 5ms --freeze 500ms/5s";

/// Reads a share such as `5%`.
fn parse_share(text: &str) -> Result<f64, String> {
    terms::text::parse_percent(text).ok_or_else(|| "write a share from 0% to 100%, such as 5%".to_owned())
}

/// What a protocol is carried over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Over {
    Plain,
    Tls,
    Quic,
}

impl From<Over> for Transport {
    fn from(over: Over) -> Transport {
        match over {
            Over::Plain => Transport::Plain,
            Over::Tls => Transport::Tls,
            Over::Quic => Transport::Quic,
        }
    }
}

/// Ticks per second, at most: more than one core can emit.
const TICK_RATE_MAX: f64 = 1e6;

/// What is to be served.
enum Served {
    Market(Vec<(Protocol, Transport)>),
    Reference,
}

/// Serves until Ctrl-C.
///
/// # Errors
/// Where a name is no protocol, or the system refuses an address.
pub(crate) fn serve(options: &Options) -> anyhow::Result<Ending> {
    let served = parse_protocols(&options.protocols, &options.over)?;
    if let Served::Market(ways) = &served
        && options.port != 0
        && ways.len() > 1
    {
        return Err(
            UsageError("--port needs a single address: name one protocol and one --over".to_owned()).into()
        );
    }
    if !(0.0..=TICK_RATE_MAX).contains(&options.tick_rate) {
        return Err(UsageError(format!(
            "--tick-rate {} must be from 0 to {TICK_RATE_MAX} per second",
            options.tick_rate
        ))
        .into());
    }
    if let Some(core) = options.core {
        lab::cores::pin(core).with_context(|| format!("cannot run on core {core}"))?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let shutdown = Shutdown::new();
        // Before an address is printed: whoever reads it may stop this process at once.
        let mut signals = Signals::listen()?;
        let tasks = match served {
            Served::Market(ways) => start_market(options, &ways, &shutdown).await?,
            Served::Reference => start_reference(options, &shutdown).await?,
        };
        signals.recv().await;
        say("stopping: calls in flight have 5 s to finish");
        shutdown.cancel();
        for task in tasks {
            task.await?;
        }
        Ok(Ending::Fine)
    })
}

type Tasks = Vec<tokio::task::JoinHandle<()>>;

async fn start_market(
    options: &Options,
    ways: &[(Protocol, Transport)],
    shutdown: &Shutdown,
) -> anyhow::Result<Tasks> {
    let identity = Arc::new(Identity::generate(&[options.bind])?);
    if ways.iter().any(|(_, transport)| *transport != Transport::Plain) {
        let Some(file) = &options.root else {
            let message =
                "--over tls and --over quic need --root FILE, where the certificate for clients is written";
            return Err(UsageError(message.to_owned()).into());
        };
        files::write_atomically(file, identity.root_pem().as_bytes())?;
    }
    let config = MarketConfig {
        seed: options.seed,
        ticks_per_s: options.tick_rate,
        handler: Handler {
            wait: options.handler_wait,
            cpu: options.handler_cpu,
            fails: options.handler_fails,
            loses: options.handler_loses,
            ..Handler::default()
        },
        ledger: options.ledger.clone(),
        ..MarketConfig::default()
    };
    let market = Market::open(&config, clock::Clock::System)?;
    let mut tasks = Vec::new();
    for (protocol, transport) in ways {
        let address = SocketAddr::new(options.bind, options.port);
        let started = servers::protocols::start(
            *protocol,
            address,
            market.clone(),
            Settings {
                graphiql: options.graphiql,
                grpc_web: options.grpc_web,
                carrier: Carrier::new(*transport, &identity),
                ..Settings::default()
            },
            shutdown.clone(),
        );
        let running = started.await.with_context(|| format!("cannot listen on {address}"))?;
        // HTTP/3 has the scheme of HTTP over TLS.
        let name = match (protocol, transport) {
            (Protocol::Rest, Transport::Quic) => "rest-h3",
            _ => protocol.name(),
        };
        print_address(name, protocol.scheme(*transport), running.address, protocol.path());
        tasks.push(running.task);
    }
    Ok(tasks)
}

async fn start_reference(options: &Options, shutdown: &Shutdown) -> anyhow::Result<Tasks> {
    let behaviour = Behaviour { freeze: options.freeze, ..Behaviour::fixed(options.delay) };
    let limits = Limits::default();
    let mut tasks = Vec::new();
    for scheme in ["http", "tcp"] {
        // A given port is the first one's; the other takes any.
        let port = if scheme == "http" { options.port } else { 0 };
        let address = SocketAddr::new(options.bind, port);
        let listener =
            servers::accept::listen(address).with_context(|| format!("cannot listen on {address}"))?;
        print_address("reference", scheme, listener.local_addr()?, "");
        let shutdown = shutdown.clone();
        tasks.push(tokio::spawn(async move {
            let served = match scheme {
                "http" => reference::http::serve(listener, behaviour, limits, shutdown).await,
                _ => reference::tcp::serve(listener, behaviour, limits, shutdown).await,
            };
            if let Err(error) = served {
                say(&format!("error: the reference server over {scheme} failed: {error}"));
            }
        }));
    }
    Ok(tasks)
}

#[allow(clippy::print_stdout, reason = "an address is data: scripts read it")]
fn print_address(name: &str, scheme: &str, address: SocketAddr, path: &str) {
    println!("{name} {scheme}://{address}{path}");
}

/// Ctrl-C, `kill`, and the end of the terminal where that is heard.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Option<Signal>,
}

impl Signals {
    fn listen() -> std::io::Result<Signals> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: hears_hang_up().then(|| signal(SignalKind::hangup())).transpose()?,
        })
    }

    async fn recv(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            Some(_) = async { self.hang_up.as_mut()?.recv().await } => {}
        }
    }
}

/// Every protocol that is named, over everything that is asked for and carries it.
fn parse_protocols(names: &[String], over: &[Over]) -> Result<Served, UsageError> {
    if names == ["reference"] {
        if over != [Over::Plain] {
            return Err(UsageError("reference needs --over plain".to_owned()));
        }
        return Ok(Served::Reference);
    }
    let protocol = |name: &String| {
        let known = Protocol::ALL.into_iter().find(|protocol| protocol.name() == name);
        known.ok_or_else(|| {
            let names: Vec<&str> =
                Protocol::ALL.map(Protocol::name).into_iter().chain(["reference"]).collect();
            UsageError(format!("there is no protocol '{name}'; {}", did_you_mean(name, &names)))
        })
    };
    let named = names.iter().map(protocol).collect::<Result<Vec<_>, _>>()?;
    let carried = |protocol: Protocol| {
        let asked = over.iter().map(|over| Transport::from(*over));
        asked
            .filter(move |transport| protocol.transports().contains(transport))
            .map(move |over| (protocol, over))
    };
    if let Some(protocol) = named.iter().find(|protocol| carried(**protocol).next().is_none()) {
        let name = protocol.name();
        let first = protocol.transports().first().map_or("", |transport| transport.name());
        return Err(UsageError(format!("{name} needs --over {first}")));
    }
    let protocols = if named.is_empty() { Protocol::ALL.to_vec() } else { named };
    Ok(Served::Market(protocols.into_iter().flat_map(carried).collect()))
}

fn parse_freeze(text: &str) -> Result<Freeze, String> {
    let (span, period) = text.split_once('/').ok_or("write TIME/PERIOD, such as 500ms/5s")?;
    let parse = |text| humantime::parse_duration(text).map_err(|error| error.to_string());
    let freeze = Freeze { span: parse(span)?, period: parse(period)? };
    if freeze.span < freeze.period {
        Ok(freeze)
    } else {
        Err("the time must be less than the period".to_owned())
    }
}
