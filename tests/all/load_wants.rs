//! What people ask of a load generator, each as a user types it: several requests and data, stages,
//! gRPC methods of one's own, listeners, client certificates.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::command::{output, stderr};
use crate::load_kinds::frames::{self, Manner};
use crate::load_kinds::servers::{self, head};
use crate::loads::Serving;

fn load(arguments: &[&str]) -> (Option<i32>, String, Value) {
    let loaded = output(&[&["load", "--json", "--allow-debug"], arguments].concat());
    let found = serde_json::from_slice(&loaded.stdout).unwrap_or(Value::Null);
    (loaded.status.code(), stderr(&loaded), found)
}

fn loaded(arguments: &[&str]) -> Value {
    let (code, said, found) = load(arguments);
    assert_eq!(code, Some(0), "{arguments:?}: {said}");
    found
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let file = folder.join(name);
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

/// Which of three endpoints is slow, under the mix of an access log.
#[test]
fn an_access_log_is_a_mix_and_each_request_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let line =
        |path: &str| format!("127.0.0.1 - - [30/Nov/2026:01:00:00 +0000] \"GET {path} HTTP/1.1\" 200 5\n");
    let log = [line("/fast?x=1").repeat(6), line("/items/7").repeat(3), line("/slow")].concat();
    let log = write(folder.path(), "access.log", &log);
    let server = servers::web(|head| {
        clock::pause_thread(std::time::Duration::from_millis(if head.contains("/slow") { 30 } else { 0 }));
        servers::OK.to_vec()
    });
    let found = loaded(&[
        &server.url("http"),
        "-r200",
        "-d2s",
        "--warm-up=0s",
        "-c16",
        "--requests",
        &log,
        "--order=random",
    ]);
    let requests = &found["requests"];
    let counts: Vec<u64> = ["GET /fast", "GET /items/*", "GET /slow"]
        .map(|name| requests[name]["arrivals"].as_u64().unwrap())
        .into();
    assert_eq!(counts.iter().sum::<u64>(), 400, "{found}");
    assert!((200..280).contains(&counts[0]) && (85..160).contains(&counts[1]), "{counts:?}");
    let p50 = |name: &str| requests[name]["response_us"]["p50"].as_f64().unwrap();
    assert!(p50("GET /slow") > 29_000.0 && p50("GET /fast") < p50("GET /slow"), "{found}");
}

#[test]
fn requests_and_data_come_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let requests = write(
        folder.path(),
        "requests.jsonl",
        "{\"path\":\"/a/{{id}}?n={{name}}\",\"headers\":{\"x-name\":\"{{name}}\"}}\n\
         {\"name\":\"write\",\"method\":\"PUT\",\"path\":\"/b\",\"body\":{\"id\":\"{{id}}\"},\"weight\":2}\n",
    );
    let data = write(folder.path(), "data.csv", "id,name\n1,\"a b\"\n2,ü/x\n3,c\n");
    let server = servers::echoing();
    let found = loaded(&[&server.url("http"), "-n9", "-c1", "--requests", &requests, "--data", &data]);
    assert_eq!(found["requests"]["write"]["ok"], 6, "{found}");
    let seen = server.all();
    let lines: Vec<&str> = seen.iter().map(|(head, _)| head.lines().next().unwrap()).collect();
    assert_eq!(lines[..3], ["PUT /b HTTP/1.1", "GET /a/2?n=%C3%BC%2Fx HTTP/1.1", "PUT /b HTTP/1.1"]);
    assert_eq!(seen[0].1, b"{\"id\":\"1\"}");
    assert_eq!(head(&seen[1].0, "x-name"), ["ü/x"]);
    // One request, data in its path.
    let url = format!("{}items/{{{{id}}}}", server.url("http"));
    loaded(&[&url, "-n3", "-c1", "--data", &data, "--header=x-id: {{id}}"]);
    let seen = server.all();
    let last: Vec<&str> = seen[9..].iter().map(|(head, _)| head.lines().next().unwrap()).collect();
    assert_eq!(last, ["GET /items/1 HTTP/1.1", "GET /items/2 HTTP/1.1", "GET /items/3 HTTP/1.1"]);
    let wrong = write(folder.path(), "wrong.jsonl", "{\"path\":\"/a\"}\n{\"pth\":\"/a\"}\n");
    for (more, says) in [
        (&["--requests", &wrong][..], "wrong.jsonl:2"),
        (&["--data", "/no/such/file"], "--data /no/such/file: No such file"),
        (&["--data", &data, "--header=x: {{nme}}"], "--data has no such column"),
        (&["--order=random"], "--order needs several requests"),
    ] {
        let (code, said, _) = load(&[&[&server.url("http")[..], "-n1"], more].concat());
        assert!(code != Some(0) && said.contains(says), "{more:?}: {said}");
    }
}

