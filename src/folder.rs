//! Where results go: `results/<time>/{index.html, <scenario>/{record.json, report.html}}`, and
//! `results/latest`.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use record::matrix::MatrixRecord;
use record::{Record, write_atomically};
use report::{Done, Format, export};
use run::journal;

use crate::ending::UsageError;

/// What can be done about a folder that takes no results.
const ANOTHER: &str = "choose another folder with --out DIR";

/// The folder of one run.
#[derive(Debug)]
pub struct ResultsFolder {
    path: PathBuf,
    /// The link to swap at the end; none where the user chose the folder.
    latest: Option<PathBuf>,
    /// Whether the card's page is drawn.
    card: bool,
}

impl ResultsFolder {
    /// Makes `results/<time>`, or the folder that was asked for; with the card's page, or without.
    ///
    /// # Errors
    /// The system's.
    pub fn create(chosen: Option<&Path>, card: bool) -> anyhow::Result<ResultsFolder> {
        let wanted = chosen.unwrap_or(Path::new("results"));
        if let Some(file) = wanted.ancestors().find(|path| path.exists() && !path.is_dir()) {
            let (wanted, file) = (wanted.display(), file.display());
            return Err(UsageError(format!(
                "cannot write results to {wanted}: {file} is not a folder; move it, or {ANOTHER}"
            ))
            .into());
        }
        let made = match chosen {
            Some(path) => files::make_folder(path).map(|()| (path.to_owned(), None)),
            // Another run may have begun in the same second.
            None => files::make_new_folder(wanted, &now_as_a_name())
                .map(|path| (path, Some(wanted.join("latest")))),
        };
        let (path, latest) =
            made.with_context(|| format!("cannot make a folder for the results; {ANOTHER}"))?;
        Ok(ResultsFolder { path, latest, card })
    }

    /// Finds out, before hours of measuring, whether so much can be written here.
    ///
    /// # Errors
    /// Where it cannot, with what to do.
    pub fn try_out(&self, bytes: u64) -> anyhow::Result<()> {
        write_zeros(&self.path, bytes).with_context(|| {
            let (path, megabytes) = (self.path.display(), bytes.div_ceil(1_000_000));
            format!("cannot write about {megabytes} MB in {path}: free some space there, or {ANOTHER}")
        })
    }

