//! The engine measures what is known: what does not depend on how quiet the machine is.

use std::process::Command;

use record::calibration::{Accuracy, Calibration, Unit};

/// Counts and shares are exact on any machine; times are `calibrate`'s own business, and not a
/// test's.
#[test]
fn known_failures_and_disturbed_ticks_are_counted_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_wirebench"));
    command.args(["calibrate", "tcp", "sse", "--allow-debug", "--json"]).current_dir(folder.path());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(matches!(output.status.code(), Some(0 | 1 | 4)), "{said}");
    let calibration: Calibration = serde_json::from_slice(&output.stdout).unwrap();
    let exact: Vec<_> = calibration.rows.iter().filter(|row| row.unit != Unit::Micros).collect();
    // One share and three counts of ticks over TCP, three over SSE.
    assert_eq!(exact.len(), 7, "{exact:?}");
    for row in exact {
        let noisy = matches!(row.outcome, Accuracy::TooNoisy(_));
        assert!(row.outcome == Accuracy::Within || noisy, "{row:?}");
    }
    let delay = calibration.rows.iter().find(|row| row.what == "a delay of 2 ms, p50").unwrap();
    assert!(
        (delay.truth - 2_000.0).abs() < 1e-9 && delay.measured > 1_000.0 && delay.n == 2_000,
        "{delay:?}"
    );
    assert!(!folder.path().join("results").exists(), "a calibration of two protocols is not the machine's");
}
