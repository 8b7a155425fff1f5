//! The kinds of faults that users of load generators report, each held off by a test: servers that
//! are written out by hand, byte by byte, and `wirebench load` as a user types it.

mod connections;
pub(crate) mod frames;
pub(crate) mod servers;
mod typed;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Output, Stdio};
use std::time::Duration;

use clock::Clock;
use serde_json::Value;

use self::servers::{OK, Server, echoing, head, http, websocket};
use crate::command::{output, signal, stderr, wirebench};

/// A load with `--json`, and what it printed.
fn load(arguments: &[&str]) -> (Output, Value) {
    let loaded = output(&[&["load", "--json", "--allow-debug"], arguments].concat());
    let found = serde_json::from_slice(&loaded.stdout).unwrap_or(Value::Null);
    (loaded, found)
}

/// A load that must end well.
fn loaded(arguments: &[&str]) -> Value {
    let (loaded, found) = load(arguments);
    assert_eq!(loaded.status.code(), Some(0), "{arguments:?}: {}", stderr(&loaded));
    found
}

/// A load that must be refused before it opens a connection.
fn refused(arguments: &[&str]) -> String {
    let began = Clock::System.now();
    let (loaded, _) = load(arguments);
    let said = stderr(&loaded);
    assert_eq!(loaded.status.code(), Some(2), "{arguments:?}: {said}");
    assert!(
        loaded.stdout.is_empty() && Clock::System.now().since(began) < Duration::from_secs(5),
        "{arguments:?}: {said}"
    );
    said
}

#[test]
fn an_interrupted_load_is_a_load() {
    let server = http(|_| OK.to_vec());
    for (name, more) in
        [("-INT", &["--rate=100"][..]), ("-TERM", &[]), ("-HUP", &["--rate=100", "--warm-up=0s"])]
    {
        let url = server.url("http");
        let arguments = [&["load", &url, "--json", "--allow-debug", "--duration=10min"], more].concat();
        let child = wirebench(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        clock::pause_thread(Duration::from_millis(2_500));
        signal(child.id(), name);
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(130), "{name}: {}", stderr(&ended));
        let found: Value = serde_json::from_slice(&ended.stdout).unwrap();
        assert_eq!((&found["interrupted"], &found["failed_total"]), (&true.into(), &0.into()), "{found}");
        let seconds = found["duration_s"].as_f64().unwrap();
        assert!((0.3..20.0).contains(&seconds), "{found}");
        let rate = found["rate_per_s"].as_f64().unwrap();
        let is_right = (found["ok"].as_f64().unwrap() / seconds / rate - 1.0).abs() < 1e-6;
        assert!(is_right && (more.is_empty() || (60.0..140.0).contains(&rate)), "{found}");
        assert!(stderr(&ended).contains("interrupted: measured for"), "{}", stderr(&ended));
    }
}

