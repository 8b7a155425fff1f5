//! The command itself is ended from outside, at each phase: what was measured is on disk, a record
//! can be made of it and a run goes on from it, and nothing is left behind.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::served::Served;

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
        assert_eq!(code, Some(130), "{signal_}");
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
    assert_eq!(code, Some(130), "{said}");
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

/// A server that somebody else started falls silent when all rounds are over: the first signal is
/// heard, and what was measured is kept. Without one the wait has an end, too.
#[test]
fn a_target_that_falls_silent_is_not_waited_for() {
    for signal_ in [Some(Signal::SIGINT), Some(Signal::SIGHUP), Some(Signal::SIGTERM), None] {
        let served = Served::with(&["rest"]);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("silent.toml");
        let pauses = Pausing::before(&served.authority);
        let text = SILENT.replace("ADDRESS", &pauses.authority);
        fs::write(&file, text).unwrap();
        let mut command = Command::new(WIREBENCH);
        command.args(["run", "--quick", "--allow-debug", "--accept-noise"]).arg(&file);
        command.arg("--out").arg(folder.path().join("out"));
        let mut run = Run::start(&mut command);
        run.until("round 2/2");
        pauses.pause();
        let start = Clock::System.now();
        if let Some(signal_) = signal_ {
            clock::pause_thread(Duration::from_millis(300));
            signal(run.pid(), signal_);
        }
        let (code, said) = run.end();
        assert!(since(start) < Duration::from_secs(20), "{signal_:?}: {:?}", since(start));
        assert_eq!(code, Some(if signal_.is_some() { 130 } else { 1 }), "{said}");
        let record = record::read(&folder.path().join("out/silent/record.json")).unwrap();
        assert!(record.partial && record.rounds.len() == 4, "{said}");
    }
}

const SILENT: &str = r#"
name = "silent"
question = "What becomes of a run whose target falls silent?"
link = "loopback"
[workload]
operation = "quote"
rate_per_s = 200
time_out = "1s"
[[contender]]
name = "target"
protocol = "rest"
target = "ADDRESS"
[[condition]]
name = "4x1"
connections = 4
[quick]
duration = "200ms"
warm_up = "50ms"
rounds = 2
"#;

/// Something before a server that can stop passing bytes on.
struct Pausing {
    authority: String,
    paused: Arc<AtomicBool>,
}

impl Pausing {
    fn before(server: &str) -> Pausing {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let paused = Arc::new(AtomicBool::new(false));
        let (server, is_paused) = (server.to_owned(), Arc::clone(&paused));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(&server) else { return };
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let paused = Arc::clone(&is_paused);
                    std::thread::spawn(move || pass(from, to, &paused));
                }
            }
        });
        Pausing { authority, paused }
    }

    fn pause(&self) {
        self.paused.store(true, Ordering::Relaxed);
    }
}

/// Passes bytes on until one side ends; a paused one holds both open, and says nothing.
fn pass(mut from: TcpStream, mut to: TcpStream, paused: &AtomicBool) {
    let mut piece = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut piece) {
        while paused.load(Ordering::Relaxed) {
            clock::pause_thread(Duration::from_millis(20));
        }
        if to.write_all(&piece[..read]).is_err() {
            return;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// A measurement that takes long is given up some seconds after a signal.
#[test]
fn a_long_round_does_not_keep_a_run_from_ending() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(WIREBENCH);
    let long = BRIEF.map(|of| if of.contains("duration") { "--set=quick.duration=\"10min\"" } else { of });
    let long = long.map(|of| if of.starts_with("--rounds") { "--rounds=2" } else { of });
    command.args(long).args(BOTH).arg("--out").arg(folder.path());
    let mut run = Run::start(&mut command);
    run.until("starting grpc");
    clock::pause_thread(Duration::from_secs(3));
    let all = run.descendants();
    let start = Clock::System.now();
    signal(run.pid(), Signal::SIGINT);
    let (code, said) = run.end();
    assert_eq!(code, Some(130), "{said}");
    assert!(since(start) < Duration::from_secs(25), "{:?}", since(start));
    assert_gone(&all);
}

/// A command of the lab hears each signal once, has time to end, and gives its exit code; the
/// second signal ends it.
#[test]
fn the_lab_passes_signals_on() {
    let made = Command::new(WIREBENCH).args(["lab", "rtt=1ms", "--", "true"]).output().unwrap();
    if !made.status.success() {
        return ::lab::skip(&String::from_utf8_lossy(&made.stderr));
    }
    let polite = "trap 'exit 5' INT TERM HUP; echo up >&2; while :; do sleep 0.05; done";
    let stubborn = "trap '' INT TERM HUP; echo up >&2; while :; do sleep 0.05; done";
    for signal_ in [Signal::SIGHUP, Signal::SIGTERM, Signal::SIGINT] {
        for (script, signals, expected) in [(polite, 1, 5), (stubborn, 2, 130)] {
            let mut command = Command::new(WIREBENCH);
            command.args(["lab", "rtt=1ms", "--", "sh", "-c", script]).stdin(Stdio::null());
            let mut run = Run::start(&mut command);
            run.until("up");
            let all = run.descendants();
            for _ in 0..signals {
                signal(run.pid(), signal_);
                clock::pause_thread(Duration::from_millis(700));
            }
            let (code, said) = run.end();
            assert_eq!(code, Some(expected), "{signal_}: {said}");
            assert!(said.contains("to the server: "), "its packets are not counted: {said}");
            assert_gone(&all);
        }
    }
}

/// What was compared until then is printed, as data that can be read.
#[test]
fn a_calibration_and_a_doctor_that_are_stopped_print_what_they_have() {
    let mut command = Command::new(WIREBENCH);
    command.args(["calibrate", "tcp", "--allow-debug", "--loopback", "--json"]);
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.starts_with("measuring tcp")));
    clock::pause_thread(Duration::from_secs(2));
    signal(process.id(), Signal::SIGTERM);
    let rest: Vec<String> = lines.collect();
    let output = process.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{rest:?}");
    let printed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(printed["rows"].is_array(), "{printed}");

    let mut command = Command::new(WIREBENCH);
    command.args(["doctor", "--json"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let process = command.spawn().unwrap();
    clock::pause_thread(Duration::from_millis(600));
    signal(process.id(), Signal::SIGINT);
    let output = process.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let printed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(printed.as_array().unwrap().iter().any(|finding| finding["what"] == "kernel"), "{printed}");
}
