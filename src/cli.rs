//! The command line: verbs and their options. Human output to stderr, data to stdout.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::run::agent::Agent;
use crate::verbs;

/// How a verb ended, as a process says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Fine, whatever the verdicts.
    Fine = 0,
    /// Something failed.
    Error = 1,
    /// What was typed makes no sense.
    Usage = 2,
    /// A threshold failed.
    Threshold = 3,
    /// The machine was too noisy: what was measured says nothing.
    Void = 4,
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> ExitCode {
        ExitCode::from(ending as u8)
    }
}

/// An error that is the user's to mend: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// A side-by-side protocol benchmark suite: one service behind every protocol, the same load, an honest verdict.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show the scenarios, and the protocols with what each offers.
    List(verbs::list::Options),
    /// Run scenarios by name or file, and draw their reports.
    Run(verbs::run::Options),
    /// Load a server that wirebench did not start.
    Load(verbs::load::Options),
    /// Run the market behind protocols, or a reference server, until Ctrl-C.
    Serve(verbs::serve::Options),
    /// Compare two records, or repeats of each; exit with 3 where a threshold failed.
    Compare(verbs::compare::Options),
    /// Draw the HTML again from records, or export them.
    Report(verbs::report::Options),
    /// Measure servers whose answers are known, and print what was measured beside what is true.
    Calibrate(verbs::calibrate::Options),
    /// Say what this machine can measure, what spoils it, and what to do.
    Doctor(verbs::doctor::Options),
    /// A child of `run`.
    #[command(hide = true)]
    Agent {
        /// Which.
        agent: Agent,
    },
}

/// Runs the command line to its end.
pub fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::from_env("WIREBENCH_LOG");
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let ended = match Cli::parse().verb {
        Verb::List(options) => verbs::list::list(&options),
        Verb::Run(options) => verbs::run::run(&options),
        Verb::Load(options) => verbs::load::load(&options),
        Verb::Serve(options) => verbs::serve::serve(&options),
        Verb::Compare(options) => verbs::compare::compare_records(&options),
        Verb::Report(options) => verbs::report::report(&options),
        Verb::Calibrate(options) => verbs::calibrate::calibrate_machine(&options),
        Verb::Doctor(options) => verbs::doctor::doctor(&options),
        Verb::Agent { agent } => return agent_ending(agent),
    };
    match ended {
        Ok(ending) => ending.into(),
        Err(error) => say(error).into(),
    }
}

/// Checks that words are a command line, without running it: for the documents' own test.
///
/// # Errors
/// clap's, with what is wrong.
pub fn parse(words: impl IntoIterator<Item = String>) -> Result<(), clap::Error> {
    Cli::try_parse_from(words).map(drop)
}

/// A child says its error over its pipe; the command repeats it.
fn agent_ending(agent: Agent) -> ExitCode {
    if agent.run().is_ok() { Ending::Fine.into() } else { Ending::Error.into() }
}

fn say(error: anyhow::Error) -> Ending {
    match error.downcast::<crate::scenario::ScenarioError>() {
        Ok(broken) => {
            eprintln!("{:?}", miette::Report::new(broken));
            Ending::Usage
        }
        Err(error) => {
            eprintln!("wirebench: {error:#}");
            if error.is::<UsageError>() { Ending::Usage } else { Ending::Error }
        }
    }
}
