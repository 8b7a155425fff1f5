//! Runs the inputs of a folder in turn, each against every server it names, and watches the good
//! client, the process, its memory and its descriptors meanwhile.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use clock::Clock;
use proto::Transport;

use super::conversation::converse;
use super::good::{GoodClient, SLOW};
use super::input::{CorpusError, Input, Served};
use super::peer::LOOK_EVERY;
use super::process::{Servers, resident_bytes};
use super::table::Row;

/// What the servers' memory may grow by while one input runs: several times of what they may hold
/// for a connection, and far below what the findings of HOSTILE.md took.
const GROWTH_BYTES_MAX: u64 = 64 << 20;
/// For the servers to close what an input left behind.
const DESCRIPTORS_TIME_MAX: Duration = Duration::from_secs(5);
/// How often memory is looked up.
const MEMORY_EVERY: Duration = Duration::from_millis(10);
/// For a process that dies to be seen as dead.
const DEATH_TIME: Duration = Duration::from_millis(200);

/// Where the folders are.
pub(crate) fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

/// The folders, in alphabetical order.
pub(crate) fn folders() -> Vec<String> {
    let entries = std::fs::read_dir(corpus()).unwrap().map(Result::unwrap);
    let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
    let mut names: Vec<String> = folders.map(|folder| folder.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The inputs of a folder, in alphabetical order.
pub(crate) fn inputs(folder: &str) -> Result<Vec<Input>, CorpusError> {
    let entries = std::fs::read_dir(corpus().join(folder)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| Input::read(file)).collect()
}

/// Runs a folder; panics with every failure.
pub(crate) fn run(folder: &str, ticks_per_s: f64) {
    let row = try_all(folder, inputs(folder).unwrap_or_else(|error| panic!("{error}")), ticks_per_s, false);
    if std::env::var_os(ONLY).is_none() {
        row.keep();
    }
}

/// The same in plain text behind a balancer at layer 7, but for the files that are named.
pub(crate) fn run_balanced(folder: &str, ticks_per_s: f64, but: &[&str]) {
    let mut inputs = inputs(folder).unwrap_or_else(|error| panic!("{error}"));
    inputs.retain(|input| !but.iter().any(|name| input.file.ends_with(name)));
    for input in &mut inputs {
        input.servers.retain(|served| served.transport == Transport::Plain);
    }
    try_all(folder, inputs, ticks_per_s, true);
}

/// A part of the files' names where only some are to run.
const ONLY: &str = "WIREBENCH_CORPUS_ONLY";
/// Both ends of what a balancer keeps for the good client: a connection of HTTP/1.1, and one of
/// HTTP/2.
const KEPT_DESCRIPTORS: usize = 4;

fn try_all(folder: &str, mut inputs: Vec<Input>, ticks_per_s: f64, is_balanced: bool) -> Row {
    if let Ok(only) = std::env::var(ONLY) {
        inputs.retain(|input| input.file.to_string_lossy().contains(&only));
    }
    let mut stage = Stage::open(&inputs, ticks_per_s, is_balanced);
    let mut row = Row::new(folder, inputs.len());
    let mut failures = String::new();
    for input in &inputs {
        let wrong = stage.run(input, &mut row);
        if wrong.is_empty() {
            row.passed += 1;
        }
        for problem in wrong {
            let name = input.file.strip_prefix(corpus()).unwrap_or(&input.file).display();
            writeln!(failures, "{name}: {problem}\n    it tries: {}", input.tries).unwrap();
        }
    }
    row.print();
    assert!(failures.is_empty(), "{row:?}\n{failures}");
    row
}

/// Descriptors of servers that only the good client will call.
fn quiet(servers: &Servers, is_balanced: bool) -> usize {
    servers.descriptors().unwrap() + if is_balanced { KEPT_DESCRIPTORS } else { 0 }
}

/// Servers, and whoever watches them.
struct Stage {
    wanted: Vec<Served>,
    ticks_per_s: f64,
    is_balanced: bool,
    servers: Servers,
    /// Descriptors of servers that nobody calls.
    descriptors: usize,
    good: GoodClient,
}

impl Stage {
    fn open(inputs: &[Input], ticks_per_s: f64, is_balanced: bool) -> Stage {
        let mut wanted: Vec<Served> = Vec::new();
        for served in inputs.iter().flat_map(|input| &input.servers) {
            if !wanted.contains(served) {
                wanted.push(*served);
            }
        }
        let servers = Servers::start(&wanted, ticks_per_s, is_balanced);
        let descriptors = quiet(&servers, is_balanced);
        Stage { wanted, ticks_per_s, is_balanced, servers, descriptors, good: GoodClient::start() }
    }

    /// Runs an input against every server it names; says what was wrong.
    fn run(&mut self, input: &Input, row: &mut Row) -> Vec<String> {
        let mut wrong = Vec::new();
        for served in &input.servers {
            row.runs += 1;
            let mut problems = self.run_against(input, *served, row);
            // A machine that others use is slow now and then, and a server that hangs is so again.
            if problems.iter().all(|problem| problem.contains(SLOW)) && !problems.is_empty() {
                problems = self.run_against(input, *served, row);
            }
            wrong.extend(problems.into_iter().map(|problem| format!("{served}: {problem}")));
        }
        wrong
    }

    fn run_against(&mut self, input: &Input, served: Served, row: &mut Row) -> Vec<String> {
        let address = self.servers.address(served);
        self.good.call(served, address, &self.servers.root);
        let memory = Memory::watch(self.servers.statm());
        let heard = converse(input, served, address);
        let calls = self.good.report();
        let grown = memory.grown();
        row.slowest = row.slowest.max(calls.slowest);
        let mut wrong: Vec<String> = heard.err().into_iter().collect();
        wrong.extend(calls.what_failed());
        if grown > GROWTH_BYTES_MAX {
            wrong.push(format!("the servers' memory grew by {} MB", grown >> 20));
        }
        wrong.extend(self.end(calls.failures.is_empty() && grown <= GROWTH_BYTES_MAX));
        wrong
    }

    /// Looks at what an input left. After a death or a wedge the next input has new servers.
    fn end(&mut self, healthy: bool) -> Vec<String> {
        let mut wrong = Vec::new();
        if healthy {
            wrong.extend(self.left_behind());
        } else {
            // Servers that hang close nothing.
            clock::pause_thread(DEATH_TIME);
        }
        let ended = self.servers.ended();
        if ended.is_some() || !healthy {
            self.servers = Servers::start(&self.wanted, self.ticks_per_s, self.is_balanced);
            self.descriptors = quiet(&self.servers, self.is_balanced);
        }
        wrong.extend(ended.map(|end| format!("the servers are dead: {end}")));
        wrong
    }

    /// Waits until no more descriptors are open than before anybody called. The good client has one
    /// for a few milliseconds of each tenth of a second.
    fn left_behind(&self) -> Option<String> {
        let end = Clock::System.now() + DESCRIPTORS_TIME_MAX;
        loop {
            let open = self.servers.descriptors()?;
            if open <= self.descriptors {
                return None;
            }
            if Clock::System.now() > end {
                let before = self.descriptors;
                return Some(format!("{open} descriptors are open, and {before} were before"));
            }
            clock::pause_thread(LOOK_EVERY);
        }
    }
}

/// Looks at a process's memory until it is asked.
struct Memory {
    before: u64,
    most: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Memory {
    fn watch(statm: String) -> Memory {
        let (most, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let before = resident_bytes(&statm);
        let (peak, ended) = (Arc::clone(&most), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                peak.fetch_max(resident_bytes(&statm), Ordering::Relaxed);
                clock::pause_thread(MEMORY_EVERY);
            }
        });
        Memory { before, most, stop, thread: Some(thread) }
    }

    /// The most that it grew by.
    fn grown(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        self.most.load(Ordering::Relaxed).saturating_sub(self.before)
    }
}
