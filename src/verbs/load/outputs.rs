//! The files that a load leaves: whether they can be written, before anything is loaded, and the
//! writing. Each is written whole or not at all. What is in them is made elsewhere.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::anyhow;
use clock::{Clock, Mono};
use record::Tool;

use super::options::Options;
use super::outcome::LoadReport;
use crate::ending::{UsageError, causes, say_error};

/// What a file is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Output {
    Page,
    Csv,
    JsonLines,
    Hlog,
    Metrics,
}

/// The files that were asked for, with the names of their options.
fn outputs(options: &Options) -> impl Iterator<Item = (Output, &'static str, &Path)> {
    let all = [
        (Output::Page, "report", &options.report),
        (Output::Csv, "csv", &options.csv),
        (Output::JsonLines, "jsonl", &options.jsonl),
        (Output::Hlog, "hlog", &options.hlog),
        (Output::Metrics, "metrics", &options.metrics),
    ];
    all.into_iter().filter_map(|(output, name, path)| Some((output, name, path.as_deref()?)))
}

/// Tries each file: nothing that was measured shall be lost for want of a place.
///
/// # Errors
/// Where a file cannot be written, or would replace another that is read or written.
pub(super) fn check(options: &Options) -> Result<(), UsageError> {
    let read = [
        ("workload", &options.workload),
        ("body-file", &options.body_file),
        ("requests", &options.requests),
        ("data", &options.data),
        ("proto", &options.proto),
        ("descriptor-set", &options.descriptor_set),
        ("root", &options.root),
        ("cert", &options.cert),
        ("key", &options.key),
    ];
    let read = read.into_iter().filter_map(|(name, path)| Some((name, path.as_deref()?)));
    let mut others: Vec<(&str, &Path)> = read.collect();
    for (_, name, path) in outputs(options) {
        files::check_writable(path)
            .map_err(|error| UsageError(format!("--{name} {}", causes(&error.into()))))?;
        if let Some((other, _)) = others.iter().find(|(_, other)| is_same(path, other)) {
            let of =
                if *other == "workload" { "of the workload".to_owned() } else { format!("of --{other}") };
            return Err(UsageError(format!(
                "--{name} {} would replace the file {of}: name another",
                path.display()
            )));
        }
        others.push((name, path));
    }
    Ok(())
}

/// Whether two paths lead to one file, or would.
fn is_same(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = fs::metadata(folder.unwrap_or(Path::new("."))).ok()?;
        Some((folder.dev(), folder.ino(), path.file_name()?.to_owned()))
    };
    let file = |path: &Path| fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    let both_are = file(one).is_some() && file(one) == file(other);
    both_are || (place(one).is_some() && place(one) == place(other))
}

/// Writes each file, and says of each that cannot be written why. Whether all were written.
pub(super) fn write(options: &Options, report: &LoadReport, tool: &Tool) -> bool {
    let now = (Clock::System.now(), clock::wall_time_us());
    let mut all_written = true;
    for (output, name, path) in outputs(options) {
        let began_us = began_us(report.measured_from(), now);
        let contents = match output {
            Output::Page => report.page(options, tool, began_us),
            Output::Csv => Ok(report.csv()),
            Output::JsonLines => report.json_lines(),
            Output::Hlog => report.hlog(began_us),
            Output::Metrics => Ok(report.metrics(tool)),
        };
        let written = contents.and_then(|contents| Ok(files::write_atomically(path, contents.as_bytes())?));
        if let Err(error) = written {
            say_error(&anyhow!("--{name} {}", causes(&error)));
            all_written = false;
        }
    }
    all_written
}

/// When the measuring began, in µs since 1970, by what two clocks say now.
fn began_us(from: Mono, (now, now_us): (Mono, u64)) -> u64 {
    now_us.saturating_sub(now.nanos_since(from) / 1_000)
}
