//! The command itself is ended from outside, at each phase: what was measured is on disk, a record
//! can be made of it and a run goes on from it, and nothing is left behind.

use std::path::PathBuf;

use super::*;

const BOTH: [&str; 4] =
    ["rest-vs-grpc", "--only=rest-h1-json", "--only=grpc", "--set=workload.rate_per_s=300"];
const STATE: [&str; 4] =
    ["cost-of-state", "--only=grpc", "--set=hold.connections=[4, 8, 12]", "--set=restart.connections=[10]"];

fn lines_of(journal: &Path, what: &str) -> usize {
    let text = fs::read_to_string(journal).unwrap_or_default();
    text.lines().filter(|line| line.starts_with(&format!("{{\"{what}\":"))).count()
}

fn report(path: &Path) -> String {
    let output = Command::new(WIREBENCH).arg("report").arg(path).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

/// Killed in a round: every round that was done is there, and so is half of the one that was not.
#[test]
fn a_command_that_is_killed_in_a_round_leaves_all_that_it_measured() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = Run::brief(&BOTH, folder.path());
    run.until("round 3/");
    let all = run.descendants();
    assert!(all.len() >= 6, "{all:?}");
    signal(run.pid(), Signal::SIGKILL);
    let (code, said) = run.end();
    assert_eq!(code, None);
    assert_gone(&all);
    let results = folder.path().join("rest-vs-grpc");
    let journal = results.join("journal.jsonl");
    let done = said.lines().filter(|line| line.contains(" done · ")).count();
    // Two contenders and the baseline again.
    assert!(lines_of(&journal, "round") >= done && lines_of(&journal, "measured") >= 3 * done, "{said}");
    assert!(!results.join("record.json").exists());

    let said = report(folder.path());
    assert!(said.contains("of an interrupted run") && said.contains("marked partial"), "{said}");
    let record = record::read(&results.join("record.json")).unwrap();
    assert!(record.partial && record.finished_at_us >= record.started_at_us);
    assert_eq!(record.rounds.len(), lines_of(&journal, "measured"));
    assert!(record.cells.iter().filter_map(|cell| cell.merged.as_ref()).all(|merged| merged.counts.ok > 0));
    let page = fs::read_to_string(results.join("report.html")).unwrap();
    assert!(page.contains("rest-h1-json"));
    // A second time there is nothing new to make.
    assert!(!report(folder.path()).contains("an interrupted run"));
}

/// A run goes on behind its last whole round, by the same plan and no other.
#[test]
fn a_run_that_was_killed_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("rest-vs-grpc");
    let five: Vec<&str> =
        BRIEF.iter().map(|of| if *of == "--rounds=300" { "--rounds=5" } else { of }).collect();
    let mut command = Command::new(WIREBENCH);
    command.args(&five).args(BOTH).arg("--out").arg(folder.path());
    let mut run = Run::start(&mut command);
    run.until("round 2/");
    signal(run.pid(), Signal::SIGKILL);
    let _ = run.end();
    let kept = lines_of(&results.join("journal.jsonl"), "round");
    assert!((2..5).contains(&kept), "{kept}");

    let mut command = Command::new(WIREBENCH);
    command.args(&five).args(BOTH).arg("--resume").arg(folder.path());
    let (code, said) = Run::start(&mut command).end();
    assert_eq!(code, Some(0), "{said}");
    let record = record::read(&results.join("record.json")).unwrap();
    assert!(said.contains(&format!("{kept} of 5 rounds are already measured, and kept")), "{said}");
    assert!(!record.partial);
    assert_eq!(record.rounds.len(), 15);
    let warning = format!("rounds 1 to {kept} of 5 were measured by an earlier start");
    assert!(record.warnings.iter().any(|of| of.starts_with(&warning)), "{:?}", record.warnings);
    assert!(!results.join("journal.jsonl").exists(), "it is of no more use");
}

/// By another plan nothing goes on, and nothing is lost.
#[test]
fn a_journal_of_another_plan_is_laid_aside() {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("rest-vs-grpc");
    let mut run = Run::brief(&BOTH, folder.path());
    run.until("round 1/");
    signal(run.pid(), Signal::SIGKILL);
    let _ = run.end();
    let one: Vec<&str> =
        BRIEF.iter().map(|of| if *of == "--rounds=300" { "--rounds=1" } else { of }).collect();
    let mut command = Command::new(WIREBENCH);
    command.args(one).args(BOTH).arg("--resume").arg(folder.path());
    let (code, said) = Run::start(&mut command).end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("it was measured by another plan") && said.contains("moved to "), "{said}");
    let aside: Vec<PathBuf> = fs::read_dir(&results)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    let [aside] = &aside[..] else { panic!("{aside:?}") };
    assert!(lines_of(aside, "round") >= 1);
    report(aside);
    assert!(record::read(&aside.with_extension("").join("record.json")).unwrap().partial);
    assert!(!record::read(&results.join("record.json")).unwrap().partial);
}

