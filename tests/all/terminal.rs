//! What a terminal shows: help that fits and whose examples are right, lists that fit, plans that
//! say what they cannot judge, errors that say a cause once.

use std::process::{Command, Output};

use crate::documents::words;

/// Columns of the smallest terminal that everything fits.
const COLUMNS: usize = 80;

fn wirebench(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wirebench"));
    command.args(arguments).env("COLUMNS", COLUMNS.to_string()).output().unwrap()
}

fn stdout(arguments: &[&str]) -> String {
    let output = wirebench(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn assert_fits(text: &str, what: &str) {
    for line in text.lines() {
        let columns = line.chars().count();
        assert!(columns <= COLUMNS, "{what}: {columns} columns: {line}");
    }
}

/// The verbs, as the help of all lists them.
fn verbs() -> Vec<String> {
    let help = stdout(&["--help"]);
    let listed = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let first = |line: &str| line.strip_prefix("  ")?.split(' ').next().map(str::to_owned);
    let verbs: Vec<String> =
        listed.lines().filter_map(first).filter(|verb| !verb.is_empty() && verb != "help").collect();
    assert_eq!(verbs.len(), 9, "{help}");
    verbs
}

#[test]
fn every_help_fits_and_its_examples_are_commands() {
    let all = std::iter::once(vec!["--help".to_owned()]);
    for arguments in all.chain(verbs().into_iter().map(|verb| vec!["help".to_owned(), verb])) {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let help = stdout(&arguments);
        assert_fits(&help, &format!("{arguments:?}"));
        let examples = help.split("\nExamples:\n").nth(1).unwrap_or_else(|| panic!("no examples: {help}"));
        let lines: Vec<&str> = examples.lines().take_while(|line| line.starts_with("  wirebench ")).collect();
        assert!(lines.len() >= 2, "{arguments:?}: {examples}");
        for line in lines {
            let parsed = wirebench::cli::parse(words(line));
            let is_help = line.trim_start().starts_with("wirebench help ");
            assert!(is_help || parsed.is_ok(), "{line}\n{}", parsed.unwrap_err());
        }
    }
}

#[test]
fn help_of_a_verb_is_the_same_by_both_ways() {
    for verb in verbs() {
        assert_eq!(stdout(&["help", &verb]), stdout(&[&verb, "--help"]), "{verb}");
    }
}

/// Each option and argument says what it does, in words that begin with what is done.
#[test]
fn every_option_begins_with_a_verb() {
    let not_verbs = ["A", "An", "The", "As", "Of", "Only", "Every", "Where", "What", "How", "With", "This"];
    for verb in verbs() {
        // A line that says something begins further to the right than the options do.
        let help = stdout(&["help", &verb]);
        let told = help.split("\nExamples:").next().unwrap();
        for line in told.lines().filter(|line| line.trim_start().starts_with(['-', '<', '['])) {
            let said = line.trim_start().split_once("  ").map_or("", |(_, said)| said.trim_start());
            let first = said.split(' ').next().unwrap();
            assert!(!not_verbs.contains(&first), "{verb}: {line}");
        }
    }
}

#[test]
fn the_usual_options_have_short_names() {
    for line in [
        "wirebench load http://127.0.0.1:1/ -r 5 -c 2 -d 1s -j",
        "wirebench run aa -o somewhere -j",
        "wirebench list -j",
        "wirebench doctor -j",
    ] {
        wirebench::cli::parse(words(line)).unwrap();
    }
}

#[test]
fn the_list_fits_and_says_how_long_each_scenario_takes() {
    let list = stdout(&["list"]);
    assert_fits(&list, "list");
    let line = list.lines().find(|line| line.trim_start().starts_with("rest-vs-grpc ")).unwrap();
    assert!(line.contains(" min") && line.contains(" s "), "{line}");
    assert!(list.contains("quick") && list.contains("standard"), "{list}");
}

#[test]
fn a_built_in_file_is_printed_whole() {
    let file = |name: &str| {
        let path = format!("{}/scenarios/{name}.toml", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).unwrap()
    };
    for name in ["rest-vs-grpc", "typing"] {
        assert_eq!(stdout(&["list", name]), file(name));
    }
}

#[test]
fn a_dry_run_says_which_claims_cannot_be_judged() {
    let quick = stdout(&["run", "rest-vs-grpc", "--quick", "--dry-run"]);
    assert_fits(&quick, "--dry-run");
    assert!(quick.contains("cannot be judged: no point of 'wait' is measured"), "{quick}");
    let few = stdout(&["run", "rest-vs-grpc", "--quick", "--dry-run", "--rounds=2"]);
    assert!(few.contains("cannot be judged: 2 rounds, and a verdict needs 10"), "{few}");
}

#[test]
fn whoever_mistypes_is_told_what_was_meant() {
    for (arguments, meant) in [
        (&["dcotor"][..], "'doctor'"),
        (&["run", "rest-vs-grcp"], "did you mean 'rest-vs-grpc'?"),
        (&["list", "typng"], "did you mean 'typing'?"),
        (&["run", "rest-vs-grpc", "--only", "gprc", "--dry-run"], "did you mean 'grpc'?"),
        (&["run", "rest-vs-grpc", "--set", "wrkload.rate_per_s=5", "--dry-run"], "did you mean 'workload'?"),
        (&["run", "rest-vs-grpc", "--set", "workload.rate=5", "--dry-run"], "did you mean 'rate_per_s'?"),
        (&["lab", "ny-londn", "--", "true"], "did you mean 'ny-london'?"),
        (&["serve", "gprc"], "did you mean 'grpc'?"),
        (&["calibrate", "websockt"], "did you mean 'websocket'?"),
        (&["compare", "a", "b", "--fail-on", "cpu > 5%"], "did you mean 'cpu_per_call'?"),
    ] {
        let output = wirebench(arguments);
        let said = String::from_utf8_lossy(&output.stderr).replace("\n  │ ", " ");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(meant), "{arguments:?}: {said}");
    }
}

#[test]
fn a_figure_of_a_claim_is_suggested_at_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.toml");
    let text = stdout(&["list", "rest-vs-grpc"]);
    std::fs::write(&file, text.replacen("metric = \"cpu_per_call\"", "metric = \"cpu\"", 1)).unwrap();
    let output = wirebench(&["run", file.to_str().unwrap(), "--dry-run"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.starts_with("error: "), "{said}");
    for words in ["there is no figure 'cpu'", "no such figure", "did you mean 'cpu_per_call'?"] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn a_refused_connection_says_its_address_and_its_cause_once() {
    let output = wirebench(&["load", "http://127.0.0.1:1/", "-r", "1", "--allow-debug"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said.trim(), "error: cannot connect to 127.0.0.1:1: connection refused");
}

#[test]
fn no_words_of_a_library_reach_somebody_who_types() {
    let load = |option: &'static str| vec!["load", "http://127.0.0.1:1/", option];
    for (arguments, said) in [
        (load("--rate=x"), "write a number"),
        (load("--connections=x"), "write a whole number"),
        (load("--duration=5"), "write a time with its unit"),
        (vec!["run", "missing.toml"], "error: missing.toml: No such file or directory\n"),
    ] {
        let output = wirebench(&arguments);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(said) && !told.contains("os error"), "{told}");
    }
}
