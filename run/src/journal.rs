//! The journal of a run: what was measured is on disk as it ends, one line of JSON each, so that
//! whatever ends the command leaves it there. A run that ends well writes its record and removes
//! the journal; from a journal that is left a record can be made, and a run can go on.
//!
//! Lines are appended between measurements and never during one. What cannot be appended ends the
//! run: hours of measuring that nobody can keep are of no use.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use record::ActPart;
use scenarios::{Plan, PlanOptions, Scenario};
use serde::{Deserialize, Serialize};
use terms::LinkUsed;
use terms::lines::read_message;

use crate::{Conformance, Measurement, Results, RunInfo};

/// The version of the journal: another where a reader of this one would misread.
const SCHEMA: &str = "wirebench.journal.v1";
/// Its name beside a record.
pub const NAME: &str = "journal.jsonl";
/// Bytes of a journal, at most, when it is read: as of a record.
const JOURNAL_BYTES_MAX: u64 = 1 << 30;
/// Measurements for each planned one, at most, with those that were void: more than any run takes.
const MEASUREMENTS_FOR_EACH_MAX: usize = 2;

/// Why a journal cannot be written or used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Its file is not to be had.
    #[error(transparent)]
    File(#[from] files::FileError),
    /// The system's reason.
    #[error("{}: {reason}", path.display())]
    System {
        /// Which file.
        path: PathBuf,
        /// The reason.
        reason: io::Error,
    },
    /// What was measured cannot be appended.
    #[error(
        "the journal {} cannot be written: {reason}; the run ends, since nothing more could be kept: make room there, or \
         give another folder by --out DIR",
        path.display()
    )]
    Append {
        /// Which file.
        path: PathBuf,
        /// The reason.
        reason: io::Error,
    },
    /// Somebody removed or moved it.
    #[error("{} is no longer there: somebody removed or moved it, or its folder, while the run went on", path.display())]
    Removed {
        /// Which file.
        path: PathBuf,
    },
    /// It is none, or does not fit.
    #[error("{}: {what}", path.display())]
    Unfit {
        /// Which file.
        path: PathBuf,
        /// Why not, and what to do.
        what: String,
    },
}

/// What a journal begins with: all that decides whether it fits.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Begun {
    /// Always `wirebench.journal.v1`.
    schema: String,
    /// The scenario's name, or the whole path of its file.
    pub scenario: String,
    /// What was changed about it, as `KEY=VALUE`.
    pub settings: Vec<String>,
    /// What was changed about its plan.
    pub options: PlanOptions,
    /// SHA-256 of the plan.
    pub plan_sha256: String,
    /// What the run is, beside its results.
    pub info: RunInfo,
}

impl Begun {
    /// The beginning of a run of a scenario, which was named so.
    pub fn new(
        named: &str,
        settings: &[String],
        options: PlanOptions,
        plan_sha256: String,
        info: RunInfo,
    ) -> Begun {
        let is_file = named.ends_with(".toml") || named.contains('/');
        let whole = is_file.then(|| fs::canonicalize(named).ok()).flatten();
        let scenario = whole.map_or_else(|| named.to_owned(), |path| path.display().to_string());
        Begun { schema: SCHEMA.to_owned(), scenario, settings: settings.to_vec(), options, plan_sha256, info }
    }
}

