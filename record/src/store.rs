//! Records on disk: written whole or not at all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use files::FileError;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::matrix::{MATRIX_SCHEMA, MatrixRecord};
use crate::{Record, SCHEMA, check, shape};

/// How deep records are looked for below a folder of results.
const DEPTH_MAX: usize = 3;
/// Records in and below a folder, at most.
const FILES_MAX: usize = 10_000;
/// Bytes of a record, at most, when it is read: a measurement has about 8 kB.
const RECORD_BYTES_MAX: u64 = 64 << 20;

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
    /// Its file cannot be read or written as a file of somebody else's should be.
    #[error(transparent)]
    File(#[from] FileError),
}

/// What a file of results holds.
#[derive(Debug)]
pub enum AnyRecord {
    /// A run of a scenario.
    Measured(Box<Record>),
    /// A matrix that was filled.
    Matrix(Box<MatrixRecord>),
}

/// Writes a file so that a reader sees the old one or the new one, and never half of it; through no
/// link that somebody else left.
///
/// # Errors
/// The system's, and where another user left a link on the way.
pub fn write_atomically(path: &Path, contents: &[u8]) -> Result<(), StoreError> {
    Ok(files::write_atomically(path, contents)?)
}

/// The records that a path means, in order: the file itself, or those in and below a folder, of
/// results or of a baseline.
///
/// # Errors
/// The system's.
pub fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    fn find(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> io::Result<()> {
        if files.len() >= FILES_MAX {
            return Err(io::Error::other(format!("there are more than {FILES_MAX} records in it")));
        }
        if !fs::metadata(path)?.is_dir() {
            files.push(path.to_owned());
            return Ok(());
        }
        for entry in fs::read_dir(path)? {
            let entry = entry?.path();
            if entry.extension().is_some_and(|extension| extension == "json") && files.len() < FILES_MAX {
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

/// Which run a record is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The scenario's name.
    pub scenario: String,
    /// When it began, in µs since 1970.
    pub started_at_us: u64,
}

/// Reads a record, of this version or the one before it.
///
/// # Errors
/// Where the file cannot be read, or holds something else.
pub fn read(path: &Path) -> Result<Record, StoreError> {
    match read_any(path)? {
        AnyRecord::Measured(record) => Ok(*record),
        AnyRecord::Matrix(_) => Err(of_another_schema(path, MATRIX_SCHEMA, SCHEMA)),
    }
}

/// Reads a record, of a run or of a matrix.
///
/// # Errors
/// As [`read`].
pub fn read_any(path: &Path) -> Result<AnyRecord, StoreError> {
    #[derive(Deserialize)]
    struct Head {
        #[serde(default)]
        schema: Value,
    }
    let text = text(path)?;
    let head: Head = parsed(path, &text)?;
    let schema = head.schema.as_str();
    let (record, checked) = match schema {
        Some(MATRIX_SCHEMA) => {
            let record: MatrixRecord = parsed(path, &text)?;
            let checked = check::matrix(&record);
            (AnyRecord::Matrix(Box::new(record)), checked)
        }
        Some(SCHEMA | SCHEMA_2) => {
            let record = measured(path, &text, schema == Some(SCHEMA_2))?;
            let checked = check::record(&record);
            (AnyRecord::Measured(Box::new(record)), checked)
        }
        other => return Err(of_another_schema(path, other.unwrap_or("none"), SCHEMA)),
    };
    checked.map(|()| record).map_err(|what| not_a_record(path, what))
}

/// Which run a record is of; `None` for a matrix.
///
/// # Errors
/// As [`read`], but for what only the whole record shows.
pub fn read_head(path: &Path) -> Result<Option<Head>, StoreError> {
    #[derive(Deserialize)]
    struct Outer {
        #[serde(default)]
        schema: Value,
        scenario: Named,
        #[serde(default)]
        started_at_us: u64,
    }
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    let outer: Outer = read_json(path)?;
    match outer.schema.as_str() {
        Some(MATRIX_SCHEMA) => Ok(None),
        Some(SCHEMA | SCHEMA_2) => {
            Ok(Some(Head { scenario: outer.scenario.name, started_at_us: outer.started_at_us }))
        }
        other => Err(of_another_schema(path, other.unwrap_or("none"), SCHEMA)),
    }
}

/// Reads JSON that this program wrote and anybody may have changed, within the bounds of a record.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, StoreError> {
    parsed(path, &text(path)?)
}

fn measured(path: &Path, text: &[u8], is_version_2: bool) -> Result<Record, StoreError> {
    if !is_version_2 {
        return parsed(path, text);
    }
    let mut value: Value = parsed(path, text)?;
    acts_of_version_2(&mut value);
    serde_json::from_value(value).map_err(|error| not_a_record(path, error.to_string()))
}

/// The text of a file, within its bounds.
fn text(path: &Path) -> Result<Vec<u8>, StoreError> {
    let mut text = files::read(path, RECORD_BYTES_MAX)?;
    shape::without_commands(&mut text);
    shape::check(&text).map_err(|what| not_a_record(path, what))?;
    Ok(text)
}

fn parsed<T: DeserializeOwned>(path: &Path, text: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(text).map_err(|error| not_a_record(path, error.to_string()))
}

pub(crate) fn of_another_schema(path: &Path, schema: &str, reads: &str) -> StoreError {
    not_a_record(path, format!("its schema is {schema}, this reads {reads}"))
}

fn not_a_record(path: &Path, what: String) -> StoreError {
    StoreError::NotARecord { path: path.to_owned(), what }
}
