//! `run`: scenarios from question to report.

mod session;

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use matrices::MatrixScenario;
use record::Tool;
use report::{Done, Format};
use scenarios::{Plan, PlanOptions, Scenario};
use session::Session;
use terms::escape::terminal_text;
use terms::{Expression, Extent, Layout, Link, text};

use crate::ending::{Ending, UsageError, print_data, refuse_debug, say};
use crate::folder::ResultsFolder;
use crate::signals::stop_on_signals;
use crate::verbs::compare;
use crate::verbs::formats::formats;

/// Bytes of results without any measurement, roughly: pages and what stands around the figures.
const BYTES_AT_LEAST: u64 = 1 << 20;
/// Bytes that a measurement takes in journal and record together, roughly: 2 to 7 kB in each of the
/// published ones.
const BYTES_A_MEASUREMENT: u64 = 16 << 10;

/// What `run` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Names of built-in scenarios (`wirebench list`), or files ending in .toml.
    #[arg(required_unless_present_any = ["all", "card"], value_name = "NAME|FILE.toml")]
    scenarios: Vec<String>,
    /// Every built-in scenario.
    #[arg(long, conflicts_with = "scenarios")]
    all: bool,
    /// Every scenario that tests a line of the card, in the card's order, and the card's page. A
    /// scenario that this machine refuses is told there and does not end the run.
    #[arg(long, conflicts_with_all = ["scenarios", "all"])]
    card: bool,
    /// Go on with a run that ended before its time, in its folder: scenarios, rounds and acts that
    /// it finished by the same plan are kept.
    #[arg(long, value_name = "DIR", conflicts_with = "out")]
    resume: Option<PathBuf>,
    /// The primary condition, briefly.
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// Every condition, at length.
    #[arg(long)]
    full: bool,
    /// Rounds, instead of the scenario's. A verdict needs 10.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: Option<u32>,
    /// Seed of the order of measurements and of the arrivals.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Change a value of the scenario, such as workload.rate_per_s=500.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Only this contender; can be repeated.
    #[arg(long, value_name = "CONTENDER")]
    only: Vec<String>,
    /// Where the results go, instead of a folder named by the time in results/.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Compare with these records afterwards: a path, or a baseline by name.
    #[arg(long, value_name = "RECORD")]
    baseline: Option<String>,
    /// Keep the records as a repeat of this baseline, in results/baselines/.
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    save_baseline: Option<String>,
    /// With --baseline: exit with 3 where this is true of a cell's whole interval, such as
    /// 'response.p99 > 10%'.
    #[arg(long, value_name = "EXPR", value_parser = Expression::parse, requires = "baseline")]
    fail_on: Vec<Expression>,
    /// Write every measurement in this format too, beside each record.
    #[arg(long, value_name = "FORMAT", value_parser = formats())]
    export: Option<Format>,
    /// Keep every packet that crosses the link in `packets.pcap` beside each record, up to 1 GB,
    /// for Wireshark; of scenarios over a link with delay, loss or a rate.
    #[arg(long)]
    pcap: bool,
    /// The records as JSON, to stdout, one a line.
    #[arg(long)]
    json: bool,
    /// Print the plan with its time, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Search for the highest rate that each contender can do, where the scenario says how; --full
    /// does.
    #[arg(long)]
    capacity: bool,
    /// Count measurements that were disturbed from outside (late load engine, steal, other
    /// processes); the record is marked.
    #[arg(long)]
    accept_noise: bool,
    /// Measure although this is a debug build; the record is marked.
    #[arg(long)]
    allow_debug: bool,
}

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
    if options.dry_run {
        let matrices = matrices.iter().map(matrix_in_words);
        let several = scenarios.len() > 1;
        let planned = scenarios.iter().zip(&plans);
        let planned = planned.map(|(scenario, plan)| plan_in_words(scenario, plan, !several));
        let time = text::about(plans.iter().map(Plan::time).sum());
        let total = several.then(|| format!("{} measured scenarios in all: about {time}\n", scenarios.len()));
        let words: String = matrices.chain(planned).chain(total).collect();
        print_data(&terminal_text(&words))?;
        return Ok(Ending::Fine);
    }
    // A matrix measures no time.
    refuse_debug(tool, options.allow_debug || scenarios.is_empty())?;
    if let Some(scenario) = scenarios.iter().find(|of| options.pcap && !matches!(of.link, Link::Wan(_))) {
        let (name, link) = (&scenario.name, scenario.link.name());
        return Err(UsageError(format!(
            "--pcap: {name} goes over {link}, which has no router to capture at"
        ))
        .into());
    }
    if let Some(folder) = options.resume.as_ref().filter(|folder| !folder.is_dir()) {
        return Err(UsageError(format!("--resume {}: there is no such folder", folder.display())).into());
    }
    // Read before hours of measuring.
    let baseline = options.baseline.as_deref().map(compare::side).transpose()?;
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
    session.fill(&matrices, &mut done)?;
    if scenarios.is_empty() {
        say(&format!("report: {}", session.folder.finish(&done)?.display()));
        return Ok(Ending::Fine);
    }
    let layout = Layout::of(&session.environment.cores)?;
    for core in &layout.client {
        lab::cores::pin(*core).context("pinning the command to the clients' core")?;
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
                    let ending = session.stopped(&done);
                    return ended.and(ending);
                }
            }
            Err(error) => session.refused(&scenario.name, error, &mut done)?,
        }
        session.folder.finish(&done)?;
    }
    let index = session.folder.finish(&done)?;
    say(&format!("report: {}", index.display()));
    let records = done.records;
    let void = records.iter().any(|record| record.void.is_some());
    if let Some(name) = &options.save_baseline {
        for record in records.iter().filter(|record| record.void.is_none()) {
            say(&format!("baseline: {}", compare::save_baseline(name, record)?.display()));
        }
    }
    if let Some(old) = baseline {
        let new = records.into_iter().map(|record| (record.scenario.name.clone(), vec![record])).collect();
        let judged = compare::judge(&old, &new, &options.fail_on, compare::CompareFormat::Text, false)?;
        return Ok(if void { Ending::Void } else { judged });
    }
    Ok(match (void, done.refused.is_empty()) {
        (_, false) => Ending::Error,
        (true, true) => Ending::Void,
        (false, true) => Ending::Fine,
    })
}

