//! Scenario files that are right, and what is said of those that are not.

use super::*;

const GOOD: &str = include_str!("../../rest-vs-grpc.toml");
const SWEEP: &str = include_str!("../../grpc-break-even.toml");
const FLOWS: &str = include_str!("../../tcp-congestion.toml");
const OVER_A_LINK: &str = include_str!("../../tcp-delivers.toml");
const IDLE: &str = include_str!("../../cost-of-state.toml");
const BEHIND_A_RELAY: &str = include_str!("../../sse-reconnect.toml");

pub(super) fn error_of(text: &str) -> (String, String) {
    match parse("x.toml", text).unwrap_err() {
        ref error @ ScenarioError::Broken { ref help, .. } => {
            (error.to_string(), help.clone().unwrap_or_default())
        }
        other => panic!("{other}"),
    }
}

/// What is wrong, where it is said to be, and what is suggested.
#[test]
fn what_is_wrong_is_refused_at_its_line_with_a_suggestion() {
    for (right, wrong, said, suggested) in [
        ("rate_per_s = 2000", "rate_per_sec = 2000", "unknown key 'rate_per_sec'", "'rate_per_s'"),
        ("rate_per_s = 2000", "rate_per_s = -1", "from 0.001 to 10 000 000", ""),
        ("protocol = \"grpc\"", "protocol = \"grcp\"", "unknown value 'grcp'", "'grpc'"),
        (
            "protocol = \"grpc\"",
            "protocol = \"grpc\"\nhttp = \"2\"",
            "http is an option of rest, graphql, sse only, not of grpc",
            "",
        ),
        ("time_out = \"1s\"", "time_out = \"1\"", "such as \"250ms\"", ""),
        ("connections = 8", "connections = 0", "1 to 20 000", ""),
        ("against = \"rest-h1-json\"", "against = \"rest-h1-jsom\"", "no contender", "rest-h1-json"),
        ("name = \"tcp\"", "name = \"grpc\"", "two contenders have the name 'grpc'", ""),
        ("against = \"rest-h1-json\"", "against = \"grpc\"", "not compared with itself", ""),
        ("holds_below = 1.0", "holds_below = 1.0\nsame_within = 0.1", "one of holds_below", ""),
        ("holds_below = 1.0", "holds_below = 0", "above 0", ""),
        ("holds_below = 1.0", "holds_below = 1.0\nturns = \"large\"", "no claim with the id", ""),
        ("holds_below = 1.0", "holds_below = 1.0\nid = \"a\"\nturns = \"a\"", "turn at itself", ""),
        ("holds_below = 1.0", "holds_below = 1.0\nagainst_condition = \"8x\"", "no condition", "8x1"),
        ("so.holds", "so.holsd", "unknown key 'holsd'", "holds"),
        ("name = \"tcp\"", "name = \"rest-h1-json-again\"", "is reserved for", ""),
        ("bench = true", "bench = true\nbaseline = \"tpc\"", "no contender", "tcp"),
        ("operation = \"quote\"", "operation = \"quote\"\ncandles = 5", "operation = \"history\" only", ""),
        ("name = \"rest-vs-grpc\"", "name = \"../elsewhere\"", "1 to 64 of a-z, 0-9 and -", ""),
        ("rounds = 10", "rounds = 0", "from 1 to 1 000", ""),
        ("protocol = \"udp\"", "protocol = \"udp\"\ntls = \"1.3\"", "udp has no TLS", ""),
        ("protocol = \"grpc\"", "protocol = \"grpc\"\nresume = true", "an option of TLS", ""),
        ("protocol = \"tcp\"", "protocol = \"tcp\"\ntls = \"1.2\"\nearly_data = true", "resume = true", ""),
        ("holds_below = 1.0", "holds_below = 1.0\nholds = \"failed < 1%\"", "no metric", ""),
    ] {
        assert_refused(GOOD, right, wrong, said, suggested);
    }
    for (right, wrong, said) in [
        ("within.1900ms > 99.9%", "within.2s > 99.9%", "below the time-out"),
        ("\"1s cut\", \"2s mended\"", "\"1s cut\", \"3s mended\"", "before the end of the measured time"),
        ("\"1s cut\", \"2s mended\"", "\"1s cut\", \"2s glued\"", "there is no link or setting 'glued'"),
        ("protocol = \"quic\"", "protocol = \"quic\"\ntls = \"1.2\"", "must be \"1.3\" over QUIC"),
        ("contenders = [\"udp\", \"tcp\"]", "contenders = [\"udp\", \"tpc\"]", "no contender"),
    ] {
        assert_refused(OVER_A_LINK, right, wrong, said, "");
    }
}

