//! The matrices from end to end, as a user types them.

use std::collections::HashSet;
use std::path::Path;
use std::process::{Command, Output};

use record::VerdictWord;
use record::matrix::{MatrixRecord, read};

fn run(name: &str, folder: &Path, path: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wirebench"));
    command.args(["run", name, "--out"]).arg(folder);
    if let Some(path) = path {
        command.env("PATH", path);
    }
    command.output().unwrap()
}

/// Fills a matrix; gives its record, and its page.
fn filled(name: &str, path: Option<&str>) -> (MatrixRecord, String) {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(name, folder.path(), path);
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.success() && said.trim_end().ends_with("index.html"), "{said}");
    let index = std::fs::read_to_string(folder.path().join("index.html")).unwrap();
    assert!(index.contains(&format!(r#"href="{name}/report.html""#)), "{index}");
    let page = std::fs::read_to_string(folder.path().join(name).join("report.html")).unwrap();
    (read(&folder.path().join(name).join("record.json")).unwrap(), page)
}

/// Every row has one cell at every contender, each with an outcome that there is.
fn is_whole(record: &MatrixRecord) {
    let places: HashSet<(&str, &str)> =
        record.cells.iter().map(|cell| (cell.row.as_str(), cell.column.as_str())).collect();
    assert_eq!(places.len(), record.cells.len());
    assert_eq!(record.cells.len(), record.rows.len() * record.columns.len());
    for column in &record.columns {
        let counted: usize = record.counts(&column.name).iter().map(|(_, count)| count).sum();
        assert_eq!(counted, record.rows.len(), "{}", column.name);
    }
}

fn outcome<'a>(record: &'a MatrixRecord, row: &str, column: &str) -> &'a str {
    &record.cell(row, column).unwrap_or_else(|| panic!("{row} × {column}")).outcome
}

#[test]
fn typing_sends_every_frozen_case_to_every_contender() {
    let (record, page) = filled("typing", None);
    is_whole(&record);
    let frozen = concat!(env!("CARGO_MANIFEST_DIR"), "/matrices/src/typing/cases.json");
    let frozen: Vec<serde_json::Value> =
        serde_json::from_str(&std::fs::read_to_string(frozen).unwrap()).unwrap();
    let names: Vec<&str> = frozen.iter().map(|case| case["name"].as_str().unwrap()).collect();
    assert_eq!(record.rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), names);
    assert!(record.verdicts.iter().all(|verdict| verdict.verdict != VerdictWord::Undecided));
    assert!(record.missing.is_empty() && page.contains("else nobody"));
    // Both ends of the scale, as the answers showed them.
    for column in ["rest-typed", "rest-dynamic", "graphql", "grpc", "websocket-json"] {
        assert_eq!(outcome(&record, "version: another order of fields", column), "by design", "{column}");
        assert_eq!(outcome(&record, "version: another meaning", column), "nobody", "{column}");
        assert_eq!(outcome(&record, "order.quantity: 0", column), "our handler", "{column}");
        assert_eq!(outcome(&record, "body: half of it", column), "stack", "{column}");
    }
    let wide = record.cell("order.quantity: 2^32 + 5", "grpc").unwrap();
    assert_eq!((wide.outcome.as_str(), wide.on_the_wire.as_deref()), ("client library", Some("nobody")));
}

#[test]
fn reach_tries_whatever_is_installed() {
    let (record, _) = filled("reach", None);
    is_whole(&record);
    for (row, needs) in [
        ("curl", &["curl"][..]),
        ("Python", &["python3"]),
        ("Chromium", &["chromium", "nginx"]),
        ("nginx, as a cache", &["nginx"]),
    ] {
        if let Some(missing) = record.missing.iter().find(|missing| needs.contains(&missing.what.as_str())) {
            ::lab::skip(&format!("{row}: {missing:?}"));
            assert_eq!(outcome(&record, row, "rest"), "not installed");
            continue;
        }
        let cache = row.contains("cache");
        let [rest, grpc] = ["rest", "grpc"].map(|column| outcome(&record, row, column));
        assert_eq!(rest, if cache { "caches" } else { "as is" }, "{row}");
        assert_eq!(grpc, if cache { "passes" } else { "by hand" }, "{row}");
        assert_eq!(outcome(&record, row, "grpc-web"), grpc, "{row}");
    }
}

#[test]
fn what_is_not_installed_is_said_and_decides_nothing() {
    let empty = tempfile::tempdir().unwrap();
    let (record, page) = filled("reach", empty.path().to_str());
    is_whole(&record);
    assert!(record.missing.iter().any(|missing| missing.what == "curl"), "{:?}", record.missing);
    assert_eq!(outcome(&record, "curl", "rest"), "not installed");
    for verdict in &record.verdicts {
        assert_eq!(verdict.verdict, VerdictWord::Undecided, "{verdict:?}");
        assert!(verdict.because.contains("curl"), "{}", verdict.because);
    }
    assert!(page.contains("apt-get install curl"));
}

#[test]
fn a_matrix_has_nothing_to_set() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wirebench"));
    let ran = command.args(["run", "typing", "--set", "name=x"]).output().unwrap();
    assert_eq!(ran.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&ran.stderr).contains("a matrix"));
}
