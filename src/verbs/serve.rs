//! `serve`: the market behind protocols, or a reference server, until Ctrl-C.

mod options;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clock::{Clock, Mono};
use proto::{Protocol, Transport};
use scenarios::did_you_mean;
use servers::protocols::{Carrier, Settings};
use servers::reference::{self, Behaviour};
use servers::tls::Identity;
use servers::{Limits, Market, MarketConfig, Shutdown};
use terms::Handler;
use tokio::signal::unix::{Signal, SignalKind, signal};

pub(crate) use options::Options;
use options::Over;

use crate::ending::{Ending, UsageError, print_data, say};
use crate::signals::{SAME_REQUEST, hears_hang_up};

/// Ticks per second, unless told.
const TICK_RATE: f64 = 10.0;
/// Seed of the market's data, unless told.
const SEED: u64 = 42;
/// Time to a reference server's reply, unless told.
const DELAY: Duration = Duration::from_millis(2);
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
    match &served {
        Served::Market(ways) => options.suit_a_market(ways)?,
        Served::Reference => options.suit_a_reference()?,
    }
    if let Served::Market(ways) = &served
        && options.port != 0
        && ways.len() > 1
    {
        return Err(
            UsageError("--port needs a single address: name one protocol and one --over".to_owned()).into()
        );
    }
    let tick_rate = options.tick_rate.unwrap_or(TICK_RATE);
    if !(0.0..=TICK_RATE_MAX).contains(&tick_rate) {
        let message = format!("--tick-rate {tick_rate} must be from 0 to {TICK_RATE_MAX} per second");
        return Err(UsageError(message).into());
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
        let told_at = Clock::System.now();
        say("stopping: calls in flight have 5 s to finish");
        shutdown.cancel();
        let ended = async {
            for task in tasks {
                task.await?;
            }
            Ok(Ending::Fine)
        };
        tokio::select! {
            ended = ended => ended,
            // Who asks a second time does not want to wait.
            () = signals.recv_after(told_at + SAME_REQUEST) => Ok(Ending::Interrupted),
        }
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
        let file = options.root.as_ref().context("--root is missing")?;
        files::write_atomically(file, identity.root_pem().as_bytes())?;
    }
    let config = MarketConfig {
        seed: options.seed.unwrap_or(SEED),
        ticks_per_s: options.tick_rate.unwrap_or(TICK_RATE),
        handler: Handler {
            wait: options.handler_wait.unwrap_or_default(),
            cpu: options.handler_cpu.unwrap_or_default(),
            fails: options.handler_fails.unwrap_or_default(),
            loses: options.handler_loses.unwrap_or_default(),
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
    let behaviour = Behaviour { freeze: options.freeze, ..Behaviour::fixed(options.delay.unwrap_or(DELAY)) };
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

/// An address is data: scripts read it. Where stdout takes nothing people may still read it.
fn print_address(name: &str, scheme: &str, address: SocketAddr, path: &str) {
    let line = format!("{name} {scheme}://{address}{path}");
    if let Err(error) = print_data(&format!("{line}\n")) {
        say(&format!("{error}; {line}"));
    }
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

    /// Waits for one that comes after a time.
    async fn recv_after(&mut self, time: Mono) {
        loop {
            self.recv().await;
            if Clock::System.now() >= time {
                return;
            }
        }
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
    if names.iter().any(|name| name == "reference") {
        return Err(UsageError("reference is served alone: `wirebench serve reference`".to_owned()));
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