/// A call that hangs does not keep a second signal waiting; nor does a server that never shakes
/// hands keep the first.
#[test]
fn a_second_signal_ends_at_once_and_one_is_enough_while_connecting() {
    let silent = Server::start(|mut stream, _| drop(stream.read_to_end(&mut Vec::new())));
    let long = ["--time-out=5min", "--allow-debug"];
    let (plain, secure) = (silent.url("http"), silent.url("https"));
    let hanging = [&["load", &plain, "--rate=10"], &long[..]].concat();
    let mut child = wirebench(&hanging).stderr(Stdio::null()).spawn().unwrap();
    clock::pause_thread(Duration::from_millis(700));
    let began = Clock::System.now();
    signal(child.id(), "-INT");
    // `timeout` signals twice: the command, and its process group.
    signal(child.id(), "-INT");
    clock::pause_thread(Duration::from_millis(700));
    assert!(child.try_wait().unwrap().is_none(), "the same signal again ends nothing");
    signal(child.id(), "-INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let connecting = [&["load", &secure, "--insecure"], &long[..]].concat();
    let mut child = wirebench(&connecting).stderr(Stdio::null()).spawn().unwrap();
    clock::pause_thread(Duration::from_millis(700));
    signal(child.id(), "-INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(Clock::System.now().since(began) < Duration::from_secs(30));
}

#[test]
fn output_that_is_not_read_or_not_taken_ends_nothing() {
    let server = http(|_| OK.to_vec());
    let url = server.url("http");
    let search = [
        "load",
        &url,
        "--allow-debug",
        "--find-capacity",
        "--rate=200",
        "--trial=200ms",
        "--objective=response.p50 < 2s",
    ];
    let mut child = wirebench(&search).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.contains("200/s"), "{first}");
    signal(child.id(), "-INT");
    let ended = child.wait_with_output().unwrap();
    assert!(!stderr(&ended).contains("panicked"), "{}", stderr(&ended));

    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    let brief = ["load", &url, "--json", "--allow-debug", "--rate=50", "--duration=300ms", "--warm-up=0s"];
    let kept = wirebench(&brief).stderr(full()).output().unwrap();
    assert_eq!(kept.status.code(), Some(0));
    assert!(serde_json::from_slice::<Value>(&kept.stdout).is_ok());
    let lost = wirebench(&brief).stdout(full()).output().unwrap();
    assert_eq!(lost.status.code(), Some(1));
    assert!(stderr(&lost).contains("No space left"), "{}", stderr(&lost));
}

/// What is not for a terminal is for awk and a spreadsheet: digits alone, and one unit.
#[test]
fn numbers_in_text_can_be_read_by_programs() {
    let server = http(|_| OK.to_vec());
    let read = output(&["load", &server.url("http"), "--allow-debug", "-n", "3000"]);
    let text = String::from_utf8(read.stdout).unwrap();
    let row = text.lines().find(|line| line.starts_with("response")).unwrap();
    let fields: Vec<&str> = row.split_whitespace().collect();
    assert_eq!((fields.len(), fields[1]), (7, "3000"), "{text}");
    assert!(fields[2..5].iter().chain(&fields[6..]).all(|field| field.parse::<f64>().is_ok()), "{text}");
}

#[test]
fn a_name_has_addresses() {
    let server = echoing();
    let port = server.port();
    let told = format!("--resolve=a.test:{port}:127.9.9.9,127.0.0.1");
    let (said, found) = load(&[&format!("http://a.test:{port}/"), "-n2", &told]);
    let address = format!("127.0.0.1:{port}");
    assert_eq!(found["address"], address.as_str(), "{}", stderr(&said));
    assert!(stderr(&said).contains(&format!("{address} is loaded")), "{}", stderr(&said));
    assert_eq!(head(&server.last(), "host"), [format!("a.test:{port}")]);
    let elsewhere = format!("--connect-to=a.test:80:127.0.0.1:{port}");
    loaded(&["http://a.test/", "-n2", &elsewhere]);
    assert_eq!(head(&server.last(), "host"), ["a.test"]);
    // The name of the machine itself, where IPv6 comes first on many.
    loaded(&[&format!("http://localhost:{port}/"), "-n2"]);
    // Nobody says over UDP and QUIC that he is not there, or says it late.
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = udp.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut datagram = [0; 100];
        while let Ok((bytes, from)) = udp.recv_from(&mut datagram) {
            let _ = udp.send_to(&datagram[..bytes], from);
        }
    });
    let told = format!("--resolve=a.test:{port}:127.9.9.9,127.0.0.1");
    let found = loaded(&[&format!("udp://a.test:{port}"), "-n4", &told]);
    assert_eq!(found["address"], format!("127.0.0.1:{port}"));
    for wrong in
        ["--resolve=a.test:80", "--resolve=:80:127.0.0.1", "--connect-to=a.test:80", "--resolve=a:80:b"]
    {
        refused(&["http://a.test/", wrong]);
    }
}

#[test]
fn headers_arrive_as_given_and_once() {
    let server = echoing();
    let given = ["-n1", "--header=Host: me.test:81", "--header=X-Two: 1", "--header=x-two: é"];
    loaded(&[&[&server.url("http")[..]], &given[..]].concat());
    let seen = server.last();
    assert_eq!(
        (head(&seen, "host"), head(&seen, "x-two")),
        (vec!["me.test:81".to_owned()], vec!["1".to_owned(), "é".to_owned()])
    );
    let socket = websocket(|_, _| ());
    loaded(&[&format!("{}chat", socket.url("ws")), "-n1", "--header=Host: chat.test"]);
    assert_eq!(head(&socket.last(), "host"), ["chat.test"]);
    loaded(&[&socket.url("ws"), "-n1"]);
    assert_eq!(head(&socket.last(), "host"), [format!("127.0.0.1:{}", socket.port())]);
    let url = "http://127.0.0.1:1/";
    for (arguments, says) in [
        (&[url, "--header=Host: a", "--header=host: b"][..], "one Host"),
        (&[url, "--header=Content-Length: 3"], "wirebench writes it"),
        (&[url, "--header=Host: a b"], "no host"),
        (&[url, "--header=a b: c"], "no name of a header"),
        (&[url, "--header=abc"], "write 'Name: value'"),
        (&[url, "--http2", "--header=Connection: close"], "have no such header"),
        (&[url, "--http2", "--header=TE: gzip"], "trailers"),
        (&["ws://127.0.0.1:1/", "--header=Sec-WebSocket-Key: x"], "handshake"),
        (&["tcp://127.0.0.1:1", "--header=a: b"], "--header needs a target of http"),
        (&["grpc://127.0.0.1:1", "--header=a: b"], "--header needs a target of http"),
    ] {
        let said = refused(arguments);
        assert!(said.contains(says), "{arguments:?}: {said}");
    }
}

