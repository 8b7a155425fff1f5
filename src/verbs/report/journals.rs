//! Records made of journals: of runs that were ended from outside before they could write one.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use run::journal::{Begun, Left, NAME};

use crate::ending::{causes, say};

/// How deep journals are looked for below a folder of results: as records are.
const DEPTH_MAX: usize = 3;

/// Makes a record of every journal that a path means, in its folder: the file itself, or those in
/// and below a folder. Gives their files. What is no use is said, and left.
///
/// # Errors
/// The system's.
pub(super) fn recover(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    find(path, DEPTH_MAX, &mut found)?;
    let mut made = Vec::new();
    for journal in found {
        match record_of(&journal) {
            Ok(record) => made.extend(record),
            Err(error) => say(&format!("cannot make a record of a journal: {}", causes(&error))),
        }
    }
    Ok(made)
}

fn find(path: &Path, depth: usize, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let is_journal = |path: &Path| path.extension().is_some_and(|extension| extension == "jsonl");
    if !path.is_dir() {
        found.extend(is_journal(path).then(|| path.to_owned()));
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let entry = entry?.path();
        if entry.file_name().is_some_and(|name| name == NAME) {
            found.push(entry);
        } else if depth > 0 && fs::symlink_metadata(&entry)?.is_dir() {
            find(&entry, depth - 1, found)?;
        }
    }
    Ok(())
}

/// Makes a record of a journal, unless there is one of the same run that knows as much.
fn record_of(path: &Path) -> anyhow::Result<Option<PathBuf>> {
    let (scenario, plan) = Begun::read(path)?.planned(path)?;
    let left = Left::read(path, &scenario, &plan)?;
    let measurements = left.results.measurements.len();
    // A journal that was laid aside is of another run than the record beside it.
    let folder = if path.ends_with(NAME) { path.with_file_name("") } else { path.with_extension("") };
    let file = folder.join("record.json");
    let mut info = left.begun.info.clone();
    let is_known = record::read(&file).is_ok_and(|record| {
        record.started_at_us == info.started_at_us && record.rounds.len() >= measurements
    });
    if measurements == 0 {
        return Ok(None);
    }
    if is_known {
        return Ok(Some(file));
    }
    info.finished_at_us = left.written_at_us;
    let record = run::record_of(&scenario, &plan, info, &left.results);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    record::write_atomically(&file, &serde_json::to_vec(&record)?)?;
    say(&format!(
        "{}: recovered from the journal of an interrupted run: {measurements} of {} measurements, marked partial",
        file.display(),
        plan.measurements()
    ));
    Ok(Some(file))
}
