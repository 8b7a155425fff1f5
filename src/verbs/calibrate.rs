//! `calibrate`: what this machine measures, beside what is true.

use std::path::Path;

use anyhow::Context as _;
use lab::cores::Layout;
use lab::machine::Machine;
use proto::Protocol;

use crate::calibrate::{Calibration, Outcome, Row, Told, calibrate};
use crate::cli::{Ending, UsageError};
use crate::record::write_atomically;
use crate::scenario::Link;
use crate::text;

/// What `calibrate` takes.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Protocols (`wirebench list`), all if none is named.
    #[arg(value_name = "PROTOCOL", value_parser = parse_protocol)]
    protocols: Vec<Protocol>,
    /// Keep to this machine's own loopback interface, instead of a cable between two hosts.
    #[arg(long)]
    loopback: bool,
    /// As JSON, to stdout.
    #[arg(long)]
    json: bool,
    /// Measure although this is a debug build.
    #[arg(long)]
    allow_debug: bool,
}

/// For the estimate.
const SECONDS_A_PROTOCOL: u32 = 40;
/// Where the machine's own table is kept, for the footers of reports.
const KEPT: &str = "results/calibration.json";

/// Calibrates: 1 where something is out of its tolerance, 4 where the machine was too noisy to tell.
///
/// # Errors
/// Where a process or the network fails.
#[allow(clippy::print_stdout, reason = "the table is data")]
pub fn calibrate_machine(options: &Options) -> anyhow::Result<Ending> {
    // Before there is a second thread.
    lab::hosts::prepare();
    if cfg!(debug_assertions) && !options.allow_debug {
        let message =
            "a debug build would be calibrated, which is not what measures: use --release, or --allow-debug";
        return Err(UsageError(message.to_owned()).into());
    }
    let protocols =
        if options.protocols.is_empty() { Protocol::ALL.to_vec() } else { options.protocols.clone() };
    let machine = Machine::read();
    let layout = Layout::of(&machine.cores)?;
    for core in &layout.client {
        lab::cores::pin(*core).context("pinning the command to the clients' core")?;
    }
    let link = if options.loopback { Link::Loopback } else { Link::Cable };
    eprintln!("calibrating {} protocols, about {} s each", protocols.len(), SECONDS_A_PROTOCOL);
    let mut tell = |told: Told<'_>| match told {
        Told::Begins(protocol) => eprintln!("measuring what is known over {protocol} …"),
        Told::Row(row) if !options.json => println!("{}", line(row)),
        Told::Row(_) => {}
    };
    let calibration = calibrate(&protocols, &layout, name(&machine), &link, &mut tell)?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&calibration)?);
    }
    let whole = options.protocols.is_empty() && !cfg!(debug_assertions);
    if whole {
        std::fs::create_dir_all("results")?;
        write_atomically(Path::new(KEPT), &serde_json::to_vec_pretty(&calibration)?)?;
        eprintln!("kept in {KEPT}, and shown in the footers of reports from this machine");
    }
    Ok(ending(&calibration))
}

/// The kept calibration, if it is this machine's.
pub fn kept(machine: &Machine) -> Option<Calibration> {
    let calibration: Calibration = serde_json::from_slice(&std::fs::read(KEPT).ok()?).ok()?;
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
    let off = calibration.rows.iter().filter(|row| row.outcome == Outcome::Off).count();
    let noisy: Vec<&str> = calibration
        .rows
        .iter()
        .filter_map(|row| match &row.outcome {
            Outcome::TooNoisy(why) => Some(why.as_str()),
            _ => None,
        })
        .collect();
    let rows = calibration.rows.len();
    if off > 0 {
        eprintln!("{off} of {rows} comparisons are out of their tolerance");
        return Ending::Error;
    }
    if let Some(why) = noisy.first() {
        eprintln!("too noisy: {why} ({} of {rows} comparisons could not be made)", noisy.len());
        return Ending::Void;
    }
    eprintln!("all {rows} comparisons are within their tolerance");
    Ending::Fine
}

fn line(row: &Row) -> String {
    let [truth, measured, tolerance] =
        [row.truth, row.measured, row.tolerance].map(|value| row.unit.show(value));
    let uncertainty = row.uncertainty.map_or_else(String::new, |half| format!("(± {})", row.unit.show(half)));
    let outcome = match &row.outcome {
        Outcome::Within => "ok".to_owned(),
        Outcome::Off => "OFF".to_owned(),
        Outcome::TooNoisy(why) => format!("too noisy: {why}"),
    };
    format!(
        "{:<10}{:<48} true {truth:>9}  measured {measured:>9} {uncertainty:<13} allowed ± {tolerance:<9} n = {:<6} {outcome}",
        row.protocol,
        row.what,
        text::count(row.n)
    )
}

fn parse_protocol(name: &str) -> Result<Protocol, String> {
    Protocol::ALL.into_iter().find(|protocol| protocol.name() == name).ok_or_else(|| {
        format!("'{name}' is no protocol: there is {}", Protocol::ALL.map(Protocol::name).join(", "))
    })
}
