//! `lab`: any program between two hosts over a link; and what becomes of it when something dies or
//! is not allowed.

use std::fs;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

const WIREBENCH: &str = env!("CARGO_BIN_EXE_wirebench");

fn wirebench(arguments: &[&str]) -> Output {
    Command::new(WIREBENCH).args(arguments).output().unwrap()
}

fn lab(arguments: &[&str]) -> Output {
    wirebench(&[&["lab"], arguments].concat())
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Whether this machine allows links; where it does not, the refusal is what is tested.
fn allowed() -> bool {
    let output = lab(&["same-zone", "--", "true"]);
    if output.status.success() {
        return true;
    }
    let refused = ["may make no network namespace", "may open no TUN device"];
    assert!(refused.iter().any(|words| said(&output).contains(words)), "{}", said(&output));
    ::lab::skip(&said(&output));
    false
}

/// A stock tool's output over a link; `None` where it is not installed and need not be.
fn stock(tool: &str, arguments: &[&str]) -> Option<String> {
    if !allowed() {
        return None;
    }
    if Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        ::lab::skip(&format!("{tool} is not installed"));
        return None;
    }
    let output = lab(arguments);
    assert!(output.status.success(), "{}", said(&output));
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_command_finds_the_addresses_and_its_code_is_passed_on() {
    if !allowed() {
        return;
    }
    let script = "echo {server} $WIREBENCH_SERVER $WIREBENCH_CLIENT; exit 7";
    let output = lab(&["ny-london loss=1%", "--", "sh", "-c", script]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "198.18.1.2 198.18.1.2 198.18.1.1\n");
    assert_eq!(output.status.code(), Some(7), "{}", said(&output));
    assert!(said(&output).contains("to the server: 0 packets sent"), "{}", said(&output));
    let output = lab(&["same-zone", "--", "/no/such/program"]);
    assert_eq!(output.status.code(), Some(127));
    assert!(said(&output).contains("/no/such/program: No such file"), "{}", said(&output));
}

#[test]
fn a_link_that_is_none_is_the_users_to_mend() {
    for (link, at, says) in [
        ("mars", None, "there is no link or setting 'mars': there are links: same-zone"),
        ("dsl loss=2", None, "'loss=2': a number and one of %"),
        ("dsl", Some("soon cut"), "--at: 'soon cut': write TIME CHANGES"),
        ("dsl", Some("5s"), "--at: '5s': a link is a name"),
    ] {
        let mut arguments = vec![link];
        arguments.extend(at.iter().flat_map(|at| ["--at", at]));
        let output = lab(&[&arguments[..], &["--", "true"]].concat());
        assert_eq!(output.status.code(), Some(2), "{link}: {}", said(&output));
        assert!(said(&output).contains(says), "{link}: {}", said(&output));
    }
}

#[test]
fn links_are_listed() {
    let output = lab(&["--links"]);
    let listed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && listed.contains("ny-london-ideal"), "{listed}");
    assert_eq!(listed.lines().count(), terms::ways::PROFILES.len());
}

/// Processes whose command line has a word.
fn running(word: &str) -> usize {
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let has = |path: std::path::PathBuf| {
        let line = fs::read(path.join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).split('\0').any(|found| found == word)
    };
    processes.filter(|entry| has(entry.path())).count()
}

/// A process that does not outlive its test.
struct Killed(std::process::Child);

impl Killed {
    fn kill(&mut self) {
        // SIGKILL; already dead is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        self.kill();
    }
}

fn eventually(what: &str, is: impl Fn() -> bool) {
    for _ in 0..200 {
        if is() {
            return;
        }
        clock::pause_thread(Duration::from_millis(50));
    }
    panic!("never {what}");
}

