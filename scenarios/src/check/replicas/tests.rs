//! What is refused of replicas.

use crate::Scenario;
use crate::check::tests::error_of;

const REPLICAS: &str = r#"
name = "replicas"
question = "Who gets the calls?"
[workload]
operation = "quote"
rate_per_s = 500
time_out = "400ms"
replicas = 3
[[condition]]
name = "one"
connections = 3
changes = ["100ms market.2 leaves 100ms"]
[[contender]]
name = "least"
protocol = "grpc"
balance = "least_in_flight"
"#;

#[test]
fn replicas_are_refused_where_they_have_no_meaning() {
    assert!(Scenario::parse("replicas.toml", REPLICAS, &[]).is_ok());
    let trouble = "\"100ms market.2 leaves 100ms\"";
    for (right, wrong, said) in [
        ("market.2", "market.4", "there are 3 markets"),
        ("replicas = 3", "replicas = 9", "replicas must be from 1 to 8"),
        ("replicas = 3", "replicas = 3\nsecond_market = \"20%\"", "second_market"),
        ("\"quote\"", "\"place_order\"", "replicas answer reads"),
        ("balance = \"least_in_flight\"", "", "would call one replica"),
        ("connections = 3", "connections = 3\ncold = true", "keeps its connections"),
        ("balance", "hedge_after = \"5ms\"\nbalance", "does not go with balance"),
        (
            trouble,
            "\"0ms market.2 dies 100ms\", \"50ms market.2 freezes 100ms\"",
            "while it is dead or frozen",
        ),
        (trouble, "\"0ms market dies 100ms\", \"50ms market.2 dies 100ms\"", "while it is dead or frozen"),
    ] {
        let (message, _) = error_of(&REPLICAS.replacen(right, wrong, 1));
        assert!(message.contains(said), "{wrong}: {message}");
    }
    let l7 = REPLICAS.replacen(
        "balance = \"least_in_flight\"",
        "through = \"l7\"\nroutes = [\"path /v1 market.2\"]",
        1,
    );
    assert!(Scenario::parse("replicas.toml", &l7, &[]).is_ok());
    for (right, wrong, said) in [
        ("\"grpc\"", "\"tcp\"", "reads HTTP/1.1 and HTTP/2"),
        ("\"grpc\"", "\"rest\"\nhttp = \"3\"", "reads HTTP/1.1 and HTTP/2"),
        ("\"l7\"", "\"l4\"", "this needs through = \"l7\""),
        ("path /v1 market.2", "path v1 market.2", "is no route"),
        ("path /v1 market.2", "path /v1 market.4", "there are 3 markets"),
    ] {
        let (message, _) = error_of(&l7.replacen(right, wrong, 1));
        assert!(message.contains(said), "{wrong}: {message}");
    }
    let apart = "\"0ms market.1 dies 100ms\", \"50ms market.2 dies 100ms\"";
    assert!(Scenario::parse("replicas.toml", &REPLICAS.replacen(trouble, apart, 1), &[]).is_ok());
}
