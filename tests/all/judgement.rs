//! What a run says and how sure it is: comparisons, exports, and what makes a measurement void.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use record::{Record, VerdictWord};

/// A run of `aa` that takes a few seconds: one contender, and itself again.
fn aa(out: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wirebench"));
    command.args([
        "run",
        "aa",
        "--quick",
        "--allow-debug",
        "--set=quick.warm_up=\"50ms\"",
        "--set=workload.rate_per_s=200",
    ]);
    command.args(more).arg("--out").arg(out);
    command
}

fn ran(mut command: Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn read(out: &Path) -> Record {
    record::read(&out.join("aa/record.json")).unwrap()
}

fn compare(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wirebench")).arg("compare").args(arguments).output().unwrap()
}

#[test]
fn a_change_of_the_handler_is_a_regression_and_a_repeat_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, wait: &str| -> PathBuf {
        let out = folder.path().join(name);
        let wait = format!("--set=workload.handler_wait=\"{wait}\"");
        ran(aa(&out, &["--accept-noise", "--rounds=4", "--set=quick.duration=\"300ms\"", &wait]));
        out
    };
    let (first, again, slower) = (run("first", "20ms"), run("again", "20ms"), run("slower", "30ms"));
    let [first, again, slower] = [&first, &again, &slower].map(|path| path.to_str().unwrap());
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();

    let repeat = compare(&[first, again, "--fail-on", "response.p50 > 30%"]);
    assert_eq!(repeat.status.code(), Some(0), "{}", said(&repeat));
    let text = String::from_utf8_lossy(&repeat.stdout).into_owned();
    assert!(text.contains("bytes_per_call") && text.contains("The intervals are of rounds"), "{text}");

    let refused = compare(&[first, slower]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        said(&refused).contains("handler's wait: 20000 µs in the old, 30000 µs in the new"),
        "{}",
        said(&refused)
    );

    let regression =
        compare(&[first, slower, "--force", "--fail-on", "response.p50 > 30%", "--format", "json"]);
    assert_eq!(regression.status.code(), Some(3), "{}", said(&regression));
    assert!(said(&regression).contains("response.p50 > 30% of tcp under 8x1"), "{}", said(&regression));
    let json: serde_json::Value = serde_json::from_slice(&regression.stdout).unwrap();
    assert!(json[0]["rows"].as_array().unwrap().iter().any(|row| row["figure"] == "response.p50"), "{json}");

    // Three repeats of a side: what differs from run to run is estimated.
    let third = run("third", "20ms");
    let repeats = [first, again, third.to_str().unwrap()].join(",");
    let repeated = compare(&[&repeats, slower, "--force", "--format", "markdown"]);
    let text = String::from_utf8_lossy(&repeated.stdout).into_owned();
    assert!(
        text.contains("include what differs from run to run") && text.contains("| tcp | 8x1 |"),
        "{text}"
    );

    // 60 calls a round have no p99: what cannot be judged does not pass.
    let unjudged = compare(&[first, again, "--fail-on", "response.p99 > 10%"]);
    assert_eq!(unjudged.status.code(), Some(3));
    let lacking = said(&unjudged);
    assert!(lacking.contains("could not be judged in any cell"), "{lacking}");
    assert!(
        lacking.contains("cannot be judged: ") && lacking.contains(" calls a round, 2\u{202f}000 needed"),
        "{lacking}"
    );

    let nowhere = compare(&[first, "no-such-baseline"]);
    assert_eq!(nowhere.status.code(), Some(2));
    assert!(said(&nowhere).contains("is not a record"), "{}", said(&nowhere));
}

/// A gate over a card does not pass because a part of the card is gone.
#[test]
fn a_scenario_that_is_lost_fails_a_gate() {
    let published = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/published");
    let of = |name: &str| published.join(name).to_str().unwrap().to_owned();
    let (both, one) = (format!("{},{}", of("push"), of("session")), of("push"));
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let gate = ["--fail-on", "cpu_per_call > 1000%"];
    let lost = compare(&[&[&both[..], &one], &gate[..]].concat());
    assert_eq!(lost.status.code(), Some(3), "{}", said(&lost));
    assert!(said(&lost).contains("failed: session is in the old only"), "{}", said(&lost));
    let more = compare(&[&[&one[..], &both], &gate[..]].concat());
    assert_eq!(more.status.code(), Some(0), "{}", said(&more));
    assert!(said(&more).contains("session is in the new only"), "{}", said(&more));
    let unnamed = compare(&[&format!("{one},"), &one]);
    assert_eq!(unnamed.status.code(), Some(2), "{}", said(&unnamed));
}