/// Something that ended in a run, or is known from then on.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended<'a> {
    /// Who takes part, over what.
    Cast {
        /// Contenders that cannot run on this machine, and why.
        absent: &'a [(String, String)],
        /// What the contenders talk over.
        link: &'a Option<LinkUsed>,
    },
    /// A contender's conformance cases, all passed.
    Checked(&'a Conformance),
    /// A measurement.
    Measured(&'a Measurement),
    /// A round, whole.
    Round(usize),
    /// A trial of an act: the act so far.
    Trial(&'a ActPart),
    /// An act, whole.
    Acted(&'a ActPart),
}

/// The same, as it is read.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Cast { absent: Vec<(String, String)>, link: Option<LinkUsed> },
    Checked(Conformance),
    Measured(Box<Measurement>),
    Round(usize),
    Trial(ActPart),
    Acted(ActPart),
}

/// A journal that is being written.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// Bytes of whole lines.
    written: u64,
}

impl Journal {
    /// Begins one, in place of any that is there, with what is kept of that.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn begin(path: &Path, begun: &Begun, kept: &Results) -> Result<Journal, JournalError> {
        let failed =
            |reason: serde_json::Error| JournalError::System { path: path.to_owned(), reason: reason.into() };
        let mut text = line_of(begun).map_err(failed)?;
        for ended in all_of(kept) {
            text.append(&mut line_of(&ended).map_err(failed)?);
        }
        // What is there stays until all of it is here.
        let file = files::create(path, &text)?;
        Ok(Journal { path: path.to_owned(), file, written: text.len() as u64 })
    }

    /// Appends what ended: whatever ends the command, it is in the file. After a round it is on the
    /// disk too, whatever ends the machine.
    ///
    /// # Errors
    /// Where the disk is full or the file is gone; what was there before stays whole.
    pub fn append(&mut self, ended: Ended<'_>) -> Result<(), JournalError> {
        self.write(&ended)?;
        match ended {
            Ended::Round(_) | Ended::Acted(_) => self.sync(),
            Ended::Cast { .. } | Ended::Checked(_) | Ended::Measured(_) | Ended::Trial(_) => Ok(()),
        }
    }

    fn write(&mut self, line: &impl Serialize) -> Result<(), JournalError> {
        let failed = |reason| JournalError::Append { path: self.path.clone(), reason };
        self.ensure_there()?;
        let text = line_of(line).map_err(|error| failed(error.into()))?;
        if let Err(reason) = self.file.write_all(&text) {
            // Half a line is no use to anybody, and its place may be to the record.
            let _ = self.file.set_len(self.written);
            return Err(failed(reason));
        }
        self.written += text.len() as u64;
        Ok(())
    }

    fn sync(&self) -> Result<(), JournalError> {
        self.file.sync_data().map_err(|reason| JournalError::Append { path: self.path.clone(), reason })
    }

    /// A file that was removed can be written to, and nobody will ever read it.
    fn ensure_there(&self) -> Result<(), JournalError> {
        let removed = || JournalError::Removed { path: self.path.clone() };
        let ours = self.file.metadata().map_err(|_| removed())?;
        let there = fs::symlink_metadata(&self.path).map_err(|_| removed())?;
        if (ours.dev(), ours.ino()) == (there.dev(), there.ino()) { Ok(()) } else { Err(removed()) }
    }

    /// Removes it, once the record is written.
    ///
    /// # Errors
    /// The system's.
    pub fn remove(self) -> Result<(), JournalError> {
        fs::remove_file(&self.path).map_err(|reason| JournalError::System { path: self.path.clone(), reason })
    }
}

fn line_of(line: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    Ok(text)
}

/// All that results hold, in an order in which it may have ended.
fn all_of(results: &Results) -> impl Iterator<Item = Ended<'_>> {
    let cast = results.link.is_some().then_some(Ended::Cast { absent: &results.absent, link: &results.link });
    let checked = results.conformance.iter().map(Ended::Checked);
    let measured = results.measurements.iter().map(Ended::Measured);
    let rounds = (0..results.rounds_kept).map(Ended::Round);
    let acts = results.acts.iter().map(Ended::Acted);
    cast.into_iter().chain(checked).chain(measured).chain(rounds).chain(acts)
}

/// A journal that was left, read.
#[derive(Debug)]
pub struct Left {
    /// What it begins with.
    pub begun: Begun,
    /// All that it holds.
    pub results: Results,
    /// When something was last written to it, in µs since the Unix epoch.
    pub written_at_us: u64,
    /// Rounds that are whole.
    rounds: usize,
    /// Acts that are whole.
    acted: Vec<ActPart>,
}

impl Begun {
    /// Reads what a journal begins with.
    ///
    /// # Errors
    /// Where it cannot be read, or is none of this version.
    pub fn read(path: &Path) -> Result<Begun, JournalError> {
        Ok(open(path)?.0)
    }

    /// The scenario and the plan of its run, as far as they are what they were.
    ///
    /// # Errors
    /// Where the scenario is gone or broken.
    pub fn planned(&self, path: &Path) -> Result<(Scenario, Plan), JournalError> {
        let Begun { scenario: name, settings, options, .. } = self;
        let unfit = |what: String| JournalError::Unfit { path: path.to_owned(), what };
        let scenario = Scenario::find(name, settings)
            .map_err(|error| unfit(format!("its scenario {name} cannot be read: {error}")))?;
        let plan = Plan::make(&scenario, options).map_err(unfit)?;
        Ok((scenario, plan))
    }
}