/// Numbers that multiply to more than fits, or than a machine does in a week: each at its line.
#[test]
fn what_would_be_too_much_is_refused_at_its_line() {
    let (rate, shape) = ("rate_per_s = 2000", "connections = 8");
    for (right, wrong, said) in [
        (rate, "rate_per_s = 1e300", "0.001 to 10 000 000"),
        (rate, "rate_per_s = 1e-300", "0.001 to 10 000 000"),
        (rate, "rate_per_s = inf", "0.001 to 10 000 000"),
        (rate, "rate_per_s = nan", "0.001 to 10 000 000"),
        ("time_out = \"1s\"", "time_out = \"1000000000000000000s\"", "at most a day"),
        ("time_out = \"1s\"", "time_out = \"99999999999999999999999s\"", "expected a time"),
        ("holds_below = 1.0", "holds_below = inf", "above 0"),
        ("holds_below = 1.0", "holds_below = nan", "above 0"),
        (shape, "connections = 18446744073709551615", ""),
        ("rounds = 10", "rounds = 1000", "at most 4000 measurements"),
        ("warm_up = \"200ms\"", "warm_up = \"25h\"", "at most a day"),
        ("name = \"tcp\"", "name = \"t\\u001b[31mcp\"", "one line of 1 to 64 characters"),
        ("name = \"tcp\"", "name = \"\"", "one line of 1 to 64 characters"),
    ] {
        assert_refused(GOOD, right, wrong, said, "");
    }
    let many =
        GOOD.replacen(shape, "connections = 20000", 1).replacen("in_flight = 1\n", "in_flight = 10000\n", 1);
    assert!(error_of(&many).0.contains("at most 200 000"), "{:?}", error_of(&many));
    let long = format!("name = \"{}\"", "a".repeat(65));
    assert_refused(GOOD, "name = \"rest-vs-grpc\"", &long, "1 to 64 of a-z", "");
    let slow = GOOD.replacen("warm_up = \"200ms\"", "warm_up = \"23h\"", 1);
    assert!(error_of(&slow).0.contains("at most a week"), "{:?}", error_of(&slow));
    let fast = GOOD.replace("rate_per_s = 2000", "rate_per_s = 1e7");
    let fast = fast.replacen("warm_up = \"200ms\"", "warm_up = \"20s\"", 1);
    assert!(error_of(&fast).0.contains("100 000 000 arrivals"), "{:?}", error_of(&fast));
}

/// 2^64 combinations are as many as none at all, where a product wraps.
#[test]
fn axes_whose_product_does_not_fit_are_refused_before_anything_is_made_of_them() {
    let list = |axis: &str, value: &str| format!("{axis} = [{}]", vec![value; 1 << 16].join(", "));
    let axes = [
        list("rate_per_s", "1.0"),
        list("connections", "1"),
        list("in_flight", "1"),
        list("handler_wait", "\"1s\""),
    ];
    let text = SWEEP.replace("rate_per_s = [500, 2000, 8000]", &axes.join(", "));
    let (message, _) = error_of(&text);
    assert!(message.contains("at most 500 conditions"), "{message}");
    let line = 1 + text.lines().position(|line| line.contains("axes = {")).unwrap();
    assert!(message.starts_with(&format!("x.toml:{line}:")), "{message}");
    // Many conditions of a hundred points each.
    let many = (0..6).map(|nth| {
        let values = vec!["1"; 100].join(", ");
        format!("[[condition]]\nname = \"c{nth}\"\nconnections = 1\naxes = {{ in_flight = [{values}] }}\n")
    });
    let text = format!("{SWEEP}\n{}", many.collect::<String>());
    assert!(error_of(&text).0.contains("at most 500 conditions"), "{:?}", error_of(&text));
}

