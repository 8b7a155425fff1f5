//! `wirebench load` from end to end, against servers of known behaviour.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use crate::command::{output, signal, stderr, wirebench};

/// `wirebench serve`, stopped when dropped.
pub(crate) struct Serving {
    process: Child,
    /// The first two addresses that it printed.
    addresses: [String; 2],
}

impl Serving {
    pub(crate) fn start(arguments: &[&str]) -> Serving {
        let mut process =
            wirebench(&[&["serve"], arguments].concat()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut next = || lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
        Serving { addresses: [next(), next()], process }
    }

    /// A reference server, over HTTP and over TCP.
    fn reference(arguments: &[&str]) -> Serving {
        Serving::start(&[&["reference"], arguments].concat())
    }

    pub(crate) fn http(&self) -> &str {
        &self.addresses[0]
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        signal(self.process.id(), "-TERM");
        let _ = self.process.wait();
    }
}

fn load(arguments: &[&str]) -> serde_json::Value {
    let loaded = output(&[&["load", "--json", "--allow-debug", "--warm-up=200ms"], arguments].concat());
    assert!(loaded.status.success(), "{}", stderr(&loaded));
    serde_json::from_slice(&loaded.stdout).unwrap()
}

/// What a server with a known delay must show: never less than it, and nothing lost. How much more
/// it reads is a figure, for `calibrate` and not for a test.
#[test]
fn a_load_counts_everything_and_reads_no_less_than_the_truth() {
    let reference = Serving::reference(&["--delay=2ms"]);
    let ping = ["--body=GET / HTTP/1.1\\r\\n\\r\\n", "--reply-until=\\r\\n\\r\\nok"];
    for arguments in [
        vec![reference.http()],
        [&[reference.addresses[1].as_str()], &["--frame=market"][..]].concat(),
        [&[reference.http().replace("http", "tcp").as_str()], &ping[..]].concat(),
    ] {
        let found = load(&[&arguments[..], &["--rate=500", "--duration=1s", "--connections=16"]].concat());
        assert_eq!(
            (&found["arrivals"], &found["ok"], &found["failed_total"]),
            (&500.into(), &500.into(), &0.into())
        );
        for name in ["response_us", "lag_us", "wait_us", "service_us"] {
            for point in ["p50", "p90", "p95", "p99", "p999", "max", "mean"] {
                assert!(found[name][point].is_f64(), "{name}.{point}");
            }
        }
        assert!(found["service_us"]["p50"].as_f64().unwrap() >= 1_990.0, "{found}");
        assert!(found["response_us"]["p50"].as_f64() >= found["service_us"]["p50"].as_f64(), "{found}");
    }
}

/// A server that stands still for half of every period: an open load sees it in its response times,
/// however few the calls that were sent meanwhile.
#[test]
fn a_freeze_is_not_omitted() {
    let reference = Serving::reference(&["--delay=1ms", "--freeze=500ms/1s"]);
    let found = load(&[reference.http(), "--rate=200", "--duration=2s", "--connections=1"]);
    assert_eq!(found["failed_total"], 0, "{found}");
    let p90 = found["response_us"]["p90"].as_f64().unwrap();
    // Half the arrivals wait evenly 0 to 500 ms, and longer behind each other on one connection:
    // p90 is 400 ms or more.
    assert!(p90 > 390_000.0, "{p90}");
}

#[test]
fn failures_are_counted_by_kind_and_thresholds_end_with_3() {
    let reference = Serving::reference(&["--delay=300ms"]);
    let nothing = |arguments: &[&str]| {
        let loaded = output(&[&["load", "--json", "--allow-debug", "--warm-up=200ms"], arguments].concat());
        assert_eq!(loaded.status.code(), Some(1), "nothing was measured: {}", stderr(&loaded));
        let found: serde_json::Value = serde_json::from_slice(&loaded.stdout).unwrap();
        assert!(found["client_cpu_us_per_call"].is_null(), "{found}");
        (found, stderr(&loaded))
    };
    let (found, said) =
        nothing(&[reference.http(), "--rate=50", "--duration=1s", "--connections=8", "--time-out=100ms"]);
    assert!(said.contains("none of 50 calls succeeded (timed_out: "), "{said}");
    assert_eq!((&found["ok"], &found["failed"]["timed_out"]), (&0.into(), &50.into()), "{found}");
    assert!(found["response_us"]["p50"].is_null(), "a failed call is beyond every bound: {found}");
    assert!(found["failed_after_us"]["timed_out"]["mean"].as_f64().unwrap() >= 99_900.0);
    assert!(
        found["reconnections"].as_u64().unwrap() >= 40,
        "an abandoned HTTP/1.1 connection was used again"
    );
    let arguments =
        ["load", reference.http(), "--rate=50", "--duration=1s", "--connections=64", "--allow-debug"];
    for (threshold, code) in [("response.p50 > 100ms", 3), ("response.p50 > 5s", 0), ("failed > 0%", 0)] {
        let held = output(&[&arguments[..], &["--fail-on", threshold]].concat());
        assert_eq!(held.status.code(), Some(code), "{threshold}: {}", stderr(&held));
    }
}

/// Where nothing is answered nothing is measured, and a search for a capacity does not halve on.
#[test]
fn a_load_in_which_nothing_succeeds_is_an_error() {
    let serving = Serving::start(&["rest", "tcp"]);
    let nowhere = format!("{}/nowhere", serving.http());
    for more in
        [&["--rate=50", "--duration=300ms"][..], &["--find-capacity", "--objective=response.p99 < 5ms"]]
    {
        let loaded = output(&[&["load", &nowhere, "--allow-debug"], more].concat());
        assert_eq!(loaded.status.code(), Some(1), "{}", stderr(&loaded));
        assert!(
            stderr(&loaded).contains("calls succeeded (") && stderr(&loaded).contains("404"),
            "{loaded:?}"
        );
    }
}

/// A message and its reply, a datagram and its reply, from servers that the engine knows nothing
/// of.
#[test]
fn websockets_and_datagrams_are_loaded_too() {
    let serving = Serving::start(&["websocket", "udp"]);
    let [websocket, udp] = &serving.addresses;
    let message = r#"--body={"id":7,"kind":"quote_request","body":{"symbol":"AAAA"}}"#;
    let subprotocol = "--header=Sec-WebSocket-Protocol: wirebench.json.v1";
    let datagram = r"--body=\x00\x00\x00\x0b\x00\x00\x00\x07\x01\x0a\x04AAAA";
    for arguments in [
        vec![websocket.as_str(), message],
        vec![websocket.as_str(), message, subprotocol],
        vec![udp.as_str(), datagram],
        vec![udp.as_str(), "--frame=market"],
    ] {
        let found = load(&[&arguments[..], &["--rate=200", "--duration=1s", "--connections=4"]].concat());
        let counted = (&found["arrivals"], &found["ok"], &found["failed_total"]);
        assert_eq!(counted, (&200.into(), &200.into(), &0.into()), "{arguments:?}: {found}");
    }
}
