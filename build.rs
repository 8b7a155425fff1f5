//! Puts into the binary what a record says of it: the commit, the compiler, the versions of the
//! libraries.

use std::process::Command;

/// The libraries whose versions matter to a figure.
const LIBRARIES: [&str; 11] = [
    "axum",
    "bytes",
    "h2",
    "hdrhistogram",
    "hyper",
    "mimalloc",
    "prost",
    "serde_json",
    "tokio",
    "tonic",
    "tower",
];

/// What git knows of the tree, and what its last edit was: an edit that git has not been told of
/// makes the tree dirty all the same.
const WATCHED: [&str; 19] = [
    ".git/logs/HEAD",
    ".git/index",
    "Cargo.lock",
    "Cargo.toml",
    "build.rs",
    "clients",
    "clock",
    "files",
    "judge",
    "lab",
    "matrices",
    "proto",
    "record",
    "report",
    "run",
    "scenarios",
    "servers",
    "src",
    "terms",
];

fn main() {
    for watched in WATCHED {
        println!("cargo:rerun-if-changed={watched}");
    }
    let commit = output("git", &["rev-parse", "--short=12", "HEAD"]).map(|commit| {
        let changed = output(
            "git",
            // Without a lock it leaves the index as it is, which is watched: or every first build
            // were two.
            &["--no-optional-locks", "status", "--porcelain", "--untracked-files=no"],
        );
        if changed.is_some_and(|files| !files.is_empty()) { format!("{commit}-dirty") } else { commit }
    });
    let rustc = std::env::var("RUSTC").ok().and_then(|rustc| output(&rustc, &["--version"]));
    println!("cargo:rustc-env=WIREBENCH_COMMIT={}", commit.unwrap_or_default());
    println!("cargo:rustc-env=WIREBENCH_RUSTC={}", rustc.unwrap_or_default());
    println!("cargo:rustc-env=WIREBENCH_OPT_LEVEL={}", variable("OPT_LEVEL"));
    println!("cargo:rustc-env=WIREBENCH_PROFILE={}", profile());
    println!("cargo:rustc-env=WIREBENCH_LIBRARIES={}", libraries().join(" "));
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

/// `release, opt-level 3, lto off`: the profile's name is that of the folder it builds in, its
/// link-time optimisation as Cargo.toml has it.
fn profile() -> String {
    let out = variable("OUT_DIR");
    let name = out.split("/build/").next().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    let manifest = std::fs::read_to_string("Cargo.toml").unwrap_or_default();
    let section = manifest.split(&format!("[profile.{name}]")).nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    let lto = section.lines().find_map(|line| line.strip_prefix("lto = "));
    let lto = lto.map_or_else(|| "off".to_owned(), |lto| lto.trim_matches('"').to_owned());
    format!("{name}, opt-level {}, lto {lto}", variable("OPT_LEVEL"))
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// `name=version` for each library, from the lock file.
fn libraries() -> Vec<String> {
    let lock = std::fs::read_to_string("Cargo.lock").unwrap_or_default();
    let mut found = Vec::new();
    for package in lock.split("[[package]]") {
        let value = |key: &str| {
            let line = package.lines().find(|line| line.starts_with(key))?;
            line.split('"').nth(1)
        };
        if let (Some(name), Some(version)) = (value("name = "), value("version = "))
            && LIBRARIES.contains(&name)
        {
            found.push(format!("{name}={version}"));
        }
    }
    found
}
