//! Records on disk: written whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::{Record, SCHEMA};

/// Bytes of a record, at most, when it is read.
const RECORD_BYTES_MAX: u64 = 1 << 30;

/// Why a record cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system's reason.
    #[error("{}: {source}", path.display())]
    System {
        /// Which file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
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
    let failed = |source| StoreError::System { path: path.to_owned(), source };
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    let mut file = File::create(&unfinished).map_err(failed)?;
    file.write_all(contents).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&unfinished, path).map_err(failed)
}

/// Reads a record.
///
/// # Errors
/// Where the file cannot be read, or holds something else.
pub fn read(path: &Path) -> Result<Record, StoreError> {
    let failed = |source| StoreError::System { path: path.to_owned(), source };
    let not_a_record = |what: String| StoreError::NotARecord { path: path.to_owned(), what };
    if fs::metadata(path).map_err(failed)?.len() > RECORD_BYTES_MAX {
        return Err(not_a_record(format!("it has more than {RECORD_BYTES_MAX} bytes")));
    }
    let text = fs::read(path).map_err(failed)?;
    let value: serde_json::Value =
        serde_json::from_slice(&text).map_err(|error| not_a_record(error.to_string()))?;
    match value.get("schema").and_then(|schema| schema.as_str()) {
        Some(SCHEMA) => {}
        Some(other) => return Err(not_a_record(format!("its schema is {other}, this reads {SCHEMA}"))),
        None => return Err(not_a_record(format!("it has no schema; this reads {SCHEMA}"))),
    }
    serde_json::from_value(value).map_err(|error| not_a_record(error.to_string()))
}
