//! Output that is piped, full or gone ends nothing: no panic, results stay, and so do exit codes.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use record::Record;

use crate::command::{output, stderr};
use crate::served::Served;

const WIREBENCH: &str = env!("CARGO_BIN_EXE_wirebench");
/// What a shell does to the two outputs of a command.
const OUTPUTS: [&str; 7] = [
    ">/dev/full",
    "2>/dev/full",
    ">/dev/full 2>/dev/full",
    ">&-",
    "2>&-",
    ">&- 2>&-",
    // Somebody who has had enough.
    "2>&1 | head -c 1 >/dev/null; exit ${PIPESTATUS[0]}",
];
/// A run of `aa` that takes two seconds; every measurement counts.
const AA: &str = "run aa --quick --allow-debug --accept-noise --rounds=2 --set=workload.rate_per_s=200 \
                  '--set=quick.duration=\"300ms\"' '--set=quick.warm_up=\"50ms\"'";

/// A command as a shell starts it, in a folder.
fn in_a_shell(folder: &Path, line: &str) -> Output {
    let mut command = Command::new("bash");
    command.args(["-c", &line.replace("W ", &format!("{WIREBENCH} "))]).current_dir(folder);
    command.output().unwrap()
}

#[test]
fn no_output_that_goes_away_ends_a_verb() {
    let folder = tempfile::tempdir().unwrap();
    for verb in ["list", "list --json", "list typing", "lab --links", "run aa --dry-run", "--help", "lab"] {
        for outputs in OUTPUTS {
            let ran = in_a_shell(folder.path(), &format!("W {verb} {outputs}"));
            let said = stderr(&ran);
            assert!(!said.contains("panicked"), "{verb} {outputs}: {said}");
            // 101 is a panic whose words went nowhere.
            assert!(matches!(ran.status.code(), Some(0..=2)), "{verb} {outputs}: {:?}", ran.status);
            let is_lost = outputs.starts_with(">/dev/full");
            // Data that a full disk does not take is an error, which is said where that can be.
            if is_lost && verb.starts_with("list") {
                assert_eq!(ran.status.code(), Some(1), "{verb} {outputs}");
                assert!(outputs.contains("2>") || said.contains("cannot write to stdout"), "{said}");
            }
        }
    }
    for outputs in [">/dev/full", "2>/dev/full", "| head -n 1; exit ${PIPESTATUS[0]}"] {
        let doctor = in_a_shell(folder.path(), &format!("W doctor {outputs}"));
        assert!(matches!(doctor.status.code(), Some(0 | 1)), "{outputs}: {doctor:?}");
    }
}

#[test]
fn a_run_whose_outputs_go_away_leaves_its_results() {
    let folder = tempfile::tempdir().unwrap();
    for (nth, outputs) in
        ["2>&1 | head -n 1; exit ${PIPESTATUS[0]}", "--json >/dev/full 2>/dev/full", ">&- 2>&-"]
            .iter()
            .enumerate()
    {
        let line = format!("W {AA} -o {nth} {outputs}");
        let ran = in_a_shell(folder.path(), &line);
        assert_eq!(ran.status.code(), Some(0), "{line}: {}", stderr(&ran));
        let results = folder.path().join(nth.to_string());
        let record: Record = record::read(&results.join("aa/record.json")).unwrap();
        assert!(!record.partial && record.rounds.len() == 4, "{outputs}");
        assert!(results.join("index.html").exists(), "{outputs}");
    }
    // A threshold that fails has failed, whoever reads why.
    for outputs in [">/dev/full", "2>/dev/full", ">&- 2>&-", "| head -n 1; exit ${PIPESTATUS[0]}"] {
        let compare = |threshold| format!("W compare 0 1 --fail-on '{threshold}' {outputs}");
        let failed = in_a_shell(folder.path(), &compare("bytes_per_call > 1"));
        assert_eq!(failed.status.code(), Some(3), "{outputs}: {}", stderr(&failed));
    }
    let exported = in_a_shell(folder.path(), "W report 0 --export csv | head -n 1; exit ${PIPESTATUS[0]}");
    assert_eq!(exported.status.code(), Some(0), "{}", stderr(&exported));
    let lost = in_a_shell(folder.path(), "W report 0 --export csv >/dev/full");
    assert_eq!(lost.status.code(), Some(1), "an export that is lost is an error");
}