#[test]
fn a_rate_is_of_the_measured_time() {
    let server = http(|nth| {
        clock::pause_thread(Duration::from_millis(if nth == 60 { 4_000 } else { 0 }));
        OK.to_vec()
    });
    let (ended, found) =
        load(&[&server.url("http"), "--rate=100", "--duration=1s", "--warm-up=0s", "--time-out=20s"]);
    assert!((found["rate_per_s"].as_f64().unwrap() - 100.0).abs() < 1e-6, "{found}");
    assert_eq!((&found["duration_s"], &found["ok"]), (&1.0.into(), &100.into()), "{found}");
    assert!(found["last_replies_after_s"].as_f64().unwrap() > 2.0, "{found}");
    assert!(stderr(&ended).contains("after the measured time"), "{}", stderr(&ended));
}

#[test]
fn a_gate_needs_data_and_a_failed_call_satisfies_none() {
    let server = http(|nth| {
        clock::pause_thread(Duration::from_millis(if nth % 2 == 0 { 0 } else { 100 }));
        OK.to_vec()
    });
    let url = server.url("http");
    let gate = |more: &[&str]| {
        let (ended, _) = load(&[&[&url[..], "--rate=50", "--warm-up=0s"], more].concat());
        (ended.status.code(), stderr(&ended))
    };
    let (code, said) = gate(&["--duration=1s", "--fail-on=response.p999 > 10s"]);
    assert!(code == Some(3) && said.contains("cannot be judged: 50 calls, 20000 needed"), "{said}");
    // Half of the calls end at 10 ms, which is below the bound.
    let failing = ["--duration=2s", "--time-out=10ms", "-c64"];
    for bound in ["response.p90 > 50ms", "response.max > 50ms", "within.50ms < 90%"] {
        let (code, said) = gate(&[&failing[..], &["--fail-on", bound]].concat());
        assert_eq!(code, Some(3), "{bound}: {said}");
    }
    assert_eq!(gate(&["--duration=1s", "--fail-on=response.p50 > 10s"]).0, Some(0));
}

#[test]
fn success_is_stated() {
    let statuses = [200, 200, 302, 404];
    let server = http(move |nth| {
        format!("HTTP/1.1 {} X\r\ncontent-length: 6\r\n\r\nanswer", statuses[nth % 4]).into_bytes()
    });
    let url = server.url("http");
    let (_, found) = load(&[&url, "-n40", "-c1"]);
    assert_eq!(found["statuses"], serde_json::json!({"200": 20, "302": 10, "404": 10}), "{found}");
    assert_eq!(
        (&found["ok"], &found["failed"]["status"], &found["reply_bytes"]),
        (&30.into(), &10.into(), &240.into())
    );
    // What failed at once is not shown as the time-out.
    assert!(found["failed_after_us"]["status"]["max"].as_f64().unwrap() < 4e6, "{found}");
    assert!(found["response_us"]["p90"].is_null() && found["response_us"]["p50"].is_f64(), "{found}");
    let (_, found) = load(&[&url, "-n40", "-c1", "--expect-status=2xx,404"]);
    assert_eq!(found["failed"]["status"], 10, "{found}");
    let (_, found) = load(&[&url, "-n40", "-c1", "--expect-body=answer", "--expect-status=100-599"]);
    assert_eq!(found["ok"], 40, "{found}");
    let (ended, _) = load(&[&url, "-n40", "-c1", "--expect-body=other"]);
    assert!(
        ended.status.code() == Some(1) && stderr(&ended).contains("does not contain"),
        "{}",
        stderr(&ended)
    );

    let login = http(|_| b"HTTP/1.1 302 Found\r\nlocation: /login\r\ncontent-length: 0\r\n\r\n".to_vec());
    let (ended, _) = load(&[&login.url("http"), "-n4"]);
    assert!(stderr(&ended).contains("every reply was a redirect"), "{}", stderr(&ended));
    let lost = http(|_| b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec());
    let text = output(&["load", &lost.url("http"), "--allow-debug", "-n40"]);
    let text = String::from_utf8(text.stdout).unwrap();
    let row = text.lines().find(|line| line.starts_with("response")).unwrap();
    assert!(row.split_whitespace().nth(2) == Some("failed") && text.contains("statuses: 40 × 404"), "{text}");
}

