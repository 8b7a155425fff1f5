//! The files that a load leaves, read by those for whom they are written; and the places where none
//! can be left, refused before anything is loaded.

use std::io::Cursor;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

use crate::command::{signal, stderr, wirebench};
use crate::load_kinds::servers::OK;
use crate::load_kinds::servers::{Server, http};
use crate::pages::Browser;

const REFUSED: &[u8] = b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n";

/// Answers 500 to one request in so many.
fn failing(one_in: usize) -> Server {
    http(move |nth| if nth % one_in == one_in - 1 { REFUSED } else { OK }.to_vec())
}

/// Runs a load in a folder, so that files have names alone.
fn load_in(folder: &Path, arguments: &[&str]) -> Output {
    wirebench(&[&["load", "--json", "--allow-debug"], arguments].concat())
        .current_dir(folder)
        .output()
        .unwrap()
}

fn text(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap()
}

/// Names of all files of a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The rows of a CSV, with nothing where a cell is empty.
fn rows(csv: &str) -> Vec<[Option<f64>; 6]> {
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("at_s,due,ok,failed,response_p50_us,response_p99_us"));
    let row = |line: &str| {
        let cells: Vec<Option<f64>> =
            line.split(',').map(|cell| (!cell.is_empty()).then(|| cell.parse().unwrap())).collect();
        cells.try_into().unwrap()
    };
    lines.map(row).collect()
}