/// What is set on the command line is checked as what stands in a file; nothing is planned first.
#[test]
fn what_is_set_is_bounded_too() {
    for (setting, said) in [
        ("workload.rate_per_s=1e300", "0.001 to 10 000 000"),
        ("workload.rate_per_s=nan", "0.001 to 10 000 000"),
        ("quick.duration=1000000000000000000s", "at most a day"),
        ("quick.rounds=1000", "at most 4000 measurements"),
        ("quick.rounds=4294967296", "4294967296"),
        (&format!("quick.rounds={}", "[".repeat(100_000)), ""),
    ] {
        let error = Scenario::parse("x.toml", GOOD, &[setting.to_owned()]).unwrap_err().to_string();
        assert!(error.contains(said), "{setting}: {error}");
    }
}

/// A parser that calls itself for each bracket would run out of stack.
#[test]
fn what_is_nested_deep_is_refused() {
    for text in ["a = ".to_owned() + &"[".repeat(100_000), "a = ".to_owned() + &"{a=".repeat(100_000)] {
        assert!(parse("x.toml", &text).is_err());
        assert!(Scenario::parse("x.toml", &text, &[]).is_err());
    }
    let _ = Scenario::parse("x.toml", &format!("{}a]", "[a.".repeat(100_000)), &[]).unwrap_err();
}

/// The text around what is wrong is shown on a terminal, and may be somebody else's.
#[test]
fn what_is_shown_of_a_file_moves_no_terminal() {
    let text = GOOD.replacen("rounds = 10", "rounds = 0 # \u{1b}]0;x\u{7}", 1);
    let ScenarioError::Broken { file, message, text, .. } = parse("x\u{1b}.toml", &text).unwrap_err() else {
        panic!("another error")
    };
    let shown = [file.as_str(), &message, text.inner()].concat();
    assert!(shown.contains("# ?]0;x?") && !shown.contains(['\u{1b}', '\u{7}']), "{shown}");
}

/// What a stranger writes first.
#[test]
fn what_a_short_file_does_not_say_has_a_default() {
    let text = r#"name = "mine"
question = "How soon does it answer?"
[workload]
operation = "quote"
time_out = "1s"
[[condition]]
name = "idle"
connections = 1
[[contender]]
name = "rest"
protocol = "rest"
"#;
    let scenario = parse("mine.toml", text).unwrap();
    let amount =
        |of: &Profile| (of.conditions.len(), of.contenders.len(), of.rounds, of.duration.as_millis());
    assert_eq!(amount(&scenario.profiles.quick), (1, 2, 10, 600));
    assert_eq!(amount(&scenario.profiles.standard), (1, 2, 12, 2_000));
    assert_eq!(amount(&scenario.profiles.full), (1, 2, 20, 4_000));
    assert!(scenario.claims.is_empty() && scenario.analysis.is_empty());
    let some = format!("{text}[quick]\nrounds = 3\n");
    assert_eq!(amount(&parse("mine.toml", &some).unwrap().profiles.quick), (1, 2, 3, 600));
    assert_refused(
        text,
        "question = \"How soon does it answer?\"",
        "# None.",
        "the key 'question' is missing",
        "a [workload]",
    );
    assert_refused(text, "\"1s\"", "1", "expected a time with its unit, such as \"250ms\", found 1", "");
}

