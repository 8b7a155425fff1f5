//! `calibrate`: what this machine measures, beside what is true.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use clock::Clock;
use lab::wan::Wan;
use proto::Protocol;
use record::calibration::{Accuracy, Calibration, CalibrationRow};
use record::{Tool, write_atomically};
use run::calibrate::{Calibrating, Told, calibrate};
use scenarios::did_you_mean;
use terms::{Layout, Link, Machine, text};

use crate::columns::wrapped;
use crate::ending::{Ending, UsageError, print_data, refuse_debug, say, say_error};
use crate::folder;
use crate::signals::stop_on_signals;

/// What `calibrate` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Calibrate only these: protocols (`wirebench list`), or `link` for links with delay and loss.
    #[arg(value_name = "PROTOCOL|link", value_parser = parse_subject)]
    subjects: Vec<Subject>,
    /// Repeat for this long (default 10m), only `link` unless something is named.
    #[arg(long, value_name = "TIME", value_parser = parse_span, num_args = 0..=1,
          default_missing_value = "10min", require_equals = true)]
    soak: Option<Duration>,
    /// Use this machine's loopback interface, instead of a cable between two hosts.
    #[arg(long)]
    loopback: bool,
    /// Print the comparisons as JSON to stdout.
    #[arg(short, long)]
    json: bool,
    /// Measure with a debug build.
    #[arg(long)]
    allow_debug: bool,
}

const EXAMPLES: &str = "\
Examples:
  wirebench calibrate
  wirebench calibrate rest grpc --loopback
  wirebench calibrate link --soak=30m";

/// What can be calibrated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Protocol(Protocol),
    Link,
}

/// The longest time for which it is repeated.
const SOAK_MAX: Duration = Duration::from_secs(7 * 24 * 3_600);
/// For the estimate.
const SECONDS_A_PROTOCOL: usize = 40;
const SECONDS_OF_LINKS: usize = 12;
/// Where the machine's own table is kept, for the footers of reports.
const KEPT: &str = "results/calibration.json";

/// Calibrates: 1 where something is out of its tolerance, 4 where the machine was too noisy to
/// tell.
///
/// # Errors
/// Where a process or the network fails.
pub(crate) fn calibrate_machine(options: &Options, tool: &Tool) -> anyhow::Result<Ending> {
    // Before there is a second thread.
    lab::hosts::prepare();
    if options.loopback && options.subjects == [Subject::Link] {
        let message = "--loopback is of protocols, and a link is between two hosts: leave it out";
        return Err(UsageError(message.to_owned()).into());
    }
    refuse_debug(tool, options.allow_debug)?;
    let soaked = options.soak.is_some() && options.subjects.is_empty();
    let subjects = if soaked { &[Subject::Link] } else { &options.subjects[..] };
    let whole = subjects.is_empty();
    let protocols =
        Protocol::ALL.into_iter().filter(|of| whole || subjects.contains(&Subject::Protocol(*of)));
    let protocols: Vec<Protocol> = protocols.collect();
    let machine = lab::machine::read();
    let layout = Layout::of(&machine.cores)?;
    for core in &layout.client {
        lab::cores::pin(*core).context("cannot run on the clients' core")?;
    }
    // Of everything, what the machine does not allow is left out, and `doctor` says why.
    let with_links = match Wan::build(1, &[], 1) {
        Ok(_) => whole && !options.loopback || subjects.contains(&Subject::Link),
        Err(error) if subjects.contains(&Subject::Link) => return Err(error.into()),
        Err(_) => false,
    };
    let link = if options.loopback { Link::Loopback } else { Link::Cable };
    let is_kept = whole && !tool.is_debug();
    if is_kept {
        // Tried before minutes of measuring.
        folder::try_write(Path::new(KEPT))?;
    }
    let stop = stop_on_signals()?;
    let seconds = protocols.len() * SECONDS_A_PROTOCOL + usize::from(with_links) * SECONDS_OF_LINKS;
    let clock = Clock::System;
    let until = clock.now() + options.soak.unwrap_or_default();
    match options.soak {
        Some(span) => {
            say(&format!("calibrating for {}; each repeat takes about {seconds} s", text::about(span)));
        }
        None => say(&format!("calibrating; this takes about {seconds} s")),
    }
    let mut printed = Ok(());
    let mut tell = |told: Told<'_>| match told {
        Told::Begins(protocol) => say(&format!("measuring {protocol} …")),
        // Once it could not be printed it is not tried again: somebody would get pieces.
        Told::Row(row) if !options.json && printed.is_ok() => printed = print_data(&lines(row)),
        Told::Row(_) => {}
    };
    let asked = Calibrating {
        protocols: &protocols,
        with_links,
        layout: &layout,
        machine: name(&machine),
        commit: tool.commit.clone(),
        link: &link,
        stop: &stop,
    };
    let is_stopped = || stop.load(Ordering::Relaxed);
    let mut calibration = calibrate(&asked, &mut tell)?;
    while clock.now() < until && !is_stopped() {
        calibration.rows.extend(calibrate(&asked, &mut tell)?.rows);
    }
    if options.json {
        printed = print_data(&format!("{}\n", serde_json::to_string_pretty(&calibration)?));
    }
    if is_stopped() {
        say(&format!(
            "stopped: {} comparisons were made and printed; nothing is saved",
            calibration.rows.len()
        ));
        return Ok(Ending::Interrupted.printed(printed));
    }
    if is_kept {
        match write_atomically(Path::new(KEPT), &serde_json::to_vec_pretty(&calibration)?) {
            Ok(()) => say(&format!("saved in {KEPT}; reports from this machine show it in their footers")),
            // What was measured is printed.
            Err(error) => say_error(&anyhow::Error::from(error).context(format!("cannot write {KEPT}"))),
        }
    }
    Ok(ending(&calibration).printed(printed))
}