#[test]
fn each_file_has_what_was_printed() {
    let (folder, server) = (tempfile::tempdir().unwrap(), failing(20));
    let folder = folder.path();
    std::fs::write(folder.join("load.csv"), "an older one").unwrap();
    let url = server.url("http").replace("//", "//me:pass@");
    let loaded = load_in(
        folder,
        &[
            &url,
            "--rate=200",
            "--duration=2500ms",
            "--csv=load.csv",
            "--jsonl=load.jsonl",
            "--hlog=load.hlog",
            "--metrics=load.txt",
        ],
    );
    assert_eq!(loaded.status.code(), Some(0), "{}", stderr(&loaded));
    assert_eq!(names(folder), ["load.csv", "load.hlog", "load.jsonl", "load.txt"]);
    let found: serde_json::Value = serde_json::from_slice(&loaded.stdout).unwrap();
    let failed = found["failed_total"].as_f64().unwrap();
    assert!((20.0..30.0).contains(&failed), "{found}");

    let rows = rows(&text(folder, "load.csv"));
    let sum = |column: usize| rows.iter().filter_map(|row| row[column]).sum::<f64>();
    assert_eq!(rows.iter().filter_map(|row| row[0]).collect::<Vec<_>>(), [0.0, 1.0, 2.0]);
    assert_eq!((sum(1), sum(3), sum(1) - sum(2)), (500.0, failed, failed));
    assert!(rows.iter().all(|row| row[4].is_some_and(|us| us > 0.0) && row[5].is_none()), "{rows:?}");

    let calls: Vec<serde_json::Value> =
        text(folder, "load.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let due: Vec<f64> = calls.iter().map(|call| call["due_s"].as_f64().unwrap()).collect();
    assert!(due.len() == 500 && due.is_sorted() && due[499] < 2.5, "{due:?}");
    let of_status = |status: u64| calls.iter().filter(move |call| call["status"] == status);
    let is_failed = |call: &&serde_json::Value| {
        call["failed"] == "status" && call["response_us"].is_null() && call["failed_after_us"].is_f64()
    };
    assert_eq!(of_status(500).filter(is_failed).count() as f64, failed);
    for call in of_status(200) {
        let us = |name: &str| call[name].as_f64().unwrap();
        let parts = us("lag_us") + us("wait_us") + us("service_us");
        assert!(
            call["failed_after_us"].is_null()
                && call["failed"].is_null()
                && (us("response_us") - parts).abs() < 0.01,
            "{call}"
        );
    }

    let log = text(folder, "load.hlog");
    assert!(!log.contains("pass@"), "{log}");
    let mut deserializer = Deserializer::new();
    let mut tags = Vec::new();
    for entry in IntervalLogIterator::new(log.as_bytes()) {
        let LogEntry::Interval(interval) = entry.unwrap() else { continue };
        let bytes =
            base64::Engine::decode(&base64::engine::general_purpose::STANDARD, interval.encoded_histogram());
        let histogram: hdrhistogram::Histogram<u64> =
            deserializer.deserialize(&mut Cursor::new(bytes.unwrap())).unwrap();
        assert_eq!(interval.duration(), Duration::from_millis(2_500));
        tags.push((interval.tag().unwrap().as_str().to_owned(), histogram.len()));
    }
    let expected = ["response", "lag", "wait", "service"]
        .map(|name| (name.to_owned(), found[format!("{name}_us")]["n"].as_u64().unwrap()));
    assert_eq!(tags, expected);

    let metrics = text(folder, "load.txt");
    assert!(metrics.ends_with("\n# EOF\n") && !metrics.contains("pass@"), "{metrics}");
    for line in [
        format!("wirebench_load_calls_total{{result=\"failed\",kind=\"status\"}} {failed}"),
        format!("wirebench_load_replies_total{{status=\"500\"}} {failed}"),
        format!("wirebench_load_response_seconds_bucket{{le=\"60.0\"}} {}", 500.0 - failed),
        "wirebench_load_response_seconds_bucket{le=\"+Inf\"} 500".to_owned(),
        "wirebench_load_asked_calls_per_second 200".to_owned(),
    ] {
        assert!(metrics.lines().any(|of| of == line), "{line} is not in\n{metrics}");
    }
    read_by_prometheus(&folder.join("load.txt"));
}

/// Reads a file with Prometheus' own parser, where Python has it.
fn read_by_prometheus(file: &Path) {
    let script = "import sys\n\
                  try:\n from prometheus_client.openmetrics.parser import text_string_to_metric_families as read\n\
                  except ImportError: sys.exit()\n\
                  print(len(list(read(open(sys.argv[1]).read()))))";
    let Ok(read) = Command::new("python3").args(["-c", script]).arg(file).output() else { return };
    assert!(read.status.success(), "{}", stderr(&read));
}

/// A page of stages, named requests, new connections and failures; one without failures, one on
/// which every call failed, and one of a moment.
#[test]
fn each_page_is_whole_on_every_screen_and_on_paper() {
    let (folder, some, all) = (tempfile::tempdir().unwrap(), failing(20), failing(1));
    let fine = http(|_| OK.to_vec());
    let folder = folder.path();
    let requests = "{\"path\": \"/a\", \"name\": \"<b>one\"}\n{\"path\": \"/b\", \"name\": \"two\"}\n";
    std::fs::write(folder.join("requests"), requests).unwrap();
    let (some, fine, all) = (some.url("http").replace("//", "//me:pass@"), fine.url("http"), all.url("http"));
    let staged = ["--stages=100/s for 2s, to 200/s over 2s", "--requests=requests", "--cold"];
    let secret = ["--header", "Authorization: Bearer pass", "--body", "it's"];
    for (page, code, arguments) in [
        ("staged.html", 0, [&[&some[..]], &staged[..], &secret[..2]].concat()),
        ("fine.html", 0, [&[&fine[..], "--duration=3s"], &secret[..]].concat()),
        ("failed.html", 1, vec![&all[..], "--rate=50", "--duration=2s"]),
        ("moment.html", 0, vec![&fine[..], "-n1"]),
    ] {
        let to = format!("--report={page}");
        let loaded = load_in(folder, &[&arguments[..], &[&to]].concat());
        assert_eq!(loaded.status.code(), Some(code), "{page}: {}", stderr(&loaded));
        let drawn = text(folder, page);
        assert!(
            !drawn.contains("pass@") && !drawn.contains("Bearer") && !drawn.contains("<b>one"),
            "{drawn}"
        );
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let Some(mut browser) = Browser::start(folder).await else { return };
        let mut flaws = Vec::new();
        for page in ["staged.html", "fine.html", "failed.html", "moment.html"] {
            assert!(browser.flaws(&folder.join(page), &mut flaws).await <= 4, "{page} takes many sheets");
        }
        assert!(flaws.is_empty(), "{}", flaws.join("\n"));
        assert_eq!(browser.beyond(), Vec::<&String>::new());
        for (page, headings, charts) in
            [("staged.html", 8, 2), ("fine.html", 4, 2), ("failed.html", 5, 1), ("moment.html", 3, 0)]
        {
            browser.open(&folder.join(page), 1280).await;
            assert_eq!(browser.evaluate("document.querySelectorAll('h2').length").await, headings, "{page}");
            assert_eq!(
                browser.evaluate("document.querySelectorAll('figure').length").await,
                charts,
                "{page}"
            );
        }
        browser.open(&folder.join("fine.html"), 390).await;
        let command = browser.evaluate("document.querySelector('pre').textContent").await;
        let ending = "--header 'Authorization: …' --body 'it'\\''s' --report=fine.html";
        assert!(command.as_str().unwrap().ends_with(ending), "{command}");
    });
}

