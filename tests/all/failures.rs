//! Failure handling, end to end: real processes, lost replies, ledgers in files, fronts.

use std::process::Command;

use crate::measured::Measured;

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
    let measured = Measured::text("keys", EVERY_PROTOCOL).unwrap();
    for keyed in ["rest-key", "grpc-key", "graphql-key", "websocket-key", "tcp-key", "udp-key"] {
        for round in measured.rounds(keyed, "lost-20") {
            let counts = &round.counts;
            assert!(counts.attempts > counts.sent, "{keyed}: nothing was lost: {counts:?}");
            // A call whose every attempt came to nothing may have placed none.
            let orders = round.orders.unwrap();
            assert!((counts.ok..=counts.sent).contains(&orders), "{keyed}: {orders} {counts:?}");
        }
    }
    for plain in ["rest", "grpc"] {
        for round in measured.rounds(plain, "lost-20") {
            let counts = &round.counts;
            assert!(round.orders > Some(counts.sent), "{plain}: {:?} {counts:?}", round.orders);
            assert!(round.orders <= Some(counts.attempts), "{plain}: {:?} {counts:?}", round.orders);
        }
    }
    // One order a key, as another program counts them, the conformance cases' among them.
    let ledger = measured.file("ledgers/udp-key.sqlite");
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
    let measured = Measured::of("circuit-breaker", &["--quick"]).unwrap();
    for condition in ["stalls", "fails"] {
        for contender in ["none", "hystrix"] {
            let (all, apart) =
                (&measured.merged(contender, condition).counts, measured.merged(contender, condition));
            let apart = &apart.apart.as_ref().unwrap().counts;
            let share = apart.arrivals as f64 / (apart.arrivals + all.arrivals) as f64;
            assert!((share - 0.2).abs() < 0.02, "a fifth need the second market: {share}");
            assert!(apart.failures() > 0, "{contender} {condition}: {apart:?}");
        }
    }
    // A stall takes places; a failure that comes at once takes none.
    let [spared, unspared] = ["hystrix", "none"].map(|of| &measured.merged(of, "stalls").counts);
    assert!(spared.failed_share() <= unspared.failed_share(), "{spared:?} {unspared:?}");
    let reached = |contender| -> u64 {
        measured.rounds(contender, "fails").iter().map(|round| round.calls_in_trouble.unwrap()).sum()
    };
    let (none, hystrix) = (reached("none"), reached("hystrix"));
    // Ten failures and a probe or two a round, and not all 100; how many exactly is a matter of who
    // has the core.
    assert!(hystrix >= 20 && hystrix < none / 2, "{none} {hystrix}");
    let cascade = &measured.merged("none", "stalls").counts;
    assert!(cascade.failed_share() > 0.05, "the pool was full: {cascade:?}");
}

/// Processes, over two protocols, with and without a front.
const FATES: &str = r#"
name = "fates"
question = "What do callers notice of a market that dies, and of one that is frozen?"
workload = { operation = "quote", rate_per_s = 400, time_out = "300ms", handler_wait = "1ms" }
condition = [
  { name = "dies", label = "when the market is killed", connections = 4, in_flight = 32, changes = ["200ms market dies 200ms"] },
  { name = "freezes", label = "when the market is stopped", connections = 4, in_flight = 32, changes = ["200ms market freezes 200ms"] },
]
contender = [
  { name = "tcp", protocol = "tcp" },
  { name = "rest", protocol = "rest", http = "2" },
  { name = "front", protocol = "grpc", through = "front" },
]
claim = [{ card = "mine", sentence = "Calls succeed again", condition = "dies", contender = "tcp", holds = "time_to_recover < 1s" }]
[quick]
conditions = ["dies", "freezes"]
warm_up = "100ms"
duration = "1s"
"#;

/// What was killed refuses its callers until another is there; what is stopped leaves them waiting,
/// and answers all when it goes on.
#[test]
fn markets_die_and_freeze_at_their_time() {
    let measured = Measured::text("fates", FATES).unwrap();
    for contender in ["tcp", "rest", "front"] {
        for (condition, began, ended) in [
            ("dies", "market.1 dies", "market.1 is back"),
            ("freezes", "market.1 freezes", "market.1 goes on"),
        ] {
            for round in measured.rounds(contender, condition) {
                let what: Vec<&str> = round.happened.iter().map(|part| &part.what[..]).collect();
                assert_eq!(what, [began, ended], "{contender} {condition}");
                let asked: Vec<f64> = round.happened.iter().map(|part| part.asked_us).collect();
                assert_eq!(asked, [200e3, 400e3]);
                assert!(round.happened.iter().all(|part| part.at_us >= part.asked_us));
                assert!(!round.never_recovered, "{contender} {condition}: {:?}", round.counts);
            }
            let counts = &measured.merged(contender, condition).counts;
            // 200 ms of 1 s and the start of a process; those that wait are answered.
            let failed = counts.failed_share();
            match condition {
                "dies" => assert!((0.1..0.5).contains(&failed), "{contender}: {counts:?}"),
                _ => assert!(failed < 0.05, "{contender}: {counts:?}"),
            }
        }
    }
}

/// A front, and its market in another place.
const FAR_MARKET: &str = r#"
name = "far-market"
question = "What does a call cost whose front is far from its market?"
link = "rtt=10ms"
workload = { operation = "quote", rate_per_s = 100, time_out = "1s" }
condition = [
  { name = "near", label = "when the market is beside the front", connections = 4, in_flight = 16 },
  { name = "far", label = "when it is 40 ms away", connections = 4, in_flight = 16, market_link = "rtt=40ms" },
]
contender = [{ name = "front", protocol = "grpc", through = "front" }, { name = "tcp", protocol = "tcp", through = "front" }]
claim = [{ card = "mine", sentence = "It costs a round trip", condition = "far", contender = "front", holds = "response.p50 > 50ms" }]
[quick]
conditions = ["near", "far"]
warm_up = "300ms"
duration = "500ms"
"#;

#[test]
fn a_market_on_another_host_costs_a_call_its_round_trip() {
    let Some(measured) = Measured::text("far-market", FAR_MARKET) else { return };
    for contender in ["front", "tcp"] {
        let p50 = |condition| measured.merged(contender, condition).response_us.p50 / 1e3;
        let (near, far) = (p50("near"), p50("far"));
        assert!(
            (10.0..40.0).contains(&near) && (50.0..80.0).contains(&far),
            "{contender}: {near} and {far} ms"
        );
    }
}