#[test]
fn a_ramp_has_its_stages() {
    let server = servers::echoing();
    let stages = "--stages=50/s for 1s, to 250/s over 2s, 20/s for 500ms";
    let found = loaded(&[&server.url("http"), stages]);
    assert_eq!((&found["arrivals"], &found["failed_total"]), (&360.into(), &0.into()), "{found}");
    let arrivals: Vec<u64> =
        found["stages"].as_array().unwrap().iter().map(|stage| stage["arrivals"].as_u64().unwrap()).collect();
    assert_eq!(arrivals, [50, 300, 10]);
    assert!((found["duration_s"].as_f64().unwrap() - 3.5).abs() < 1e-6, "{found}");
    for (wrong, says) in [("--stages=fast", "write stages such as"), ("--stages=0/s for 5s", "above 0/s")] {
        let (code, said, _) = load(&[&server.url("http"), wrong]);
        assert!(code == Some(2) && said.contains(says), "{said}");
    }
    assert_eq!(load(&[&server.url("http"), stages, "--rate=5"]).0, Some(2));
}

/// A method that wirebench knows nothing of: found by reflection, in a file, and refused where it
/// is none.
#[test]
fn a_grpc_method_of_ones_own_is_loaded() {
    let serving = Serving::start(&["grpc", "rest"]);
    let method = |name: &str| format!("{}/wirebench.market.v1.Market/{name}", serving.http());
    let quote = r#"--body={"symbol": "AAAA"}"#;
    let proto = ["--proto=proto/wirebench/market/v1/market.proto", "--proto-path=proto"];
    for more in [&[][..], &proto[..]] {
        let found =
            loaded(&[&[&method("GetQuote")[..], quote, "-r100", "-d1s", "--in-flight=4"], more].concat());
        assert_eq!(
            (&found["ok"], &found["statuses"]),
            (&100.into(), &serde_json::json!({"0": 100})),
            "{found}"
        );
        assert!(found["reply_bytes"].as_u64().unwrap() > 1_000, "{found}");
    }
    let (code, said, found) = load(&[&method("GetQuote"), r#"--body={"symbol": "nope"}"#, "-n10"]);
    assert!(code == Some(1) && said.contains("grpc-status 5 NOT_FOUND: no symbol 'nope'"), "{said}");
    assert_eq!(found["statuses"]["5"], 10, "{found}");
    for (name, body, says) in [
        ("GetQuot", quote, "it has GetQuote, GetQuotes"),
        ("GetQuote", r#"--body={"symbl": "AAAA"}"#, "does not fit wirebench.market.v1.QuoteRequest"),
        ("GetQuote", "--body={", "--body is no JSON"),
        ("GetQuote", r#"--body={}{}"#, "has 2 JSON values"),
    ] {
        let (code, said, _) = load(&[&method(name), body, "-n1"]);
        assert!(code == Some(2) && said.contains(says), "{name} {body}: {said}");
    }
    let nothing = servers::echoing();
    let (code, said, _) = load(&[&format!("{}/a.B/C", nothing.url("grpc")), "-n1", "--time-out=2s"]);
    assert!(code == Some(1) && said.contains("does not tell of its service a.B by reflection"), "{said}");
}

#[test]
fn listeners_are_held_and_what_they_hear_is_counted() {
    let feed = servers::websocket_feed();
    let found = loaded(&[&feed.url("ws"), "--listen", "-c20", "-d1s"]);
    assert_eq!((&found["opened"], &found["open_at_end"]), (&20.into(), &20.into()), "{found}");
    // Twenty times twenty a second.
    assert!((200..=440).contains(&found["messages"].as_u64().unwrap()), "{found}");
    let events = servers::event_feed(10);
    let found = loaded(&[&events.url("http"), "--listen", "-c16", "-d1s"]);
    assert_eq!((&found["opened"], &found["refused"]["status"]), (&10.into(), &6.into()), "{found}");
    assert!(found["messages"].as_u64().unwrap() >= 100, "{found}");
    let (code, said, _) = load(&["tcp://127.0.0.1:1", "--reply-bytes=1", "--listen"]);
    assert!(code == Some(2) && said.contains("--listen needs a target of ws://"), "{said}");
    let (code, said, _) = load(&["ws://127.0.0.1:1/", "--listen", "-c4"]);
    assert!(code == Some(1) && said.contains("connection refused"), "{said}");
}

/// A server that wants to know who calls, by OpenSSL.
#[test]
fn a_client_shows_its_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let [cert, key] =
        ["cert.pem", "key.pem"].map(|name| folder.path().join(name).to_str().unwrap().to_owned());
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=me.test"])
        .args(["-addext", "subjectAltName=DNS:me.test", "-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", &key, "-out", &cert])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", stderr(&made));
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut server = Command::new("openssl")
        .args(["s_server", "-accept", &format!("127.0.0.1:{port}"), "-cert", &cert, "-key", &key])
        .args(["-CAfile", &cert, "-Verify", "1", "-verify_return_error", "-www", "-quiet"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let url = format!("https://127.0.0.1:{port}/");
    let brief = [&url[..], "-n3", "-c1", "--sni=me.test", "--root", &cert];
    let known = [&brief[..], &["--cert", &cert, "--key", &key]].concat();
    let answered = |_| {
        clock::pause_thread(std::time::Duration::from_millis(100));
        load(&known).0 == Some(0)
    };
    let was_known = (0..50).any(answered);
    let (unknown, said, _) = load(&brief);
    let (other_name, named, _) = load(&[&known[..], &["--sni=other.test"]].concat());
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(was_known, "it was never answered: {said}");
    assert_eq!((unknown, other_name), (Some(1), Some(2)), "{said} {named}");
}

/// A connection is for so many calls, also where several are under way on it.
#[test]
fn connections_are_renewed_after_so_many_calls() {
    let server = servers::echoing();
    let found = loaded(&[&server.url("http"), "-n40", "-c2", "--calls-per-connection=5"]);
    assert_eq!((&found["ok"], &found["failed_total"]), (&40.into(), &0.into()), "{found}");
    assert!((8..=10).contains(&server.connections()), "{} connections", server.connections());
    for (streams, shape) in [
        (2, ["-n40", "--in-flight=4", "--calls-per-connection=10"]),
        (1, ["-n64", "--in-flight=16", "--calls-per-connection=16"]),
    ] {
        let server = servers::Server::start(move |stream, _| frames::serve(stream, Manner::Streams(streams)));
        let found = loaded(&[&[&server.url("http")[..], "--http2", "-c1"], &shape[..]].concat());
        assert_eq!(
            (found["failed_total"].as_u64(), found["sent"] == found["ok"]),
            (Some(0), true),
            "{found}"
        );
        // What the server refuses, until its limit of streams has come, is among the calls of each.
        assert!((4..=8).contains(&server.connections()), "{} connections", server.connections());
    }
    let (code, said, _) =
        load(&["http://127.0.0.1:1/", "--http2", "--in-flight=4", "--calls-per-connection=3"]);
    assert!(code == Some(2) && said.contains("--in-flight"), "{said}");
}

/// Each request in turn, whatever the connections and workers: none twice, none never.
#[test]
fn requests_go_round_evenly() {
    let folder = tempfile::tempdir().unwrap();
    let lines: String = (1..=4).map(|nth| format!("{{\"path\":\"/{nth}\"}}\n")).collect();
    let requests = write(folder.path(), "four.jsonl", &lines);
    let cores = lab::cores::allowed().unwrap().len().min(2).to_string();
    for shape in [
        &["-c2"][..],
        &["-c8"],
        &["-c2", "-r40"],
        &["-c2", "--workers", &cores],
        &["-c2", "-r40", "--workers", &cores],
    ] {
        let server = servers::echoing();
        let found = loaded(&[&[&server.url("http"), "-n8", "--requests", &requests], shape].concat());
        assert_eq!(found["ok"], 8, "{shape:?}: {found}");
        let mut paths: Vec<String> =
            server.all().iter().map(|(head, _)| head.split(' ').nth(1).unwrap().to_owned()).collect();
        paths.sort_unstable();
        assert_eq!(paths, ["/1", "/1", "/2", "/2", "/3", "/3", "/4", "/4"], "{shape:?}");
    }
}

/// What cannot be as it was meant is said before anything is sent, and not cut or left out.
#[test]
fn what_cannot_be_filled_or_kept_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = write(folder.path(), "data.csv", &["id\n", &"1\n".repeat(1_000)].concat());
    let odd = write(folder.path(), "odd.log", "1 - - [x] \"-\" 408 0\n1 - - [x] \"GET /a HTTP/1.1\" 200 5\n");
    let weights = write(
        folder.path(),
        "weights.jsonl",
        "{\"path\":\"/a\",\"weight\":99999}\n{\"path\":\"/b\",\"weight\":100000}\n",
    );
    let large = folder.path().join("large");
    std::fs::write(&large, vec![b'x'; 1 << 20]).unwrap();
    let large = large.to_str().unwrap();
    for (arguments, says) in [
        (&["http://127.0.0.1:1/", "--data", &data][..], "nothing to fill in"),
        (&["ws://127.0.0.1:1/{{id}}", "--data", &data], "HTTP requests alone"),
        (&["http://127.0.0.1:1/", "--requests", &weights], "use smaller ones"),
        (&["http://127.0.0.1:1/{{id}}", "--data", &data, "--body-file", large], "MiB"),
        (&["http://127.0.0.1:1/", "--stages=1e308/s for 10s, to 0/s over 10s"], "1000000000/s"),
        (&["http://127.0.0.1:1/", "--http2", "-c1000", "--in-flight=10000"], "calls in flight"),
        (&["http://127.0.0.1:1/", "--rate=1e-9", "-n1"], "at most 30 days"),
        (&["ws://127.0.0.1:1/", "--listen", "--csv=x.csv"], "cannot be used with"),
        (&["http://127.0.0.1:1/", "--greeting"], "--greeting needs"),
    ] {
        let (code, said, _) = load(arguments);
        assert!(code == Some(2) && said.contains(says), "{arguments:?}: {said}");
    }
    let server = servers::echoing();
    let (code, said, found) = load(&[&server.url("http"), "-n3", "--requests", &odd]);
    assert!(code == Some(0) && said.contains("left out, such as line 1"), "{said}");
    assert_eq!(found["ok"], 3);
}

/// Where no handshake ends, that is what is said, and not that too much was offered.
#[test]
fn a_server_that_cannot_be_reached_again_is_no_overload() {
    let once = servers::Server::start(|mut stream, nth| {
        use std::io::{Read as _, Write as _};
        if nth == 0 {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(servers::OK);
            return;
        }
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let cold = ["--cold", "-n4", "-c1", "--time-out=300ms"];
    let (_, said, found) = load(&[&[&once.url("https")[..], "--insecure"], &cold[..]].concat());
    assert_eq!(found["failed_total"], 4, "{said} {found}");
    assert!(!said.contains("offered more"), "{said}");
    // Nor where a connection was kept, and lost.
    let greets_once = servers::Server::start(|mut stream, nth| {
        use std::io::Read as _;
        if nth > 0 {
            let _ = stream.read_to_end(&mut Vec::new());
            return;
        }
        let Ok(mut socket) = tokio_tungstenite::tungstenite::accept(stream) else { return };
        if let Ok(message) = socket.read() {
            let _ = socket.send(message);
        }
    });
    let kept = ["-r20", "-c1", "-d1s", "--warm-up=0s", "--time-out=300ms"];
    let (_, said, found) = load(&[&[&greets_once.url("ws")[..]], &kept[..]].concat());
    assert!(found["ok"] == 1 && found["failed"]["refused"].as_u64() > Some(0), "{said} {found}");
    assert!(!said.contains("offered more"), "{said}");
    // The first address is nobody's: with a new connection for each call, too.
    let server = servers::echoing();
    let port = server.port();
    let told = format!("--resolve=a.test:{port}:127.9.9.9,127.0.0.1");
    let found = loaded(&[&format!("http://a.test:{port}/"), "-n4", "--cold", &told]);
    assert_eq!(found["ok"], 4, "{found}");
}
