//! Load balancing, end to end: replicas that are slow, absent or dead, and who spreads calls over
//! them.

use std::process::Command;

use record::{MarketsPart, Record, RoundPart};

const REPLICAS: &str = r#"
name = "replicas"
question = "Who gets the calls when a replica is slow, absent or dead?"
workload = { operation = "quote", rate_per_s = 600, time_out = "400ms", handler_wait = "5ms", replicas = 3 }
condition = [
  { name = "even", label = "when nothing happens", connections = 3, in_flight = 64 },
  { name = "slow", label = "when one is slow", connections = 3, in_flight = 64, changes = ["200ms market.2 slows 20x 1s"] },
  { name = "leaves", label = "when one is not on the list", connections = 3, in_flight = 64, changes = ["200ms market.2 leaves 1s"] },
  { name = "dies", label = "when one is dead", connections = 3, in_flight = 64, changes = ["200ms market.2 dies 1s"] },
]
contender = [
  { name = "in-turn", protocol = "tcp", balance = "round_robin", refresh_every = "200ms" },
  { name = "least", protocol = "grpc", balance = "least_in_flight", refresh_every = "200ms", ejects = "3 failures, 2s" },
  { name = "l4", protocol = "grpc", through = "l4", attempts = 2, backoff = "immediate" },
]
claim = [{ card = "mine", sentence = "It has moved", condition = "leaves", contender = "least", holds = "time_to_move < 500ms" }]
[quick]
conditions = ["even", "slow", "leaves", "dies"]
warm_up = "100ms"
duration = "1400ms"
"#;

/// Runs a scenario of this name, with more options.
fn run(name: &str, scenario: &str, options: &[&str]) -> Record {
    let results = tempfile::tempdir().unwrap();
    let ran = Command::new(env!("CARGO_BIN_EXE_wirebench"))
        .args(["run", scenario, "--rounds=2", "--allow-debug", "--accept-noise"])
        .args(options)
        .arg("--out")
        .arg(results.path())
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let folder = results.path().join(name);
    let report = std::fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(report.contains("Who got the calls: dark is market 2"));
    record::read(&folder.join("record.json")).unwrap()
}

fn each_round(record: &Record, contender: &str, condition: &str, check: impl Fn(&RoundPart, &MarketsPart)) {
    let cell = record.cell(contender, condition).unwrap();
    for round in record.rounds.iter().filter(|round| round.cell == cell) {
        let markets = round.markets.as_ref().unwrap();
        // The markets count what the client sent: all of it, but for what was under way at either
        // end, and what nobody took.
        let came: u64 = markets.calls.iter().sum();
        let (sent, failed) = (round.counts.sent, round.counts.failures());
        assert!(came.abs_diff(sent) <= failed + sent / 20, "{contender} {condition}: {came} of {sent}");
        check(round, markets);
    }
}

#[test]
fn calls_go_where_they_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("replicas.toml");
    std::fs::write(&file, REPLICAS).unwrap();
    let record = run("replicas", file.to_str().unwrap(), &["--quick"]);
    for contender in ["in-turn", "least", "l4"] {
        each_round(&record, contender, "even", |_, markets| {
            assert!(markets.imbalance().unwrap() < 1.25, "{contender}: {markets:?}");
            assert_eq!((markets.time_to_move_us, markets.never_moved), (None, false));
        });
    }
    each_round(&record, "in-turn", "slow", |_, markets| {
        assert!((markets.shares[1] - 1.0 / 3.0).abs() < 0.08 && markets.never_moved, "{markets:?}");
    });
    each_round(&record, "least", "slow", |_, markets| {
        assert!(markets.shares[1] < 0.2, "{markets:?}");
    });
    // Who is absent from the list is left within its interval, and nothing fails.
    for contender in ["in-turn", "least"] {
        each_round(&record, contender, "leaves", |round, markets| {
            assert!(markets.shares[1] < 1e-9, "{contender}: {markets:?}");
            assert!(markets.time_to_move_us.unwrap() <= 400e3, "{contender}: {markets:?}");
            assert!(round.counts.failed_share() < 0.02, "{contender}: {:?}", round.counts);
        });
    }
    // A balancer at layer 4 moves no connection that is open.
    each_round(&record, "l4", "leaves", |_, markets| assert!(markets.never_moved, "{markets:?}"));
    each_round(&record, "least", "dies", |round, markets| {
        assert!(markets.shares[1] < 1e-9, "{markets:?}");
        assert!(round.counts.failed_share() < 0.2, "ejected after three: {:?}", round.counts);
    });
    // Who calls through it makes calls again by its own policy.
    each_round(&record, "l4", "dies", |round, _| {
        assert!(round.counts.attempts > round.counts.sent, "{:?}", round.counts);
    });
    each_round(&record, "in-turn", "dies", |round, markets| {
        assert!(markets.never_moved && round.counts.failed_share() > 0.15, "{:?}", round.counts);
    });
}

/// Programs that read HTTP try another market where they cannot connect, so that few calls fail
/// beside those that were under way: one a connection at most.
#[test]
fn programs_balance_too() {
    for program in ["haproxy", "nginx"] {
        if ::lab::program::find(&[program]).is_none() {
            return ::lab::skip(&format!("{program} is not installed"));
        }
    }
    let options = ["--only=direct", "--only=haproxy", "--only=nginx", "--only=l4"];
    let record = run("balance-dedicated", "balance-dedicated", &options);
    for contender in ["haproxy", "nginx", "l4"] {
        each_round(&record, contender, "even", |round, markets| {
            assert_eq!(round.counts.failures(), 0, "{contender}: {:?}", round.counts);
            let most = if contender == "l4" { 1.5 } else { 1.1 };
            assert!(markets.imbalance().unwrap() < most, "{contender}: {markets:?}");
        });
        each_round(&record, contender, "dies", |round, markets| {
            assert!(markets.shares[1] < 1e-9, "{contender}: {markets:?}");
            assert!(round.counts.failures() <= 32, "{contender}: {:?}", round.counts);
        });
    }
    // The program's processor time is the server's.
    let cpu = |contender| {
        let cell = record.cell(contender, "even").unwrap();
        let rounds = record.rounds.iter().filter(|round| round.cell == cell);
        rounds.map(|round| round.server.cpu_us).sum::<f64>()
    };
    assert!(cpu("haproxy") > cpu("direct"), "{} {}", cpu("haproxy"), cpu("direct"));
}
