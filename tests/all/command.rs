//! The command from end to end, as a user types it.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use record::{ActPart, Record, VerdictWord};

/// A run of `rest-vs-grpc` that takes two seconds.
const BRIEF: [&str; 10] = [
    "run",
    "rest-vs-grpc",
    "--quick",
    "--allow-debug",
    // Other tests run beside it.
    "--accept-noise",
    "--rounds=2",
    "--set=quick.duration=\"200ms\"",
    "--set=quick.warm_up=\"50ms\"",
    "--set=workload.rate_per_s=300",
    "--seed=7",
];

pub(crate) fn wirebench(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wirebench"));
    command.args(arguments);
    command
}

pub(crate) fn output(arguments: &[&str]) -> Output {
    wirebench(arguments).output().unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn record(folder: &Path) -> Record {
    record::read(&folder.join("rest-vs-grpc/record.json")).unwrap()
}

/// Contenders that a brief run measures: four of ours, the baseline again, and nginx where it is
/// installed.
fn contenders() -> usize {
    5 + usize::from(lab::program::find(&["nginx"]).is_some())
}

#[test]
fn a_run_leaves_a_record_and_its_report() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let ran = output(&[&BRIEF[..], &["--out", out]].concat());
    assert!(ran.status.success(), "{}", stderr(&ran));
    assert!(stderr(&ran).trim_end().ends_with("index.html"), "{}", stderr(&ran));

    let record = record(folder.path());
    let (measured, without): (Vec<_>, Vec<_>) = record.cells.iter().partition(|cell| cell.merged.is_some());
    assert_eq!((measured.len(), record.partial), (contenders(), false));
    assert_eq!((record.cells.len(), record.rounds.len()), (7, 2 * contenders()));
    assert_eq!(without.last().unwrap().contender, "sse");
    for cell in measured {
        let merged = cell.merged.as_ref().unwrap();
        assert!(merged.counts.ok > 0 && merged.response_us.n == merged.counts.arrivals, "{cell:?}");
        assert!(!merged.counts.failed.contains_key("wrong_reply"), "{cell:?}");
        assert!(merged.client.cpu_us_per_call > 0.0 && merged.server.cpu_us_per_call > 0.0, "{cell:?}");
    }
    // Every contender of a round had the same arrivals.
    for round in 0..2 {
        let arrivals: HashSet<u64> = record
            .rounds
            .iter()
            .filter(|part| part.round == round)
            .map(|part| part.counts.arrivals)
            .collect();
        assert_eq!(arrivals.len(), 1, "round {round}: {arrivals:?}");
    }
    for part in &record.conformance {
        // nginx serves quotes and nothing else.
        let cases = if part.contender.ends_with("nginx") { 1 } else { 17 };
        assert!(part.cases >= cases && part.replies_compared_whole >= Some(50), "{part:?}");
    }
    assert!(
        record.verdicts.iter().all(|verdict| verdict.verdict == VerdictWord::Undecided),
        "two rounds decided"
    );
    let debug = env!("WIREBENCH_OPT_LEVEL") == "0";
    assert_eq!(record.warnings.iter().any(|warning| warning.contains("debug build")), debug);

    let page = folder.path().join("rest-vs-grpc/report.html");
    let drawn = std::fs::read_to_string(&page).unwrap();
    for said in ["rest-h1-json", "undecided", "Response time by percentile", "--seed=7"] {
        assert!(drawn.contains(said), "the report does not say {said}");
    }
    assert_eq!(drawn.contains("debug build"), debug);
    let fetches = ["src=\"http", "href=\"http", "url(http", "@import", "<script src"];
    assert!(fetches.iter().all(|fetch| !drawn.contains(fetch)), "the report fetches something");

    std::fs::remove_file(&page).unwrap();
    let redrawn = output(&["report", &format!("{out}/rest-vs-grpc/record.json")]);
    assert!(redrawn.status.success(), "{}", stderr(&redrawn));
    assert_eq!(std::fs::read_to_string(&page).unwrap(), drawn);
}