#[test]
fn axes_multiply_into_conditions_and_profiles_name_them_together_or_one_by_one() {
    let axes = "axes = { rate_per_s = [500, 2000], handler_wait = [\"0ms\", \"10ms\"] }";
    let text = SWEEP.replace("axes = { rate_per_s = [500, 2000, 8000] }", axes);
    let text = text.replace("rate_per_s=8000", "rate_per_s=2000 handler_wait=10ms");
    let text = without_break_evens(&text).replace(
        "[full]\nconditions = [\"rates\"]",
        "[full]\nconditions = [\"rates rate_per_s=500 handler_wait=0s\"]",
    );
    let scenario = parse("x.toml", &text).unwrap();
    let names: Vec<&str> = scenario.conditions.iter().map(|condition| condition.name.as_str()).collect();
    let of = |rate: u32, wait: &str| format!("rates rate_per_s={rate} handler_wait={wait}");
    assert_eq!(names, [of(500, "0s"), of(500, "10ms"), of(2000, "0s"), of(2000, "10ms")]);
    let last = &scenario.conditions[3];
    assert_eq!(last.handler.wait, std::time::Duration::from_millis(10));
    assert_eq!(last.on("rates", terms::Axis::RatePerS).unwrap().value, 2000.0);
    assert_eq!(scenario.profiles.quick.conditions.len(), 4);
    assert_eq!(scenario.profiles.full.conditions, [of(500, "0s")]);
}

fn without_break_evens(text: &str) -> String {
    let (from, to) = (text.find("[[break_even]]").unwrap(), text.find("[quick]").unwrap());
    format!("{}{}", &text[..from], &text[to..])
}

#[test]
fn what_all_contenders_have_is_had_by_those_whose_protocol_has_it() {
    let scenario =
        parse("x.toml", &SWEEP.replace("encoding = \"json\"", "encoding = \"protobuf\"\ntls = \"1.3\""))
            .unwrap();
    let words = |name: &str| scenario.contender(name).unwrap().in_words();
    assert_eq!(words("rest-h1-json"), "REST, HTTP/1.1, protobuf, TLS 1.3");
    // HTTP/2 is its own.
    assert_eq!(words("rest-h2-json"), "REST, HTTP/2, protobuf, TLS 1.3");
    assert_eq!(words("grpc"), "gRPC, HTTP/2, protobuf, TLS 1.3");
}

#[test]
fn what_is_sought_along_an_axis_needs_one() {
    for (right, wrong, said) in [
        ("rate_per_s = [500, 2000, 8000]", "rate_per_s = []", "an axis needs values"),
        ("rate_per_s = [500, 2000, 8000]", "rate_per_s = [500, 2000, 8000], in_flight = [0]", "1 to 10 000"),
        ("crosses = 1.0", "crosses = 1.0\nsaves_cores = 2", "either crosses with metric, or saves_cores"),
        ("crosses = 1.0", "crosses = 0", "crosses must be greater than 0"),
        ("saves_cores = 1.0", "saves_cores = -1", "saves_cores must be greater than 0"),
    ] {
        let (message, _) = error_of(&SWEEP.replacen(right, wrong, 1));
        assert!(message.contains(said), "{wrong}: {message}");
    }
    let two = SWEEP.replace("rate_per_s = [500, 2000, 8000] }", "rate_per_s = [8000], in_flight = [8, 16] }");
    let two = two.replace("\"rates rate_per_s=8000\"", "\"rates rate_per_s=8000 in_flight=8\"");
    assert!(error_of(&two).0.contains("a condition with one axis"), "{:?}", error_of(&two));
    let none = SWEEP.replacen("condition = \"rates\"\ncontender", "condition = \"ratse\"\ncontender", 1);
    assert!(error_of(&none).1.contains("rates"), "{:?}", error_of(&none));
}

#[test]
fn only_what_is_pushed_is_polled_for_and_only_a_portfolio_asked_for_in_parts() {
    let (push, screen) = (include_str!("../../push-ladder.toml"), include_str!("../../overfetching.toml"));
    assert_refused(push, "poll_every = \"1s\"", "poll_every = \"0s\"", "such as \"100ms\"", "");
    assert_refused(
        push,
        "protocol = \"sse\"",
        "protocol = \"sse\"\npoll_every = \"1s\"",
        "only, not of sse",
        "",
    );
    assert_refused(
        GOOD,
        "protocol = \"grpc\"",
        "protocol = \"grpc\"\nfields = [\"account\"]",
        "operation = \"portfolio\" only",
        "",
    );
    assert_refused(
        screen,
        "in_steps = true",
        "fields = [\"positions.price\"]",
        "there is no field 'price'",
        "",
    );
}

