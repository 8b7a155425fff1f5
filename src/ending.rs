//! How a verb ends, and what it prints as data.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use anstyle::AnsiColor;
use record::Tool;
use terms::escape::{terminal_line, terminal_text};

use crate::columns::broken;

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
    /// It was told to stop, and what it had by then is kept: 130, as a shell has it for Ctrl-C.
    Interrupted,
    /// As a command that was run ended.
    OfCommand(u8),
}

impl Ending {
    /// This, once its data was printed or could not be: the words of what went wrong reach stderr,
    /// and a threshold that failed has failed all the same.
    pub(crate) fn printed(self, printed: io::Result<()>) -> Ending {
        let Err(error) = printed else { return self };
        say_error(&error.into());
        if self == Ending::Fine { Ending::Error } else { self }
    }
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> ExitCode {
        ExitCode::from(match ending {
            Ending::Fine => 0,
            Ending::Error => 1,
            Ending::Usage => 2,
            Ending::Threshold => 3,
            Ending::Void => 4,
            Ending::Interrupted => 130,
            Ending::OfCommand(code) => code,
        })
    }
}

/// An error that is the user's to mend: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// Words of the standard library and of humantime, and what they mean to somebody who types.
const IN_PLAIN_WORDS: [(&str, &str); 2] =
    [("invalid float literal", "write a number"), ("invalid digit found in string", "write a whole number")];
/// The same, where an example follows that ends so and was made from what was typed.
const NO_UNIT: (&str, &str) = ("time unit needed, for example ", "ms");

/// What clap says of what was typed, in words that say what to write.
pub(crate) fn in_plain_words(text: &str) -> String {
    let text = IN_PLAIN_WORDS.iter().fold(text.to_owned(), |text, (theirs, ours)| text.replace(theirs, ours));
    match text.split_once(NO_UNIT.0) {
        Some((before, example)) => {
            let behind = example.split_once(NO_UNIT.1).map_or("", |(_, behind)| behind);
            format!("{before}write a time with its unit, such as 5s or 200ms{behind}")
        }
        None => text,
    }
}

/// Refuses to measure with a build that was not optimised, unless `allowed`.
///
/// # Errors
/// With what to do instead.
pub(crate) fn refuse_debug(tool: &Tool, allowed: bool) -> Result<(), UsageError> {
    if allowed || !tool.is_debug() {
        return Ok(());
    }
    Err(UsageError(
        "this is a debug build, whose figures are several times too high: build with --release, or add --allow-debug"
            .to_owned(),
    ))
}

/// Says a line, to stderr. Words of records, peers and files go through here, or through
/// [`print_data`] or [`say_error`]: whatever they are, a terminal does nothing for them. Where
/// stderr is gone (its terminal was closed, its reader had enough) nobody wants to know, and what
/// is being done goes on: the panic of `eprintln!` would lose what was measured.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", terminal_line(line));
}

/// Says a line, and breaks it between words where stderr is a terminal that is narrower.
pub(crate) fn say_broken(line: &str) {
    broken_for_stderr(line).iter().for_each(|line| say(line));
}

/// Says what was found: the badge in its colour, where stderr is a terminal and `NO_COLOR`
/// (no-color.org) is not set.
pub(crate) fn say_finding(class: &str, lines: &[String]) {
    let colour = match class {
        "holds" => AnsiColor::Green,
        "fails" => AnsiColor::Red,
        "depends" => AnsiColor::Magenta,
        "found" => AnsiColor::Blue,
        _ => AnsiColor::Yellow,
    };
    let coloured = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    for line in lines.iter().flat_map(|line| broken_for_stderr(line)) {
        let line = terminal_line(&line).into_owned();
        let _ = match line.split_once(": ").filter(|_| coloured && !line.starts_with(' ')) {
            Some((badge, rest)) => {
                let style = colour.on_default().bold();
                writeln!(io::stderr().lock(), "{style}{badge}{style:#}: {rest}")
            }
            None => writeln!(io::stderr().lock(), "{line}"),
        };
    }
}

