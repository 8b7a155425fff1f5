//! `run`: scenarios from question to report.

mod dry_run;
mod session;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;
use matrices::MatrixScenario;
use record::{Record, Tool};
use report::{Done, Format};
use scenarios::{Plan, PlanOptions, Scenario};
use session::Session;
use terms::escape::terminal_text;
use terms::{Act, Expression, Extent, Layout, Link};

use crate::ending::{Ending, UsageError, print_data, refuse_debug, say};
use crate::folder::ResultsFolder;
use crate::signals::stop_on_signals;
use crate::verbs::compare::{self, CompareFormat, Comparing};
use crate::verbs::expressions::threshold;
use crate::verbs::formats::formats;

/// Bytes of results without any measurement, roughly: pages and what stands around the figures.
const BYTES_AT_LEAST: u64 = 1 << 20;
/// Bytes that a measurement takes in journal and record together, roughly: 2 to 7 kB in each of the
/// published ones.
const BYTES_A_MEASUREMENT: u64 = 16 << 10;

/// What `run` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Run these scenarios: built-in ones by name (`wirebench list`), or files ending in .toml.
    #[arg(required_unless_present_any = ["all", "card"], value_name = "NAME|FILE.toml")]
    scenarios: Vec<String>,
    /// Run every built-in scenario.
    #[arg(long, conflicts_with = "scenarios", help_heading = WHAT)]
    all: bool,
    /// Run every scenario of the card and write the card's page. A scenario that this machine
    /// cannot run is skipped with its reason.
    #[arg(long, conflicts_with_all = ["scenarios", "all"], help_heading = WHAT)]
    card: bool,
    /// Run only this contender; can be repeated.
    #[arg(long, value_name = "CONTENDER", help_heading = WHAT)]
    only: Vec<String>,
    /// Change a value of the scenario, such as workload.rate_per_s=500; can be repeated.
    #[arg(long, value_name = "KEY=VALUE", help_heading = WHAT)]
    set: Vec<String>,
    /// Run the scenario's `[quick]` profile: short rounds, and often fewer conditions and
    /// contenders.
    #[arg(long, conflicts_with = "full", help_heading = AMOUNT)]
    quick: bool,
    /// Run the `[full]` profile: every condition, with long rounds.
    #[arg(long, help_heading = AMOUNT)]
    full: bool,
    /// Set the number of rounds. A verdict needs 10.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000), help_heading = AMOUNT)]
    rounds: Option<u32>,
    /// Search for the highest rate of each contender, where the scenario says how (included in
    /// --full).
    #[arg(long, help_heading = AMOUNT)]
    capacity: bool,
    /// Seed the order of measurements and the arrivals (1 by default).
    #[arg(long, value_name = "N", help_heading = AMOUNT)]
    seed: Option<u64>,
    /// Print the plan, what of it can be judged and its time, and measure nothing.
    #[arg(long, help_heading = PLAN)]
    dry_run: bool,
    /// Print the order of the measurements too (with --dry-run).
    #[arg(short, long, requires = "dry_run", help_heading = PLAN)]
    verbose: bool,
    /// Write the results to this folder, instead of results/TIME.
    #[arg(short, long, value_name = "DIR", help_heading = OUTPUT)]
    out: Option<PathBuf>,
    /// Resume an interrupted run in its folder. Scenarios, rounds and acts that it finished by the
    /// same plan are kept.
    #[arg(long, value_name = "DIR", conflicts_with = "out", help_heading = OUTPUT)]
    resume: Option<PathBuf>,
    /// Print each record as one line of JSON to stdout.
    #[arg(short, long, help_heading = OUTPUT)]
    json: bool,
    /// Export every measurement in this format too, beside each record (hlog: HdrHistogram's log).
    #[arg(long, value_name = "FORMAT", value_parser = formats(), help_heading = OUTPUT)]
    export: Option<Format>,
    /// Capture every packet that crosses the link in packets.pcap (up to 1 GB), for Wireshark. The
    /// scenario needs a link with delay, loss or a rate.
    #[arg(long, help_heading = OUTPUT)]
    pcap: bool,
    /// Compare with this record, folder or named baseline afterwards.
    #[arg(long, value_name = "RECORD", help_heading = COMPARISON)]
    baseline: Option<String>,
    /// Save each record as a repeat of this baseline, in results/baselines/.
    #[arg(long, value_name = "NAME", value_parser = parse_name, help_heading = COMPARISON)]
    save_baseline: Option<String>,
    /// Exit with 3 if this is true of the whole interval of any cell, such as 'response.p99 > 10%'
    /// (needs --baseline).
    #[arg(long, value_name = "EXPR", value_parser = threshold, requires = "baseline", help_heading = COMPARISON)]
    fail_on: Vec<Expression>,
    /// Count measurements that something else on this machine disturbed (a late load engine, steal,
    /// other processes). The record says so.
    #[arg(long, help_heading = TRUST)]
    accept_noise: bool,
    /// Measure with a debug build. The record says so.
    #[arg(long, help_heading = TRUST)]
    allow_debug: bool,
}