/// Killed without a chance to clean up: no process of either host is left, and with the last one
/// the hosts are gone.
#[test]
fn nothing_is_left_of_a_lab_that_is_killed() {
    if !allowed() {
        return;
    }
    // A number that nobody else sleeps for.
    let long = format!("{}.0625", 100_000 + std::process::id());
    let server = format!("sleep {long} & {WIREBENCH} serve tcp --bind {{server}} --port 7001 & sleep {long}");
    let client = format!("sleep {long} & sleep {long}");
    let arguments = ["lab", "rtt=1ms", "--server", &server, "--", "sh", "-c", &client];
    let mut lab = Killed(Command::new(WIREBENCH).args(arguments).stdout(Stdio::null()).spawn().unwrap());
    eventually("all four asleep", || running(&long) == 4);
    lab.kill();
    eventually("all gone", || running(&long) == 0);
}

/// Root without its capabilities: what is missing is said, and how to get it; what needs no link
/// still runs.
#[test]
fn without_privileges_a_link_is_refused_and_loopback_is_not() {
    let run = |scenario: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("setpriv");
        command
            .args(["--inh-caps=-all", "--bounding-set=-all", WIREBENCH])
            .args(scenario)
            .current_dir(folder.path());
        command.output().unwrap()
    };
    let bare = run(&["list"]);
    if !bare.status.success() {
        ::lab::skip(&format!("only root can lay down capabilities: {}", said(&bare)));
        return;
    }
    for refused in
        [&["lab", "ny-london", "--", "true"][..], &["run", "ny-london", "--quick", "--allow-debug"]]
    {
        let output = run(refused);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("may make no network namespace"), "{said}");
        assert!(said.contains("run as root, or allow user namespaces"), "{said}");
    }
    let loopback = ["run", "aa", "--quick", "--allow-debug", "--accept-noise", "--rounds", "2"];
    let output = run(&[&loopback[..], &["--set", "quick.duration=200ms"]].concat());
    assert!(output.status.success() && said(&output).contains("loopback stood in"), "{}", said(&output));
}

/// The least of ten is what the link takes; ping's own wake-up and a busy machine add to the
/// others.
#[test]
fn ping_reads_the_delay() {
    let Some(text) = stock("ping", &["rtt=40ms", "--", "ping", "-c", "10", "-i", "0.05", "{server}"]) else {
        return;
    };
    let summary = text.lines().find(|line| line.starts_with("rtt ")).unwrap();
    let least: f64 = summary.split(['=', '/']).nth(4).unwrap().trim().parse().unwrap();
    assert!((39.5..42.0).contains(&least), "{summary}");
}

/// The least of five connects in one round trip of 40 ms and has its first byte in as many as the
/// card says: two in plain text, three over TLS 1.3, four over 1.2.
#[test]
fn curl_counts_the_round_trips_of_a_cold_call() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root.pem");
    let root = root.to_str().unwrap();
    let tls = format!("--over tls --root {root}");
    for (options, scheme, version, trips) in
        [("", "http", "1.3", 2.0), (&tls[..], "https", "1.3", 3.0), (&tls[..], "https", "1.2", 4.0)]
    {
        let server = format!("{WIREBENCH} serve rest {options} --bind {{server}} --port 7001");
        let call = format!(
            "for n in 1 2 3 4 5; do curl -sf --cacert {root} --tlsv{version} --tls-max {version} -o /dev/null \
             -w '%{{time_connect}} %{{time_starttransfer}}\\n' {scheme}://{{server}}:7001/v1/quotes/AAAA; done"
        );
        let arguments = ["rtt=40ms", "--server", &server, "--", "sh", "-c", &call];
        let Some(text) = stock("curl", &arguments) else { return };
        let times = |column: usize| {
            let times = text.lines().filter_map(|line| line.split(' ').nth(column)?.parse::<f64>().ok());
            times.fold(f64::MAX, f64::min) * 1e3 / 40.0
        };
        let (connected, replied) = (times(0), times(1));
        assert!((0.99..1.1).contains(&connected), "{scheme} {version}: connected in {connected}: {text}");
        assert!((trips - 0.01..trips + 0.4).contains(&replied), "{scheme} {version}: {replied}: {text}");
    }
}

