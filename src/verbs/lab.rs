//! `lab`: any program between two hosts, over a link.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clock::{Clock, Mono};
use lab::guest::{Guest, GuestStreams};
use lab::hosts::Host;
use lab::wan::{RouterCount, Wan, Which};
use nix::sys::signal::Signal;
use scenarios::with_suggestion;
use terms::ways::{self, WaysError};
use terms::{WayCount, text};

use crate::ending::{Ending, UsageError, print_data, say};
use crate::signals::{SAME_REQUEST, hears_hang_up};

/// What `lab` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Use this link: a name (`wirebench lab --links`) and changes to it, such as 'ny-london
    /// loss=1% down.rate=20Mbit/s'.
    #[arg(required_unless_present = "links")]
    link: Option<String>,
    /// List the named links.
    #[arg(long, conflicts_with_all = ["link", "server", "at", "pcap", "seed", "command"])]
    links: bool,
    /// Run this shell command on the other host first, and start COMMAND when it listens.
    #[arg(long, value_name = "COMMAND")]
    server: Option<String>,
    /// Change the link while COMMAND runs, such as '5s loss=10%' or '8s cut'; can be repeated.
    #[arg(long, value_name = "TIME CHANGES")]
    at: Vec<String>,
    /// Capture every packet that crosses the link in this file, for Wireshark.
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
    /// Seed for loss, jitter and reordering: the n-th packet of a direction has the same fate with
    /// the same seed (1 by default).
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Run this program with its arguments. {server} and {client} become the addresses of the two
    /// hosts, also in WIREBENCH_SERVER and WIREBENCH_CLIENT.
    #[arg(last = true, required_unless_present = "links", value_name = "COMMAND")]
    command: Vec<String>,
}

const EXAMPLES: &str = "\
Examples:
  wirebench lab --links
  wirebench lab ny-london -- ping -c 3 {server}
  wirebench lab 'rtt=40ms loss=1%' --server 'nc -l -p 9000' -- nc {server} 9000
  wirebench lab 4g --at '5s cut' --at '7s mended' -- ping -c 10 {server}";

/// Time that the command has to end once it was passed a signal.
const END_TIME_MAX: Duration = Duration::from_secs(10);
/// Between two looks whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Time for a server to listen.
const LISTEN_TIME_MAX: Duration = Duration::from_secs(10);

/// Runs a command on one host of a link, and perhaps a server on the other; ends as the command
/// does.
///
/// # Errors
/// Where the link is none, or the system allows no hosts.
pub(crate) fn lab(options: &Options) -> anyhow::Result<Ending> {
    if options.links {
        print_data(&links_in_words())?;
        return Ok(Ending::Fine);
    }
    // Before there is a second thread.
    lab::hosts::prepare();
    let text = options.link.as_deref().unwrap_or_default();
    let link = ways::parse(text, None).map_err(|error| wrong("LINK", &error))?;
    let changes = ways::parse_changes(&options.at, link).map_err(|error| wrong("--at", &error))?;
    let wan =
        Wan::between(link, options.seed.unwrap_or(1)).context("cannot make the two hosts of the link")?;
    let host = |place| wan.host(place).context("one of the two hosts is missing");
    if let Some(file) = &options.pcap {
        wan.capture(0, file).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let signals = Signals::listen()?;
    let environment = [
        ("WIREBENCH_SERVER", Wan::address(Wan::SERVER).to_string()),
        ("WIREBENCH_CLIENT", Wan::address(Wan::CLIENT).to_string()),
    ];
    let server = match &options.server {
        None => None,
        Some(command) => match start_server(host(Wan::SERVER)?, command, &environment, &signals)? {
            Some(server) => Some(server),
            None => {
                say("stopped before the --server command listened");
                return Ok(Ending::Interrupted);
            }
        },
    };
    let start = Clock::System.now();
    wan.change(changes.into_iter().map(|(after, link)| (start + after, 0, link)));
    let words: Vec<String> = options.command.iter().map(|word| fill_in(word)).collect();
    // A terminal tells all of its foreground of Ctrl-C; whoever else sends a signal, sends it here.
    let has_terminal = std::io::stdin().is_terminal();
    let streams = if has_terminal { GuestStreams::Foreground } else { GuestStreams::Passed };
    let command = Guest::start(host(Wan::CLIENT)?, &words, &environment, streams)?;
    let ended = wait(command, &signals, has_terminal)?;
    drop(server);
    say_counts(&wan);
    Ok(ended.map_or(Ending::Interrupted, ending))
}

/// Signals that came, and were not passed on yet.
struct Signals([(Signal, Arc<AtomicBool>); 3]);

impl Signals {
    fn listen() -> std::io::Result<Signals> {
        let all = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];
        let came = Signals(all.map(|signal| (signal, Arc::default())));
        for (signal, flag) in &came.0 {
            if *signal != Signal::SIGHUP || hears_hang_up() {
                signal_hook::flag::register(*signal as i32, Arc::clone(flag))?;
            }
        }
        Ok(came)
    }

    /// The next one that came.
    fn take(&self) -> Option<Signal> {
        self.0.iter().find_map(|(signal, came)| came.swap(false, Ordering::Relaxed).then_some(*signal))
    }
}