/// Failed calls stand at their time-out, which may lie below a bound: they are beyond it all the
/// same, in claims and in gates.
#[test]
fn calls_that_failed_satisfy_no_bound() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, time_out: &str| {
        let file = folder.path().join(format!("{name}.toml"));
        std::fs::write(&file, FAILING.replace("TIME_OUT", time_out)).unwrap();
        let out = folder.path().join(name);
        let mut command = Command::new(env!("CARGO_BIN_EXE_wirebench"));
        command.args(["run", "--quick", "--allow-debug", "--accept-noise"]).arg(file).arg("--out").arg(&out);
        ran(command);
        (record::read(&out.join("failing/record.json")).unwrap(), out)
    };
    let (record, failing) = run("failing", "10us");
    assert!(record.verdicts.iter().all(|verdict| verdict.verdict != VerdictWord::Holds), "{record:?}");
    let (_, well) = run("well", "1s");
    let [well, failing] = [&well, &failing].map(|path| path.to_str().unwrap());
    for threshold in [
        "response.p50 > 50ms",
        "response.p50 > 10%",
        "response.max > 50ms",
        "service.p50 > 50ms",
        "within.60ms < 98%",
        "rate_per_s < -10%",
        "cpu_per_call > 10%",
        "cpu_per_call > 1s",
        "wait.p50 > 1s",
    ] {
        let held = compare(&[well, failing, "--force", "--fail-on", threshold]);
        assert_eq!(held.status.code(), Some(3), "{threshold}");
    }
    let among_themselves = compare(&[failing, failing, "--fail-on", "cpu_per_call > 1s"]);
    assert_eq!(among_themselves.status.code(), Some(3), "no call has a cost where all failed");
}

const FAILING: &str = r#"
name = "failing"
question = "Does a call that failed satisfy a bound?"
link = "loopback"
[workload]
operation = "quote"
rate_per_s = 400
time_out = "TIME_OUT"
[[contender]]
name = "tcp"
protocol = "tcp"
[[condition]]
name = "4x1"
connections = 4
[[claim]]
card = "R1"
sentence = "Half of the calls are quick."
condition = "4x1"
contender = "tcp"
holds = "response.p50 < 50ms"
[[claim]]
card = "R1"
sentence = "Half of the calls are served quickly."
condition = "4x1"
contender = "tcp"
holds = "service.p50 < 50ms"
[[claim]]
card = "R1"
sentence = "A call takes few bytes."
condition = "4x1"
contender = "tcp"
holds = "bytes_per_call < 5000"
[quick]
duration = "250ms"
warm_up = "50ms"
rounds = 10
"#;

#[test]
fn exports_are_read_back() {
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--accept-noise", "--rounds=2", "--set=quick.duration=\"200ms\"", "--export=csv"];
    ran(aa(folder.path(), &arguments));
    let record = read(folder.path());
    let path = folder.path().join("aa/record.json");
    let export = |format: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wirebench"));
        command.args(["report", "--export", format]).arg(&path);
        String::from_utf8(ran(command).stdout).unwrap()
    };
    let csv = std::fs::read_to_string(folder.path().join("aa/measurements.csv")).unwrap();
    assert_eq!(csv, export("csv"));
    let columns = csv.lines().next().unwrap().split(',').count();
    assert!(csv.lines().all(|line| line.split(',').count() == columns), "{csv}");
    assert_eq!(csv.lines().count(), 1 + record.rounds.len());

    for (line, round) in export("jsonl").lines().zip(&record.rounds) {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(value["ok"], round.counts.ok, "{line}");
    }

    let hlog = export("hlog");
    let entries = IntervalLogIterator::new(hlog.as_bytes()).map(Result::unwrap);
    let intervals: Vec<_> = entries
        .filter_map(|entry| match entry {
            LogEntry::Interval(interval) => Some(interval),
            _ => None,
        })
        .collect();
    assert_eq!(intervals.len(), record.rounds.len());
    for (interval, round) in intervals.iter().zip(&record.rounds) {
        let tag = interval.tag().unwrap();
        assert!(["tcp/8x1", "tcp-again/8x1"].contains(&tag.as_str()), "{}", tag.as_str());
        let packed = base64_of(&round.histograms_ns.response);
        assert_eq!(interval.encoded_histogram(), packed);
    }
}

