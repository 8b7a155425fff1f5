//! Records on disk: written whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::{Record, SCHEMA};

/// How deep records are looked for below a folder of results.
const DEPTH_MAX: usize = 3;
/// Bytes of a record, at most, when it is read.
const RECORD_BYTES_MAX: u64 = 1 << 30;

/// The version before this one, which kept each act in fields of its own, without raw trials.
const SCHEMA_2: &str = "wirebench.record.v2";

/// Why a record cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system's reason.
    #[error("{}: {reason}", path.display())]
    System {
        /// Which file.
        path: PathBuf,
        /// The reason.
        reason: io::Error,
    },
    /// It is no record.
    #[error("{} is not a record of this version: {what}", path.display())]
    NotARecord {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
}

/// Writes a file so that a reader sees the old one or the new one, and never half of it.
///
/// # Errors
/// The system's.
pub fn write_atomically(path: &Path, contents: &[u8]) -> Result<(), StoreError> {
    let failed = |reason| StoreError::System { path: path.to_owned(), reason };
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    let mut file = File::create(&unfinished).map_err(failed)?;
    file.write_all(contents).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&unfinished, path).map_err(failed)
}

/// The records that a path means, in order: the file itself, or those in and below a folder, of
/// results or of a baseline.
///
/// # Errors
/// The system's.
pub fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    fn find(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> io::Result<()> {
        if !fs::metadata(path)?.is_dir() {
            files.push(path.to_owned());
            return Ok(());
        }
        for entry in fs::read_dir(path)? {
            let entry = entry?.path();
            if entry.extension().is_some_and(|extension| extension == "json") {
                files.push(entry);
            } else if depth > 0 && fs::symlink_metadata(&entry)?.is_dir() {
                find(&entry, depth - 1, files)?;
            }
        }
        Ok(())
    }
    let mut files = Vec::new();
    find(path, DEPTH_MAX, &mut files)?;
    files.sort();
    Ok(files)
}

/// Gathers what version 2 kept of acts in fields of their own.
fn acts_of_version_2(record: &mut Value) {
    let Some(record) = record.as_object_mut() else { return };
    let mut take = |key: &str| record.remove(key).unwrap_or_default();
    let asked_and_parts = [
        ("hold", json!({ "asked": take("hold"), "memory": take("memory") })),
        ("restart", json!({ "asked": take("restart"), "restarts": take("restarts") })),
        ("scale_out", json!({ "asked": take("scale_out"), "scale_outs": take("scale_outs") })),
        ("capacity", json!({ "capacities": take("capacities") })),
    ];
    let has_parts = |act: &Value| {
        let parts = act.as_object().into_iter().flatten().filter(|(key, _)| *key != "asked");
        parts.into_iter().any(|(_, parts)| parts.as_array().is_some_and(|parts| !parts.is_empty()))
    };
    let acts = asked_and_parts.into_iter().filter(|(_, act)| has_parts(act)).map(|(name, mut act)| {
        act["act"] = json!(name);
        act
    });
    let acts = acts.collect();
    record.insert("acts".to_owned(), Value::Array(acts));
    record.insert("schema".to_owned(), json!(SCHEMA));
}

/// Reads a record, of this version or the one before it.
///
/// # Errors
/// Where the file cannot be read, or holds something else.
pub fn read(path: &Path) -> Result<Record, StoreError> {
    let failed = |reason| StoreError::System { path: path.to_owned(), reason };
    let not_a_record = |what: String| StoreError::NotARecord { path: path.to_owned(), what };
    if fs::metadata(path).map_err(failed)?.len() > RECORD_BYTES_MAX {
        return Err(not_a_record(format!("it has more than {RECORD_BYTES_MAX} bytes")));
    }
    let text = fs::read(path).map_err(failed)?;
    let mut value: Value = serde_json::from_slice(&text).map_err(|error| not_a_record(error.to_string()))?;
    match value.get("schema").and_then(|schema| schema.as_str()) {
        Some(SCHEMA) => {}
        Some(SCHEMA_2) => acts_of_version_2(&mut value),
        Some(other) => return Err(not_a_record(format!("its schema is {other}, this reads {SCHEMA}"))),
        None => return Err(not_a_record(format!("it has no schema; this reads {SCHEMA}"))),
    }
    serde_json::from_value(value).map_err(|error| not_a_record(error.to_string()))
}