/// The kept calibration, if it is this machine's.
pub(crate) fn kept(machine: &Machine) -> Option<Calibration> {
    let calibration = record::calibration::read(Path::new(KEPT)).ok()?;
    (calibration.machine == name(machine)).then_some(calibration)
}

fn name(machine: &Machine) -> String {
    let unknown = || "unknown".to_owned();
    format!(
        "{}, {} cores, Linux {}",
        machine.cpu_model.clone().unwrap_or_else(unknown),
        machine.cores.len(),
        machine.kernel.clone().unwrap_or_else(unknown)
    )
}

fn ending(calibration: &Calibration) -> Ending {
    let off = calibration.rows.iter().filter(|row| row.outcome == Accuracy::Off).count();
    let noisy: Vec<&str> = calibration
        .rows
        .iter()
        .filter_map(|row| match &row.outcome {
            Accuracy::TooNoisy(why) => Some(why.as_str()),
            _ => None,
        })
        .collect();
    let rows = calibration.rows.len();
    if off > 0 {
        say(&format!("{off} of {rows} comparisons are out of their tolerance"));
        return Ending::Error;
    }
    if let Some(why) = noisy.first() {
        say(&format!("the machine was too noisy: {why} ({} of {rows} comparisons not made)", noisy.len()));
        return Ending::Void;
    }
    say(&format!("all {rows} comparisons are within their tolerance"));
    Ending::Fine
}

/// What was measured and what came of it, and the figures below.
fn lines(row: &CalibrationRow) -> String {
    let [truth, measured, tolerance] =
        [row.truth, row.measured, row.tolerance].map(|value| row.unit.show(value));
    let uncertainty = row.uncertainty.map_or_else(String::new, |half| format!(" ± {}", row.unit.show(half)));
    let outcome = match &row.outcome {
        Accuracy::Within => "ok".to_owned(),
        Accuracy::Off => "OFF".to_owned(),
        Accuracy::TooNoisy(why) => format!("too noisy: {why}"),
    };
    let n = text::count(row.n);
    let what = wrapped(&format!("{:<14}", row.protocol), &format!("{}: {outcome}", row.what));
    let figures = format!("true {truth}, measured {measured}{uncertainty}, allowed ± {tolerance}, n = {n}");
    what + &wrapped("              ", &figures)
}

/// Reads how long it is repeated.
fn parse_span(text: &str) -> Result<Duration, String> {
    let span = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    match span {
        Duration::ZERO => Err("the time must be greater than 0, such as 10min".to_owned()),
        _ if span > SOAK_MAX => Err("write a time of at most a week".to_owned()),
        _ => Ok(span),
    }
}

fn parse_subject(name: &str) -> Result<Subject, String> {
    if name == "link" {
        return Ok(Subject::Link);
    }
    let known = Protocol::ALL.into_iter().find(|protocol| protocol.name() == name);
    known.map(Subject::Protocol).ok_or_else(|| {
        let names: Vec<&str> = Protocol::ALL.map(Protocol::name).into_iter().chain(["link"]).collect();
        did_you_mean(name, &names)
    })
}