/// Every subscriber hears every tick, and every order is filled, whatever carries them.
#[test]
fn pushes_and_sessions_are_counted_whole() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    for name in ["push", "session"] {
        let brief = BRIEF.map(|argument| match argument {
            "rest-vs-grpc" => name,
            "--set=workload.rate_per_s=300" => "--set=workload.rate_per_s=60",
            other => other,
        });
        let both = r#"--set=quick.conditions=["1-subscriber", "100-subscribers"]"#;
        let more: &[&str] = if name == "push" { &[both] } else { &[] };
        let ran = output(&[&brief[..], &["--out", out], more].concat());
        assert!(ran.status.success(), "{}", stderr(&ran));
        let record = record::read(&folder.path().join(name).join("record.json")).unwrap();
        for cell in &record.cells {
            let merged = cell.merged.as_ref().unwrap();
            assert!(merged.counts.ok > 0 && merged.counts.failed.is_empty(), "{cell:?}");
            assert_eq!(merged.counts.arrivals, merged.response_us.n, "{cell:?}");
            assert_eq!((merged.counts.duplicates, merged.counts.out_of_order), (0, 0), "{cell:?}");
            assert!(merged.wire.bytes_per_call > 50.0, "{cell:?}");
            let ticks = merged.ticks.as_ref();
            assert_eq!(ticks.is_some(), name == "session");
            assert!(
                ticks.is_none_or(|ticks| ticks.counts.ok > 0 && ticks.counts.failed.is_empty()),
                "{cell:?}"
            );
        }
        // The schedule is everybody's: as many ticks, times as many subscribers.
        let arrivals = |contender: &str, condition: &str| {
            let cell = &record.cells[record.cell(contender, condition).unwrap()];
            cell.merged.as_ref().unwrap().counts.arrivals
        };
        if name == "push" {
            assert_eq!(100 * arrivals("sse", "1-subscriber"), arrivals("tcp", "100-subscribers"));
        }
    }
}

/// Sessions that are opened anew, other ones of another number, place orders under keys of their
/// own.
#[test]
fn no_order_is_rejected_when_sessions_are_opened_anew() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let ran = output(&[
        "run",
        "bidirectional",
        "--allow-debug",
        "--accept-noise",
        "--rounds=2",
        "--only=rest-sse",
        "--set=standard.duration=\"400ms\"",
        "--out",
        out,
    ]);
    assert!(ran.status.success(), "{}", stderr(&ran));
    let record = record::read(&folder.path().join("bidirectional").join("record.json")).unwrap();
    for cell in &record.cells {
        let merged = cell.merged.as_ref().unwrap();
        assert!(merged.counts.ok > 0 && merged.counts.failed.is_empty(), "{cell:?}");
    }
    // Of two contenders one was left out: that is no doubt about the claim.
    let printed = stderr(&ran);
    let page = std::fs::read_to_string(folder.path().join("bidirectional/report.html")).unwrap();
    assert!(
        printed.matches("R3 NOT MEASURED: ").count() == 3 && !printed.contains("R3 UNDECIDED"),
        "{printed}"
    );
    assert!(page.contains("<span class=\"word\">not measured</span>"), "the report judges whom it left out");
}