fn iperf3(link: &str, options: &[&str]) -> Option<serde_json::Value> {
    let client = ["--", "iperf3", "-c", "{server}", "-J"];
    let text = stock("iperf3", &[&[link, "--server", "iperf3 -s -1"], &client[..], options].concat())?;
    Some(serde_json::from_str(&text).unwrap())
}

/// 10 Mbit/s of IP are 9.65 of TCP's payload: 1 448 of 1 500 bytes.
#[test]
fn iperf3_reads_the_rate() {
    let options = ["-t", "4", "-O", "1"];
    let Some(read) = iperf3("rtt=10ms rate=10Mbit/s queue=64KB", &options) else { return };
    let bits_per_s = read["end"]["sum_received"]["bits_per_second"].as_f64().unwrap();
    assert!((9.65e6 * 0.95..9.65e6 * 1.05).contains(&bits_per_s), "{bits_per_s}");
}

/// 3 000 datagrams at 5 %: 150 ± 4 standard deviations of 11.9.
#[test]
fn iperf3_reads_the_loss() {
    let options = ["-u", "-b", "6M", "-l", "1000", "-t", "4"];
    let Some(read) = iperf3("rtt=10ms up.loss=5%", &options) else { return };
    let (sent, lost) = (
        read["end"]["sum"]["packets"].as_f64().unwrap(),
        read["end"]["sum"]["lost_packets"].as_f64().unwrap(),
    );
    let deviation = (sent * 0.05 * 0.95).sqrt();
    assert!(sent > 2_000.0 && (lost - sent * 0.05).abs() < 4.0 * deviation, "{lost} of {sent}");
}

/// A link that is cut and mended while it is measured: nothing fails over TCP, what was due in the
/// cut waits, and the record, the report and the packets tell.
#[test]
fn a_run_shows_what_changed_on_its_link() {
    if !allowed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/tcp-delivers.toml");
    let scenario = fs::read_to_string(scenario).unwrap();
    let changed = scenario.replace(r#"["1s cut", "2s mended"]"#, r#"["500ms cut", "900ms mended"]"#);
    assert_ne!(scenario, changed);
    let file = folder.path().join("changed.toml");
    fs::write(&file, changed).unwrap();
    let run = wirebench(&[
        "run",
        file.to_str().unwrap(),
        "--quick",
        "--allow-debug",
        "--accept-noise",
        "--pcap",
        "--rounds=2",
        "--only=tcp",
        r#"--set=quick.conditions=["black-hole"]"#,
        r#"--set=quick.duration="1500ms""#,
        "--set=workload.rate_per_s=100",
        "--out",
        folder.path().to_str().unwrap(),
    ]);
    assert!(run.status.success(), "{}", said(&run));
    let results = folder.path().join("tcp-delivers");
    let record = record::read(&results.join("record.json")).unwrap();
    for cell in &record.cells {
        let merged = cell.merged.as_ref().unwrap();
        assert!(merged.counts.failed.is_empty(), "{:?}", merged.counts);
        let slowest = |from: f64, to: f64| {
            let within = merged.course.iter().filter(|slice| (from..to).contains(&slice.from_s));
            within.map(|slice| slice.response_max_us).fold(0.0, f64::max)
        };
        assert!(slowest(0.45, 0.65) > 300_000.0 && slowest(0.0, 0.25) < 300_000.0, "{:?}", merged.course);
    }
    let report = fs::read_to_string(results.join("report.html")).unwrap();
    assert!(report.contains("What changed meanwhile") && report.contains(">mended</text>"));
    let packets = fs::read(results.join("packets.pcap")).unwrap();
    assert!(packets.starts_with(&0xa1b2_3c4d_u32.to_le_bytes()) && packets.len() > 10_000);
}

#[test]
fn only_a_link_with_a_router_has_packets_to_keep() {
    let refused = wirebench(&["run", "aa", "--quick", "--allow-debug", "--pcap"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(said(&refused).contains("with delay, loss or a rate"), "{}", said(&refused));
}
