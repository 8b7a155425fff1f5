//! The README and the documents are true: every command in them is one, every example is whole,
//! every link leads somewhere. What the commands do is tested in `command.rs` and
//! `stock_clients.rs`.

use std::path::{Path, PathBuf};

use matrices::MatrixScenario;
use scenarios::{Plan, PlanOptions, Scenario};
use terms::Extent;

fn documents() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = std::fs::read_dir(root.join("docs")).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<PathBuf> =
        docs.filter(|path| path.extension().is_some_and(|end| end == "md")).collect();
    files.extend(["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root.join(name)));
    files.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

/// The fenced blocks of a language.
pub(crate) fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// Splits a line as a shell would, as far as the documents need it.
pub(crate) fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for letter in line.split(" #").next().unwrap().chars() {
        match letter {
            '\'' => quoted = !quoted,
            ' ' if !quoted => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            other => word.push(other),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

#[test]
fn every_command_is_one() {
    let mut checked = 0;
    for (path, text) in documents() {
        for line in blocks(&text, "sh").into_iter().flat_map(str::lines) {
            let line = line
                .strip_prefix("cargo run --release -- ")
                .map_or_else(|| line.to_owned(), |arguments| format!("wirebench {arguments}"));
            if line.starts_with("wirebench ") {
                let parsed = wirebench::cli::parse(words(&line));
                assert!(parsed.is_ok(), "{}: {line}\n{}", path.display(), parsed.unwrap_err());
                checked += 1;
            }
        }
    }
    assert!(checked >= 10, "only {checked} commands were found");
}

#[test]
fn every_scenario_is_whole_and_can_be_planned() {
    let mut checked = 0;
    for (path, text) in documents() {
        // A workload of `load` has a target, and is loaded elsewhere.
        for block in blocks(&text, "toml").into_iter().filter(|block| !block.starts_with("target")) {
            let scenario = Scenario::parse(&path.display().to_string(), block, &[]).unwrap();
            let options = PlanOptions::of(Extent::Quick);
            Plan::make(&scenario, &options).unwrap();
            checked += 1;
        }
    }
    assert!(checked >= 1, "no scenario was found");
}

#[test]
fn every_analysis_says_what_surprised_what_it_depends_on_and_what_it_does_not_show() {
    let scenarios = Scenario::built_in()
        .unwrap()
        .into_iter()
        .map(|scenario| (scenario.name, scenario.card, scenario.analysis));
    let matrices = MatrixScenario::built_in()
        .unwrap()
        .into_iter()
        .map(|matrix| (matrix.name, matrix.card, matrix.analysis));
    // What is for no line of the card is there to measure by, as `aa` is.
    for (name, _, analysis) in scenarios.chain(matrices).filter(|(_, card, _)| !card.is_empty()) {
        let analysis = analysis.replace('\n', " ");
        for said in ["surprised", "depends on", "does not show"] {
            assert!(analysis.contains(said), "{name}: its analysis does not say what ‘{said}’");
        }
    }
}

/// The example that SCENARIOS.md ends with is measured, briefly, as its reader would.
#[test]
fn the_example_that_teaches_scenarios_runs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/SCENARIOS.md")).unwrap();
    assert!(text.trim_end().ends_with("```"), "it does not end with an example");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("my-question.toml"), blocks(&text, "toml").last().unwrap()).unwrap();
    let ran = std::process::Command::new(env!("CARGO_BIN_EXE_wirebench"))
        .current_dir(folder.path())
        .args("run my-question.toml --quick --rounds=2 --allow-debug --accept-noise --out=results".split(' '))
        .arg("--set=quick.duration=\"300ms\"")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}");
    let record = record::read(&folder.path().join("results/json-or-protobuf/record.json")).unwrap();
    assert!(record.cells.iter().all(|cell| cell.merged.as_ref().unwrap().counts.failures() == 0), "{said}");
    assert_eq!((record.verdicts.len(), record.break_evens[0].points.len()), (1, 2));
    // Two rounds decide nothing, and say so.
    assert!(said.contains("and needs 10"), "{said}");
}

#[test]
fn every_link_leads_somewhere() {
    for (path, text) in documents() {
        for target in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            let file = target.split('#').next().unwrap();
            if !file.is_empty() && !file.starts_with("http") {
                assert!(path.parent().unwrap().join(file).exists(), "{}: {target}", path.display());
            }
        }
    }
}