/// The first line of a journal, the others, and when it was last written to.
fn open(path: &Path) -> Result<(Begun, BufReader<io::Take<File>>, u64), JournalError> {
    let unfit = |what: String| JournalError::Unfit { path: path.to_owned(), what };
    let (file, about) = files::open(path, JOURNAL_BYTES_MAX)?;
    let mut lines = BufReader::new(file.take(JOURNAL_BYTES_MAX));
    let begun: Begun = read_message(&mut lines).map_err(|error| unfit(format!("no journal: {error}")))?;
    if begun.schema != SCHEMA {
        return Err(unfit(format!("its schema is {}, this reads {SCHEMA}", begun.schema)));
    }
    let written_at_us = u64::try_from(about.mtime()).unwrap_or_default().saturating_mul(1_000_000);
    Ok((begun, lines, written_at_us))
}

impl Left {
    /// Reads a journal of this plan, up to a line that was not finished. It holds no more than the
    /// plan has.
    ///
    /// # Errors
    /// Where it cannot be read, is none of this version, or of another plan.
    pub fn read(path: &Path, scenario: &Scenario, plan: &Plan) -> Result<Left, JournalError> {
        let (begun, mut lines, written_at_us) = open(path)?;
        let unfit = |what: String| JournalError::Unfit { path: path.to_owned(), what };
        if begun.plan_sha256 != plan.sha256(scenario) {
            return Err(unfit(format!(
                "it was measured by another plan: {}, its --set, its options or wirebench itself have changed since",
                scenario.name
            )));
        }
        let results = Results { partial: true, ..Results::default() };
        let mut left = Left { begun, results, written_at_us, rounds: 0, acted: Vec::new() };
        for nth in 2.. {
            match read_message(&mut lines) {
                Ok(line) => {
                    if !left.take(line, plan) {
                        return Err(unfit("it holds what its plan has not".to_owned()));
                    }
                }
                // The last line of a command that was killed may be half of one.
                Err(_) if lines.fill_buf().is_ok_and(<[u8]>::is_empty) => break,
                Err(error) => {
                    return Err(unfit(format!(
                        "its line {nth} is damaged ({error}): remove it, to measure anew"
                    )));
                }
            }
        }
        Ok(left)
    }

    /// Takes a line, if it is one of the plan's.
    fn take(&mut self, line: Line, plan: &Plan) -> bool {
        let results = &mut self.results;
        match line {
            Line::Cast { absent, link } => (results.absent, results.link) = (absent, link),
            Line::Checked(conformance) => {
                results.conformance.push(conformance);
                return results.conformance.len() <= plan.contenders().len();
            }
            Line::Measured(measurement) => {
                let is_planned = measurement.round < plan.rounds.len() && measurement.cell < plan.cells.len();
                results.measurements.push(*measurement);
                let most = plan.measurements().saturating_mul(MEASUREMENTS_FOR_EACH_MAX);
                return is_planned && results.measurements.len() <= most;
            }
            Line::Round(round) => {
                self.rounds = self.rounds.max(round.saturating_add(1));
                return round < plan.rounds.len();
            }
            Line::Trial(part) => put(&mut results.acts, part),
            Line::Acted(part) => {
                put(&mut self.acted, part.clone());
                put(&mut results.acts, part);
            }
        }
        true
    }

    /// Checks that it was measured by the same build on the same machine and cores: two of them are
    /// not to be told apart from two contenders.
    ///
    /// # Errors
    /// Where it was not.
    pub fn ensure_same_machine(&self, path: &Path, now: &RunInfo) -> Result<(), JournalError> {
        let then = &self.begun.info;
        let of = |info: &RunInfo| {
            let machine = &info.environment;
            (machine.kernel.clone(), machine.cpu_model.clone(), info.layout.clone(), info.market_seed)
        };
        let what = match (then.tool == now.tool, of(then) == of(now)) {
            (true, true) => return Ok(()),
            (false, _) => "it was measured by another build of wirebench",
            (true, false) => "it was measured on another machine, or on other cores",
        };
        Err(JournalError::Unfit { path: path.to_owned(), what: what.to_owned() })
    }

    /// What another start of the same plan keeps: whole rounds and whole acts. What is pairs within
    /// a round stays so: half a round is measured again.
    pub fn kept(self) -> Results {
        let rounds = self.rounds;
        let mut measurements = self.results.measurements;
        measurements.retain(|of| of.round < rounds);
        let Results { absent, link, .. } = self.results;
        let acts = self.acted.into_iter().filter(|act| !act.is_empty()).collect();
        Results { measurements, absent, link, acts, rounds_kept: rounds, ..Results::default() }
    }
}

/// A plan has an act of a kind once: what is said of it later is the whole of it.
fn put(acts: &mut Vec<ActPart>, part: ActPart) {
    match acts.iter_mut().find(|act| act.is_like(&part)) {
        Some(act) => *act = part,
        None => acts.push(part),
    }
}

#[cfg(test)]
mod tests;
