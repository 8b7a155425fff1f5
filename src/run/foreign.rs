//! A server that is not wirebench's: another program behind the same requests, started where the market's server would be and metered like
//! it; or one that somebody else started.

use std::fs;
use std::io::stdin;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clock::Clock;
use lab::child::{read_message, write_message};
use lab::program::Program;
use proto::data::{DataSet, SYMBOLS};
use proto::encoding::Encoding;

use super::message::{FromServer, Supervise, ToServer};
use crate::scenario::ForeignServer;

/// Time for a program to listen.
const START_TIME_MAX: Duration = Duration::from_secs(10);
/// Between two looks whether it does.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Has the server up, and answers for it to the command until the end of the input.
pub(super) fn supervise(order: &Supervise) -> anyhow::Result<()> {
    match &order.server {
        ForeignServer::Target(address) => {
            TcpStream::connect_timeout(address, START_TIME_MAX)
                .with_context(|| format!("nobody answers at {address}: start the server first"))?;
            say_ready(*address, None)?;
            obey()
        }
        ForeignServer::Program { command, config } => {
            lab::cores::pin(order.core).context("pinning the server")?;
            let address = SocketAddr::new(order.address, free_port(order)?);
            let folder = Folder::create(
                order.market_seed,
                |text| {
                    let text = text.replace("{address}", &address.ip().to_string());
                    text.replace("{port}", &address.port().to_string())
                },
                config.as_deref(),
            )?;
            let program = start(command, &folder.0, address)?;
            listens(address)?;
            say_ready(address, Some(program.pid()))?;
            let obeyed = obey();
            program.end();
            obeyed
        }
    }
}

fn say_ready(address: SocketAddr, program: Option<u32>) -> anyhow::Result<()> {
    let ready = FromServer::Ready { address, root: None, name_server: None, origin: None, program };
    Ok(write_message(&mut std::io::stdout(), &ready)?)
}

/// Nothing can be asked of a server that is not ours.
fn obey() -> anyhow::Result<()> {
    let mut input = stdin().lock();
    loop {
        match read_message(&mut input) {
            Ok(ToServer::Allocations) => {
                write_message(&mut std::io::stdout(), &FromServer::Allocations { count: None })?;
            }
            Ok(other) => bail!("a server that is not wirebench's cannot be told {other:?}"),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// A port that nobody has now.
fn free_port(order: &Supervise) -> std::io::Result<u16> {
    Ok(TcpListener::bind((order.address, 0))?.local_addr()?.port())
}

/// What a program finds: its `config`, and below `v1/quotes/` the reply to every quote as JSON. Gone when dropped.
struct Folder(PathBuf);

impl Folder {
    fn create(
        market_seed: u64,
        fill: impl Fn(&str) -> String,
        config: Option<&str>,
    ) -> anyhow::Result<Folder> {
        let path = std::env::temp_dir().join(format!("wirebench-{}", std::process::id()));
        let folder = Folder(path);
        let quotes = folder.0.join("v1/quotes");
        fs::create_dir_all(&quotes).with_context(|| format!("making {}", quotes.display()))?;
        let data = DataSet::new(market_seed);
        for symbol in (0..SYMBOLS).map(|nth| data.symbol(nth)) {
            if let Ok(quote) = data.quote(&symbol) {
                fs::write(quotes.join(&symbol), Encoding::Json.encode(&quote))?;
            }
        }
        if let Some(config) = config {
            let config = fill(config).replace("{folder}", &folder.0.display().to_string());
            fs::write(folder.0.join("config"), config)?;
        }
        Ok(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Somebody else may have cleared the system's temporary folder.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn start(words: &str, folder: &Path, address: SocketAddr) -> anyhow::Result<Program> {
    let fill = |word: &str| {
        let word = word.replace("{folder}", &folder.display().to_string());
        word.replace("{address}", &address.ip().to_string()).replace("{port}", &address.port().to_string())
    };
    let words: Vec<String> = words.split_whitespace().map(fill).collect();
    let name = words.first().cloned().context("a command needs a program")?;
    let ended = {
        let name = name.clone();
        move |how: String| {
            let error = format!("{name} ended by itself: {how}");
            // Whoever would read it may be gone.
            let _ = write_message(&mut std::io::stdout(), &FromServer::Failed { error });
            std::process::exit(1);
        }
    };
    Program::start(&words, ended).with_context(|| format!("starting {name}"))
}

/// Waits until a program listens.
fn listens(address: SocketAddr) -> anyhow::Result<()> {
    let clock = Clock::System;
    let deadline = clock.now() + START_TIME_MAX;
    while clock.now() < deadline {
        if TcpStream::connect_timeout(&address, LOOK_EVERY).is_ok() {
            return Ok(());
        }
        clock::pause_thread(LOOK_EVERY);
    }
    bail!(
        "the program does not listen at {address} after {} s: is {{address}}:{{port}} in its config?",
        START_TIME_MAX.as_secs()
    )
}
