//! `calibrate`: what this machine measures, beside what is true.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use clock::Clock;
use lab::wan::Wan;
use proto::Protocol;
use record::calibration::{Accuracy, Calibration, CalibrationRow};
use record::{Tool, write_atomically};
use run::calibrate::{Told, calibrate};
use scenarios::did_you_mean;
use terms::{Layout, Link, Machine, text};

use crate::columns::wrapped;
use crate::ending::{Ending, refuse_debug};

/// What `calibrate` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Calibrate only these: protocols (`wirebench list`), or `link` for links with delay and loss.
    #[arg(value_name = "PROTOCOL|link", value_parser = parse_subject)]
    subjects: Vec<Subject>,
    /// Repeat for this long (default 10m), only `link` unless something is named.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, num_args = 0..=1,
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
#[allow(clippy::print_stdout, reason = "the table is data")]
pub(crate) fn calibrate_machine(options: &Options, tool: &Tool) -> anyhow::Result<Ending> {
    // Before there is a second thread.
    lab::hosts::prepare();
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
    let seconds = protocols.len() * SECONDS_A_PROTOCOL + usize::from(with_links) * SECONDS_OF_LINKS;
    let clock = Clock::System;
    let until = clock.now() + options.soak.unwrap_or_default();
    match options.soak {
        Some(span) => eprintln!("calibrating for {}; each repeat takes about {seconds} s", text::about(span)),
        None => eprintln!("calibrating; this takes about {seconds} s"),
    }
    let mut tell = |told: Told<'_>| match told {
        Told::Begins(protocol) => eprintln!("measuring {protocol} …"),
        Told::Row(row) if !options.json => print!("{}", lines(row)),
        Told::Row(_) => {}
    };
    let mut again =
        || calibrate(&protocols, &layout, name(&machine), tool.commit.clone(), &link, with_links, &mut tell);
    let mut calibration = again()?;
    while clock.now() < until {
        calibration.rows.extend(again()?.rows);
    }
    if options.json {
        println!("{}", serde_json::to_string_pretty(&calibration)?);
    }
    if whole && !tool.is_debug() {
        files::make_folder(Path::new("results"))?;
        write_atomically(Path::new(KEPT), &serde_json::to_vec_pretty(&calibration)?)?;
        eprintln!("saved in {KEPT}; reports from this machine show it in their footers");
    }
    Ok(ending(&calibration))
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
        eprintln!("{off} of {rows} comparisons are out of their tolerance");
        return Ending::Error;
    }
    if let Some(why) = noisy.first() {
        eprintln!("the machine was too noisy: {why} ({} of {rows} comparisons not made)", noisy.len());
        return Ending::Void;
    }
    eprintln!("all {rows} comparisons are within their tolerance");
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