#[test]
fn the_lab_ends_as_its_command_whatever_becomes_of_its_words() {
    let folder = tempfile::tempdir().unwrap();
    let plain = in_a_shell(folder.path(), "W lab rtt=1ms -- sh -c 'exit 7'");
    if stderr(&plain).contains("may make no") || stderr(&plain).contains("may open no") {
        return ::lab::skip(&stderr(&plain));
    }
    assert_eq!(plain.status.code(), Some(7), "{}", stderr(&plain));
    for outputs in OUTPUTS {
        for log in ["", "WIREBENCH_LOG=trace "] {
            let line = format!("{log}W lab rtt=1ms -- sh -c 'exit 7' {outputs}");
            let ran = in_a_shell(folder.path(), &line);
            assert_eq!(ran.status.code(), Some(7), "{line}: {}", stderr(&ran));
        }
    }
}

/// Where its address cannot be printed, people can still read it.
#[test]
fn a_server_goes_on_whose_address_nobody_takes() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut command = Command::new(WIREBENCH);
    command.args(["serve", "rest"]).stdout(full).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stderr.take().unwrap()).read_line(&mut line).unwrap();
    let authority = line.trim().rsplit("http://").next().unwrap().to_owned();
    let mut stream = std::net::TcpStream::connect(&authority).unwrap_or_else(|_| panic!("{line}"));
    std::io::Write::write_all(&mut stream, b"GET /v1/quotes/AAAA HTTP/1.0\r\nhost: localhost\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 200") || answer.starts_with("HTTP/1.1 200"), "{answer}");
    process.kill().unwrap();
    process.wait().unwrap();
    // One whose reader went away after the first address goes on with the others.
    let served = Served::with(&["rest", "grpc", "tcp"]);
    assert!(std::net::TcpStream::connect(&served.authority).is_ok());
}

/// What would do nothing is refused, with what to write, before anything is started.
#[test]
fn options_that_do_nothing_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root.pem");
    let root = root.to_str().unwrap();
    for (line, said) in [
        (format!("serve rest --root {root}"), "add --over tls or quic"),
        (format!("serve reference --root {root}"), "add --over tls or quic"),
        ("serve rest --delay 5ms".to_owned(), "--handler-wait"),
        ("serve grpc --freeze 500ms/5s".to_owned(), "`serve reference`"),
        ("serve rest --graphiql".to_owned(), "serve graphql --graphiql"),
        ("serve rest --grpc-web".to_owned(), "serve grpc --grpc-web"),
        ("serve reference --handler-wait 5ms".to_owned(), "--handler-wait is of the market"),
        ("serve reference --handler-cpu 5ms".to_owned(), "--handler-cpu is of the market"),
        ("serve reference --handler-fails 5%".to_owned(), "--handler-fails is of the market"),
        ("serve reference --handler-loses 5%".to_owned(), "--handler-loses is of the market"),
        ("serve reference --tick-rate 5".to_owned(), "--tick-rate is of the market"),
        ("serve reference --ledger x".to_owned(), "--ledger is of the market"),
        ("serve reference --seed 5".to_owned(), "--seed is of the market"),
        ("serve reference rest".to_owned(), "served alone"),
        ("serve reference --freeze 0s/5s".to_owned(), "a freeze of no time"),
        ("serve tcp --over plain,quic".to_owned(), "leave quic out"),
        ("run typing --only nonsense".to_owned(), "--only: typing is a matrix"),
        ("run typing reach --quick".to_owned(), "--quick: typing is a matrix"),
        ("run reach --rounds 5".to_owned(), "--rounds: reach is a matrix"),
        ("run reach --seed 5".to_owned(), "--seed: reach is a matrix"),
        ("run reach --accept-noise".to_owned(), "--accept-noise: reach is a matrix"),
        ("run aa --capacity --dry-run".to_owned(), "[capacity]"),
        ("run aa --pcap --dry-run".to_owned(), "--pcap needs a scenario over a link"),
        ("lab --links rtt=1ms".to_owned(), "cannot be used with"),
        ("lab --links --seed 5".to_owned(), "cannot be used with"),
        ("calibrate link --loopback".to_owned(), "leave it out"),
        ("calibrate --soak=0s".to_owned(), "greater than 0"),
        ("run aa --dry-run --set workload.rate_per_s=1e12".to_owned(), "a rate must be"),
        ("run aa --dry-run --set workload.rate_per_s=nan".to_owned(), "a rate must be"),
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let refused = output(&words);
        assert_eq!(refused.status.code(), Some(2), "{line}: {}", stderr(&refused));
        assert!(stderr(&refused).contains(said), "{line}: {}", stderr(&refused));
    }
    assert!(!Path::new(root).exists(), "a certificate that nobody is asked for was written");
}
