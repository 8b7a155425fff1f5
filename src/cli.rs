//! The command line: verbs and their options. Human output to stderr, data to stdout.

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use record::Tool;

use crate::ending::{Ending, UsageError, say_error};
use crate::verbs;

/// A side-by-side protocol benchmark suite: one service behind every protocol, the same load, an
/// honest verdict.
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
        /// In which role.
        #[arg(value_parser = run::roles::NAMES)]
        role: String,
    },
}

/// Runs the command line to its end.
pub fn main(tool: &Tool) -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::from_env("WIREBENCH_LOG");
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let matches = command(tool).get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let ended = match cli.verb {
        Verb::List(options) => verbs::list::list(&options),
        Verb::Run(options) => verbs::run::run(&options, tool),
        Verb::Load(options) => verbs::load::load(&options, tool),
        Verb::Serve(options) => verbs::serve::serve(&options),
        Verb::Compare(options) => verbs::compare::compare_records(&options),
        Verb::Report(options) => verbs::report::report(&options),
        Verb::Lab(options) => verbs::lab::lab(&options),
        Verb::Init { words } => return lab::guest::init(&words).into(),
        Verb::Calibrate(options) => verbs::calibrate::calibrate_machine(&options, tool),
        Verb::Doctor(options) => verbs::doctor::doctor(&options, tool),
        Verb::Agent { role } => return agent_ending(&role),
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

/// The command line, with a version that says the commit too.
fn command(tool: &Tool) -> clap::Command {
    let commit = tool.commit.as_ref().map_or_else(String::new, |commit| format!(" ({commit})"));
    // Once a process: clap keeps what it is given.
    let version: &str = format!("{}{commit}", tool.version).leak();
    Cli::command().version(version)
}

/// A child says its error over its pipe; the command repeats it.
fn agent_ending(role: &str) -> ExitCode {
    if run::roles::play(role) { Ending::Fine.into() } else { Ending::Error.into() }
}

fn say(error: anyhow::Error) -> Ending {
    match error.downcast::<scenarios::ScenarioError>() {
        Ok(broken) => {
            eprintln!("{:?}", miette::Report::new(broken));
            Ending::Usage
        }
        Err(error) => {
            say_error(&error);
            if error.is::<UsageError>() { Ending::Usage } else { Ending::Error }
        }
    }
}