/// Killed while it starts, and in an act, whose trials are kept as they end.
#[test]
fn a_command_that_is_killed_in_any_other_phase_leaves_nothing_behind() {
    for phase in ["starting grpc and checking", "restarting the server of grpc", "comparing replies of grpc"]
    {
        let folder = tempfile::tempdir().unwrap();
        let one = BRIEF.iter().map(|of| if *of == "--rounds=300" { "--rounds=1" } else { of });
        let mut command = Command::new(WIREBENCH);
        command.args(one).args(STATE).arg("--out").arg(folder.path());
        let mut run = Run::start(&mut command);
        run.until(phase);
        let all = run.descendants();
        signal(run.pid(), Signal::SIGKILL);
        let _ = run.end();
        assert_gone(&all);
        let journal = folder.path().join("cost-of-state/journal.jsonl");
        let acted = lines_of(&journal, "acted");
        match phase {
            "restarting the server of grpc" => assert!(acted >= 1, "the connections that were held are lost"),
            "comparing replies of grpc" => {
                assert!(acted == 3 && lines_of(&journal, "trial") >= 3, "{acted}");
                report(folder.path());
                let record = record::read(&folder.path().join("cost-of-state/record.json")).unwrap();
                assert!(record.partial && record.acts.len() == 3);
            }
            _ => assert_eq!(lines_of(&journal, "measured"), 0),
        }
    }
}

/// A terminal that goes away is as good as `kill`; so is one signal of either, and what is said
/// then is read by nobody.
#[test]
fn a_run_whose_terminal_goes_away_ends_in_order() {
    for signal_ in [Signal::SIGHUP, Signal::SIGTERM, Signal::SIGINT] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(WIREBENCH);
        command.args(BRIEF).args(BOTH).arg("--out").arg(folder.path());
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines().map(Result::unwrap);
        assert!(lines.any(|line| line.starts_with("round 1/")));
        let children = children_of(process.id());
        // From here on every write to stderr fails.
        drop(lines);
        signal(process.id(), signal_);
        let code = eventually("ended", || process.try_wait().unwrap()).code();
        assert_eq!(code, Some(1), "{signal_}");
        assert_gone(&children);
        let record = record::read(&folder.path().join("rest-vs-grpc/record.json")).unwrap();
        assert!(record.partial && !record.rounds.is_empty(), "{signal_}");
        assert!(folder.path().join("index.html").exists());
    }
}

/// `nohup` means it: what was started so goes on.
#[test]
fn a_run_under_nohup_goes_on_when_its_terminal_goes_away() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("nohup");
    command.arg(WIREBENCH).args(BRIEF).args(BOTH).arg("--out").arg(folder.path());
    let mut run = Run::start(command.stdin(Stdio::null()));
    run.until("round 1/");
    signal(run.pid(), Signal::SIGHUP);
    run.until("round 3/");
    signal(run.pid(), Signal::SIGTERM);
    let (code, said) = run.end();
    assert_eq!(code, Some(1), "{said}");
}

/// A server that was asked to serve ends the same way by each signal.
#[test]
fn serve_ends_in_order_by_each_signal() {
    for signal_ in [Signal::SIGHUP, Signal::SIGTERM, Signal::SIGINT] {
        let mut run = Run::start(Command::new(WIREBENCH).args(["serve", "tcp"]));
        let listens = || {
            let sockets = fs::read_to_string(format!("/proc/{}/net/tcp", run.pid())).unwrap_or_default();
            let inodes: Vec<String> = fs::read_dir(format!("/proc/{}/fd", run.pid()))
                .ok()?
                .filter_map(|fd| Some(fs::read_link(fd.ok()?.path()).ok()?.display().to_string()))
                .collect();
            sockets
                .lines()
                .filter(|line| line.split_whitespace().nth(3) == Some("0A"))
                .filter_map(|line| line.split_whitespace().nth(9))
                .any(|inode| inodes.contains(&format!("socket:[{inode}]")))
                .then_some(())
        };
        eventually("listening", listens);
        signal(run.pid(), signal_);
        run.until("stopping: calls in flight");
        assert_eq!(run.end().0, Some(0), "{signal_}");
    }
}
