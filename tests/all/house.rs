//! The house stands as ARCHITECTURE.md draws it: crates import one way, none is a hall, what judges
//! and draws has no runtime beneath it, and comments are as wide as a page.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What cargo knows of this workspace.
fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .current_dir(root())
        .args(["metadata", "--format-version=1", "--offline", "--locked"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A package's name by its id; of ours without the prefix, and the command's is `src`.
fn names(metadata: &Value) -> BTreeMap<&str, &str> {
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages
        .map(|package| {
            let name = package["name"].as_str().unwrap();
            let room = if name == "wirebench" { "src" } else { name };
            (package["id"].as_str().unwrap(), room.strip_prefix("wirebench-").unwrap_or(room))
        })
        .collect()
}

/// What each package imports outside of tests and build scripts.
fn imports(metadata: &Value) -> BTreeMap<&str, BTreeSet<&str>> {
    let names = names(metadata);
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap().iter();
    nodes
        .map(|node| {
            let is_normal = |dependency: &&Value| {
                dependency["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"].is_null())
            };
            let imported = node["deps"].as_array().unwrap().iter().filter(is_normal);
            let imported = imported.map(|dependency| names[dependency["pkg"].as_str().unwrap()]);
            (names[node["id"].as_str().unwrap()], imported.collect())
        })
        .collect()
}

/// The rooms of ARCHITECTURE.md, each with what it may import: `run      judge, lab`.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let text = std::fs::read_to_string(root().join("docs/ARCHITECTURE.md")).unwrap();
    let block = text.split("```imports\n").nth(1).unwrap().split("```").next().unwrap();
    block
        .lines()
        .map(|line| {
            let (room, imports) = line.split_once(' ').unwrap_or((line, ""));
            let imports = imports.split(',').map(|name| name.trim().to_owned());
            (room.to_owned(), imports.filter(|name| !name.is_empty()).collect())
        })
        .collect()
}

#[test]
fn crates_import_one_way_and_as_documented() {
    let metadata = metadata();
    let imports = imports(&metadata);
    let documented = documented();
    let ours: BTreeSet<&str> = documented.keys().map(String::as_str).collect();
    let members = metadata["workspace_members"].as_array().unwrap().len();
    assert_eq!(members, ours.len(), "a crate is in no line of ARCHITECTURE.md");
    for (room, may) in &documented {
        let does: BTreeSet<String> =
            imports[room.as_str()].intersection(&ours).map(|name| (*name).to_owned()).collect();
        assert_eq!(does, *may, "{room} imports other crates than ARCHITECTURE.md says");
    }
    // The list is in order: whoever imports stands above whom it imports.
    let text = std::fs::read_to_string(root().join("docs/ARCHITECTURE.md")).unwrap();
    let block = text.split("```imports\n").nth(1).unwrap().split("```").next().unwrap();
    let order: Vec<&str> = block.lines().map(|line| line.split(' ').next().unwrap()).collect();
    let place = |name: &str| order.iter().position(|room| *room == name).unwrap();
    for (room, may) in &documented {
        assert!(may.iter().all(|below| place(below) > place(room)), "{room} imports upwards");
    }
}

#[test]
fn what_judges_and_draws_has_no_runtime_and_no_sockets_beneath_it() {
    let metadata = metadata();
    let imports = imports(&metadata);
    for room in ["terms", "scenarios", "record", "judge", "report"] {
        let mut beneath: BTreeSet<&str> = BTreeSet::new();
        let mut left = vec![room];
        while let Some(name) = left.pop() {
            left.extend(imports[name].iter().filter(|below| beneath.insert(below)));
        }
        for heavy in ["tokio", "clients", "servers", "lab", "run", "clock", "hyper", "rustls"] {
            assert!(!beneath.contains(heavy), "{room} has {heavy} beneath it");
        }
    }
}

/// Files of ours, without what generators write.
fn sources() -> Vec<PathBuf> {
    let listed = Command::new("git").current_dir(root()).args(["ls-files", "*.rs"]).output().unwrap();
    let files = String::from_utf8(listed.stdout).unwrap();
    let files = files.lines().filter(|file| !file.contains("/generated/")).map(|file| root().join(file));
    let files: Vec<PathBuf> = files.filter(|file| file.exists()).collect();
    assert!(files.len() > 200, "only {} files were found", files.len());
    files
}

#[test]
fn no_crate_holds_more_than_a_fifth_of_the_code() {
    let mut lines: BTreeMap<String, usize> = BTreeMap::new();
    for file in sources() {
        let path = file.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        let is_test = path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("tests.rs");
        if is_test || path.starts_with("benches/") {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        *lines.entry(path.split('/').next().unwrap().to_owned()).or_default() += code.lines().count();
    }
    let all: usize = lines.values().sum();
    for (room, lines) in lines {
        assert!(lines * 5 <= all, "{room} has {lines} of {all} lines");
    }
}

#[test]
fn comments_are_at_most_a_hundred_columns_wide() {
    let mut wide = Vec::new();
    for file in sources() {
        let text = std::fs::read_to_string(&file).unwrap();
        for (line, number) in text.lines().zip(1..) {
            let columns = line.chars().count();
            if line.trim_start().starts_with("//") && columns > 100 {
                wide.push(format!("{}:{number}: {columns} columns", file.display()));
            }
        }
    }
    assert!(wide.is_empty(), "{}", wide.join("\n"));
}

/// A noun has one owner: two rooms that export the same name would each need to be asked which is
/// meant.
#[test]
fn every_exported_name_has_one_owner() {
    let mut owners: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in sources() {
        let path = file.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        if path.starts_with("tests/") || path.contains("/tests/") {
            continue;
        }
        for line in std::fs::read_to_string(&file).unwrap().lines() {
            let kinds = ["pub struct ", "pub enum ", "pub trait ", "pub type "];
            let Some(rest) = kinds.iter().find_map(|kind| line.strip_prefix(kind)) else { continue };
            let name: String = rest.chars().take_while(|letter| letter.is_alphanumeric()).collect();
            owners.entry(name).or_default().insert(path.clone());
        }
    }
    let several: Vec<_> = owners.into_iter().filter(|(_, files)| files.len() > 1).collect();
    assert!(several.is_empty(), "exported by several files: {several:#?}");
}
