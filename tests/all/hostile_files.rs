//! Files and folders that somebody prepared: what is no file, what is too large, links that lead
//! elsewhere, and names that are taken.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::stat::Mode;

/// A command that waits for a pipe waits for ever: this is far more than any needs.
const TIME_MAX: Duration = Duration::from_secs(60);

/// What came of a command: how it ended, what it said, and the most memory that it had, in kB.
struct Came {
    status: ExitStatus,
    said: String,
    memory_kb: u64,
}

fn wirebench(folder: &Path, arguments: &[&str]) -> Came {
    let errors = tempfile::NamedTempFile::new().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_wirebench"))
        .current_dir(folder)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors.reopen().unwrap())
        .spawn()
        .unwrap();
    let clock = clock::Clock::System;
    let end = clock.now() + TIME_MAX;
    let mut memory_kb = 0;
    loop {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        memory_kb = peak.and_then(|peak| peak.parse().ok()).unwrap_or(memory_kb);
        if let Some(status) = child.try_wait().unwrap() {
            let said = std::fs::read_to_string(errors.path()).unwrap();
            return Came { status, said, memory_kb };
        }
        if clock.now() >= end {
            let _ = child.kill();
            panic!("{arguments:?} does not end");
        }
        clock::pause_thread(Duration::from_millis(2));
    }
}

fn published() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/results/published/reach/record.json"))
}

#[test]
fn what_is_no_file_is_refused_wherever_a_file_is_read() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("of-pipes")).unwrap();
    for pipe in ["pipe", "pipe.toml", "of-pipes/record.json"] {
        nix::unistd::mkfifo(&folder.path().join(pipe), Mode::S_IRWXU).unwrap();
    }
    let extending = "name = \"x\"\nquestion = \"?\"\nextend = \"pipe.toml\"\n";
    std::fs::write(folder.path().join("extends.toml"), extending).unwrap();
    let right = published().to_str().unwrap();
    for arguments in [
        &["report", "pipe"][..],
        &["report", "/dev/zero"],
        &["report", "of-pipes"],
        &["compare", "pipe", right],
        &["compare", right, "/dev/zero"],
        &["run", "aa", "--dry-run", "--baseline", "pipe"],
        &["run", "pipe.toml", "--dry-run"],
        &["run", "/dev/zero", "--dry-run"],
        &["run", "extends.toml", "--dry-run"],
        &["load", "https://127.0.0.1:1/", "--root", "pipe", "--rate=1", "--allow-debug"],
    ] {
        let Came { status, said, .. } = wirebench(folder.path(), arguments);
        assert!(!status.success() && said.contains("no regular file"), "{arguments:?}: {said}");
    }
}

/// A list of zeros would be thirty times as large in memory as in its file.
#[test]
fn what_is_too_large_is_refused_with_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, contents: &[u8]| std::fs::write(folder.path().join(name), contents).unwrap();
    let zeros = [b"[".as_slice(), &b"0,".repeat(25 << 20), b"0]"].concat();
    write("zeros.json", &zeros);
    let within = [b"{\"schema\":\"wirebench.record.v2\",\"x\":".as_slice(), &zeros, b"}"].concat();
    write("within.json", &within);
    write("nothing.json", &vec![0; 50 << 20]);
    write("long.json", &vec![b' '; 65 << 20]);
    write("long.toml", &vec![b'\n'; 2 << 20]);
    std::fs::File::create(folder.path().join("sparse.json")).unwrap().set_len(1 << 40).unwrap();
    for name in ["zeros.json", "within.json", "nothing.json", "long.json", "sparse.json"] {
        let Came { status, said, memory_kb } = wirebench(folder.path(), &["report", name]);
        assert!(!status.success() && said.contains(name), "{name}: {said}");
        assert!(memory_kb > 0 && memory_kb < 200_000, "{name} took {memory_kb} kB");
    }
    let Came { said, .. } = wirebench(folder.path(), &["run", "long.toml", "--dry-run"]);
    assert!(said.contains("more than 1048576 bytes"), "{said}");
}

/// 2^64 combinations wrap to none: they are refused before a plan is made.
#[test]
fn a_plan_beyond_its_bounds_is_refused_by_a_dry_run_too() {
    let folder = tempfile::tempdir().unwrap();
    let list = |axis: &str, value: &str| format!("{axis} = [{}]", vec![value; 1 << 16].join(","));
    let axes = [
        list("rate_per_s", "1.0"),
        list("connections", "1"),
        list("in_flight", "1"),
        list("handler_wait", "\"1s\""),
    ];
    let text = format!(
        "name = \"x\"\nquestion = \"?\"\nextend = \"aa\"\n[[condition]]\nname = \"many\"\nconnections = 1\naxes = {{ {} }}\n",
        axes.join(", ")
    );
    std::fs::write(folder.path().join("x.toml"), text).unwrap();
    let Came { status, said, memory_kb } = wirebench(folder.path(), &["run", "x.toml", "--dry-run"]);
    assert!(status.code() == Some(2) && said.contains("at most 500 conditions"), "{said}");
    assert!(memory_kb < 500_000, "{memory_kb} kB");
    let aa = ["run", "rest-vs-grpc", "--dry-run", "--full", "--rounds=1000"];
    let Came { status, said, .. } = wirebench(folder.path(), &aa);
    assert!(status.code() == Some(2) && said.contains("4000 measurements"), "{said}");
}

#[test]
fn a_report_is_written_through_no_link() {
    let folder = tempfile::tempdir().unwrap();
    let victim = folder.path().join("victim");
    std::fs::write(&victim, "as it was").unwrap();
    let results = folder.path().join("results");
    std::fs::create_dir_all(results.join("reach")).unwrap();
    std::fs::copy(published(), results.join("reach/record.json")).unwrap();
    for name in ["card.html", "index.html", "card.md", "reach/report.html"] {
        symlink(&victim, results.join(name)).unwrap();
        symlink(&victim, results.join(format!("{name}.unfinished"))).unwrap();
    }
    let Came { status, said, .. } = wirebench(folder.path(), &["report", "--card", "results"]);
    assert!(status.success(), "{said}");
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "as it was");
    for name in ["card.html", "index.html", "card.md", "reach/report.html"] {
        assert!(std::fs::symlink_metadata(results.join(name)).unwrap().is_file(), "{name}");
    }
}

/// Two runs of the same second, and what each leaves: a folder of its own, and nothing in the
/// system's temporary folder.
#[test]
fn two_runs_of_one_second_have_two_folders_and_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let temporary = tempfile::tempdir().unwrap();
    let run = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wirebench"));
        command.current_dir(folder.path()).env("TMPDIR", temporary.path()).args(["run", "reach"]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let mut runs = [run(), run(), run()];
    assert!(runs.iter_mut().all(|run| run.wait().unwrap().success()));
    let made = std::fs::read_dir(folder.path().join("results")).unwrap();
    let made: Vec<_> = made.map(|entry| entry.unwrap().path()).collect();
    let records = made.iter().filter(|path| !path.is_symlink() && path.join("reach/record.json").is_file());
    assert_eq!(records.count(), 3, "{made:?}");
    assert!(folder.path().join("results/latest/index.html").is_file());
    let left: Vec<_> = std::fs::read_dir(temporary.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}