/// Files, ports and addresses that this machine lacks are no fault of the server's.
#[test]
fn limits_of_this_machine_are_its_own() {
    let server = http(|_| OK.to_vec());
    let limited = |files: u32, arguments: &str| {
        let program = env!("CARGO_BIN_EXE_wirebench");
        let line = format!(
            "ulimit -n {files}; exec {program} load {} --allow-debug {arguments}",
            server.url("http")
        );
        std::process::Command::new("sh").args(["-c", &line]).output().unwrap()
    };
    let told = limited(64, "-c200");
    assert_eq!(told.status.code(), Some(2));
    assert!(
        stderr(&told).contains("needs 228 open files") && stderr(&told).contains("ulimit -n"),
        "{}",
        stderr(&told)
    );
    let (ended, _) =
        load(&[&server.url("http"), "-n4", "--source-address=127.0.0.2", "--source-address=127.0.0.3"]);
    assert_eq!(ended.status.code(), Some(0), "{}", stderr(&ended));
    let (ended, _) = load(&[&server.url("http"), "-n4", "--source-address=192.0.2.1"]);
    assert_eq!(ended.status.code(), Some(2));
    assert!(stderr(&ended).contains("this machine cannot use it"), "{}", stderr(&ended));
    let (ended, _) = load(&[&server.url("http"), "-n4", "--source-address=::1"]);
    assert_eq!(ended.status.code(), Some(2), "{}", stderr(&ended));
}

/// Two loads have a core each, where there are two.
#[test]
fn two_loads_do_not_share_a_core() {
    let server = http(|_| OK.to_vec());
    let url = server.url("http");
    let start = |more: &[&str]| {
        let arguments = [&["load", &url, "--rate=20", "--duration=20s", "--allow-debug"], more].concat();
        wirebench(&arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let cores = |id: u32| -> Vec<String> {
        let tasks = std::fs::read_dir(format!("/proc/{id}/task")).unwrap().map(|task| task.unwrap().path());
        let worker = tasks.filter(|task| {
            std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name.starts_with("load-"))
        });
        let allowed = |status: String| {
            status
                .lines()
                .find_map(|line| line.strip_prefix("Cpus_allowed_list:").map(|list| list.trim().to_owned()))
        };
        worker.filter_map(|task| allowed(std::fs::read_to_string(task.join("status")).ok()?)).collect()
    };
    let mut loads = [start(&[]), start(&[]), start(&["--no-pin"])];
    clock::pause_thread(Duration::from_secs(2));
    let [first, second, third] = [0, 1, 2].map(|nth: usize| cores(loads[nth].id()));
    for load in &mut loads {
        signal(load.id(), "-INT");
    }
    for load in loads {
        assert_eq!(load.wait_with_output().unwrap().status.code(), Some(130));
    }
    assert_eq!((first.len(), second.len(), third.len()), (1, 1, 1));
    assert!(first != second, "both are on {first:?}");
    assert!(third[0].contains(['-', ',']) || lab::cores::allowed().unwrap().len() == 1, "{third:?}");
}

/// Eight connections to a server that takes 20 ms do 400 calls a second: of 800 the others are
/// never sent, and cost no connection.
#[test]
fn overload_reads_as_the_capacity() {
    let server = http(|_| {
        clock::pause_thread(Duration::from_millis(20));
        OK.to_vec()
    });
    let (ended, found) = load(&[&server.url("http"), "--rate=800", "--time-out=500ms", "--duration=3s"]);
    let (ok, failed) = (found["ok"].as_u64().unwrap(), &found["failed"]);
    assert!((700..=1_230).contains(&ok), "{found}");
    assert!(failed["dropped"].as_u64().unwrap() > 900, "{found}");
    assert!(failed["timed_out"].as_u64().unwrap_or_default() < ok / 5, "{found}");
    assert!(found["reconnections"].as_u64().unwrap() < ok / 5, "{found}");
    assert!(stderr(&ended).contains("offered more than 8 connections carry"), "{}", stderr(&ended));
    // What is worked off after the measured time is none of its rate, whose gate would pass.
    let gate = ["--rate=800", "--time-out=5s", "--duration=1s", "--warm-up=0s", "--fail-on=rate_per_s < 500"];
    let (ended, found) = load(&[&[&server.url("http")[..]], &gate[..]].concat());
    assert_eq!(ended.status.code(), Some(3), "{found}");
    assert!(found["ok"].as_u64().unwrap() > 500 && found["rate_per_s"].as_f64().unwrap() < 420.0, "{found}");
}

#[test]
fn a_search_tells_what_it_found() {
    let silent = Server::start(|mut stream, _| drop(stream.read_to_end(&mut Vec::new())));
    let search = ["--find-capacity", "--trial=300ms", "--rate=100"];
    let (ended, _) = load(
        &[&[&silent.url("http")[..], "--time-out=200ms", "--objective=response.p50 < 100ms"], &search[..]]
            .concat(),
    );
    assert_eq!(ended.status.code(), Some(1), "{}", stderr(&ended));
    assert!(stderr(&ended).contains("none of"), "{}", stderr(&ended));
    let slow = http(|_| {
        clock::pause_thread(Duration::from_millis(20));
        OK.to_vec()
    });
    let (ended, found) =
        load(&[&[&slow.url("http")[..], "--objective=response.p50 < 300ms", "-c4"], &search[..]].concat());
    assert_eq!(ended.status.code(), Some(0), "{}", stderr(&ended));
    let (met, missed) = (found["met_at_per_s"].as_f64().unwrap(), found["missed_at_per_s"].as_f64().unwrap());
    assert!(met >= 100.0 && missed <= 400.0, "{found}");
    let said = refused(&["http://127.0.0.1:1/", "--find-capacity", "--rate=1"]);
    assert!(said.contains("begin at 34/s or more"), "{said}");
}

/// A new connection for each call, and what it spent on it.
#[test]
fn cold_calls_have_a_connection_each() {
    let server = http(|_| OK.to_vec());
    let found = loaded(&[&server.url("http"), "--cold", "-n20"]);
    assert_eq!((&found["ok"], server.connections()), (&20.into(), 20), "{found}");
    assert_eq!(found["phases_us"]["connect"]["n"], 20, "{found}");
}

#[test]
fn bodies_come_from_files_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("body");
    let bytes: Vec<u8> = (0..=255).cycle().take(200_000).collect();
    std::fs::write(&file, &bytes).unwrap();
    let server = echoing();
    loaded(&[&server.url("http"), "-n1", "--body-file", file.to_str().unwrap()]);
    let seen = server.last();
    assert!(seen.starts_with("POST / HTTP/1.1\r\n"), "{seen}");
    assert_eq!(head(&seen, "content-length"), ["200000"]);
    assert_eq!(server.last_body(), bytes);
}

