//! `wirebench load FILE.toml`: the options and requests of a load that do not fit on a line.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::command::{stderr, wirebench};
use crate::documents::blocks;
use crate::load_kinds::servers;

/// Writes a workload, and loads what it says: from another folder than its own.
fn load(folder: &Path, text: &str, typed: &[&str]) -> (Output, Value) {
    let file = folder.join("shop.toml");
    std::fs::write(&file, text).unwrap();
    let words = [&["load", file.to_str().unwrap(), "--json", "--allow-debug"], typed].concat();
    let loaded = wirebench(&words).output().unwrap();
    let found = serde_json::from_slice(&loaded.stdout).unwrap_or(Value::Null);
    (loaded, found)
}

const REQUESTS: &str = r#"
[[request]]
path = "/items/{{id}}"
weight = 3

[[request]]
name = "order"
method = "POST"
path = "/orders"
headers = { x-kind = "order" }
body = { item = "{{id}}", at = 2026-11-30T00:00:00Z }
"#;

#[test]
fn a_file_says_what_does_not_fit_on_a_line_and_what_is_typed_counts_for_more() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ids.csv"), "id\n7\n8\n").unwrap();
    let server = servers::echoing();
    let text = format!(
        "target = \"{}\"\nrate_per_s = 80\nduration = \"1s\"\nwarm_up = \"0s\"\nconnections = 2\ncold = false\n\
         data = \"ids.csv\"\nheader = [\"x-of: file\"]\njsonl = \"calls.jsonl\"\nfail_on = \"failed > 0\"\n{REQUESTS}",
        server.url("http")
    );
    let (loaded, found) = load(folder.path(), &text, &[]);
    assert_eq!(loaded.status.code(), Some(0), "{}", stderr(&loaded));
    assert_eq!((&found["arrivals"], &found["connections"]), (&80.into(), &2.into()), "{found}");
    let of = |name: &str| found["requests"][name]["ok"].as_u64();
    assert_eq!((of("GET /items/{{id}}"), of("order")), (Some(60), Some(20)), "{found}");
    let (head, body) = server.all().into_iter().find(|(head, _)| head.starts_with("POST")).unwrap();
    assert!(head.contains("x-kind: order\r\n") && head.contains("x-of: file\r\n"), "{head}");
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert!(body["item"] == "7" || body["item"] == "8", "{body}");
    assert_eq!(body["at"], "2026-11-30T00:00:00Z");
    let calls = std::fs::read_to_string(folder.path().join("calls.jsonl")).unwrap();
    let calls: Vec<Value> = calls.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let orders = calls.iter().filter(|call| call["request"] == "order");
    assert_eq!((calls.len(), orders.count()), (80, 20));

    let (loaded, found) = load(folder.path(), &text, &["-r40", "--fail-on=response.p50 > 1ns"]);
    assert_eq!(loaded.status.code(), Some(3), "{}", stderr(&loaded));
    assert_eq!(found["arrivals"], 40, "{found}");
}

/// The one that COMMANDS.md shows, for a second.
#[test]
fn the_example_of_the_documents_is_a_workload() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/COMMANDS.md")).unwrap();
    let example = blocks(&text, "toml").into_iter().find(|block| block.starts_with("target")).unwrap();
    let (folder, server) = (tempfile::tempdir().unwrap(), servers::echoing());
    std::fs::write(folder.path().join("ids.csv"), "id\n7\n8\n").unwrap();
    let example = example.replace("http://127.0.0.1:8080/", &server.url("http"));
    let (loaded, found) = load(folder.path(), &example, &["-r40", "-d1s", "--fail-on=failed > 0.1%"]);
    assert_eq!(loaded.status.code(), Some(0), "{}", stderr(&loaded));
    assert_eq!((&found["ok"], &found["connections"]), (&40.into(), &16.into()), "{found}");
}

/// Whatever is wrong is said before anything is sent, with its line.
#[test]
fn what_is_wrong_in_a_file_is_said_at_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let target = "target = \"http://127.0.0.1:1/\"\n";
    for (text, typed, says) in [
        ("rat_per_s = 5\n", &[][..], &["shop.toml:2", "did you mean 'rate_per_s'?"][..]),
        ("\nrate = 5\n", &[], &["shop.toml:3", "did you mean 'rate_per_s'?"]),
        ("duration = \"30\"\n", &[], &["shop.toml:2", "time with its unit"]),
        ("pacing = \"fast\"\n", &[], &["shop.toml:2", "sleep, spin"]),
        ("http2 = \"yes\"\n", &[], &["shop.toml:2", "true or false"]),
        ("duration = [\"1s\", \"2s\"]\n", &[], &["shop.toml:2", "a text or a number"]),
        ("allow_debug = true\n", &[], &["shop.toml:2", "no option"]),
        ("fail-on = \"failed > 0\"\n", &[], &["shop.toml:2", "did you mean 'fail_on'?"]),
        ("core = true\n", &[], &["shop.toml:2", "a text or a number"]),
        ("rate_per_s = -10\n", &[], &["shop.toml: --rate -10"]),
        ("[[request]]\nmethod = \"G T\"\n", &[], &["shop.toml:2", "no method"]),
        ("[[request]]\npath = \"/{{id}}\"\n", &[], &["shop.toml: ", "needs --data"]),
        ("listen = true\n[[request]]\npath = \"/\"\n", &[], &["shop.toml:3", "no listen"]),
        ("csv = \"shop.toml\"\n", &[], &["the file of the workload"]),
        ("[[request]]\nbody = { x = nan }\n", &[], &["shop.toml:3", "no such number"]),
        ("[[request]]\npath = \"items\"\n", &[], &["shop.toml:2", "begins with /"]),
        ("[[request]]\npth = \"/items\"\n", &[], &["shop.toml:3", "pth"]),
        ("[[request]]\nweight = 0\n", &[], &["shop.toml:2", "weight"]),
        ("body = \"x\"\n[[request]]\npath = \"/\"\n", &[], &["shop.toml:2", "together"]),
        ("[[request]]\npath = \"/\"\n", &["--body=x"], &["shop.toml:2", "--body"]),
        ("duration = \n", &[], &["shop.toml:2"]),
        ("stages = \"1/s for 1s\"\n", &["-d1s"], &["shop.toml", "cannot be used with"]),
        ("header = [\"no colon\"]\n", &[], &["Name: value"]),
    ] {
        let (loaded, _) = load(folder.path(), &format!("{target}{text}"), typed);
        // Long lines are broken.
        let said = stderr(&loaded).replace("\n  │ ", " ");
        let is_said = says.iter().all(|part| said.contains(part));
        assert!(loaded.status.code() == Some(2) && is_said, "{text}{typed:?}: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
    let secret = "target = \"http://me:secret@127.0.0.1:808O/\"\n";
    let said = stderr(&load(folder.path(), secret, &[]).0);
    assert!(said.contains("from 1 to 65535") && !said.contains("secret"), "{said}");
    let sockets = format!("target = \"ws://127.0.0.1:1/\"\n{REQUESTS}");
    let said = stderr(&load(folder.path(), &sockets, &[]).0);
    assert!(said.contains("shop.toml:3") && said.contains("http://"), "{said}");
    let (loaded, _) = load(folder.path(), "duration = \"1s\"\n", &[]);
    assert!(stderr(&loaded).contains("there is no target"), "{}", stderr(&loaded));
    let missing = wirebench(&["load", "nowhere.toml", "--allow-debug"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(2));
    assert!(stderr(&missing).contains("nowhere.toml"), "{}", stderr(&missing));
}