#[test]
fn an_interrupted_load_leaves_its_files_and_so_does_one_that_failed() {
    let (folder, server) = (tempfile::tempdir().unwrap(), http(|_| OK.to_vec()));
    let url = server.url("http");
    let child = wirebench(&["load", &url, "--allow-debug", "--rate=100", "--warm-up=0s", "--duration=10min"])
        .args(["--csv=load.csv", "--metrics=load.txt", "--report=load.html"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    clock::pause_thread(Duration::from_millis(2_500));
    signal(child.id(), "-INT");
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(130), "{}", stderr(&ended));
    assert!(rows(&text(folder.path(), "load.csv")).len() >= 2);
    assert!(text(folder.path(), "load.txt").contains("\nwirebench_load_interrupted 1\n"));
    assert!(text(folder.path(), "load.html").contains("Interrupted: measured for"));

    let failing = failing(1);
    let failed =
        load_in(folder.path(), &[&failing.url("http"), "-n20", "--csv=failed.csv", "--metrics=failed.txt"]);
    assert_eq!(failed.status.code(), Some(1), "{}", stderr(&failed));
    let rows = rows(&text(folder.path(), "failed.csv"));
    assert_eq!((rows[0][3], rows[0][4], rows[0][5]), (Some(20.0), None, None));
    let metrics = text(folder.path(), "failed.txt");
    assert!(!metrics.contains("cpu_seconds") && !metrics.contains("NaN"), "{metrics}");
    read_by_prometheus(&folder.path().join("failed.txt"));
}

#[test]
fn a_place_that_cannot_be_written_is_refused_before_a_connection() {
    let (folder, server) = (tempfile::tempdir().unwrap(), http(|_| OK.to_vec()));
    let folder = folder.path();
    std::fs::create_dir(folder.join("folder")).unwrap();
    std::fs::write(folder.join("body"), "b").unwrap();
    std::os::unix::fs::symlink(folder.join("body"), folder.join("link")).unwrap();
    let url = server.url("http");
    let long = format!("--csv={}", "x".repeat(300));
    for (arguments, says) in [
        (&["--csv=no/such/load.csv"][..], "there is no folder no/such"),
        (&["--hlog=folder"], "is a folder"),
        (&["--metrics=new/"], "is a folder"),
        (&["--csv=/dev/stdout"], "is a device"),
        (&["--csv="], "a value is required"),
        (&[&long], "too long"),
        (&["--csv=a", "--metrics=./a"], "--metrics ./a would replace the file of --csv"),
        (&["--csv=body", "--body-file=link"], "would replace the file of --body-file"),
        (&["--report=/dev/null"], "is a device"),
        (&["--report=a", "--find-capacity"], "cannot be used with"),
    ] {
        let refused = load_in(folder, &[&[&url[..]], arguments].concat());
        let said = stderr(&refused);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(says) && refused.stdout.is_empty(), "{arguments:?}: {said}");
    }
    assert_eq!(server.connections(), 0);
    assert_eq!(names(folder), ["body", "folder", "link"]);
    // No user can make a file there, root included.
    let refused = load_in(folder, &[&url, "--csv=/sys/load.csv"]);
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
}

#[test]
fn a_file_that_cannot_be_written_in_the_end_costs_no_result() {
    let (folder, server) = (tempfile::tempdir().unwrap(), http(|_| OK.to_vec()));
    let place = folder.path().join("place");
    std::fs::create_dir(&place).unwrap();
    let child = wirebench(&["load", &server.url("http"), "--json", "--allow-debug", "--rate=50"])
        .args(["--duration=1s", "--csv=place/load.csv", "--metrics=load.txt"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    clock::pause_thread(Duration::from_millis(1_200));
    std::fs::remove_dir(&place).unwrap();
    let ended = child.wait_with_output().unwrap();
    let said = stderr(&ended);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("error: --csv place/load.csv: there is no folder place"), "{said}");
    let found: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(found["ok"], 50);
    assert!(text(folder.path(), "load.txt").ends_with("# EOF\n"), "the other file is written");
}
