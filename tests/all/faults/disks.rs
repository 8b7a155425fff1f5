//! Disks that are full, folders that take nothing or go away: said at the first moment at which it
//! can be known, with what to do, and what was measured is kept where it can be.

use std::path::PathBuf;

use record::Record;

use super::*;

const GRPC: [&str; 3] = ["rest-vs-grpc", "--only=grpc", "--set=workload.rate_per_s=300"];

/// A run with its results in a folder, as a shell starts it that does something to disks before.
fn in_a_shell(before: &str, folder: &Path, out: &str) -> Command {
    let quoted = BRIEF.iter().chain(&GRPC).map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
    let script = format!("{before} exec {WIREBENCH} {quoted} --out {out}");
    let mut command = Command::new("sh");
    command.args(["-ec", &script]).current_dir(folder).env("TMPDIR", folder);
    command
}

/// The same where nothing that is mounted is seen by anybody else.
fn mounted(mount: &str, folder: &Path) -> Command {
    fs::create_dir(folder.join("disk")).unwrap();
    let inner = in_a_shell(mount, folder, "disk/results");
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh"]).args(inner.get_args()).current_dir(folder).env("TMPDIR", folder);
    command
}

/// The record of a run that could not write it where it should be, from where it says it is.
fn rescued(said: &str) -> Record {
    let kept = "the measurements are saved in ";
    let at = said.rfind(kept).unwrap_or_else(|| panic!("it is not said where: {said}"));
    let path = said[at + kept.len()..].split(": ").next().unwrap();
    record::read(&PathBuf::from(path)).unwrap()
}

/// Before anything is measured: nothing was started.
fn is_refused(run: Run, says: &[&str], code: i32) {
    let (ended, said) = run.end();
    assert_eq!(ended, Some(code), "{said}");
    for says in says {
        assert!(said.contains(says), "'{says}': {said}");
    }
    assert!(!said.contains("starting grpc"), "{said}");
}

#[test]
fn a_disk_that_is_too_small_is_told_before_anything_is_measured() {
    // A limit of the shell, in blocks of 512 bytes or 1 KB: no file may be longer.
    let folder = tempfile::tempdir().unwrap();
    let limited = Run::start(&mut in_a_shell("ulimit -f 100;", folder.path(), "results"));
    is_refused(limited, &["MB in results: free some space there", "--out DIR", "File too large"], 1);
    if !is_root("mounting a small disk") {
        return;
    }
    let small = "mount -t tmpfs -o size=256k none disk;";
    let small = Run::start(&mut mounted(small, folder.path()));
    is_refused(small, &["MB in disk/results: free some space there", "No space left on device"], 1);
}

#[test]
fn a_folder_that_takes_nothing_is_told_before_anything_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "mine").unwrap();
    for out in ["file", "file/results"] {
        let run = Run::start(&mut in_a_shell("", folder.path(), out));
        is_refused(run, &["cannot write results to", "file is not a folder", "--out DIR"], 2);
    }
    assert_eq!(fs::read_to_string(folder.path().join("file")).unwrap(), "mine");
    if !is_root("mounting a disk that is read-only") {
        return;
    }
    let read_only = "mkdir disk/results; mount --bind disk disk; mount -o remount,ro,bind disk;";
    let run = Run::start(&mut mounted(read_only, folder.path()));
    is_refused(run, &["MB in disk/results", "Read-only file system", "--out DIR"], 1);
}

/// Somebody else fills the disk while the run goes on.
#[test]
fn a_disk_that_fills_up_ends_the_run_and_what_was_measured_is_kept_elsewhere() {
    if !is_root("mounting a small disk") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut run = Run::start(&mut mounted("mount -t tmpfs -o size=40m none disk;", folder.path()));
    run.until("round 2/");
    let all = run.descendants();
    let disk = PathBuf::from(format!("/proc/{}/root{}/disk", run.pid(), folder.path().display()));
    let filler = fs::File::create(disk.join("filler")).unwrap();
    assert!(std::io::copy(&mut std::io::repeat(0), &mut &filler).is_err(), "the disk has no end");
    let (code, said) = run.end();
    assert_eq!(code, Some(1), "{said}");
    for says in ["journal.jsonl cannot be written: No space left on device", "make room there"] {
        assert!(said.contains(says), "'{says}': {said}");
    }
    let record = rescued(&said);
    assert!(record.partial && record.rounds.len() >= 2, "{} measurements", record.rounds.len());
    assert_gone(&all);
}

#[test]
fn a_folder_that_goes_away_ends_the_run_and_what_was_measured_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("results");
    let mut run = Run::brief(&GRPC, &out);
    run.until("round 2/");
    fs::remove_dir_all(&out).unwrap();
    let start = Clock::System.now();
    let (code, said) = run.end();
    assert_eq!(code, Some(1), "{said}");
    assert!(since(start) < Duration::from_secs(10));
    assert!(said.contains("journal.jsonl is no longer there: somebody removed or moved it"), "{said}");
    let record = record::read(&out.join("rest-vs-grpc/record.json")).unwrap();
    assert!(record.partial && record.rounds.len() >= 2, "{said}");
    // It cannot be made again either.
    let mut run = Run::brief(&GRPC, &out);
    run.until("round 1/");
    fs::remove_dir_all(&out).unwrap();
    fs::write(&out, "").unwrap();
    let (code, said) = run.end();
    assert_eq!(code, Some(1), "{said}");
    let record = rescued(&said);
    assert!(record.partial && !record.rounds.is_empty());
    // In the system's own folder for temporary files, since this run was told of no other.
    let kept = said.rsplit("are saved in ").next().unwrap().split(": ").next().unwrap();
    fs::remove_dir_all(Path::new(kept).parent().unwrap()).unwrap();
}