    /// The folder that holds a record's own folder.
    ///
    /// # Errors
    /// Where there is none above it.
    pub fn of_record(record: &Path, card: bool) -> anyhow::Result<ResultsFolder> {
        let path = record.canonicalize().with_context(|| format!("cannot find {}", record.display()))?;
        let path = path.ancestors().nth(2).context("a record must be in a folder of its scenario")?;
        Ok(ResultsFolder { path: path.to_owned(), latest: None, card })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A scenario's record that an earlier run left here, if one did.
    ///
    /// # Errors
    /// Where what is there is no record.
    pub fn record(&self, scenario: &str) -> anyhow::Result<Option<Record>> {
        let path = self.path.join(scenario).join("record.json");
        if !path.exists() {
            return Ok(None);
        }
        Ok(Some(record::read(&path)?))
    }

    /// Where a scenario's journal is.
    ///
    /// # Errors
    /// The system's, where its folder cannot be made.
    pub fn journal(&self, scenario: &str) -> anyhow::Result<PathBuf> {
        Ok(self.of(scenario)?.join(journal::NAME))
    }

    fn of(&self, scenario: &str) -> anyhow::Result<PathBuf> {
        let folder = self.path.join(scenario);
        files::make_folder(&folder)?;
        Ok(folder)
    }

    /// Where the packets of a scenario go.
    ///
    /// # Errors
    /// The system's.
    pub fn pcap(&self, scenario: &str) -> anyhow::Result<PathBuf> {
        Ok(self.of(scenario)?.join("packets.pcap"))
    }

    /// Where the ledgers of a scenario's markets are, one a contender.
    ///
    /// # Errors
    /// The system's, where the folder cannot be made.
    pub fn ledgers(&self, scenario: &str) -> anyhow::Result<PathBuf> {
        let folder = self.of(scenario)?.join("ledgers");
        files::make_folder(&folder)?;
        Ok(folder)
    }

    /// Writes a scenario's record and page.
    ///
    /// # Errors
    /// The system's.
    pub fn add(&self, record: &Record) -> anyhow::Result<()> {
        let folder = self.of(&record.scenario.name)?;
        write_atomically(&folder.join("record.json"), &serde_json::to_vec(record)?)?;
        write_atomically(&folder.join("report.html"), report::scenario_page(record)?.as_bytes())?;
        self.add_export(record, Format::Csv)?;
        self.add_export(record, Format::Hlog)
    }

    /// Writes a matrix's record and page.
    ///
    /// # Errors
    /// The system's.
    pub fn add_matrix(&self, matrix: &MatrixRecord) -> anyhow::Result<()> {
        let folder = self.of(&matrix.scenario.name)?;
        write_atomically(&folder.join("record.json"), &serde_json::to_vec(matrix)?)?;
        write_atomically(&folder.join("report.html"), report::matrix_page(matrix)?.as_bytes())?;
        Ok(())
    }

    /// Writes a scenario's measurements in another format beside its record.
    ///
    /// # Errors
    /// The system's, or that a histogram does not fit the format.
    pub fn add_export(&self, record: &Record, format: Format) -> anyhow::Result<()> {
        let text = export(record, format).map_err(anyhow::Error::msg)?;
        let path =
            self.path.join(&record.scenario.name).join("measurements").with_extension(format.extension());
        write_atomically(&path, text.as_bytes())?;
        Ok(())
    }

    /// Writes the index and the card, points `latest` here, and gives the path of what to open.
    ///
    /// # Errors
    /// The system's.
    pub fn finish(&self, done: &Done) -> anyhow::Result<PathBuf> {
        write_atomically(&self.path.join("index.html"), report::index_page(done, self.card)?.as_bytes())?;
        if self.card {
            let page = report::card_page(done)?;
            write_atomically(&self.path.join("card.html"), page.as_bytes())?;
            write_atomically(&self.path.join("card.md"), report::card_markdown(done)?.as_bytes())?;
        }
        let first = if self.card { "card.html" } else { "index.html" };
        if let (Some(latest), Some(name)) = (&self.latest, self.path.file_name()) {
            files::point(latest, Path::new(name))
                .with_context(|| format!("cannot point {} to this run", latest.display()))?;
            return Ok(latest.join(first));
        }
        Ok(self.path.join(first))
    }
}

/// Finds out whether a file can be written, before what is to be in it is measured; makes its
/// folder.
///
/// # Errors
/// Where it cannot.
pub(crate) fn try_write(file: &Path) -> anyhow::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let cannot = || format!("cannot write {}", file.display());
    files::make_folder(folder).with_context(cannot)?;
    write_zeros(folder, 1).with_context(cannot)
}

/// Into a file without a name: nothing of it is left, however this process ends.
fn write_zeros(folder: &Path, bytes: u64) -> io::Result<()> {
    let piece = vec![0; 1 << 16];
    let mut file = tempfile::tempfile_in(folder)?;
    for _ in 0..bytes.div_ceil(piece.len() as u64) {
        file.write_all(&piece)?;
    }
    // Some file systems find out that they are full when they must write.
    file.sync_data()
}

/// Keeps a record that cannot be written where it should be, in a folder of the system's temporary
/// ones that only this user can read; says where.
///
/// # Errors
/// Where it cannot be kept there either.
pub fn rescue(record: &Record) -> anyhow::Result<PathBuf> {
    let folder = tempfile::Builder::new().prefix("wirebench-kept-").tempdir()?;
    let file = folder.path().join("record.json");
    write_atomically(&file, &serde_json::to_vec(record)?)?;
    // From here on it is the user's.
    let _ = folder.keep();
    Ok(file)
}

/// `2026-11-24T09-41-07Z`: sorts by time, and is a name on every file system.
pub(crate) fn now_as_a_name() -> String {
    report::utc(clock::wall_time_us()).replace(' ', "T").replace(':', "-") + "Z"
}
