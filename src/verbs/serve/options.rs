//! What is typed after `serve`, and the options that would do nothing with it.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use proto::{Protocol, Transport};
use servers::reference::Freeze;

use crate::ending::UsageError;

/// What `serve` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Serve these protocols (`wirebench list`), or all; or `reference`, a server with a known
    /// delay over HTTP/1.1 and the TCP frame.
    #[arg(value_name = "PROTOCOL")]
    pub(super) protocols: Vec<String>,
    /// Listen on this address. Any but a loopback address lets other machines in.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST), value_name = "IP", help_heading = ADDRESS)]
    pub(super) bind: IpAddr,
    /// Listen on this port, if there is only one address; 0 lets the system choose.
    #[arg(long, default_value_t = 0, help_heading = ADDRESS)]
    pub(super) port: u16,
    /// Carry the protocols over these transports, each on its own address. rest over quic is
    /// HTTP/3.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "plain", help_heading = ADDRESS)]
    pub(super) over: Vec<Over>,
    /// Write the root certificate (PEM) to this file, for clients of tls and quic to trust. Each
    /// start makes a new one.
    #[arg(long, value_name = "FILE", help_heading = ADDRESS)]
    pub(super) root: Option<PathBuf>,
    /// Emit this many ticks per second (10 by default).
    #[arg(long, value_name = "N", help_heading = MARKET)]
    pub(super) tick_rate: Option<f64>,
    /// Wait this long in the handler before each reply.
    #[arg(long, value_name = "TIME", value_parser = parse_wait, help_heading = MARKET)]
    pub(super) handler_wait: Option<Duration>,
    /// Burn this much CPU time in the handler before each reply.
    #[arg(long, value_name = "TIME", value_parser = parse_wait, help_heading = MARKET)]
    pub(super) handler_cpu: Option<Duration>,
    /// Answer this share of the calls with "unavailable", such as 5%.
    #[arg(long, value_name = "SHARE", value_parser = parse_share, help_heading = MARKET)]
    pub(super) handler_fails: Option<f64>,
    /// Lose the replies to this share of the calls after all is done: they leave 2 s late.
    #[arg(long, value_name = "SHARE", value_parser = parse_share, help_heading = MARKET)]
    pub(super) handler_loses: Option<f64>,
    /// Keep orders in this file of SQLite, across restarts. By default they are in memory.
    #[arg(long, value_name = "FILE", help_heading = MARKET)]
    pub(super) ledger: Option<PathBuf>,
    /// Seed the market's data (42 by default).
    #[arg(long, value_name = "N", help_heading = MARKET)]
    pub(super) seed: Option<u64>,
    /// Show GraphiQL at the root of the graphql address. The browser loads its scripts from
    /// unpkg.com.
    #[arg(long, help_heading = MARKET)]
    pub(super) graphiql: bool,
    /// Serve gRPC-Web for browsers on the grpc address too, over HTTP/1.1.
    #[arg(long, help_heading = MARKET)]
    pub(super) grpc_web: bool,
    /// Reply this long after each request (2ms by default).
    #[arg(long, value_name = "TIME", value_parser = parse_wait, help_heading = REFERENCE)]
    pub(super) delay: Option<Duration>,
    /// Freeze for a time in every period, such as 500ms/5s.
    #[arg(long, value_name = "TIME/PERIOD", value_parser = parse_freeze, help_heading = REFERENCE)]
    pub(super) freeze: Option<Freeze>,
    /// Run on this core only.
    #[arg(long, value_name = "N", help_heading = ADDRESS)]
    pub(super) core: Option<usize>,
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
pub(super) enum Over {
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

fn parse_freeze(text: &str) -> Result<Freeze, String> {
    let (span, period) = text.split_once('/').ok_or("write TIME/PERIOD, such as 500ms/5s")?;
    let parse = parse_wait;
    let freeze = Freeze { span: parse(span)?, period: parse(period)? };
    if freeze.span.is_zero() {
        Err("a freeze of no time does nothing: write one such as 500ms/5s".to_owned())
    } else if freeze.span < freeze.period {
        Ok(freeze)
    } else {
        Err("the time must be less than the period".to_owned())
    }
}

/// The longest time that a server waits before a reply.
const WAIT_MAX: Duration = Duration::from_secs(24 * 3_600);

fn parse_wait(text: &str) -> Result<Duration, String> {
    let wait = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if wait <= WAIT_MAX { Ok(wait) } else { Err("write a time of at most a day".to_owned()) }
}

impl Options {
    /// Refuses what would do nothing for a reference server.
    ///
    /// # Errors
    /// With the option, and what to write.
    pub(super) fn suit_a_reference(&self) -> Result<(), UsageError> {
        let market = [
            ("--tick-rate", self.tick_rate.is_some()),
            ("--handler-wait", self.handler_wait.is_some()),
            ("--handler-cpu", self.handler_cpu.is_some()),
            ("--handler-fails", self.handler_fails.is_some()),
            ("--handler-loses", self.handler_loses.is_some()),
            ("--ledger", self.ledger.is_some()),
            ("--seed", self.seed.is_some()),
            ("--graphiql", self.graphiql),
            ("--grpc-web", self.grpc_web),
        ];
        let does_nothing = market.into_iter().find_map(|(option, given)| given.then_some(option));
        if let Some(option) = does_nothing {
            let message = format!("{option} is of the market, which `serve reference` is not: leave it out");
            return Err(UsageError(message));
        }
        self.root_is_used(&[])
    }

    /// Refuses what would do nothing for these protocols, each over its transport.
    ///
    /// # Errors
    /// With the option, and what to write.
    pub(super) fn suit_a_market(&self, ways: &[(Protocol, Transport)]) -> Result<(), UsageError> {
        let refuse = |message: &str| Err(UsageError(message.to_owned()));
        if self.delay.is_some() {
            return refuse("--delay is of `serve reference`: the market waits with --handler-wait");
        }
        if self.freeze.is_some() {
            return refuse("--freeze is of `serve reference`: the market has none");
        }
        let has = |wanted| ways.iter().any(|(protocol, _)| *protocol == wanted);
        if self.graphiql && !has(Protocol::GraphQl) {
            return refuse("--graphiql needs graphql: `wirebench serve graphql --graphiql`");
        }
        if self.grpc_web && !has(Protocol::Grpc) {
            return refuse("--grpc-web needs grpc: `wirebench serve grpc --grpc-web`");
        }
        let carries = |over: &&Over| ways.iter().any(|(_, transport)| *transport == Transport::from(**over));
        if let Some(over) = self.over.iter().find(|over| !carries(over)) {
            let name = Transport::from(*over).name();
            let message = format!("--over {name} carries none of these protocols: leave {name} out");
            return Err(UsageError(message));
        }
        self.root_is_used(ways)
    }

    /// A certificate is for TLS and QUIC.
    fn root_is_used(&self, ways: &[(Protocol, Transport)]) -> Result<(), UsageError> {
        let is_secured = ways.iter().any(|(_, transport)| *transport != Transport::Plain);
        match (&self.root, is_secured) {
            (Some(_), false) => Err(UsageError(
                "--root writes a certificate, which plain text has not: add --over tls or quic, or leave it out"
                    .to_owned(),
            )),
            (None, true) => Err(UsageError(
                "--over tls and --over quic need --root FILE, where the certificate for clients is written"
                    .to_owned(),
            )),
            _ => Ok(()),
        }
    }
}
