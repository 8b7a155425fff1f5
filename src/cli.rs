//! The command line: verbs and their options. Human output to stderr, data to stdout.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use record::Tool;

use crate::ending::{Ending, UsageError, in_plain_words, say_error, say_report};
use crate::verbs;
use crate::verbs::given::Given;

/// Compare protocols side by side: one service behind each, the same load, and a verdict with its
/// uncertainty.
#[derive(Debug, Parser)]
#[command(name = "wirebench", version, arg_required_else_help = true, max_term_width = HELP_COLUMNS_MAX, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

/// Lines of help that are longer are hard to read, however wide the terminal is.
const HELP_COLUMNS_MAX: usize = 100;

const EXAMPLES: &str = "\
Examples:
  wirebench doctor                             # what can this machine measure?
  wirebench list
  wirebench run rest-vs-grpc --quick           # results/latest/index.html
  wirebench load http://127.0.0.1:8080/ -r 1000 -d 30s
  wirebench help run

Exit codes: 0 done, 1 error, 2 wrong usage, 3 a threshold failed, 4 the machine
was too noisy to tell.";

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the scenarios and the protocols, or print a scenario's file.
    List(verbs::list::Options),
    /// Run scenarios by name or file, and write their reports.
    Run(verbs::run::Options),
    /// Load any server, and print its latency.
    Load(Box<verbs::load::Options>),
    /// Serve the market, or a server with a known delay, until Ctrl-C.
    Serve(verbs::serve::Options),
    /// Compare records; exit with 3 if a threshold fails.
    Compare(verbs::compare::Options),
    /// Redraw reports from records, or export the measurements.
    Report(verbs::report::Options),
    /// Run any program over a link with delay, loss and a limited rate.
    Lab(verbs::lab::Options),
    /// Check the figures against servers whose true figures are known.
    Calibrate(verbs::calibrate::Options),
    /// Check what this machine can measure, and say how to improve it.
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
    // What the log cannot write it would say with a macro that panics where stderr is gone.
    let log = tracing_subscriber::fmt().log_internal_errors(false);
    log.with_env_filter(filter).with_writer(std::io::stderr).init();
    let matches = command(tool).try_get_matches().unwrap_or_else(|error| say_usage(&error));
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let given = matches.subcommand().map(|(_, verb)| Given::of(verb)).unwrap_or_default();
    let ended = match cli.verb {
        Verb::List(options) => verbs::list::list(&options),
        Verb::Run(options) => verbs::run::run(&options, tool),
        Verb::Load(options) => verbs::load::load(&options, &given, tool),
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

/// Says what is wrong with what was typed, or prints the help that was asked for, and ends.
fn say_usage(error: &clap::Error) -> ! {
    if error.use_stderr() {
        let rendered = error.render();
        let text =
            if io::stderr().is_terminal() { rendered.ansi().to_string() } else { rendered.to_string() };
        // What was typed is the user's own, and clap has escaped it.
        let _ = write!(io::stderr().lock(), "{}", in_plain_words(&text));
        std::process::exit(2);
    }
    error.exit()
}

/// A child says its error over its pipe; the command repeats it.
fn agent_ending(role: &str) -> ExitCode {
    if run::roles::play(role) { Ending::Fine.into() } else { Ending::Error.into() }
}

fn say(error: anyhow::Error) -> Ending {
    match error.downcast::<scenarios::ScenarioError>() {
        Ok(broken) => {
            say_report(&miette::Report::new(broken));
            Ending::Usage
        }
        Err(error) => {
            say_error(&error);
            if error.is::<UsageError>() { Ending::Usage } else { Ending::Error }
        }
    }
}
