//! `compare`: two records, or repeats of each; exit 3 where a threshold failed, for CI.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use judge::compare::{Held, RunComparison, compare, differences, hold, summary};
use record::{Head, Record};
use terms::Expression;
use terms::escape::terminal_line;

use crate::ending::{Ending, UsageError, causes, print_data, say};
use crate::folder::try_write;
use crate::verbs::expressions::threshold;

/// What `compare` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Take this as the old side: a record.json, a folder of results, or a baseline by name (`run
    /// --save-baseline`). Several, separated by commas, are repeats.
    old: String,
    /// Compare this with it: the new side, given in the same way.
    new: String,
    /// Compare even if the plans differ.
    #[arg(long)]
    force: bool,
    /// Exit with 3 if this is true of the whole interval of any cell: 'response.p99 > 10%' (more
    /// than OLD), 'cpu_per_call > 90us'; can be repeated.
    #[arg(long, value_name = "EXPR", value_parser = threshold)]
    fail_on: Vec<Expression>,
    /// Print in this format: markdown for a pull request, json with one object per scenario.
    #[arg(long, value_enum, default_value_t = CompareFormat::Text)]
    format: CompareFormat,
}

const EXAMPLES: &str = "\
Examples:
  wirebench compare results/old results/new
  wirebench compare main results/latest --fail-on 'cpu_per_call > 10%'
  wirebench compare old.1.json,old.2.json,old.3.json results/latest --force
  wirebench compare main results/latest --format markdown";

/// How a comparison is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum CompareFormat {
    Text,
    Markdown,
    Json,
}

/// Where named baselines are kept.
pub(crate) const BASELINES: &str = "results/baselines";

/// Repeats of a scenario in a baseline, at most.
const REPEATS_MAX: usize = 10_000;

/// Files of records by the scenario that they are of.
pub(crate) type Side = BTreeMap<String, Vec<PathBuf>>;

/// Compares.
///
/// # Errors
/// Where there are no records, none in common, or the plans differ.
pub(crate) fn compare_records(options: &Options) -> anyhow::Result<Ending> {
    let (old, new) = (side(&options.old)?, side(&options.new)?);
    let mut comparing = Comparing::new(&options.fail_on, options.force);
    // One scenario after the other: all records of a card would take gigabytes.
    for (scenario, new) in &new {
        if let Some(old) = old.get(scenario) {
            comparing.add(scenario, &load(old)?, &load(new)?)?;
        }
    }
    for scenario in old.keys().filter(|scenario| !new.contains_key(*scenario)) {
        comparing.lost(scenario);
    }
    for scenario in new.keys().filter(|scenario| !old.contains_key(*scenario)) {
        say(&format!("not compared: {scenario} is in the new only"));
    }
    let names = |side: &Side| side.keys().cloned().collect::<Vec<_>>().join(", ");
    comparing.finish(options.format, (&names(&old), &names(&new)))
}

/// A comparison, scenario by scenario.
pub(crate) struct Comparing<'a> {
    thresholds: &'a [Expression],
    force: bool,
    comparisons: Vec<RunComparison>,
    held: Vec<Held>,
    /// Scenarios that the new side should have.
    lost: Vec<String>,
}