#[test]
fn what_others_serve_is_judged_by_what_is_known_of_it() {
    let mine = "name = \"grpc\"\nprotocol = \"rest\"\ntarget = \"http://127.0.0.1:9000\"";
    let text = GOOD.replacen("name = \"grpc\"\nlabel = \"gRPC\"\nprotocol = \"grpc\"", mine, 1);
    assert!(error_of(&text).0.contains("a target needs link = \"loopback\""), "{:?}", error_of(&text));
    let text = text.replacen("bench = true", "bench = true\nlink = \"loopback\"", 1);
    assert!(error_of(&text).0.contains("CPU time of a target is not known"), "{:?}", error_of(&text));
    for (wrong, said) in [
        ("http://192.0.2.1:9000", "must be a loopback address"),
        ("http://127.0.0.1:9000\"\ntls = \"1.3", "plain TCP"),
    ] {
        let text = text.replacen("http://127.0.0.1:9000", wrong, 1);
        assert!(error_of(&text).0.contains(said), "{wrong}: {:?}", error_of(&text));
    }
}

#[test]
fn what_flows_have_not_is_refused() {
    for (right, wrong, said) in [
        (
            "flows = [\"tcp bbr\", \"tcp bbr\"]",
            "flows = [\"tcp bbr\", \"tcp bbr\"]\ncongestion = \"bbr\"",
            "write it in the flow",
        ),
        ("flows = [\"tcp bbr\", \"tcp bbr\"]", "protocol = \"tcp\"", "instead of a protocol"),
        ("name = \"queue-1-bdp\"", "name = \"queue-1-bdp\"\nrate_per_s = 5", "write a rate in the flow"),
        ("name = \"queue-1-bdp\"", "name = \"queue-1-bdp\"\nconnections = 5", "each flow has one"),
        ("share.2 > 90%", "share.3 > 90%", "not so many flows"),
    ] {
        assert_refused(FLOWS, right, wrong, said, "");
    }
    assert_refused(GOOD, "holds_below = 1.0", "holds = \"jain > 0.9\"", "no metric", "");
}