/// Waits for the end of the command, and passes signals on to it. The second one ends it at once,
/// and so does the time that it has after the first: `None`.
fn wait(mut command: Guest, signals: &Signals, has_terminal: bool) -> anyhow::Result<Option<ExitStatus>> {
    let clock = Clock::System;
    let mut told_at: Option<Mono> = None;
    let is_over =
        |since: Option<Mono>, time: Duration| since.is_some_and(|since| clock.now() >= since + time);
    loop {
        if let Some(status) = command.ended()? {
            return Ok(Some(status));
        }
        match signals.take() {
            // It has heard that itself, and may want to go on.
            Some(Signal::SIGINT) if has_terminal => {}
            Some(_) if is_over(told_at, SAME_REQUEST) => return Ok(None),
            Some(_) if told_at.is_some() => {}
            Some(signal) => {
                command.signal(signal);
                told_at = Some(clock.now());
            }
            None if is_over(told_at, END_TIME_MAX) => {
                say(&format!("the command did not end within {} s: ended it", END_TIME_MAX.as_secs()));
                return Ok(None);
            }
            None => clock::pause_thread(LOOK_EVERY),
        }
    }
}

fn wrong(option: &str, error: &WaysError) -> UsageError {
    UsageError(format!("{option}: {}", with_suggestion(&error.to_string())))
}

fn ending(status: ExitStatus) -> Ending {
    match status.code().and_then(|code| u8::try_from(code).ok()) {
        Some(0) => Ending::Fine,
        Some(code) => Ending::OfCommand(code),
        None => Ending::Error,
    }
}

fn fill_in(word: &str) -> String {
    word.replace("{server}", &Wan::address(Wan::SERVER).to_string())
        .replace("{client}", &Wan::address(Wan::CLIENT).to_string())
}

/// Starts it, and waits until it listens; `None` where a signal came before.
fn start_server(
    host: &Host,
    command: &str,
    environment: &[(&str, String)],
    signals: &Signals,
) -> anyhow::Result<Option<Guest>> {
    let words = ["sh", "-c", &fill_in(command)].map(str::to_owned);
    let mut server = Guest::start(host, &words, environment, GuestStreams::Beside)?;
    let clock = Clock::System;
    let end = clock.now() + LISTEN_TIME_MAX;
    while !server.listens() {
        if let Some(status) = server.ended()? {
            bail!("the --server command ended before it listened: {status}");
        }
        if signals.take().is_some() {
            return Ok(None);
        }
        if clock.now() > end {
            bail!("the --server command did not listen within {} s", LISTEN_TIME_MAX.as_secs());
        }
        clock::pause_thread(Duration::from_millis(10));
    }
    Ok(Some(server))
}

fn links_in_words() -> String {
    ways::PROFILES.iter().map(|profile| format!("{:<16} {}\n", profile.name, profile.is)).collect()
}

fn say_counts(wan: &Wan) {
    for (name, which) in [("to the server", Which::Up(0)), ("to the client", Which::Down(0))] {
        let WayCount {
            offered,
            delivered,
            lost,
            duplicated,
            reordered,
            queue_full,
            too_big,
            down,
            queued_us_max,
            ..
        } = wan.count(which);
        let mut said =
            format!("{name}: {} packets sent, {} arrived", text::count(offered), text::count(delivered));
        for (count, what) in [
            (lost, "lost"),
            (duplicated, "duplicated"),
            (reordered, "reordered"),
            (queue_full, "dropped by a full queue"),
            (too_big, "larger than the MTU"),
            (down, "lost while the link was cut"),
        ] {
            if count > 0 {
                said.push_str(&format!(", {} {what}", text::count(count)));
            }
        }
        if queued_us_max > 0 {
            said.push_str(&format!("; queued for at most {}", text::micros(queued_us_max as f64)));
        }
        say(&said);
    }
    let RouterCount { released, late_500_us, latest_us, no_link, refused, too_many, .. } =
        wan.take_router_count();
    if late_500_us > 0 {
        say(&format!(
            "the router was more than 0.5 ms late for {} of {} packets (at most {}): this machine is busy",
            text::count(late_500_us),
            text::count(released),
            text::micros(latest_us as f64)
        ));
    }
    for (count, what) in [
        (no_link, "were for an address outside the link"),
        (refused, "were refused by a host"),
        (too_many, "were dropped, because the router held too many"),
    ] {
        if count > 0 {
            say(&format!("{} packets {what}", text::count(count)));
        }
    }
}
