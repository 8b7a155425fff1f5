//! A run's scenarios, one after the other: measured, written, kept where an earlier start had
//! finished them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use matrices::MatrixScenario;
use record::{Record, Tool};
use report::Done;
use run::journal::{self, Begun, Journal, Left};
use run::{On, Results, RunInfo, Watcher as _, execute, record_of};
use scenarios::{Plan, Scenario};
use terms::{Layout, LedgerKind, MARKET_SEED, Machine};

use super::{Options, plan_options};
use crate::ending::{Ending, causes, command_line, print_data, say, say_broken, say_error, say_finding};
use crate::folder::{ResultsFolder, now_as_a_name, rescue};
use crate::progress::LiveScreen;
use crate::verbs::calibrate;

/// What does not change from scenario to scenario.
pub(super) struct Session<'a> {
    pub(super) options: &'a Options,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) folder: ResultsFolder,
    pub(super) environment: Machine,
    pub(super) tool: &'a Tool,
}

impl Session<'_> {
    /// A scenario's record, and what ended it before its time: measured now, or kept where an
    /// earlier start had finished it. Its page is written.
    pub(super) fn one(
        &self,
        named: &str,
        scenario: &Scenario,
        plan: &Plan,
        layout: &Layout,
    ) -> anyhow::Result<(Record, anyhow::Result<()>)> {
        let Session { options, stop, folder, .. } = self;
        if let Some(record) = self.kept(scenario, plan)? {
            say(&format!("{}: already measured by the same plan, and kept", scenario.name));
            return Ok((record, Ok(())));
        }
        let pcap = options.pcap.then(|| folder.pcap(&scenario.name)).transpose()?;
        let (mut begun, mut results) = self.begin(named, scenario, plan, layout)?;
        let journal = Journal::begin(&folder.journal(&scenario.name)?, &begun, &results)?;
        let mut screen = LiveScreen::open(&scenario.name, plan, journal);
        let in_files = scenario.workload.ledger == LedgerKind::Sqlite;
        let ledgers = in_files.then(|| folder.ledgers(&scenario.name)).transpose()?;
        let on = On { layout, market_seed: MARKET_SEED, pcap: pcap.as_deref(), ledgers: ledgers.as_deref() };
        let ended = execute(scenario, plan, &on, stop, &mut screen, &mut results);
        screen.stage("writing");
        let journal = screen.close();
        if results.measurements.is_empty() {
            // It holds nothing. Where it is gone already, that is what ended the run.
            let _ = journal.remove();
            ended?;
            return Err(anyhow::anyhow!("stopped before anything was measured"));
        }
        begun.info.finished_at_us = clock::wall_time_us();
        let record = record_of(scenario, plan, begun.info, &results);
        let written = self.write(&record, journal);
        print_outcome(&record);
        if options.json {
            print_json(&record);
        }
        // What ended the run comes first: that its record has no place may come of it.
        match (ended, written) {
            (Err(ended), Err(written)) => Err(ended.context(causes(&written))),
            (ended, Ok(())) => Ok((record, ended)),
            (Ok(()), Err(written)) => Err(written),
        }
    }

    /// Writes a record and its page; then the journal of a run that came to its end is of no more
    /// use. A record that cannot be written where it should be is kept elsewhere.
    fn write(&self, record: &Record, journal: Journal) -> anyhow::Result<()> {
        self.folder.add(record).map_err(|error| match rescue(record) {
            Ok(file) => error.context(format!("the measurements are saved in {}", file.display())),
            Err(nowhere) => {
                let journal = self.folder.path().join(&record.scenario.name).join(journal::NAME);
                error.context(format!(
                    "the measurements could not be saved ({}); {} may still hold them",
                    causes(&nowhere),
                    journal.display()
                ))
            }
        })?;
        if let Some(format) = self.options.export {
            self.folder.add_export(record, format)?;
        }
        // From that of a partial one the run can go on.
        if record.partial { Ok(()) } else { Ok(journal.remove()?) }
    }

    /// How a run of a scenario begins, and what an earlier start of it left.
    fn begin(
        &self,
        named: &str,
        scenario: &Scenario,
        plan: &Plan,
        layout: &Layout,
    ) -> anyhow::Result<(Begun, Results)> {
        let Session { options, environment, tool, .. } = self;
        let info = RunInfo {
            tool: (*tool).clone(),
            command: command_line(),
            started_at_us: clock::wall_time_us(),
            finished_at_us: 0,
            environment: environment.clone(),
            layout: layout.clone(),
            calibration: calibrate::kept(environment),
            market_seed: MARKET_SEED,
        };
        let hash = plan.sha256(scenario);
        let mut begun = Begun::new(named, &options.set, plan_options(options), hash, info);
        let Some(left) = self.left(scenario, plan, &begun)? else { return Ok((begun, Results::default())) };
        begun.info.started_at_us = left.begun.info.started_at_us;
        let kept = left.kept();
        say(&format!(
            "{}: {} of {} rounds are already measured, and kept",
            scenario.name,
            kept.rounds_kept,
            plan.rounds.len()
        ));
        Ok((begun, kept))
    }

    /// The journal that an earlier start left in this folder, where this one goes on with it; any
    /// other is laid aside.
    fn left(&self, scenario: &Scenario, plan: &Plan, begun: &Begun) -> anyhow::Result<Option<Left>> {
        let path = self.folder.journal(&scenario.name)?;
        if !path.exists() {
            return Ok(None);
        }
        let is_resumed = self.options.resume.is_some();
        let left = Left::read(&path, scenario, plan).and_then(|left| {
            left.ensure_same_machine(&path, &begun.info)?;
            Ok(left)
        });
        match left {
            Ok(left) if is_resumed => return Ok(Some(left)),
            Ok(_) => {
                say(&format!("{} belongs to an earlier run, which --resume would continue", path.display()));
            }
            Err(error) if is_resumed => say(&format!("measuring again from the start: {error}")),
            Err(_) => {}
        }
        let aside = path.with_file_name(format!("journal-{}.jsonl", now_as_a_name()));
        std::fs::rename(&path, &aside).with_context(|| format!("cannot move {}", path.display()))?;
        say(&format!("moved to {}; `wirebench report` makes a record of it", aside.display()));
        Ok(None)
    }

    /// Fills matrices, each with its record and page. What this machine refuses does not end the
    /// card.
    pub(super) fn fill(&self, matrices: &[MatrixScenario], done: &mut Done) -> anyhow::Result<()> {
        for scenario in matrices {
            let tell = &mut |line: &str| say(line);
            match matrices::run(scenario, self.tool.clone(), command_line(), &self.stop, tell) {
                Ok(record) => {
                    self.folder.add_matrix(&record)?;
                    report::matrix_summary_lines(&record).iter().for_each(|line| say_broken(line));
                    say_findings(&report::matrix_finding_lines(&record));
                    if self.options.json {
                        print_json(&record);
                    }
                    done.matrices.push(record);
                }
                Err(error) => self.refused(&scenario.name, error, done)?,
            }
        }
        Ok(())
    }

    /// Whether the run was told to stop.
    pub(super) fn is_told_to_stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// One scenario that this machine refuses does not take the others of the card with it.
    pub(super) fn refused(&self, name: &str, error: anyhow::Error, done: &mut Done) -> anyhow::Result<()> {
        if !self.options.card {
            return Err(error);
        }
        if self.is_told_to_stop() {
            self.stopped(done)?;
            return Err(error);
        }
        let why = causes(&error);
        say(&format!("{name}: not measured: {why}"));
        done.refused.push((name.to_owned(), why));
        Ok(())
    }

    /// What an earlier start measured to its end, by the same plan.
    fn kept(&self, scenario: &Scenario, plan: &Plan) -> anyhow::Result<Option<Record>> {
        if self.options.resume.is_none() {
            return Ok(None);
        }
        let kept = self.folder.record(&scenario.name)?;
        Ok(kept.filter(|record| !record.partial && record.plan.sha256 == plan.sha256(scenario)))
    }

    /// What there is when a run ends before its time.
    pub(super) fn stopped(&self, done: &Done) -> anyhow::Result<()> {
        say("stopped: the measurements so far are saved, marked partial");
        let index = self.folder.finish(done)?;
        say(&format!("report: {}", index.display()));
        say(&format!("to continue, add --resume {}", self.folder.path().display()));
        Ok(())
    }

    /// How a run ends by an error: of one that was told to stop, that is the cause.
    pub(super) fn ended_by(&self, error: anyhow::Error) -> anyhow::Result<Ending> {
        if !self.is_told_to_stop() {
            return Err(error);
        }
        say_error(&error);
        Ok(Ending::Interrupted)
    }
}

fn print_outcome(record: &Record) {
    for line in report::summary_lines(record) {
        say_broken(&line);
    }
    say_findings(&report::finding_lines(record));
}

fn say_findings(findings: &[(&'static str, Vec<String>)]) {
    for (class, lines) in findings {
        say_finding(class, lines);
    }
}

/// Prints a record, which is in its folder already: where stdout takes it no more, the run goes on.
fn print_json(record: &impl serde::Serialize) {
    let text = serde_json::to_string(record).map_err(anyhow::Error::from);
    if let Err(error) = text.and_then(|text| Ok(print_data(&format!("{text}\n"))?)) {
        say_error(&error.context("a record could not be printed, and is in its folder"));
    }
}
