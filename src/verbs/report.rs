//! `report`: draws the HTML again from records.

use std::path::PathBuf;

use crate::cli::Ending;
use crate::report;

/// What `report` takes.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Files named record.json.
    #[arg(required = true, value_name = "RECORD")]
    records: Vec<PathBuf>,
}

/// Draws `report.html` beside each record.
///
/// # Errors
/// Where a record cannot be read or a page not written.
pub fn report(options: &Options) -> anyhow::Result<Ending> {
    for path in &options.records {
        let record = crate::record::read(path)?;
        let page = path.with_file_name("report.html");
        crate::record::write_atomically(&page, report::scenario_page(&record)?.as_bytes())?;
        eprintln!("report: {}", page.display());
    }
    Ok(Ending::Fine)
}
