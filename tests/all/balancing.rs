//! Load balancing, end to end: replicas that are slow, absent or dead, and who spreads calls over
//! them.

use record::{MarketsPart, RoundPart};

use crate::measured::Measured;

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
  { name = "l7", protocol = "grpc", through = "l7", checks = "every 50ms, fall 2, rise 2" },
]
claim = [{ card = "mine", sentence = "It has moved", condition = "leaves", contender = "least", holds = "time_to_move < 500ms" }]
[quick]
conditions = ["even", "slow", "leaves", "dies"]
warm_up = "100ms"
duration = "1400ms"
"#;

fn in_a_round(
    measured: &Measured,
    contender: &str,
    condition: &str,
    check: impl Fn(&RoundPart, &MarketsPart),
) {
    measured.in_a_round(contender, condition, |round| {
        let markets = round.markets.as_ref().unwrap();
        // The markets count what came while the client measured: all that it sent, but for what was
        // under way at either end, and what nobody took. Where the machine stalls, calls of the
        // warm-up come late and are counted too.
        let came: u64 = markets.calls.iter().sum();
        let (sent, failed) = (round.counts.sent, round.counts.failures());
        let attempts = round.counts.attempts.max(sent);
        let before = sent as f64 * measured.record.plan.warm_up_ms / measured.record.plan.duration_ms;
        let few = failed + sent / 20;
        assert!(came + few >= sent, "{contender} {condition}: {came} of {sent}");
        assert!(came <= attempts + few + before as u64, "{contender} {condition}: {came} of {attempts}");
        check(round, markets);
    });
}

#[test]
fn calls_go_where_they_are_served() {
    let measured = Measured::text("replicas", REPLICAS).unwrap();
    let report = std::fs::read_to_string(measured.file("report.html")).unwrap();
    assert!(report.contains("Who got the calls: dark is market 2"));
    for contender in ["in-turn", "least", "l4", "l7"] {
        in_a_round(&measured, contender, "even", |_, markets| {
            assert!(markets.imbalance().unwrap() < 1.25, "{contender}: {markets:?}");
            assert_eq!((markets.time_to_move_us, markets.never_moved), (None, false));
        });
    }
    in_a_round(&measured, "in-turn", "slow", |_, markets| {
        assert!(markets.shares[1] > 1.0 / 6.0 && markets.never_moved, "{markets:?}");
    });
    in_a_round(&measured, "least", "slow", |_, markets| {
        assert!(markets.shares[1] < 0.2, "{markets:?}");
    });
    // Who is absent from the list is left within its interval, and nothing fails.
    for contender in ["in-turn", "least"] {
        in_a_round(&measured, contender, "leaves", |round, markets| {
            assert!(markets.shares[1] < 1e-9, "{contender}: {markets:?}");
            assert!(markets.time_to_move_us.unwrap() <= 400e3, "{contender}: {markets:?}");
            assert!(round.counts.failed_share() < 0.02, "{contender}: {:?}", round.counts);
        });
    }
    // A balancer at layer 4 moves no connection that is open.
    in_a_round(&measured, "l4", "leaves", |_, markets| assert!(markets.never_moved, "{markets:?}"));
    in_a_round(&measured, "least", "dies", |round, markets| {
        assert!(markets.shares[1] < 1e-9, "{markets:?}");
        assert!(round.counts.failed_share() < 0.2, "ejected after three: {:?}", round.counts);
    });
    // Who calls through it makes calls again by its own policy; few were under way.
    in_a_round(&measured, "l4", "dies", |round, _| {
        assert!(round.counts.failed_share() < 0.05, "{:?}", round.counts);
    });
    // One at layer 7 sends elsewhere what it could not send.
    in_a_round(&measured, "l7", "dies", |round, markets| {
        assert!(markets.shares[1] < 1e-9 && round.counts.failed_share() < 0.05, "{:?}", round.counts);
    });
    in_a_round(&measured, "in-turn", "dies", |round, markets| {
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
    let measured = Measured::of("balance-dedicated", &options).unwrap();
    for contender in ["haproxy", "nginx", "l4"] {
        in_a_round(&measured, contender, "even", |round, markets| {
            assert_eq!(round.counts.failures(), 0, "{contender}: {:?}", round.counts);
            let most = if contender == "l4" { 1.5 } else { 1.1 };
            assert!(markets.imbalance().unwrap() < most, "{contender}: {markets:?}");
        });
        in_a_round(&measured, contender, "dies", |round, markets| {
            assert!(markets.shares[1] < 1e-9, "{contender}: {markets:?}");
            assert!(round.counts.failures() <= 32, "{contender}: {:?}", round.counts);
        });
    }
    // The program's processor time is the server's.
    let cpu = |contender| {
        let rounds = measured.rounds(contender, "even").into_iter();
        rounds.map(|round| round.server.cpu_us).sum::<f64>()
    };
    assert!(cpu("haproxy") > cpu("direct"), "{} {}", cpu("haproxy"), cpu("direct"));
}