impl Comparing<'_> {
    pub(crate) fn new(thresholds: &[Expression], force: bool) -> Comparing<'_> {
        let held = thresholds.iter().map(|_| Held::default()).collect();
        Comparing { thresholds, force, comparisons: Vec::new(), held, lost: Vec::new() }
    }

    /// Compares the repeats of a scenario.
    ///
    /// # Errors
    /// Where their plans differ.
    pub(crate) fn add(&mut self, scenario: &str, old: &[Record], new: &[Record]) -> anyhow::Result<()> {
        let all = old.iter().chain(new).skip(1);
        let mut found: Vec<String> = all.flat_map(|record| differences(&old[0], record)).collect();
        found.sort_unstable();
        found.dedup();
        if !found.is_empty() && !self.force {
            let found = found.join("\n  ");
            return Err(UsageError(format!(
                "the plans of {scenario} differ, so the figures answer different questions (--force compares them anyway):\n  \
                 {found}"
            ))
            .into());
        }
        for (threshold, held) in self.thresholds.iter().zip(&mut self.held) {
            held.extend(hold(old, new, threshold));
        }
        self.comparisons.push(compare(old, new, found));
        Ok(())
    }

    /// Takes note of a scenario that only the old side has: a gate needs it.
    fn lost(&mut self, scenario: &str) {
        self.lost.push(scenario.to_owned());
    }

    /// Prints the comparison, and says whether a threshold failed; `names` are the scenarios of the
    /// two sides.
    ///
    /// # Errors
    /// Where no scenario is in both.
    pub(crate) fn finish(self, format: CompareFormat, names: (&str, &str)) -> anyhow::Result<Ending> {
        let Comparing { thresholds, comparisons, held, lost, .. } = self;
        if comparisons.is_empty() {
            let (old, new) = names;
            let of = |side: &str| {
                if side.is_empty() { "none that was measured".to_owned() } else { side.to_owned() }
            };
            return Err(UsageError(format!(
                "the two sides have no scenario in common: the old has {}, the new {}",
                of(old),
                of(new)
            ))
            .into());
        }
        // Where stdout takes nothing, a threshold that fails has failed all the same.
        let printed = match format {
            CompareFormat::Text => {
                let tables = comparisons.iter().flat_map(|of| [String::new()].into_iter().chain(of.lines()));
                let lines = summary(&comparisons).into_iter().chain(tables);
                print_data(&lines.map(|line| format!("{}\n", terminal_line(&line))).collect::<String>())
            }
            CompareFormat::Markdown => {
                let tables = comparisons.iter().map(|comparison| format!("{}\n\n", comparison.markdown()));
                print_data(&tables.collect::<String>())
            }
            CompareFormat::Json => print_data(&format!("{}\n", serde_json::to_string_pretty(&comparisons)?)),
        };
        for scenario in &lost {
            let how = if thresholds.is_empty() { "not compared" } else { "failed" };
            say(&format!("{how}: {scenario} is in the old only"));
        }
        let mut failed = !lost.is_empty() && !thresholds.is_empty();
        for (threshold, held) in thresholds.iter().zip(&held) {
            held.unjudged.iter().for_each(|unjudged| say(&format!("not judged: {unjudged}")));
            held.failed.iter().chain(&held.lacking).for_each(|failure| say(&format!("failed: {failure}")));
            if held.judged == 0 && held.failed.is_empty() {
                say(&format!("failed: {} could not be judged in any cell", threshold.text));
            }
            failed |= held.has_failed();
        }
        let ending = match comparisons.iter().find_map(|comparison| comparison.void.as_ref()) {
            Some(_) => Ending::Void,
            None if failed => Ending::Threshold,
            None => Ending::Fine,
        };
        Ok(ending.printed(printed))
    }
}

/// Finds the records of one side.
///
/// # Errors
/// Where there is none, or one is no record.
pub(crate) fn side(names: &str) -> anyhow::Result<Side> {
    let mut side = Side::new();
    let mut seen = HashSet::new();
    for name in names.split(',').map(str::trim) {
        if name.is_empty() {
            let what = "a side without a name: write a record, a folder of results or a baseline";
            return Err(UsageError(what.to_owned()).into());
        }
        let named = Path::new(BASELINES).join(name);
        let path = if Path::new(name).exists() { Path::new(name) } else { named.as_path() };
        let files = record::files(path).map_err(|error| {
            let what = format!("{name} is not a record, a folder of results or a baseline in {BASELINES}");
            UsageError(format!("{what}: {}", causes(&error.into())))
        })?;
        if files.is_empty() {
            return Err(UsageError(format!("no record in {}", path.display())).into());
        }
        for file in files {
            let Some(Head { scenario, started_at_us }) = record::read_head(&file)? else {
                say(&format!("not compared: {} is a matrix, without measurements", file.display()));
                continue;
            };
            // The same run under two names is one run.
            if seen.insert((scenario.clone(), started_at_us)) {
                side.entry(scenario).or_default().push(file);
            }
        }
    }
    Ok(side)
}

/// Reads records, without the distributions that no figure is made from.
///
/// # Errors
/// Where one cannot be read.
pub(crate) fn load(files: &[PathBuf]) -> anyhow::Result<Vec<Record>> {
    let read = |file: &PathBuf| {
        let mut record = record::read(file)?;
        record.rounds.iter_mut().for_each(|round| round.histograms_ns.keep_responses_only());
        Ok(record)
    };
    files.iter().map(read).collect()
}

/// Finds out whether a baseline can be kept, before hours of measuring.
///
/// # Errors
/// The system's.
pub(crate) fn try_baseline(name: &str) -> anyhow::Result<()> {
    try_write(&Path::new(BASELINES).join(name).join("record.json"))
}

/// Keeps a record under a baseline's name, as one more repeat of its scenario.
///
/// # Errors
/// The system's.
pub(crate) fn save_baseline(name: &str, record: &Record) -> anyhow::Result<PathBuf> {
    let folder = Path::new(BASELINES).join(name);
    files::make_folder(&folder)?;
    let contents = serde_json::to_vec(record)?;
    for nth in 1..=REPEATS_MAX {
        // Another run may keep one at the same time: a number that is taken stays the other's.
        let repeat = folder.join(format!("{}.{nth}.json", record.scenario.name));
        if files::write_new(&repeat, &contents)? {
            return Ok(repeat);
        }
    }
    let folder = folder.display();
    anyhow::bail!("{folder} already has {REPEATS_MAX} repeats of {}: remove old ones", record.scenario.name)
}
