//! The servers in a process of their own, so that one input that ends them ends nothing else: how
//! it is started, what it is told, and what `/proc` says of it.

use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use proto::Transport;
use servers::background::Background;
use servers::between::Layer7;
use servers::protocols::{Carrier, Settings};
use servers::tls::Identity;
use servers::{Limits, MarketConfig, Shutdown};

use super::input::Served;

/// What a child is told to serve, with commas between; its presence makes a process a child.
const SERVE: &str = "WIREBENCH_CORPUS_SERVE";
/// Ticks per second of a child's market.
const TICKS: &str = "WIREBENCH_CORPUS_TICKS";
/// A child with this has a balancer at layer 7 before each server.
const BALANCED: &str = "WIREBENCH_CORPUS_BALANCED";
/// What stands before each thing that a child says, among the lines of the test's own harness.
const SAYS: &str = "corpus: ";
/// Bytes of a page.
const PAGE_BYTES: u64 = 4_096;

/// Bounds of the servers under test: the defaults, with the times so short that a slow input ends
/// soon, and still long enough for a good caller on a busy machine.
fn limits() -> Limits {
    Limits {
        header_time_max: Duration::from_secs(1),
        message_time_max: Duration::from_secs(1),
        idle_time_max: Duration::from_secs(2),
        keep_alive_every: Duration::from_secs(1),
        lease: Duration::from_secs(1),
        ..Limits::default()
    }
}

/// Serves what the environment says until the parent goes; returns at once where it says nothing.
pub(crate) fn serve_as_child() {
    let Ok(wanted) = std::env::var(SERVE) else { return };
    let wanted: Vec<Served> = wanted.split(',').map(|text| Served::parse(text).unwrap()).collect();
    let ticks_per_s = std::env::var(TICKS).unwrap().parse().unwrap();
    let is_balanced = std::env::var_os(BALANCED).is_some();
    let identity = Arc::new(Identity::generate(&[]).unwrap());
    let mut up = Vec::new();
    for transport in [Transport::Plain, Transport::Tls, Transport::Quic] {
        let carried = wanted.iter().filter(|served| served.transport == transport);
        let protocols: Vec<_> = carried.map(|served| served.protocol).collect();
        if protocols.is_empty() {
            continue;
        }
        let config = MarketConfig { ticks_per_s, ..MarketConfig::default() };
        let settings =
            Settings { limits: limits(), carrier: Carrier::new(transport, &identity), ..Settings::default() };
        let background = Background::start(&protocols, config, settings).unwrap();
        for protocol in protocols {
            let address = background.address(protocol).unwrap();
            let address = if is_balanced { balanced(address) } else { address };
            say(&format!("{} at {address}", Served { protocol, transport }));
        }
        up.push(background);
    }
    say(&format!("root {}", identity.root().iter().map(|byte| format!("{byte:02x}")).collect::<String>()));
    say("up");
    // The parent holds the other end for as long as it lives.
    let _ = io::stdin().read_to_end(&mut Vec::new());
    std::process::exit(0);
}

/// Where a balancer before this server listens; it ends with the process.
fn balanced(server: SocketAddr) -> SocketAddr {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let any = SocketAddr::from(([127, 0, 0, 1], 0));
            let balancer = Layer7::start(any, server.into(), Vec::new(), None, limits(), Shutdown::new());
            let balancer = balancer.await.unwrap();
            tell.send(balancer.address).unwrap();
            balancer.task.await.unwrap();
        });
    });
    told.recv().unwrap()
}

fn say(what: &str) {
    let mut out = io::stdout();
    writeln!(out, "\n{SAYS}{what}").unwrap();
    out.flush().unwrap();
}

/// Servers in a child process.
#[derive(Debug)]
pub(crate) struct Servers {
    child: Child,
    addresses: Vec<(Served, SocketAddr)>,
    /// The certificate that their clients are to trust, in DER.
    pub(crate) root: Vec<u8>,
}

impl Servers {
    /// Starts this program again, as a child that serves these, behind a balancer where told, and
    /// waits until it does.
    pub(crate) fn start(wanted: &[Served], ticks_per_s: f64, is_balanced: bool) -> Servers {
        let names: Vec<String> = wanted.iter().map(Served::to_string).collect();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "serves_as_a_child", "--ignored", "--nocapture", "--test-threads=1"])
            .env(SERVE, names.join(","))
            .env(TICKS, ticks_per_s.to_string())
            .envs(is_balanced.then_some((BALANCED, "")))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let mut servers = Servers { child, addresses: Vec::new(), root: Vec::new() };
        servers.hear(said);
        servers
    }

    /// Takes what the child says, until it is up.
    fn hear(&mut self, said: impl BufRead) {
        let mut lines = said.lines().map(Result::unwrap);
        loop {
            let line = lines.next().expect("the servers ended before they were up");
            let Some(said) = line.strip_prefix(SAYS) else { continue };
            if said == "up" {
                return;
            }
            match said.split_once(" at ") {
                Some((served, address)) => {
                    self.addresses.push((Served::parse(served).unwrap(), address.parse().unwrap()));
                }
                None => self.root = bytes(said.strip_prefix("root ").unwrap()),
            }
        }
    }

    pub(crate) fn address(&self, served: Served) -> SocketAddr {
        self.addresses.iter().find(|(other, _)| *other == served).unwrap().1
    }

    /// How the process ended; `None` while it runs.
    pub(crate) fn ended(&mut self) -> Option<String> {
        self.child.try_wait().unwrap().map(|status| status.to_string())
    }

    /// Where its memory can be looked up, from any thread.
    pub(crate) fn statm(&self) -> String {
        format!("/proc/{}/statm", self.child.id())
    }

    /// How many descriptors it has open; `None` once it is gone.
    pub(crate) fn descriptors(&self) -> Option<usize> {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).ok()?;
        Some(open.count())
    }
}

impl Drop for Servers {
    /// A child that hangs hears nothing else.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// Bytes in memory of a process; 0 once it is gone.
pub(crate) fn resident_bytes(statm: &str) -> u64 {
    let text = std::fs::read_to_string(statm).unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * PAGE_BYTES
}