/// As HdrHistogram's log has it.
fn base64_of(histogram: &hdrhistogram::Histogram<u64>) -> String {
    use base64::Engine as _;
    use hdrhistogram::serialization::{Serializer as _, V2DeflateSerializer};
    let mut bytes = Vec::new();
    V2DeflateSerializer::new().serialize(histogram, &mut bytes).unwrap();
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// A run in whose first measured round one end of the first contender is stopped for 300 ms.
fn with_a_frozen(end: &str, out: &Path, more: &[&str]) -> Record {
    let arguments = [&["--rounds=2", "--only=tcp", "--set=quick.duration=\"1500ms\""], more].concat();
    let mut run = aa(out, &arguments).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(run.stderr.take().unwrap()).lines().map(Result::unwrap);
    // Both contenders are up; one of them is being measured within the next moments, and whichever
    // it is is stopped.
    assert!(lines.any(|line| line.starts_with("starting tcp-again")));
    let agents = loop {
        let agents = agents_of(&run, end);
        if agents.len() == 2 {
            break agents;
        }
        clock::pause_thread(Duration::from_millis(5));
    };
    clock::pause_thread(Duration::from_millis(900));
    signal(&agents, "-STOP");
    clock::pause_thread(Duration::from_millis(300));
    signal(&agents, "-CONT");
    let rest: Vec<String> = lines.collect();
    let code = run.wait().unwrap().code();
    assert!(matches!(code, Some(0 | 4)), "{code:?}: {rest:?}");
    read(out)
}

fn agents_of(run: &Child, end: &str) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").unwrap();
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let wanted = format!("agent\0{end}\0");
    pids.filter(|pid| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        status.lines().any(|line| line == format!("PPid:\t{}", run.id())) && command.contains(&wanted)
    })
    .collect()
}

fn signal(pids: &[u32], name: &str) {
    for pid in pids {
        assert!(Command::new("kill").args([name, &pid.to_string()]).status().unwrap().success());
    }
}

/// A server that stands still is slow: it shows in the tail, and the load engine was on time all
/// the while.
#[test]
fn a_frozen_server_shows_in_the_response() {
    let folder = tempfile::tempdir().unwrap();
    let record = with_a_frozen("market", folder.path(), &["--accept-noise"]);
    let frozen = record.rounds.iter().max_by(|a, b| a.response_us.max.total_cmp(&b.response_us.max)).unwrap();
    assert!(frozen.response_us.max > 200_000.0, "{:?}", frozen.response_us);
    assert!(
        frozen.response_us.p95 > 50_000.0,
        "a fifth of the round's calls waited: {:?}",
        frozen.response_us
    );
    assert!(frozen.lag_us.p95 < 100_000.0, "the engine was not frozen: {:?}", frozen.lag_us);
}

/// A load engine that stands still has measured itself.
#[test]
fn a_frozen_client_makes_its_measurement_void() {
    let folder = tempfile::tempdir().unwrap();
    let record = with_a_frozen("caller", folder.path(), &[]);
    let late = record.rounds.iter().max_by(|a, b| a.lag_us.p99.total_cmp(&b.lag_us.p99)).unwrap();
    assert!(late.lag_us.p99 > 100_000.0, "{:?}", late.lag_us);
    assert!(late.void.is_some(), "{late:?}");
    assert!(record.warnings.iter().any(|warning| warning.contains("discarded")), "{:?}", record.warnings);
}