#[test]
fn a_unix_socket_stands_for_an_address() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let (mut lines, mut stream) = (BufReader::new(stream.try_clone().unwrap()).lines(), stream);
                while let Some(Ok(line)) = lines.next() {
                    if line.is_empty() && stream.write_all(OK).is_err() {
                        return;
                    }
                }
            });
        }
    });
    let found = loaded(&["http://a.test/", "-n8", "--unix-socket", path.to_str().unwrap()]);
    assert_eq!((&found["ok"], &found["address"]), (&8.into(), &path.to_str().unwrap().into()), "{found}");
    let wrong = ["http://127.0.0.1/", "-n1", "--unix-socket=/no/such/socket"];
    let (ended, _) = load(&wrong);
    assert!(stderr(&ended).contains("cannot connect to /no/such/socket"), "{}", stderr(&ended));
}

/// A greeting would be taken for the first reply.
#[test]
fn a_server_that_speaks_first_is_waited_for_or_found_out() {
    let mail = Server::start(|mut stream, _| {
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let _ = stream.write_all(b"220 hello\r\n");
        while let Some(Ok(_)) = lines.next() {
            if stream.write_all(b"250 fine\r\n").is_err() {
                return;
            }
        }
    });
    let chat = Server::start(|stream, _| {
        let Ok(mut socket) = tokio_tungstenite::tungstenite::accept(stream) else { return };
        let _ = socket.send("welcome".into());
        while let Ok(message) = socket.read() {
            if !message.is_text() || socket.send(message).is_err() {
                return;
            }
        }
    });
    for (url, more) in [
        (mail.url("tcp"), &["--body=NOOP\\r\\n", "--reply-until=\\r\\n"][..]),
        (chat.url("ws"), &["--body=hi"]),
    ] {
        let brief = [&[&url[..], "-n20", "-c4"], more].concat();
        let (ended, _) = load(&brief);
        assert_eq!(ended.status.code(), Some(1), "{url}: {}", stderr(&ended));
        assert!(stderr(&ended).contains("--greeting"), "{url}: {}", stderr(&ended));
        let found = loaded(&[&brief[..], &["--greeting"]].concat());
        assert_eq!((&found["ok"], &found["reconnections"]), (&20.into(), &0.into()), "{url}: {found}");
    }
}
