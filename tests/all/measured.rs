//! A scenario that was run in two rounds, and what that left.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;

use record::{Merged, Record, RoundPart};

/// What a run left; its folder is gone with this.
pub(crate) struct Measured {
    pub(crate) record: Record,
    name: String,
    folder: tempfile::TempDir,
}

impl Measured {
    /// Runs a scenario by its name or file, with more options; nothing where the machine allows no
    /// links and it needs one.
    pub(crate) fn of(scenario: &str, options: &[&str]) -> Option<Measured> {
        let folder = tempfile::tempdir().unwrap();
        let ran = Command::new(env!("CARGO_BIN_EXE_wirebench"))
            .args(["run", scenario, "--rounds=2", "--allow-debug", "--accept-noise", "--out"])
            .arg(folder.path())
            .args(options)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stderr);
        if said.contains("is a link between two hosts") {
            ::lab::skip(&said);
            return None;
        }
        assert!(ran.status.success(), "{said}");
        let name = Path::new(scenario).file_stem().unwrap().to_str().unwrap().to_owned();
        let record = record::read(&folder.path().join(&name).join("record.json")).unwrap();
        Some(Measured { record, name, folder })
    }

    /// Runs the quick profile of a scenario that is written here, under its name.
    pub(crate) fn text(name: &str, text: &str) -> Option<Measured> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name).with_extension("toml");
        std::fs::write(&file, text).unwrap();
        Measured::of(file.to_str().unwrap(), &["--quick"])
    }

    /// A file beside its record.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(&self.name).join(name)
    }

    pub(crate) fn rounds(&self, contender: &str, condition: &str) -> Vec<&RoundPart> {
        let cell = self.record.cell(contender, condition).unwrap();
        self.record.rounds.iter().filter(|round| round.cell == cell).collect()
    }

    /// Checks the rounds of a cell: what is so in one of them is what the program does, for a
    /// machine that others use may stand still for a second in the other.
    pub(crate) fn in_a_round(&self, contender: &str, condition: &str, check: impl Fn(&RoundPart)) {
        let mut wrong = None;
        for round in self.rounds(contender, condition) {
            match catch_unwind(AssertUnwindSafe(|| check(round))) {
                Ok(()) => return,
                Err(panic) => wrong = Some(panic),
            }
        }
        resume_unwind(wrong.unwrap_or_else(|| Box::new(format!("no round of {contender}, {condition}"))));
    }

    pub(crate) fn merged(&self, contender: &str, condition: &str) -> &Merged {
        self.record.cells[self.record.cell(contender, condition).unwrap()].merged.as_ref().unwrap()
    }
}