/// Every server is killed twice under three hundred subscribers, each of whom comes back, over
/// whatever protocol.
#[test]
fn all_subscribers_come_back_to_a_server_that_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    let ran = output(&[
        "run",
        "cost-of-state",
        "--quick",
        "--allow-debug",
        "--accept-noise",
        "--rounds=1",
        "--set=hold.connections=[10, 20, 30]",
        "--set=restart.connections=[300]",
        "--set=restart.times=2",
        "--set=restart.down=\"200ms\"",
        "--set=scale_out.connections=60",
        "--out",
        folder.path().to_str().unwrap(),
    ]);
    assert!(ran.status.success(), "{}", stderr(&ran));
    let record = record::read(&folder.path().join("cost-of-state").join("record.json")).unwrap();
    let [
        ActPart::Hold { memory, .. },
        ActPart::Restart { restarts, .. },
        ActPart::ScaleOut { scale_outs, .. },
    ] = &record.acts[..]
    else {
        panic!("other acts than those asked for: {:?}", record.acts)
    };
    assert!(memory.iter().all(|part| part.points.len() == 3), "{memory:?}");
    assert_eq!(restarts.len(), 5);
    for part in restarts {
        assert_eq!(part.trials.len(), 2, "raw trials are kept");
        assert_eq!((part.connections, part.storm_ms.n), (300, 2));
        // Nobody listened for longer than anybody waits: some were refused before they came back.
        // Then there was room for all.
        assert!(part.attempts_per_subscriber.mean > 1.0 && part.dropped == 0, "{part:?}");
        assert!(part.server_cpu_us_per_subscriber.mean > 0.0, "{part:?}");
    }
    // Five contenders hold connections, and calls are made on kept ones and on new ones.
    assert_eq!(scale_outs.len(), 7);
    for part in scale_outs {
        assert!(!part.trials.is_empty() && part.load.is_some());
        let is_fresh = part.contender.ends_with("on new connections");
        assert_eq!(part.after.shares[2] > 0.3, is_fresh, "{part:?}");
        if let Some(evened) = &part.evened {
            assert!(evened.shares[2] > 0.3, "{part:?}");
        }
    }
    let said = stderr(&ran);
    for words in ["All 300 subscribers are back after ", " s over long polling, ", "(2 restarts each)"] {
        assert!(said.contains(words), "{said}");
    }
    // How the calls lie between the two servers that were there is chance; that the third gets none
    // is not.
    let kept = scale_outs.iter().find(|part| part.contender.ends_with("on kept connections")).unwrap();
    let lies = format!("0 % of {}", kept.contender);
    assert!(kept.after.shares[2] == 0.0 && said.contains(&lies), "{kept:?}\n{said}");
}

#[test]
fn what_makes_no_sense_is_refused_with_what_would() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.toml");
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/rest-vs-grpc.toml")).unwrap();
    std::fs::write(&file, text.replace("time_out = \"1s\"", "timeout = \"1s\"")).unwrap();
    let broken = output(&["run", file.to_str().unwrap(), "--dry-run"]);
    assert_eq!(broken.status.code(), Some(2));
    for said in ["mine.toml:", "timeout", "did you mean 'time_out'"] {
        assert!(stderr(&broken).contains(said), "{}", stderr(&broken));
    }
    for (arguments, said) in [
        (&["run", "rest-vs-grcp", "--dry-run"][..], "did you mean 'rest-vs-grpc'"),
        (&["run", "rest-vs-grpc", "--dry-run", "--only", "rest"], "did you mean 'rest-h1-json'"),
        (&["load", "http://8.8.8.8/", "--rate=1", "--allow-debug"], "--allow-public"),
        (&["load", "http://127.0.0.1:1/", "--model=open", "--allow-debug"], "needs a --rate"),
        (&["load", "tcp://127.0.0.1:1", "--rate=1", "--allow-debug"], "--reply-until"),
        (
            &["load", "http://127.0.0.1:1/", "--rate=1", "--fail-on", "p99 > 1ms"],
            "did you mean 'response.p99'",
        ),
        (&["serve", "gopher"], "there is no protocol 'gopher'"),
    ] {
        let refused = output(arguments);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}: {}", stderr(&refused));
        assert!(stderr(&refused).contains(said), "{arguments:?}: {}", stderr(&refused));
    }
    let nobody = output(&["load", "http://127.0.0.1:1/", "--rate=1", "--allow-debug"]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(stderr(&nobody).contains("refused"), "{}", stderr(&nobody));
}

