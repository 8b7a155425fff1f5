//! A run's scenarios, one after the other: measured, written, kept where an earlier start had
//! finished them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use matrices::MatrixScenario;
use record::{Record, Tool};
use report::Done;
use run::{RunInfo, Watcher as _, execute, record_of};
use scenarios::{Plan, Scenario};
use terms::{Layout, MARKET_SEED, Machine};

use super::Options;
use crate::ending::{Ending, command_line, print_data, say};
use crate::folder::ResultsFolder;
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
        scenario: &Scenario,
        plan: &Plan,
        layout: &Layout,
    ) -> anyhow::Result<(Record, anyhow::Result<()>)> {
        let Session { options, stop, folder, environment, tool } = self;
        if let Some(record) = self.kept(scenario, plan)? {
            eprintln!("{}: measured before, and kept", scenario.name);
            return Ok((record, Ok(())));
        }
        let mut info = RunInfo {
            tool: (*tool).clone(),
            command: command_line(),
            started_at_us: clock::wall_time_us(),
            finished_at_us: 0,
            environment: environment.clone(),
            layout: layout.clone(),
            calibration: calibrate::kept(environment),
            market_seed: MARKET_SEED,
        };
        let pcap = options.pcap.then(|| folder.pcap(&scenario.name)).transpose()?;
        let mut screen = LiveScreen::open(&scenario.name, plan);
        let (results, ended) =
            execute(scenario, plan, MARKET_SEED, layout, pcap.as_deref(), stop, &mut screen);
        screen.stage("writing");
        screen.close();
        if results.measurements.is_empty() {
            ended?;
            return Err(anyhow::anyhow!("stopped before anything was measured"));
        }
        info.finished_at_us = clock::wall_time_us();
        let record = record_of(scenario, plan, info, &results);
        folder.add(&record)?;
        if let Some(format) = options.export {
            folder.add_export(&record, format)?;
        }
        print_outcome(&record);
        if options.json {
            print_json(&record)?;
        }
        Ok((record, ended))
    }

    /// Fills matrices, each with its record and page. What this machine refuses does not end the
    /// card.
    pub(super) fn fill(&self, matrices: &[MatrixScenario], done: &mut Done) -> anyhow::Result<()> {
        for scenario in matrices {
            let tell = &mut |line: &str| say(line);
            match matrices::run(scenario, self.tool.clone(), command_line(), &self.stop, tell) {
                Ok(record) => {
                    self.folder.add_matrix(&record)?;
                    report::matrix_summary_lines(&record).iter().for_each(|line| say(line));
                    if self.options.json {
                        print_json(&record)?;
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
        say(&format!("{name}: not measured: {error:#}"));
        done.refused.push((name.to_owned(), format!("{error:#}")));
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
    pub(super) fn stopped(&self, done: &Done) -> anyhow::Result<Ending> {
        eprintln!("stopped: what was measured is kept, marked partial");
        let index = self.folder.finish(done)?;
        say(&format!("report: {}", index.display()));
        if self.options.card {
            say(&format!("to go on: the same command with --resume {}", self.folder.path().display()));
        }
        Ok(Ending::Error)
    }
}

fn print_outcome(record: &Record) {
    for line in report::summary_lines(record) {
        say(&line);
    }
}

fn print_json(record: &impl serde::Serialize) -> anyhow::Result<()> {
    print_data(&format!("{}\n", serde_json::to_string(record)?))?;
    Ok(())
}
