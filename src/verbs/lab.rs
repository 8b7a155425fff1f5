//! `lab`: any program between two hosts, over a link.

use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clock::Clock;
use lab::guest::Guest;
use lab::hosts::Host;
use lab::wan::{RouterCount, Wan, Which};
use scenarios::with_suggestion;
use terms::ways::{self, WaysError};
use terms::{WayCount, text};

use crate::ending::{Ending, UsageError};

/// What `lab` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Use this link: a name (`wirebench lab --links`) and changes to it, such as 'ny-london
    /// loss=1% down.rate=20Mbit/s'.
    #[arg(required_unless_present = "links")]
    link: Option<String>,
    /// List the named links.
    #[arg(long)]
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
    /// the same seed.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
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

/// Time for a server to listen.
const LISTEN_TIME_MAX: Duration = Duration::from_secs(10);

/// Runs a command on one host of a link, and perhaps a server on the other; ends as the command
/// does.
///
/// # Errors
/// Where the link is none, or the system allows no hosts.
pub(crate) fn lab(options: &Options) -> anyhow::Result<Ending> {
    if options.links {
        print_links();
        return Ok(Ending::Fine);
    }
    // Before there is a second thread.
    lab::hosts::prepare();
    let text = options.link.as_deref().unwrap_or_default();
    let link = ways::parse(text, None).map_err(|error| wrong("LINK", &error))?;
    let changes = ways::parse_changes(&options.at, link).map_err(|error| wrong("--at", &error))?;
    let wan = Wan::between(link, options.seed).context("cannot make the two hosts of the link")?;
    let host = |place| wan.host(place).context("one of the two hosts is missing");
    if let Some(file) = &options.pcap {
        wan.capture(0, file).with_context(|| format!("cannot write {}", file.display()))?;
    }
    // Ctrl-C is the command's, whose end is waited for.
    let interrupted = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(&interrupted))?;
    let environment = [
        ("WIREBENCH_SERVER", Wan::address(Wan::SERVER).to_string()),
        ("WIREBENCH_CLIENT", Wan::address(Wan::CLIENT).to_string()),
    ];
    let server = options
        .server
        .as_ref()
        .map(|command| start_server(host(Wan::SERVER)?, command, &environment, &interrupted))
        .transpose()?;
    let start = Clock::System.now();
    wan.change(changes.into_iter().map(|(after, link)| (start + after, 0, link)));
    let words: Vec<String> = options.command.iter().map(|word| fill_in(word)).collect();
    let status = Guest::start(host(Wan::CLIENT)?, &words, &environment, true)?.wait()?;
    drop(server);
    say_counts(&wan);
    Ok(ending(status))
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

fn start_server(
    host: &Host,
    command: &str,
    environment: &[(&str, String)],
    interrupted: &AtomicBool,
) -> anyhow::Result<Guest> {
    let words = ["sh", "-c", &fill_in(command)].map(str::to_owned);
    let mut server = Guest::start(host, &words, environment, false)?;
    let clock = Clock::System;
    let end = clock.now() + LISTEN_TIME_MAX;
    while !server.listens() {
        if let Some(status) = server.ended()? {
            bail!("the --server command ended before it listened: {status}");
        }
        if interrupted.load(Ordering::Relaxed) {
            bail!("stopped before the --server command listened");
        }
        if clock.now() > end {
            bail!("the --server command did not listen within {} s", LISTEN_TIME_MAX.as_secs());
        }
        clock::pause_thread(Duration::from_millis(10));
    }
    Ok(server)
}

#[allow(clippy::print_stdout, reason = "the list is data")]
fn print_links() {
    for profile in &ways::PROFILES {
        println!("{:<16} {}", profile.name, profile.is);
    }
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
        eprintln!("{said}");
    }
    let RouterCount { released, late_500_us, latest_us, no_link, refused, too_many, .. } =
        wan.take_router_count();
    if late_500_us > 0 {
        eprintln!(
            "the router was more than 0.5 ms late for {} of {} packets (at most {}): this machine is busy",
            text::count(late_500_us),
            text::count(released),
            text::micros(latest_us as f64)
        );
    }
    for (count, what) in [
        (no_link, "were for an address outside the link"),
        (refused, "were refused by a host"),
        (too_many, "were dropped, because the router held too many"),
    ] {
        if count > 0 {
            eprintln!("{} packets {what}", text::count(count));
        }
    }
}
