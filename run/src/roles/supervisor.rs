//! A server that is not wirebench's: another program behind the same requests, started where the
//! market's server would be and metered like it; or one that somebody else started.

use std::fs;
use std::io::{stdin, stdout};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clock::{Clock, Mono};
use files::TemporaryFolder;
use lab::program::Program;
use proto::data::{DataSet, SYMBOLS};
use proto::encoding::Encoding;
use serde::{Deserialize, Serialize};
use servers::role::{CountAllocations, Ready};
use terms::role::{Means, Role, answer, next_order, say_ready};
use terms::{ForeignServer, orders};

/// Time for a program to listen.
const START_TIME_MAX: Duration = Duration::from_secs(10);
/// Between two looks whether it runs, when it does: seldom, for a look takes processor time from
/// it.
const LOOK_WHETHER_IT_RUNS_EVERY: Duration = Duration::from_secs(1);
/// A program that is stopped for longer is not about to go on.
const STOPPED_TIME_MAX: Duration = Duration::from_secs(2);
/// Between two looks whether it listens.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A supervisor of a server that is not wirebench's.
#[derive(Debug)]
pub(crate) struct Supervisor;

impl Role for Supervisor {
    const NAME: &'static str = "supervisor";
    type Start = Supervise;
    type Ready = Ready;
    type Order = SupervisorOrder;
}

orders! {
    /// What a supervisor can be told: nothing can be asked of a server that is not ours.
    pub(crate) enum SupervisorOrder of Supervisor {
        /// Count allocations.
        Allocations(CountAllocations) -> Option<u64>,
    }
}

/// A server that is not wirebench's.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Supervise {
    /// Where it runs.
    pub(crate) core: usize,
    pub(crate) address: IpAddr,
    pub(crate) server: ForeignServer,
    /// The services that it stands before, by the placeholders that stand for them.
    pub(crate) behind: Vec<(String, SocketAddr)>,
    pub(crate) market_seed: u64,
}

/// Has the server up, and answers for it until the end of the input.
pub(super) fn supervise(start: &Supervise, means: Means) -> anyhow::Result<()> {
    match &start.server {
        ForeignServer::Target(address) => {
            TcpStream::connect_timeout(address, START_TIME_MAX)
                .with_context(|| format!("nobody answers at {address}: start the server first"))?;
            ready(*address, None)?;
            obey(None)
        }
        ForeignServer::Program { command, config } => {
            (means.pin)(start.core).context("pinning the server")?;
            let address = SocketAddr::new(start.address, free_port(start)?);
            let fill = |text: &str| {
                let mut text = text.replace("{address}", &address.ip().to_string());
                text = text.replace("{port}", &address.port().to_string());
                for (name, service) in &start.behind {
                    text = text.replace(&format!("{{{name}}}"), &service.to_string());
                    text = text.replace(&format!("{{{name}.port}}"), &service.port().to_string());
                }
                text
            };
            let folder = Folder::create(start.market_seed, fill, config.as_deref())?;
            let program = start_program(command, folder.0.path(), fill)?;
            let mut program = Supervised::new(command, program);
            listens(address, &mut program)?;
            ready(address, Some(program.program.pid()))?;
            obey(Some(program))
        }
    }
}

fn ready(address: SocketAddr, program: Option<u32>) -> anyhow::Result<()> {
    let ready = Ready { program, ..Ready::at(address, Clock::System.now()) };
    Ok(say_ready::<Supervisor>(&mut stdout(), ready)?)
}

