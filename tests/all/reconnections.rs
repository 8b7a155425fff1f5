//! Subscribers behind a relay, end to end: what they miss, whether they notice, and how it is
//! counted.

use std::process::Command;

use record::{Merged, Record};

/// Every contender behind every relay, twice; over the cable, or loopback where the machine allows
/// none.
fn record() -> Record {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_wirebench"));
    command.args([
        "run",
        "sse-reconnect",
        "--full",
        "--rounds=2",
        "--allow-debug",
        "--accept-noise",
        "--out",
    ]);
    let ran = command.arg(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}");
    assert!(said.contains("reconnections closes (closes=400ms): sse: "), "{said}");
    let results = folder.path().join("sse-reconnect");
    let report = std::fs::read_to_string(results.join("report.html")).unwrap();
    assert!(report.contains("Lost connections") && report.contains("behind a relay: closes=400ms"));
    record::read(&results.join("record.json")).unwrap()
}

fn of<'a>(record: &'a Record, contender: &str, condition: &str) -> &'a Merged {
    let merged = record.cells[record.cell(contender, condition).unwrap()].merged.as_ref().unwrap();
    // 90 ticks to eight subscribers, in two rounds, whatever became of them.
    assert_eq!((merged.counts.arrivals, merged.response_us.n), (1_440, 1_440), "{contender} {condition}");
    merged
}

fn lost(merged: &Merged) -> u64 {
    merged.counts.failed.get("missed").copied().unwrap_or_default()
}

#[test]
fn who_resumes_loses_nothing_and_who_notices_comes_back() {
    let record = record();
    for condition in ["closes", "resets"] {
        for resumes in ["sse", "sse-watchful", "websocket-resumes", "websocket-watchful"] {
            let counts = &of(&record, resumes, condition).counts;
            assert!(counts.failed.is_empty(), "{resumes} {condition}: {counts:?}");
            assert!(
                counts.reconnections >= 16 && counts.longest_gap == 0,
                "{resumes} {condition}: {counts:?}"
            );
            assert_eq!((counts.duplicates, counts.out_of_order), (0, 0), "{resumes} {condition}");
            // The pause of 50 ms at least.
            assert!(counts.longest_silence_us > 50_000.0, "{resumes} {condition}: {counts:?}");
        }
        for plain in ["sse-forgetful", "websocket"] {
            let merged = of(&record, plain, condition);
            // 50 ms of pause and a few of handshakes, a tick every five.
            assert!(lost(merged) >= 9 * 16, "{plain} {condition}: {:?}", merged.counts);
            assert!((9..60).contains(&merged.counts.longest_gap), "{plain} {condition}: {:?}", merged.counts);
        }
    }
    for unaware in ["sse", "sse-forgetful", "websocket", "websocket-resumes"] {
        let merged = of(&record, unaware, "silent");
        // Nobody comes back, and all that is left of the round is one gap.
        assert_eq!(merged.counts.reconnections, 0, "{unaware}");
        assert!(lost(merged) > 400 && merged.counts.longest_gap > 25, "{unaware}: {:?}", merged.counts);
    }
    for watchful in ["sse-watchful", "websocket-watchful"] {
        let counts = &of(&record, watchful, "silent").counts;
        assert!(counts.failed.is_empty() && counts.reconnections >= 16, "{watchful}: {counts:?}");
    }
    // Of 4 KB at a time, more than twenty events: none comes at once, and the last of a round do
    // not come.
    let merged = of(&record, "sse", "buffers");
    assert!(merged.response_us.at(0.5).unwrap() > 20_000.0 && lost(merged) > 0, "{:?}", merged.counts);
}
