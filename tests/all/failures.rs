//! Failure handling, end to end: real processes, lost replies, ledgers in files, fronts.

use std::path::Path;
use std::process::Command;

use record::{Merged, Record, RoundPart};

/// Runs a scenario in two rounds and reads its record; the results stay in the folder.
fn run(scenario: &str, folder: &Path) -> Record {
    let ran = Command::new(env!("CARGO_BIN_EXE_wirebench"))
        .args(["run", scenario, "--quick", "--rounds=2", "--allow-debug", "--accept-noise", "--out"])
        .arg(folder)
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let name = Path::new(scenario).file_stem().unwrap().to_str().unwrap();
    record::read(&folder.join(name).join("record.json")).unwrap()
}

fn rounds<'a>(record: &'a Record, contender: &str, condition: &str) -> Vec<&'a RoundPart> {
    let cell = record.cell(contender, condition).unwrap();
    record.rounds.iter().filter(|round| round.cell == cell).collect()
}

fn merged<'a>(record: &'a Record, contender: &str, condition: &str) -> &'a Merged {
    record.cells[record.cell(contender, condition).unwrap()].merged.as_ref().unwrap()
}

/// Every protocol that writes, with keys and without.
const EVERY_PROTOCOL: &str = r#"
name = "keys"
extend = "idempotency"
question = "Does a key keep retries from placing orders twice, over every protocol?"

[quick]
contenders = ["rest", "grpc", "rest-key", "grpc-key", "graphql-key", "websocket-key", "tcp-key", "udp-key"]
conditions = ["lost-20"]
warm_up = "0s"
duration = "500ms"
"#;

#[test]
fn with_keys_every_protocol_places_each_order_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.toml");
    std::fs::write(&file, EVERY_PROTOCOL).unwrap();
    let results = folder.path().join("results");
    let record = run(file.to_str().unwrap(), &results);
    for keyed in ["rest-key", "grpc-key", "graphql-key", "websocket-key", "tcp-key", "udp-key"] {
        for round in rounds(&record, keyed, "lost-20") {
            let counts = &round.counts;
            assert!(counts.attempts > counts.sent, "{keyed}: nothing was lost: {counts:?}");
            // A call whose every attempt came to nothing may have placed none.
            let orders = round.orders.unwrap();
            assert!((counts.ok..=counts.sent).contains(&orders), "{keyed}: {orders} {counts:?}");
        }
    }
    for plain in ["rest", "grpc"] {
        for round in rounds(&record, plain, "lost-20") {
            let counts = &round.counts;
            assert!(round.orders > Some(counts.sent), "{plain}: {:?} {counts:?}", round.orders);
            assert!(round.orders <= Some(counts.attempts), "{plain}: {:?} {counts:?}", round.orders);
        }
    }
    // One order a key, as another program counts them, the conformance cases' among them.
    let ledger = results.join("keys/ledgers/udp-key.sqlite");
    let count = "select count(*) - count(distinct idempotency_key) from orders where idempotency_key <> ''";
    match Command::new("sqlite3").arg(&ledger).arg(count).output() {
        Ok(output) => assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "0"),
        Err(error) => ::lab::skip(&format!("sqlite3 cannot be run: {error}")),
    }
}

/// A breaker lets its failures, those that are under way and its probes through, and nothing else;
/// calls that need another service do not notice.
#[test]
fn a_breaker_spares_the_service_that_fails() {
    let folder = tempfile::tempdir().unwrap();
    let record = run("circuit-breaker", folder.path());
    for condition in ["stalls", "fails"] {
        for contender in ["none", "hystrix"] {
            let (all, apart) =
                (&merged(&record, contender, condition).counts, merged(&record, contender, condition));
            let apart = &apart.apart.as_ref().unwrap().counts;
            let share = apart.arrivals as f64 / (apart.arrivals + all.arrivals) as f64;
            assert!((share - 0.2).abs() < 0.02, "a fifth need the second market: {share}");
            assert!(apart.failures() > 0, "{contender} {condition}: {apart:?}");
        }
        let spared = &merged(&record, "hystrix", condition).counts;
        let unspared = &merged(&record, "none", condition).counts;
        assert!(spared.failed_share() <= unspared.failed_share(), "{condition}: {spared:?} {unspared:?}");
    }
    let reached = |contender| -> u64 {
        rounds(&record, contender, "fails").iter().map(|round| round.calls_in_trouble.unwrap()).sum()
    };
    let (none, hystrix) = (reached("none"), reached("hystrix"));
    // Ten failures and a probe or two a round, and not all 100; how many exactly is a matter of who
    // has the core.
    assert!(hystrix >= 20 && hystrix < none / 2, "{none} {hystrix}");
    let cascade = &merged(&record, "none", "stalls").counts;
    assert!(cascade.failed_share() > 0.05, "the pool was full: {cascade:?}");
}