#[test]
fn what_does_not_go_through_a_relay_is_refused() {
    let first = "protocol = \"sse\"\nhttp = \"1.1\"";
    for (right, wrong, said) in [
        ("between = \"silent=400ms\"", "between = \"silent=400\"", "'silent=400'"),
        ("resumes = true", "resumes = true\nencoding = \"json\"", "duplicate key"),
        (first, "protocol = \"grpc\"\nresumes = true", "an option of sse, websocket only"),
        ("notices = \"150ms\"", "notices = \"0s\"", "must be greater than 0"),
    ] {
        assert_refused(BEHIND_A_RELAY, right, wrong, said, "");
    }
    for other in ["protocol = \"udp\"", "protocol = \"quic\"", "protocol = \"rest\"\nhttp = \"3\""] {
        let (message, _) = error_of(&BEHIND_A_RELAY.replacen(first, other, 1));
        let line = 1 + BEHIND_A_RELAY.lines().position(|line| line.starts_with("between")).unwrap();
        // A protocol in fewer lines moves what is below it only.
        assert!(
            message.contains("'sse' does not use TCP") && message.contains(&format!(":{line}:")),
            "{message}"
        );
    }
    for (lines, said) in [
        ("attempts = 0", "attempts must be from 1 to 16"),
        ("attempts = 17", "attempts must be from 1 to 16"),
        ("attempt_time_out = \"1h\"", "at most the workload's time_out"),
        ("jitter = \"full\"", "needs attempts of at least 2"),
        ("retry_budget = \"20%\"", "needs attempts of at least 2"),
        ("attempts = 2\nretry_budget = \"20\"", "a share from 0% to 100%"),
        ("attempts = 2\nbackoff = \"linear\"", "'linear' is no backoff"),
        ("deadline = \"0s\"", "deadline must be greater than 0"),
        ("deadline = \"1h\"", "at most the workload's time_out"),
        ("hedge_after = \"1h\"", "less than the workload's time_out"),
    ] {
        assert_refused(GOOD, "protocol = \"tcp\"", &format!("protocol = \"tcp\"\n{lines}"), said, "");
    }
    for (lines, said) in [
        ("handler_at_once = 5", "needs a handler_wait"),
        ("handler_at_once = 0\nhandler_wait = \"1ms\"", "from 1 to 100000"),
        ("handler_queue = 5", "needs handler_at_once"),
        ("handler_drops_abandoned = true", "needs handler_at_once"),
        ("changes = [\"100ms market stalls 100ms\"]", "wirebench's own servers"),
        ("changes = [\"100ms market stalls 1s\"]", "each trouble of a market end"),
        ("changes = [\"100ms market sleeps 1s\"]", "market slows 100x 500ms"),
        ("changes = [\"100ms market dies 100ms\"]", "wirebench's own servers"),
        ("market_link = \"rtt=20ms\"", "link of the scenario with delay"),
        ("handler_loses = \"5%\"", "wirebench's own servers"),
        ("front_at_once = 5", "needs through"),
        ("front_queue = 5", "needs front_at_once"),
        ("second_handler_wait = \"1s\"", "needs a second_market"),
        ("handler_fails = \"101%\"", "a share from 0% to 100%"),
    ] {
        assert_refused(GOOD, "connections = 8", &format!("connections = 8\n{lines}"), said, "");
    }
    for (line, said) in [
        ("breaker = \"on\"", "50% of 20, open 250ms"),
        ("bulkhead = 0", "bulkhead must be from 1"),
        ("idempotency_keys = true", "operation = \"place_order\" only"),
    ] {
        assert_refused(GOOD, "protocol = \"tcp\"", &format!("protocol = \"tcp\"\n{line}"), said, "");
    }
    for (lines, said) in [
        ("balance = \"round_robin\"", "needs replicas"),
        ("refresh_every = \"1s\"", "needs balance"),
        ("ejects = \"3 failures, 1s\"", "needs balance"),
        ("through = \"l4\"", "needs replicas"),
        ("balance = \"round_robin\"\nejects = \"often\"", "5 failures, 500ms"),
        ("balance = \"round_robin\"\nthrough = \"l4\"", "only one of balance and through"),
    ] {
        assert_refused(GOOD, "protocol = \"tcp\"", &format!("protocol = \"tcp\"\n{lines}"), said, "");
    }
    let hedged = "protocol = \"rest\"\nhedge_after = \"5ms\"";
    assert_refused(GOOD, "protocol = \"tcp\"", hedged, "HTTP/1.1 has room for one call", "");
    let through = "protocol = \"tcp\"\nthrough = \"back\"";
    assert_refused(GOOD, "protocol = \"tcp\"", through, "unknown value 'back'", "front");
    let said = "operations that make calls";
    assert_refused(BEHIND_A_RELAY, "connections = 8", "connections = 8\nhandler_fails = \"5%\"", said, "");
    for line in ["resumes = true", "notices = \"1s\""] {
        let with = format!("protocol = \"websocket\"\n{line}");
        assert_refused(GOOD, "protocol = \"tcp\"", &with, "operation = \"subscribe\" only", "");
    }
    assert_refused(
        GOOD,
        "connections = 8",
        "connections = 8\nbetween = \"closes=1s\"",
        "operation = \"subscribe\" only",
        "",
    );
}

