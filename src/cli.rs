//! The command line: verbs and their options. Human output to stderr, data to stdout.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::run::agent::Agent;
use crate::verbs;

/// How a verb ended, as a process says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Fine, whatever the verdicts: 0.
    Fine,
    /// Something failed: 1.
    Error,
    /// What was typed makes no sense: 2.
    Usage,
    /// A threshold failed: 3.
    Threshold,
    /// The machine was too noisy, and what was measured says nothing: 4.
    Void,
    /// As a command that was run ended.
    OfCommand(u8),
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> ExitCode {
        ExitCode::from(match ending {
            Ending::Fine => 0,
            Ending::Error => 1,
            Ending::Usage => 2,
            Ending::Threshold => 3,
            Ending::Void => 4,
            Ending::OfCommand(code) => code,
        })
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
    /// Run any program between two hosts, over a link with delay, loss and a rate.
    Lab(verbs::lab::Options),
    /// Measure servers whose answers are known, and print what was measured beside what is true.
    Calibrate(verbs::calibrate::Options),
    /// Say what this machine can measure, what spoils it, and what to do.
    Doctor(verbs::doctor::Options),
    /// The first process of a guest of `lab`.
    #[command(hide = true, name = lab::guest::INIT)]
    Init {
        /// What it starts.
        #[arg(last = true)]
        words: Vec<String>,
    },
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
        Verb::Lab(options) => verbs::lab::lab(&options),
        Verb::Init { words } => return lab::guest::init(&words).into(),
        Verb::Calibrate(options) => verbs::calibrate::calibrate_machine(&options),
        Verb::Doctor(options) => verbs::doctor::doctor(&options),
        Verb::Agent { agent } => return agent_ending(agent),
    };
    match ended {
        Ok(ending) => ending.into(),
        Err(error) => say(error).into(),
    }
}

/// Prints data to stdout. Whoever reads its beginning only (`| head`) has had enough, and that is no error.
///
/// # Errors
/// The system's, such as a full disk.
pub fn print_data(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
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
