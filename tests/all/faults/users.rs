//! Users who are not root: every link, and `doctor`, work for them, or say what is missing and how
//! to get it.

use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;
use std::process::Output;

use super::*;

/// `nobody`, on most systems; nothing is owned by it.
const USER: u32 = 65_534;
/// What is said where this machine lets only root make hosts or links, and how to get them.
const MISSING: [&str; 2] = ["may make no network namespace", "may open no TUN device"];
const ADVICE: [&str; 2] = ["run as root, or allow user namespaces", "modprobe tun"];

/// Another user, with a folder and a copy of the command that it may run.
struct User {
    folder: tempfile::TempDir,
    command: PathBuf,
}

impl User {
    /// `None` where this is not root, who alone can be somebody else.
    fn make() -> Option<User> {
        if !is_root("being another user") {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let command = folder.path().join("wirebench");
        if fs::hard_link(WIREBENCH, &command).is_err() {
            fs::copy(WIREBENCH, &command).unwrap();
        }
        fs::set_permissions(&command, fs::Permissions::from_mode(0o755)).unwrap();
        chown(folder.path(), Some(USER), Some(USER)).unwrap();
        Some(User { folder, command })
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("setpriv");
        let user = [format!("--reuid={USER}"), format!("--regid={USER}")];
        command.args(user).args(["--clear-groups", "--"]).arg(&self.command).args(arguments);
        command.current_dir(self.folder.path()).env("HOME", self.folder.path());
        command.env("TMPDIR", self.folder.path());
        command.output().unwrap()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Whether it went well; where it did not, what is missing is said, and what to do.
fn went_well(output: &Output) -> bool {
    let said = said(output);
    if output.status.success() {
        return true;
    }
    assert_eq!(output.status.code(), Some(1), "{said}");
    let missing = MISSING.iter().position(|words| said.contains(words));
    let missing = missing.unwrap_or_else(|| panic!("it is not said what is missing: {said}"));
    assert!(said.contains(ADVICE[missing]), "it is not said what to do: {said}");
    false
}

#[test]
fn a_user_who_is_not_root_has_links_or_is_told_what_is_missing() {
    let Some(user) = User::make() else { return };
    let lab = user.run(&["lab", "rtt=1ms", "--", "sh", "-c", "id -u; echo {server}"]);
    let has_links = went_well(&lab);
    if has_links {
        assert!(String::from_utf8_lossy(&lab.stdout).ends_with("198.18.1.2\n"), "{lab:?}");
    }
    let brief: Vec<&str> =
        BRIEF.iter().map(|of| if *of == "--rounds=300" { "--rounds=1" } else { of }).collect();
    // Over a link with distance, with flows, over the cable; nginx as the server too.
    for (scenario, more) in [
        ("ny-london", &["--only=grpc"][..]),
        ("tcp-congestion", &[]),
        ("rest-vs-grpc", &["--set=workload.rate_per_s=300", "--only=grpc", "--only=rest-h1-json-nginx"]),
    ] {
        let out = format!("results-{scenario}");
        let run = user.run(&[&brief[..], &[scenario, "--out", &out], more].concat());
        let ran = went_well(&run);
        assert!(ran || scenario != "rest-vs-grpc", "loopback stands in for the cable: {}", said(&run));
        assert!(ran || !has_links, "{}", said(&run));
        if ran {
            let record =
                record::read(&user.folder.path().join(out).join(scenario).join("record.json")).unwrap();
            assert!(!record.partial && !record.rounds.is_empty());
            let link = record.link.unwrap();
            assert!(has_links == link.instead_because.is_none(), "{link:?}");
        }
    }
    let left: Vec<_> = fs::read_dir(user.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "wirebench" && !name.starts_with("results"))
        .collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

#[test]
fn doctor_tells_a_user_who_is_not_root_what_can_be_had() {
    let Some(user) = User::make() else { return };
    let doctor = user.run(&["doctor", "--json"]);
    assert!(doctor.status.success(), "{}", said(&doctor));
    let findings: serde_json::Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let has_links = user.run(&["lab", "rtt=1ms", "--", "true"]).status.success();
    for what in ["hosts and cable", "links with distance"] {
        let finding = findings.as_array().unwrap().iter().find(|finding| finding["what"] == what).unwrap();
        match finding["advice"].as_str() {
            None => assert_eq!(finding["found"], "can be made"),
            Some(advice) => {
                assert!(!has_links && ADVICE.iter().any(|words| advice.contains(words)), "{advice}");
            }
        }
        assert!(!has_links || finding["advice"].is_null(), "{finding}");
    }
}

/// A folder of somebody else's takes no results, and that is said before anything is measured.
#[test]
fn a_folder_that_is_somebody_elses_is_told_before_anything_is_measured() {
    let Some(user) = User::make() else { return };
    let theirs = user.folder.path().join("theirs");
    fs::create_dir(&theirs).unwrap();
    fs::create_dir(theirs.join("results")).unwrap();
    for out in ["theirs/results", "theirs/new"] {
        let run = user.run(&[&BRIEF[..], &["rest-vs-grpc", "--out", out]].concat());
        let said = said(&run);
        assert_eq!(run.status.code(), Some(1), "{said}");
        assert!(said.contains("Permission denied") && said.contains("--out DIR"), "{said}");
        assert!(!said.contains("starting "), "{said}");
    }
}
