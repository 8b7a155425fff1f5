//! `load --listen`: how many listeners a server holds, and what it sends them.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::bail;
use clients::foreign::Request;
use clients::foreign::listen::{Feed, Listened, Listeners, Listening};
use indicatif::ProgressBar;
use serde::Serialize;
use terms::text::{self, count};

use super::cores::Cores;
use super::options::Options;
use super::{Load, endpoint, outcome};
use crate::ending::{Ending, UsageError, print_data, say};

/// How often the terminal is told how it is going.
const SHOWN_EVERY: Duration = Duration::from_millis(250);

/// The object that `--json` prints.
#[derive(Debug, Serialize)]
struct ListenReport {
    target: String,
    address: String,
    connections: u32,
    /// Connections that were opened.
    opened: u64,
    open_at_end: u64,
    /// Connections that could not be opened, and that were lost, by kind.
    refused: std::collections::BTreeMap<&'static str, u64>,
    lost: std::collections::BTreeMap<&'static str, u64>,
    samples: std::collections::BTreeMap<&'static str, String>,
    opening_s: f64,
    duration_s: f64,
    interrupted: bool,
    messages: u64,
    messages_per_s: f64,
    bytes: u64,
    /// Of this client, for each open connection.
    client_memory_bytes_per_connection: u64,
}

/// Listens.
///
/// # Errors
/// Where no connection can be opened.
pub(super) fn listen(load: &Load<'_>) -> anyhow::Result<Ending> {
    let options = load.options;
    let feed = feed(options, &load.request)?;
    let cores = Cores::of(options)?;
    let address = load.addresses[0];
    let shown = match &options.unix_socket {
        Some(path) => path.display().to_string(),
        None => address.to_string(),
    };
    let workers = cores.cores.len().clamp(1, options.connections as usize);
    let live: Arc<Listening> = Arc::default();
    let done = AtomicBool::new(false);
    let before = lab::meter::process_memory(std::process::id())?;
    let started = Listeners {
        endpoint: endpoint(options, load.tls.clone(), address),
        feed,
        connections: options.connections as usize,
        opening_time: options.connect_time_out(),
        duration: options.duration(),
    };
    let (heard, most) = std::thread::scope(|scope| {
        let running: Vec<_> = (0..workers)
            .map(|nth| {
                let connections =
                    started.connections / workers + usize::from(nth < started.connections % workers);
                let listeners = Listeners { connections, ..started.clone() };
                let (core, live) = (cores.cores[nth], &live);
                let pinned = cores.pinned;
                scope.spawn(move || {
                    if pinned {
                        lab::cores::pin(core)?;
                    }
                    listeners.listen(live)
                })
            })
            .collect();
        let watching = scope.spawn(|| watch(load, &live, &done));
        let parts: Vec<_> = running.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Relaxed);
        watching.thread().unpark();
        let most = watching.join().unwrap_or_default();
        let mut heard = Listened::default();
        for part in parts {
            match part {
                Ok(Ok(part)) => heard.merge(&part),
                Ok(Err(error)) => return Err(anyhow::Error::from(error)),
                Err(_) => bail!("a worker ended unexpectedly"),
            }
        }
        Ok((heard, most))
    })?;
    let interrupted = load.stop.load(Ordering::Relaxed);
    let report = ListenReport {
        target: outcome::without_password(&options.target),
        address: shown.clone(),
        connections: options.connections,
        opened: heard.opened,
        open_at_end: heard.open_at_end,
        refused: heard.refused.iter().map(|(kind, count)| (kind.name(), *count)).collect(),
        lost: heard.lost.iter().map(|(kind, count)| (kind.name(), *count)).collect(),
        samples: heard.samples.iter().map(|(kind, text)| (kind.name(), text.clone())).collect(),
        opening_s: heard.opening.as_secs_f64(),
        duration_s: heard.measured.as_secs_f64(),
        interrupted,
        messages: heard.messages,
        messages_per_s: heard.messages as f64 / heard.measured.as_secs_f64().max(f64::MIN_POSITIVE),
        bytes: heard.bytes,
        client_memory_bytes_per_connection: most.saturating_sub(before) / heard.opened.max(1),
    };
    let text = if options.json { serde_json::to_string(&report)? + "\n" } else { in_words(&report) };
    print_data(&text)?;
    match report.samples.values().next() {
        _ if interrupted => Ok(Ending::Interrupted),
        sample if report.opened == 0 => {
            bail!("no connection to {shown}: {}", sample.cloned().unwrap_or_default())
        }
        sample if report.messages == 0 && report.open_at_end == 0 => {
            let why = sample.map(|sample| format!(": {sample}")).unwrap_or_default();
            bail!("all {} connections were lost before a message came{why}", report.opened)
        }
        _ => Ok(Ending::Fine),
    }
}

/// What is listened to, of what would be sent.
fn feed(options: &Options, request: &Request) -> Result<Feed, UsageError> {
    match request {
        Request::WebSocket { path, headers, messages, .. } => Ok(Feed::WebSocket {
            path: path.clone(),
            headers: headers.clone(),
            first: messages
                .first()
                .filter(|_| options.body.is_some() || options.body_file.is_some())
                .cloned(),
        }),
        Request::Http { version, requests, .. } => match requests.first() {
            Some(request) => {
                let mut request = request.clone();
                let events = http::HeaderValue::from_static("text/event-stream");
                request.headers.entry(http::header::ACCEPT).or_insert(events);
                Ok(Feed::Events(*version, request))
            }
            None => Err(UsageError("there is no request to listen to".to_owned())),
        },
        _ => Err(UsageError("--listen needs a target of ws://, wss://, http:// or https://".to_owned())),
    }
}

/// Shows what is going on and passes signals on; says the most memory that this process had.
fn watch(load: &Load<'_>, live: &Listening, done: &AtomicBool) -> u64 {
    let terminal = std::io::stderr().is_terminal();
    let bar = terminal.then(ProgressBar::new_spinner);
    if !terminal {
        say(&format!(
            "opening {} listeners on {} …",
            count(load.options.connections.into()),
            load.options.target
        ));
    }
    let mut most = 0;
    while !done.load(Ordering::Relaxed) {
        if load.stop.load(Ordering::Relaxed) {
            live.stop.store(true, Ordering::Relaxed);
        }
        most = most.max(lab::meter::process_memory(std::process::id()).unwrap_or_default());
        if let Some(bar) = &bar {
            let (open, messages) = (live.open.load(Ordering::Relaxed), live.messages.load(Ordering::Relaxed));
            bar.set_message(format!(
                "{} of {} open · {} messages",
                count(open),
                count(load.options.connections.into()),
                count(messages)
            ));
            bar.tick();
        }
        std::thread::park_timeout(SHOWN_EVERY);
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    most
}

fn in_words(report: &ListenReport) -> String {
    let time = |seconds: f64| text::micros(seconds * 1e6);
    let mut out = format!(
        "{} of {} connections opened in {}; {} open after {}\n{} messages, {}/s, {} bytes; {} KiB of this client's \
         memory a connection\n",
        report.opened,
        report.connections,
        time(report.opening_s),
        report.open_at_end,
        time(report.duration_s),
        report.messages,
        text::three_digits(report.messages_per_s),
        report.bytes,
        report.client_memory_bytes_per_connection >> 10,
    );
    for (what, counts) in [("not opened", &report.refused), ("lost", &report.lost)] {
        for (kind, count) in counts {
            let sample = report.samples.get(kind).map(|sample| format!(": {sample}")).unwrap_or_default();
            out += &format!("  {count} {what}, {kind}{sample}\n");
        }
    }
    out
}