const WHAT: &str = "What to run";
const AMOUNT: &str = "How much";
const PLAN: &str = "Plan";
const OUTPUT: &str = "Output";
const COMPARISON: &str = "Comparison";
const TRUST: &str = "Noise and builds";

const EXAMPLES: &str = "\
Examples:
  wirebench run rest-vs-grpc --quick            # one condition, short rounds
  wirebench run rest-vs-grpc --full --dry-run   # the plan and its time
  wirebench run my-question.toml -o results/mine
  wirebench run push --set workload.rate_per_s=100 --only sse
  wirebench run rest-vs-grpc --baseline main --fail-on 'cpu_per_call > 10%'
  wirebench run --card --resume results/card    # go on where it stopped";

/// Runs.
///
/// # Errors
/// Where a scenario is broken, a process fails (what was measured until then is kept), or the
/// results cannot be written.
pub(crate) fn run(options: &Options, tool: &Tool) -> anyhow::Result<Ending> {
    // Before there is a second thread.
    lab::hosts::prepare();
    let matrices = matrices(options)?;
    let scenarios = scenarios(options)?;
    let plans = scenarios
        .iter()
        .map(|scenario| Plan::make(scenario, &plan_options(options)).map_err(UsageError))
        .collect::<Result<Vec<_>, _>>()?;
    suits(options, &matrices, &scenarios)?;
    // Read before hours of measuring.
    let baseline = options.baseline.as_deref().map(read_baseline).transpose()?;
    if options.dry_run {
        let planned: Vec<(&Scenario, &Plan)> = scenarios.iter().zip(&plans).collect();
        print_data(&terminal_text(&dry_run::in_words(&matrices, &planned, options.verbose)))?;
        return Ok(Ending::Fine);
    }
    // A matrix measures no time.
    refuse_debug(tool, options.allow_debug || scenarios.is_empty())?;
    if let Some(name) = &options.save_baseline {
        compare::try_baseline(name)?;
    }
    let session = Session {
        options,
        stop: stop_on_signals()?,
        folder: ResultsFolder::create(options.out.as_deref().or(options.resume.as_deref()), options.card)?,
        // Read before this process pins itself: what is allowed is what was inherited.
        environment: lab::machine::read(),
        tool,
    };
    let measurements: usize = plans.iter().map(Plan::measurements).sum();
    session.folder.try_out(BYTES_AT_LEAST + BYTES_A_MEASUREMENT * measurements as u64)?;
    let mut done = Done::default();
    // Before this process pins itself: they have clients of their own to start.
    if let Err(error) = session.fill(&matrices, &mut done) {
        return session.ended_by(error);
    }
    if scenarios.is_empty() {
        say(&format!("report: {}", session.folder.finish(&done)?.display()));
        return Ok(Ending::Fine);
    }
    let layout = Layout::of(&session.environment.cores)?;
    for core in &layout.client {
        lab::cores::pin(*core).context("cannot run on the clients' core")?;
    }
    let names = names(options)?;
    for ((scenario, plan), named) in scenarios.iter().zip(&plans).zip(&names) {
        match session.one(named, scenario, plan, &layout) {
            // What there is of it lies in its folder, marked partial; the others of the card do not
            // go with it.
            Ok((_, Err(error))) if options.card && !session.is_told_to_stop() => {
                session.refused(&scenario.name, error, &mut done)?;
            }
            Ok((record, ended)) => {
                let partial = record.partial;
                done.records.push(record);
                if partial {
                    session.stopped(&done)?;
                    return ended.map_or_else(|error| session.ended_by(error), |()| Ok(Ending::Interrupted));
                }
            }
            Err(error) => {
                if let Err(error) = session.refused(&scenario.name, error, &mut done) {
                    return session.ended_by(error);
                }
            }
        }
        session.folder.finish(&done)?;
    }
    let index = session.folder.finish(&done)?;
    say(&format!("report: {}", index.display()));
    let records = done.records;
    let nothing = |record: &&Record| {
        let mut merged = record.cells.iter().filter_map(|cell| cell.merged.as_ref()).peekable();
        merged.peek().is_some() && merged.all(|merged| merged.counts.all_failed())
    };
    let in_vain: Vec<&str> = records.iter().filter(nothing).map(|record| &record.scenario.name[..]).collect();
    if !in_vain.is_empty() {
        say(&format!(
            "warning: no call of {} succeeded: it measures failures, and no times",
            in_vain.join(", ")
        ));
    }
    let void = records.iter().any(|record| record.void.is_some());
    if let Some(name) = &options.save_baseline {
        for record in records.iter().filter(|record| record.void.is_none()) {
            say(&format!("baseline: {}", compare::save_baseline(name, record)?.display()));
        }
    }
    if let Some(old) = baseline {
        let mut comparing = Comparing::new(&options.fail_on, false);
        for record in &records {
            if let Some(old) = old.get(&record.scenario.name) {
                comparing.add(&record.scenario.name, old, std::slice::from_ref(record))?;
            }
        }
        let old: Vec<&str> = old.keys().map(String::as_str).collect();
        let new: Vec<&str> = records.iter().map(|record| &record.scenario.name[..]).collect();
        let judged = comparing.finish(CompareFormat::Text, (&old.join(", "), &new.join(", ")))?;
        return Ok(if void { Ending::Void } else { judged });
    }
    Ok(match (void, done.refused.is_empty()) {
        (_, false) => Ending::Error,
        (true, true) => Ending::Void,
        (false, true) => Ending::Fine,
    })
}