/// A line, broken between words where stderr is a terminal that is narrower.
fn broken_for_stderr(line: &str) -> Vec<String> {
    if io::stderr().is_terminal() { broken(line, textwrap::termwidth()) } else { vec![line.to_owned()] }
}

/// Says why a verb ended, to stderr; an error may have several lines.
pub(crate) fn say_error(error: &anyhow::Error) {
    let _ = writeln!(io::stderr().lock(), "error: {}", terminal_text(&causes(error)));
}

/// Says what is wrong in a file, with the place, to stderr. Its first line begins as that of every
/// other error.
pub(crate) fn say_report(report: &miette::Report) {
    let text = without_numbers(&format!("{report:?}").replacen('×', "error:", 1));
    let _ = writeln!(io::stderr().lock(), "{}", text.trim());
}

/// An error and its causes, each once and without the system's number for it: some say their cause
/// themselves, and have it as their source too.
pub(crate) fn causes(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if told.is_empty() {
            told = cause;
        } else if !told.contains(&cause) {
            told = format!("{told}: {cause}");
        }
    }
    without_numbers(&told)
}

/// `File too large`, of `File too large (os error 27)`.
fn without_numbers(text: &str) -> String {
    let mut parts = text.split(" (os error ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |told, part| told + part.split_once(')').map_or(part, |(_, rest)| rest))
}

/// Prints data to stdout, on a terminal without what it would obey. Whoever reads its beginning
/// only (`| head`) has had enough, and that is no error. No verb prints in another way: `println!`
/// panics where stdout is gone or full.
///
/// # Errors
/// The system's, such as a full disk.
pub fn print_data(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let text = if stdout.is_terminal() { terminal_text(text) } else { text.into() };
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(io::Error::new(error.kind(), format!("cannot write to stdout: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// The command line as it can be typed again.
pub fn command_line() -> String {
    shell_line(typed())
}

/// What was typed after the command's name.
pub(crate) fn typed() -> impl Iterator<Item = String> {
    std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned())
}

/// Arguments as a shell takes them.
pub(crate) fn shell_line(arguments: impl Iterator<Item = String>) -> String {
    let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c));
    let quote = |text: String| match plain(&text) && !text.is_empty() {
        true => text,
        false => format!("'{}'", text.replace('\'', "'\\''")),
    };
    std::iter::once("wirebench".to_owned()).chain(arguments.map(quote)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use record::Build;

    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot read x: {0}")]
        struct SaysItsCause(#[from] io::Error);
        let full = || io::Error::other("disk full");
        let error = anyhow::Error::from(SaysItsCause(full())).context("writing the record");
        assert_eq!(causes(&error), "writing the record: cannot read x: disk full");
        assert_eq!(causes(&anyhow::Error::from(full()).context("y")), "y: disk full");
        let numbered = anyhow::Error::msg("a (os error 2), b (os error 27): c");
        assert_eq!(causes(&numbered), "a, b: c");
    }

    #[test]
    fn what_cannot_be_printed_is_an_error_and_no_threshold_is_forgotten() {
        let full = || Err(io::Error::other("no space left"));
        assert_eq!(Ending::Fine.printed(Ok(())), Ending::Fine);
        assert_eq!(Ending::Fine.printed(full()), Ending::Error);
        assert_eq!(Ending::Threshold.printed(full()), Ending::Threshold);
        assert_eq!(Ending::Interrupted.printed(full()), Ending::Interrupted);
    }

    #[test]
    fn a_debug_build_refuses_to_measure_unless_allowed() {
        let built = |build| Tool { build, ..Tool::default() };
        let refused = refuse_debug(&built(Build::Debug), false).unwrap_err();
        assert!(refused.to_string().contains("--allow-debug"), "{refused}");
        assert!(refuse_debug(&built(Build::Debug), true).is_ok());
        assert!(refuse_debug(&built(Build::Release), false).is_ok());
    }

    #[test]
    fn a_time_without_its_unit_is_told_what_to_write() {
        let said = in_plain_words("'30': time unit needed, for example 30sec or 30ms\n\nUsage");
        assert_eq!(said, "'30': write a time with its unit, such as 5s or 200ms\n\nUsage");
    }
}
