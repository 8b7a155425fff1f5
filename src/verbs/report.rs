//! `report`: draws the HTML again from records, or gives them in another format. Of a run that was
//! ended from outside it makes the record first, from its journal.

mod journals;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use record::AnyRecord;
use report::{self, Done, Format, export};

use crate::ending::{Ending, UsageError, print_data, say};
use crate::folder::ResultsFolder;
use crate::verbs::formats::formats;

/// What `report` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Redraw these: files named record.json, or folders of results. The journal.jsonl of an
    /// interrupted run becomes a record, marked partial.
    #[arg(required = true, value_name = "RECORD|DIR")]
    records: Vec<PathBuf>,
    /// Print every measurement in this format to stdout, instead of redrawing (hlog: HdrHistogram's
    /// log).
    #[arg(long, value_name = "FORMAT", value_parser = formats())]
    export: Option<Format>,
    /// Draw the card's page from these records too, in the folder above theirs.
    #[arg(long, conflicts_with = "export")]
    card: bool,
}

const EXAMPLES: &str = "\
Examples:
  wirebench report results/latest
  wirebench report results/latest/rest-vs-grpc/record.json --export csv
  wirebench report results/card --card";

/// Draws `report.html` beside each record, or exports it.
///
/// # Errors
/// Where a record cannot be read or a page not written.
pub(crate) fn report(options: &Options) -> anyhow::Result<Ending> {
    let mut done = Done::default();
    let mut records = Vec::new();
    for path in &options.records {
        let made = journals::recover(path).with_context(|| format!("cannot read {}", path.display()))?;
        let is_journal = path.extension().is_some_and(|extension| extension == "jsonl");
        let found = if is_journal {
            made
        } else {
            record::files(path).with_context(|| format!("cannot read {}", path.display()))?
        };
        if found.is_empty() {
            return Err(UsageError(format!("no record in {}", path.display())).into());
        }
        records.extend(found);
    }
    let mut has_columns = false;
    for path in &records {
        let page = path.with_file_name("report.html");
        match (record::read_any(path)?, options.export) {
            (AnyRecord::Matrix(_), Some(_)) => {
                say(&format!("not exported: {} is a matrix, without measurements", path.display()));
            }
            (AnyRecord::Matrix(matrix), None) => {
                draw(&page, &report::matrix_page(&matrix)?)?;
                done.matrices.push(*matrix);
            }
            (AnyRecord::Measured(record), Some(format)) => {
                let text = export(&record, format).map_err(anyhow::Error::msg)?;
                // The names of the columns stand above the first record alone.
                let lines =
                    if has_columns { text.split_once('\n').map_or("", |(_, rows)| rows) } else { &text };
                has_columns = format == Format::Csv;
                print_data(lines)?;
            }
            (AnyRecord::Measured(record), None) => {
                draw(&page, &report::scenario_page(&record)?)?;
                done.records.push(*record);
            }
        }
    }
    if options.card {
        let folder = ResultsFolder::of_record(&records[0], true)?;
        say(&format!("card: {}", folder.finish(&done)?.display()));
    }
    Ok(Ending::Fine)
}

fn draw(page: &Path, text: &str) -> anyhow::Result<()> {
    record::write_atomically(page, text.as_bytes())?;
    say(&format!("report: {}", page.display()));
    Ok(())
}