/// The records of a baseline by their scenario: as they are now, whatever the run writes over them.
fn read_baseline(names: &str) -> anyhow::Result<BTreeMap<String, Vec<Record>>> {
    let side = compare::side(names)?;
    side.into_iter().map(|(scenario, files)| Ok((scenario, compare::load(&files)?))).collect()
}

fn parse_name(name: &str) -> Result<String, String> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    let right = !name.starts_with('.') && !name.is_empty() && name.chars().all(plain);
    if right {
        Ok(name.to_owned())
    } else {
        Err("a name may only have a-z, A-Z, 0-9, -, _ and ., because it becomes the name of a folder"
            .to_owned())
    }
}

/// The matrices among what was named.
fn matrices(options: &Options) -> anyhow::Result<Vec<MatrixScenario>> {
    if options.all || options.card {
        return Ok(MatrixScenario::built_in()?);
    }
    let named = options.scenarios.iter().enumerate();
    let once = named.filter(|(nth, name)| !options.scenarios[..*nth].contains(name));
    let found = once.map(|(_, name)| MatrixScenario::find(name)).collect::<Result<Vec<_>, _>>()?;
    Ok(found.into_iter().flatten().collect())
}

/// Refuses options that would do nothing with what was named.
fn suits(options: &Options, matrices: &[MatrixScenario], scenarios: &[Scenario]) -> Result<(), UsageError> {
    let refuse = |message: String| Err(UsageError(message));
    let named = !options.all && !options.card;
    if let (Some(matrix), false) = (matrices.first(), options.set.is_empty()) {
        return refuse(format!("--set: {} is a matrix, which has no values to set", matrix.name));
    }
    if let (Some(matrix), true) = (matrices.first(), named && scenarios.is_empty()) {
        let of_measurements = [
            ("--only", !options.only.is_empty()),
            ("--quick", options.quick),
            ("--full", options.full),
            ("--rounds", options.rounds.is_some()),
            ("--capacity", options.capacity),
            ("--seed", options.seed.is_some()),
            ("--verbose", options.verbose),
            ("--resume", options.resume.is_some()),
            ("--export", options.export.is_some()),
            ("--pcap", options.pcap),
            ("--baseline", options.baseline.is_some()),
            ("--save-baseline", options.save_baseline.is_some()),
            ("--accept-noise", options.accept_noise),
        ];
        let does_nothing = of_measurements.into_iter().find_map(|(option, given)| given.then_some(option));
        if let Some(option) = does_nothing {
            let name = &matrix.name;
            return refuse(format!("{option}: {name} is a matrix, which measures no time: leave it out"));
        }
    }
    let searches = |of: &Scenario| of.acts.iter().any(|act| matches!(act, Act::Capacity(_)));
    if options.capacity && !scenarios.iter().any(searches) {
        let what = "write a [capacity] table with an objective, or leave it out";
        return refuse(format!("--capacity: no scenario that was named has one: {what}"));
    }
    if let Some(scenario) = scenarios.iter().find(|of| options.pcap && !matches!(of.link, Link::Wan(_))) {
        let (name, link) = (&scenario.name, scenario.link.name());
        return refuse(format!(
            "--pcap needs a scenario over a link with delay, loss or a rate; {name} uses {link}"
        ));
    }
    match options.resume.as_ref().filter(|folder| !folder.is_dir()) {
        Some(folder) => refuse(format!("--resume {}: no such folder", folder.display())),
        None => Ok(()),
    }
}

