//! The scenarios marked for it, quick, through the built command:
//! `cargo bench --bench scenarios -- rest-vs-grpc`. Criterion's options are understood and ignored.
//! Under `cargo test` it only checks that the plans can be made.

use std::process::{Command, ExitCode};

use scenarios::{Plan, PlanOptions, Scenario};
use terms::Extent;

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

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let scenarios = match Scenario::built_in() {
        Ok(scenarios) => scenarios,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let filters = filters(&arguments);
    let chosen: Vec<&Scenario> = scenarios
        .iter()
        .filter(|scenario| scenario.bench)
        .filter(|scenario| filters.is_empty() || filters.iter().any(|filter| scenario.name.contains(filter)))
        .collect();
    let given = |flag: &str| arguments.iter().any(|argument| argument == flag);
    if given("--bench") && !given("--test") && !given("--list") {
        return run(&chosen);
    }
    let options = PlanOptions::of(Extent::Quick);
    for scenario in &chosen {
        if let Err(error) = Plan::make(scenario, &options) {
            eprintln!("{}: {error}", scenario.name);
            return ExitCode::FAILURE;
        }
        eprintln!("{}: bench", scenario.name);
    }
    ExitCode::SUCCESS
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

fn run(scenarios: &[&Scenario]) -> ExitCode {
    if scenarios.is_empty() {
        eprintln!("no scenario is called that");
        return ExitCode::SUCCESS;
    }
    let names = scenarios.iter().map(|scenario| scenario.name.as_str());
    let status = Command::new(env!("CARGO_BIN_EXE_wirebench")).arg("run").args(names).arg("--quick").status();
    match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        // The machine's noise is no failure of the benchmarks: the run has said what it could not
        // judge.
        Ok(status) if status.code() == Some(VOID) => ExitCode::SUCCESS,
        Ok(status) => {
            eprintln!("wirebench run: {status}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("wirebench cannot be started: {error}");
            ExitCode::FAILURE
        }
    }
}
