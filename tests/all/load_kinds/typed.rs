//! What is typed: it means what it says, or is refused before a connection is opened.

use super::servers::{OK, echoing, head, http};
use super::{loaded, refused};

#[test]
fn a_url_means_what_it_says_or_is_refused() {
    let server = echoing();
    let port = server.port();
    for (url, line) in [
        (format!("http://127.0.0.1:{port}?x=1"), "GET /?x=1 HTTP/1.1"),
        (format!("HTTP://127.0.0.1:{port}/a/../ä#b"), "GET /%C3%A4 HTTP/1.1"),
        (format!("http://127.1:{port}/"), "GET / HTTP/1.1"),
    ] {
        loaded(&[&url, "-n1"]);
        let head = server.last();
        assert!(head.starts_with(&format!("{line}\r\n")), "{url}: {head}");
    }
    loaded(&[&format!("http://me:secret@127.0.0.1:{port}/"), "-n1"]);
    assert!(head(&server.last(), "authorization") == ["Basic bWU6c2VjcmV0"], "{}", server.last());
    for (url, says) in [
        ("http://127.0.0.1:80800/", "from 1 to 65535"),
        ("ws://127.0.0.1:808O/", "from 1 to 65535"),
        ("http://127.0.0.1/a b", "write %20"),
        ("tcp://127.0.0.1:1/x", "write HOST:PORT alone"),
        ("quic://127.0.0.1:1/x", "write HOST:PORT alone"),
        ("grpc://127.0.0.1:1/x", "write /package.Service/Method"),
        ("http://8.8.8.8/", "--allow-public"),
        ("http://no.such.host.test/", "cannot be found"),
    ] {
        let said = refused(&[url]);
        assert!(said.contains(says), "{url}: {said}");
    }
}

#[test]
fn an_option_works_or_is_refused() {
    let http = "http://127.0.0.1:1/";
    for arguments in [
        &[http, "--in-flight=16"][..],
        &["ws://127.0.0.1:1/", "--in-flight=2"],
        &["udp://127.0.0.1:1", "--in-flight=2"],
        &[http, "--tls=1.2"],
        &[http, "--root=x.pem"],
        &[http, "--insecure"],
        &[http, "--sni=a"],
        &[http, "--http3"],
        &["https://127.0.0.1:1/", "--http3", "--tls=1.2"],
        &["tcp://127.0.0.1:1", "--reply-bytes=1", "--http2"],
        &["tcp://127.0.0.1:1", "--reply-bytes=1", "--method=POST"],
        &[http, "--reply-bytes=1"],
        &[http, "--frame=market"],
        &["grpc://127.0.0.1:1", "--body=x"],
        &["udp://127.0.0.1:1", "--cold"],
        &["udp://127.0.0.1:1", "--expect-status=200"],
        &[http, "--arrivals=poisson"],
        &[http, "--pacing=spin"],
        &[http, "--rate=5", "--seed=7"],
        &[http, "--model=open"],
        &[http, "--model=closed", "--rate=5"],
        &[http, "--workers=2", "-c1"],
        &[http, "--trial=5s"],
        &[http, "--find-capacity", "--duration=5s"],
        &[http, "-n4", "--objective=response.p99 < 1us"],
        &[http, "-d5s", "--trial=7s"],
        &["http://127.0.0.1:1/{{id}}"],
        &[http, "--core=0", "--no-pin"],
        &[http, "--core=99999"],
        &[http, "--expect-status=20"],
        &["http://a.test/", "--resolve=b.test:80:127.0.0.1"],
        &["http://a.test/", "--resolve=a.test:80:127.0.0.1", "--resolve=b.test:80:127.0.0.1"],
        &["http://127.0.0.1:1/", "--connect-to=b.test:80:127.0.0.1:1"],
        &[http, "--body=a", "--body-file=b"],
        &[http, "--body-file=/no/such/file"],
        &[http, "--requests=/no/such/file"],
        &[http, "--data=/no/such/file"],
        &["https://127.0.0.1:1/", "--root=/no/such/file"],
        &["https://127.0.0.1:1/", "--cert=/no/such/file", "--key=/no/such/file"],
        &["grpc://127.0.0.1:1/a.B/C", "--descriptor-set=/no/such/file"],
        &["grpc://127.0.0.1:1/a.B/C", "--proto=/no/such/file"],
    ] {
        refused(arguments);
    }
}

#[test]
fn errors_come_before_connections() {
    let http = "http://127.0.0.1:1/";
    for arguments in [
        &[http, "--rate=0", "--warm-up=15s"][..],
        &[http, "--rate=-1"],
        &[http, "--rate=nan"],
        &[http, "--rate=1e12"],
        &[http, "--duration=0s"],
        &[http, "--time-out=0s"],
        &[http, "--time-out=1h"],
        &[http, "--duration=1000y"],
        &[http, "--connect-time-out=0s"],
        &[http, "-n0"],
        &[http, "-c0"],
        &[http, "--rate=0.001", "--arrivals=poisson", "--duration=1s"],
        &[http, "--find-capacity", "--rate=1"],
        &[http, "--fail-on=response.p99 > 5"],
        &[http, "--fail-on=cpu_per_call > 5us"],
    ] {
        refused(arguments);
    }
}

#[test]
fn low_rates_have_their_calls() {
    let server = http(|_| OK.to_vec());
    for (rate, duration, calls) in [("0.1", "500ms", 1), ("0.9", "2s", 2), ("2.5", "1s", 3)] {
        let found = loaded(&[&server.url("http"), "--rate", rate, "--duration", duration, "--warm-up=300ms"]);
        assert_eq!((&found["arrivals"], &found["ok"]), (&calls.into(), &calls.into()), "{found}");
    }
    let found = loaded(&[&server.url("http"), "--rate=40", "-n", "10"]);
    assert_eq!(found["ok"], 10, "{found}");
}
