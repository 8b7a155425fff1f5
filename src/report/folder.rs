//! Where results go: `results/<time>/{index.html, <scenario>/{record.json, report.html}}`, and `results/latest`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::export::{Format, export};
use crate::matrix::MatrixRecord;
use crate::record::{Record, write_atomically};

/// The folder of one run.
#[derive(Debug)]
pub struct ResultsFolder {
    path: PathBuf,
    /// The link to swap at the end; none where the user chose the folder.
    latest: Option<PathBuf>,
}

impl ResultsFolder {
    /// Makes `results/<time>`, or the folder that was asked for.
    ///
    /// # Errors
    /// The system's.
    pub fn create(chosen: Option<&Path>) -> anyhow::Result<ResultsFolder> {
        let (path, latest) = match chosen {
            Some(path) => (path.to_owned(), None),
            None => {
                let results = Path::new("results");
                (results.join(now_as_a_name()), Some(results.join("latest")))
            }
        };
        fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(ResultsFolder { path, latest })
    }

    fn of(&self, scenario: &str) -> anyhow::Result<PathBuf> {
        let folder = self.path.join(scenario);
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        Ok(folder)
    }

    /// Where the packets of a scenario go.
    ///
    /// # Errors
    /// The system's.
    pub fn pcap(&self, scenario: &str) -> anyhow::Result<PathBuf> {
        Ok(self.of(scenario)?.join("packets.pcap"))
    }

    /// Writes a scenario's record and page.
    ///
    /// # Errors
    /// The system's.
    pub fn add(&self, record: &Record) -> anyhow::Result<()> {
        let folder = self.of(&record.scenario.name)?;
        write_atomically(&folder.join("record.json"), &serde_json::to_vec(record)?)?;
        write_atomically(&folder.join("report.html"), super::scenario_page(record)?.as_bytes())?;
        Ok(())
    }

    /// Writes a matrix's record and page.
    ///
    /// # Errors
    /// The system's.
    pub fn add_matrix(&self, matrix: &MatrixRecord) -> anyhow::Result<()> {
        let folder = self.of(&matrix.scenario.name)?;
        write_atomically(&folder.join("record.json"), &serde_json::to_vec(matrix)?)?;
        write_atomically(&folder.join("report.html"), crate::matrix::page(matrix)?.as_bytes())?;
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

    /// Writes the index, points `latest` here, and gives the index's path.
    ///
    /// # Errors
    /// The system's.
    pub fn finish(&self, records: &[Record], matrices: &[MatrixRecord]) -> anyhow::Result<PathBuf> {
        let index = self.path.join("index.html");
        write_atomically(&index, super::index_page(records, matrices)?.as_bytes())?;
        if let (Some(latest), Some(name)) = (&self.latest, self.path.file_name()) {
            // Made beside it and renamed over it: a reader sees the old run or the new one.
            let unfinished = latest.with_extension("unfinished");
            let _ = fs::remove_file(&unfinished);
            std::os::unix::fs::symlink(name, &unfinished)?;
            fs::rename(&unfinished, latest).with_context(|| format!("pointing {} here", latest.display()))?;
            return Ok(latest.join("index.html"));
        }
        Ok(index)
    }
}

/// `2026-11-24T09-41-07Z`: sorts by time, and is a name on every file system.
fn now_as_a_name() -> String {
    super::view::utc(clock::wall_time_us()).replace(' ', "T").replace(':', "-") + "Z"
}