fn parse_name(name: &str) -> Result<String, String> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    let right = !name.starts_with('.') && !name.is_empty() && name.chars().all(plain);
    if right {
        Ok(name.to_owned())
    } else {
        Err("a-z, A-Z, 0-9, -, _ and . only, of which a folder is made".to_owned())
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
    let matrices: Vec<MatrixScenario> = found.into_iter().flatten().collect();
    if let (Some(matrix), false) = (matrices.first(), options.set.is_empty()) {
        return Err(
            UsageError(format!("--set: {} is a matrix, which has nothing to set", matrix.name)).into()
        );
    }
    Ok(matrices)
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
            return Err(
                UsageError(format!("two scenarios are called {}: run one at a time", scenario.name)).into()
            );
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
        seed: options.seed,
        only: options.only.clone(),
        accept_noise: options.accept_noise,
        capacity: options.capacity,
    }
}

/// A scenario's plan; the order of each round too where it is the only one.
fn plan_in_words(scenario: &Scenario, plan: &Plan, orders: bool) -> String {
    let mut words = format!(
        "{}: {}\n  {} rounds × ({:?} warm-up + {:?} measured), seed {}, {} measurements, about {}\n  plan {}\n",
        scenario.name,
        scenario.question,
        plan.rounds.len(),
        plan.warm_up,
        plan.duration,
        plan.seed,
        plan.measurements(),
        text::about(plan.time()),
        plan.sha256(scenario)
    );
    for (index, cell) in plan.cells.iter().enumerate() {
        let offered =
            cell.not_offered.as_ref().map_or_else(String::new, |why| format!("  not measured: {why}"));
        let _ =
            writeln!(words, "  cell {index}: {} under {}{offered}", cell.contender.name, cell.condition.name);
    }
    for (round, order) in plan.rounds.iter().enumerate().filter(|_| orders) {
        let _ = writeln!(words, "  round {}: {order:?}", round + 1);
    }
    words
}

fn matrix_in_words(matrix: &MatrixScenario) -> String {
    let columns: Vec<String> = matrix.columns();
    format!("{}: {}\n  a matrix, its columns: {}\n", matrix.name, matrix.question, columns.join(", "))
}
