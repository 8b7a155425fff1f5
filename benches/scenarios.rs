//! The scenarios marked for it, quick, through the built command:
//! `cargo bench --bench scenarios -- rest-vs-grpc`. Criterion's options are understood and ignored.
//! It says first what it will do and how long that takes, and last the figures and the page's path.
//! Under `cargo test` it only checks that the plans can be made.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use record::Record;
use scenarios::{Plan, PlanOptions, Scenario};
use terms::{Extent, text};

/// Options of criterion and of libtest that stand alone; any other takes a value.
const FLAGS: [&str; 11] = [
    "--bench",
    "--test",
    "--quiet",
    "--verbose",
    "--noplot",
    "--exact",
    "--list",
    "--nocapture",
    "--quick",
    "--discard-baseline",
    "--ignored",
];

/// How `run` ends where a run is void.
const VOID: i32 = 4;

/// Where `wirebench run` points to its last results.
const PAGE: &str = "results/latest/index.html";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let scenarios = match Scenario::built_in() {
        Ok(scenarios) => scenarios,
        Err(error) => {
            say(&error.to_string());
            return ExitCode::FAILURE;
        }
    };
    let filters = filters(&arguments);
    let chosen: Vec<&Scenario> = scenarios
        .iter()
        .filter(|scenario| scenario.bench)
        .filter(|scenario| filters.is_empty() || filters.iter().any(|filter| scenario.name.contains(filter)))
        .collect();
    let options = PlanOptions::of(Extent::Quick);
    let mut planned = Vec::with_capacity(chosen.len());
    for scenario in chosen {
        match Plan::make(scenario, &options) {
            Ok(plan) => planned.push((scenario, plan)),
            Err(error) => {
                say(&format!("{}: {error}", scenario.name));
                return ExitCode::FAILURE;
            }
        }
    }
    let given = |flag: &str| arguments.iter().any(|argument| argument == flag);
    if given("--bench") && !given("--test") && !given("--list") {
        return run(&planned);
    }
    planned.iter().for_each(|(scenario, _)| say(&format!("{}: bench", scenario.name)));
    ExitCode::SUCCESS
}

/// Says a line, to stderr; where that is gone, nobody wants to know, and the figures are kept.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// What stands alone and is no option's value.
fn filters(arguments: &[String]) -> Vec<&str> {
    let mut filters = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if !argument.starts_with('-') {
            filters.push(argument.as_str());
        } else if !FLAGS.contains(&argument.as_str()) && !argument.contains('=') {
            arguments.next();
        }
    }
    filters
}

fn run(planned: &[(&Scenario, Plan)]) -> ExitCode {
    if planned.is_empty() {
        say("no scenario of `cargo bench` has that in its name");
        return ExitCode::SUCCESS;
    }
    announce(planned);
    match measure(planned) {
        Ok((status, records)) => {
            print_figures(&records);
            // The machine's noise is no failure of the benchmarks: the run has said what it could
            // not judge.
            if status.success() || status.code() == Some(VOID) {
                return ExitCode::SUCCESS;
            }
            say(&format!("wirebench run: {status}"));
            ExitCode::FAILURE
        }
        Err(error) => {
            say(&format!("cannot start wirebench: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// What will be measured, and how long it takes.
fn announce(planned: &[(&Scenario, Plan)]) {
    let time = text::about(planned.iter().map(|(_, plan)| plan.time()).sum());
    let scenarios = if planned.len() == 1 { "scenario" } else { "scenarios" };
    say(&format!("measuring {} {scenarios}, quick, about {time}:", planned.len()));
    for (scenario, plan) in planned {
        say(&format!("  {}, {}: {}", scenario.name, text::about(plan.time()), scenario.question));
    }
}

/// Runs them by the command, which tells how it goes; its records come as JSON.
fn measure(planned: &[(&Scenario, Plan)]) -> std::io::Result<(ExitStatus, Vec<Record>)> {
    let names = planned.iter().map(|(scenario, _)| scenario.name.as_str());
    let mut command = Command::new(env!("CARGO_BIN_EXE_wirebench"));
    command.arg("run").args(names).args(["--quick", "--json"]);
    let output = command.stderr(Stdio::inherit()).output()?;
    let lines = String::from_utf8_lossy(&output.stdout);
    let records = lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    Ok((output.status, records))
}

/// A line for each cell that was measured, and where the pages are.
fn print_figures(records: &[Record]) {
    for record in records {
        say(&format!("\n{}", record.scenario.name));
        say(&format!("  {:<24}{:<20}{:>10}{:>11}{:>11}", "contender", "condition", "CPU/call", "p50", "p99"));
        for cell in &record.cells {
            let Some(merged) = &cell.merged else { continue };
            let cpu = merged.client.cpu_us_per_call + merged.server.cpu_us_per_call;
            let [p50, p99] = [0.5, 0.99].map(|share| merged.response_us.shown(share));
            let [p50, p99] = [p50, p99].map(|time| time.map_or_else(|| "–".to_owned(), text::micros));
            say(&format!(
                "  {:<24}{:<20}{:>10}{p50:>11}{p99:>11}",
                cell.contender,
                cell.condition,
                text::micros(cpu)
            ));
        }
        if let Some(void) = &record.void {
            say(&format!("  void: {void}"));
        }
    }
    // Of a run that left nothing, what is there is an earlier one's.
    if !records.is_empty() && Path::new(PAGE).exists() {
        say(&format!("\npages: {PAGE}"));
    }
}