/// The program ends with this.
fn obey(mut program: Option<Supervised>) -> anyhow::Result<()> {
    let (orders_in, orders) = channel();
    std::thread::spawn(move || {
        let mut input = stdin().lock();
        while let Ok(Some(order)) = next_order::<Supervisor>(&mut input) {
            if orders_in.send(order).is_err() {
                return;
            }
        }
    });
    loop {
        match orders.recv_timeout(LOOK_WHETHER_IT_RUNS_EVERY) {
            Ok(SupervisorOrder::Allocations(order)) => {
                answer::<Supervisor, _>(&mut stdout(), &order, None)?;
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => program.as_mut().map_or(Ok(()), Supervised::look)?,
        }
    }
}

/// A program that is looked after.
struct Supervised {
    /// Its name and its process.
    name: String,
    program: Program,
    /// Since when looks find it stopped.
    stopped_since: Option<Mono>,
}

impl Supervised {
    fn new(command: &str, program: Program) -> Supervised {
        let name = command.split_whitespace().next().unwrap_or("the program");
        Supervised { name: format!("{name} (process {})", program.pid()), program, stopped_since: None }
    }

    /// Checks that it runs; one that is stopped for a moment does.
    fn look(&mut self) -> anyhow::Result<()> {
        let Supervised { name, program, stopped_since } = self;
        if let Some(how) = program.ended_in_words()? {
            bail!("{name} ended unexpectedly: {how}");
        }
        let Some(signal) = program.stopped() else {
            *stopped_since = None;
            return Ok(());
        };
        let now = Clock::System.now();
        if now.since(*stopped_since.get_or_insert(now)) >= STOPPED_TIME_MAX {
            bail!(
                "{name} is stopped ({signal}): something outside wirebench stopped it; let it be, and run again"
            );
        }
        Ok(())
    }
}

/// A port that nobody has now.
fn free_port(order: &Supervise) -> std::io::Result<u16> {
    Ok(TcpListener::bind((order.address, 0))?.local_addr()?.port())
}

/// What a program finds: its `config`, and below `v1/quotes/` the reply to every quote as JSON.
/// Nobody else can look in or change it, and it is gone when dropped.
struct Folder(TemporaryFolder);

impl Folder {
    fn create(
        market_seed: u64,
        fill: impl Fn(&str) -> String,
        config: Option<&str>,
    ) -> anyhow::Result<Folder> {
        let folder = Folder(TemporaryFolder::make().context("making a temporary folder")?);
        let quotes = folder.0.path().join("v1/quotes");
        fs::create_dir_all(&quotes).with_context(|| format!("making {}", quotes.display()))?;
        let data = DataSet::new(market_seed);
        for symbol in (0..SYMBOLS).map(|nth| data.symbol(nth)) {
            if let Ok(quote) = data.quote(&symbol) {
                fs::write(quotes.join(&symbol), Encoding::Json.encode(&quote))?;
            }
        }
        if let Some(config) = config {
            let config = fill(config).replace("{folder}", &folder.0.path().display().to_string());
            fs::write(folder.0.path().join("config"), config)?;
        }
        Ok(folder)
    }
}

fn start_program(words: &str, folder: &Path, fill: impl Fn(&str) -> String) -> anyhow::Result<Program> {
    let fill = |word: &str| fill(word).replace("{folder}", &folder.display().to_string());
    let mut words = words.split_whitespace().map(fill);
    let name = words.next().context("a command needs a program")?;
    // Those of administrators are not on every user's path.
    let path = lab::program::find(&[&name]).unwrap_or_else(|| PathBuf::from(&name));
    let mut command = Command::new(path);
    // What it prints is not what the command reads.
    command.args(words).stdin(Stdio::null()).stdout(Stdio::null());
    lab::hosts::be_no_root(&mut command);
    Program::start(&mut command).with_context(|| format!("starting {name}"))
}

/// Waits until a program listens.
fn listens(address: SocketAddr, program: &mut Supervised) -> anyhow::Result<()> {
    let clock = Clock::System;
    let deadline = clock.now() + START_TIME_MAX;
    while clock.now() < deadline {
        if TcpStream::connect_timeout(&address, LOOK_EVERY).is_ok() {
            return Ok(());
        }
        program.look()?;
        clock::pause_thread(LOOK_EVERY);
    }
    bail!(
        "the program does not listen at {address} after {} s: is {{address}}:{{port}} in its config?",
        START_TIME_MAX.as_secs()
    )
}