#[test]
fn who_cannot_come_back_after_a_restart_is_refused() {
    for (right, wrong, said) in [
        (
            "connections = [1000, 10000]\ndown",
            "connections = [9, 9]\ndown",
            "rising numbers from 1 to 20 000",
        ),
        ("down = \"500ms\"", "down = \"1h\"", "at most 10 s"),
        ("times = 5", "times = 1", "from 2 to 100"),
    ] {
        assert_refused(IDLE, right, wrong, said, "");
    }
    for (right, wrong, said) in [
        ("protocol = \"tcp\"", "protocol = \"udp\"", "over plain TCP, and 'tcp' is not"),
        ("protocol = \"tcp\"", "protocol = \"sse\"\ntls = \"1.3\"", "over plain TCP, and 'tcp' is not"),
        ("protocol = \"rest\"", "protocol = \"rest\"\npoll_every = \"1s\"", "'long-poll' polls"),
        ("protocol = \"tcp\"", "protocol = \"tcp\"\ndns = true", "could not find the new server"),
        ("protocol = \"tcp\"", "protocol = \"tcp\"\nnotices = \"1s\"", "would give up"),
        ("connections = 1\n", "connections = 1\nbetween = \"silent=1s\"\n", "without a relay"),
    ] {
        let text =
            IDLE.replacen(right, wrong, 1).replacen("[workload]", "link = \"loopback\"\n[workload]", 1);
        let (message, _) = error_of(&text);
        let line = 2 + text.lines().position(|line| line == "[restart]").unwrap();
        assert!(message.contains(said) && message.contains(&format!(":{line}:")), "{wrong}: {message}");
    }
}

#[test]
fn a_scale_out_that_makes_no_sense_is_refused() {
    for (right, wrong, said) in [
        ("servers = [2, 3]", "servers = [3, 3]", "rising numbers from 1 to 8"),
        ("servers = [2, 3]", "servers = [2, 9]", "rising numbers from 1 to 8"),
        ("connections = 300", "connections = 2", "at least one per server"),
        ("connections = 300", "connections = 2001", "at most 2 000"),
        ("times = 3", "times = 1", "from 2 to 100"),
    ] {
        assert_refused(IDLE, right, wrong, said, "");
    }
}

fn assert_refused(good: &str, right: &str, wrong: &str, said: &str, suggested: &str) {
    assert!(good.contains(right), "{right}");
    let text = good.replacen(right, wrong, 1);
    let (message, help) = error_of(&text);
    assert!(message.contains(said) && help.contains(suggested), "{wrong}: {message} / {help}");
    let line: usize = message.split(':').nth(1).unwrap().parse().unwrap();
    let near = text.lines().skip(line.saturating_sub(2)).take(3).collect::<Vec<_>>().join("\n");
    let last = wrong.lines().last().unwrap();
    assert!(near.contains(last), "{wrong}: line {line} is not it: {near}");
}

/// The question that SCENARIOS.md has a reader ask.
#[test]
fn a_contender_is_compared_with_itself_under_another_condition() {
    let text = GOOD.replacen("against = \"rest-h1-json\"\n", "against_condition = \"1x8\"\n", 1);
    let claim = parse("x.toml", &text).unwrap().claims.remove(0);
    let cells: Vec<(&str, &str)> = claim.cells().collect();
    assert_eq!(cells, [("grpc", "8x1"), ("grpc", "1x8")]);
}

#[test]
fn what_a_call_asks_for_is_an_axis() {
    let size = include_str!("../../rest-vs-grpc-size.toml");
    let scenario = Scenario::parse("x.toml", size, &[]).unwrap();
    let on = |condition: &&Condition| condition.name.starts_with("sizes");
    let amounts: Vec<(u32, Option<&str>)> = scenario
        .conditions
        .iter()
        .filter(on)
        .map(|condition| (condition.amount.candles, condition.label.as_deref()))
        .collect();
    assert_eq!(
        amounts,
        [
            (1, Some("on replies of 1 candle")),
            (10, Some("on replies of 10 candles")),
            (100, Some("on replies of 100 candles")),
            (1_000, Some("on replies of 1\u{202f}000 candles")),
        ]
    );
}