/// What is measured, as it is named: built-in scenarios, and files.
fn names(options: &Options) -> anyhow::Result<Vec<String>> {
    if options.card {
        return report::card_scenarios();
    }
    if options.all {
        return Ok(Scenario::built_in()?.into_iter().map(|scenario| scenario.name).collect());
    }
    let is_matrix = |name: &&String| !matches!(MatrixScenario::find(name), Ok(None));
    Ok(options.scenarios.iter().filter(|name| !is_matrix(name)).cloned().collect())
}

fn scenarios(options: &Options) -> anyhow::Result<Vec<Scenario>> {
    let named = names(options)?;
    let scenarios: Vec<Scenario> =
        named.iter().map(|name| Scenario::find(name, &options.set)).collect::<Result<_, _>>()?;
    for (nth, scenario) in scenarios.iter().enumerate() {
        if scenarios[..nth].iter().any(|earlier| earlier.name == scenario.name) {
            return Err(UsageError(format!(
                "two scenarios have the name {}: run one at a time",
                scenario.name
            ))
            .into());
        }
    }
    Ok(scenarios)
}

fn plan_options(options: &Options) -> PlanOptions {
    let extent = match (options.quick, options.full) {
        (true, _) => Extent::Quick,
        (_, true) => Extent::Full,
        _ => Extent::Standard,
    };
    PlanOptions {
        extent,
        rounds: options.rounds,
        seed: options.seed.unwrap_or(1),
        only: options.only.clone(),
        accept_noise: options.accept_noise,
        capacity: options.capacity,
    }
}