#[test]
fn the_dry_run_prints_the_plan_with_its_time() {
    let planned = output(&["run", "rest-vs-grpc", "--full", "--dry-run"]);
    let text = String::from_utf8_lossy(&planned.stdout).into_owned();
    for said in ["12 rounds", "about", "8x1", "sse does not offer quote", "Claims:"] {
        assert!(text.contains(said), "{text}");
    }
    assert!(!text.contains("round 12:"), "{text}");
    let planned = output(&["run", "rest-vs-grpc", "--full", "--dry-run", "-v"]);
    let text = String::from_utf8_lossy(&planned.stdout).into_owned();
    assert!(text.contains("round 12:") && text.contains("0  rest-h1-json under 8x1"), "{text}");
}

#[test]
fn lists_and_findings_are_json_where_asked() {
    let list: serde_json::Value = serde_json::from_slice(&output(&["list", "--json"]).stdout).unwrap();
    assert_eq!(list["scenarios"][0]["name"], "rest-vs-grpc");
    assert_eq!(list["protocols"].as_array().unwrap().len(), proto::Protocol::ALL.len());
    let doctor: serde_json::Value = serde_json::from_slice(&output(&["doctor", "--json"]).stdout).unwrap();
    assert!(doctor.as_array().unwrap().iter().any(|finding| finding["what"] == "timer lateness"));
}

/// A run that would go on for long, after its first round: the process, the rest of what it says,
/// its children.
fn start_long_run(out: &Path) -> (Child, impl Iterator<Item = String>, Vec<u32>) {
    let arguments = BRIEF.map(|argument| if argument == "--rounds=2" { "--rounds=300" } else { argument });
    let mut run = wirebench(&arguments).arg("--out").arg(out).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(run.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.starts_with("round 1/")), "the run ended before its first round");
    let mut children = children_of(run.id());
    children.sort_unstable();
    assert_eq!(children.len(), 2 * contenders(), "every contender has a server and a client");
    (run, lines, children)
}

fn children_of(parent: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    processes.filter(|pid: &u32| status_field(*pid, "PPid:") == Some(parent.to_string())).collect()
}

fn status_field(pid: u32, name: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    Some(line[name.len()..].trim().to_owned())
}

/// Waits for processes to be gone; a zombie is gone.
fn assert_gone(pids: &[u32]) {
    let alive = |pid: &&u32| status_field(**pid, "State:").is_some_and(|state| !state.starts_with('Z'));
    for _ in 0..500 {
        if pids.iter().filter(alive).count() == 0 {
            return;
        }
        clock::pause_thread(Duration::from_millis(20));
    }
    panic!("left behind: {:?}", pids.iter().filter(alive).collect::<Vec<_>>());
}

pub(crate) fn signal(pid: u32, name: &str) {
    assert!(Command::new("kill").args([name, &pid.to_string()]).status().unwrap().success());
}

#[test]
fn a_killed_child_ends_the_run_with_a_sentence_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    for victim in 0..2 {
        let (mut run, lines, children) = start_long_run(folder.path());
        signal(children[victim], "-KILL");
        let last = lines.last().unwrap();
        assert_eq!(run.wait().unwrap().code(), Some(1));
        assert!(last.contains("ended unexpectedly: killed by signal 9 (SIGKILL)"), "{last}");
        assert!(record(folder.path()).partial, "what was measured before is lost");
        assert_gone(&children);
    }
}

#[test]
fn a_stopped_run_leaves_no_child_behind_and_keeps_what_was_measured() {
    let folder = tempfile::tempdir().unwrap();
    for (how, code) in [("-KILL", None), ("-INT", Some(130))] {
        let (mut run, lines, children) = start_long_run(folder.path());
        signal(run.id(), how);
        // What is still said must be read: a full pipe would hold the run up.
        lines.for_each(drop);
        assert_eq!(run.wait().unwrap().code(), code, "{how}");
        assert_gone(&children);
    }
    let record = record(folder.path());
    assert!(record.partial && record.rounds.len() >= 5, "{} measurements", record.rounds.len());
    assert!(folder.path().join("rest-vs-grpc/report.html").exists());
}
