//! Faults from outside: processes that are stopped or killed at each phase, disks that are full or
//! gone, users who are not root. What was measured is kept, whoever died is named, nothing is left
//! behind.

mod disks;
mod ended;
mod processes;
mod users;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use clock::{Clock, Mono};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

const WIREBENCH: &str = env!("CARGO_BIN_EXE_wirebench");
/// Time in which something must happen that is not what a test times, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);

/// Brief rounds, as many as a test will not wait for.
const BRIEF: [&str; 8] = [
    "run",
    "--quick",
    "--allow-debug",
    // Other tests run beside it.
    "--accept-noise",
    "--rounds=300",
    "--set=quick.duration=\"200ms\"",
    "--set=quick.warm_up=\"50ms\"",
    "--seed=7",
];

/// A command that runs, with what it said so far. It does not outlive its test.
struct Run {
    process: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Run {
    /// Starts a command whose stderr is read as it comes: a full pipe would hold it up.
    fn start(command: &mut Command) -> Run {
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let errors = BufReader::new(process.stderr.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            errors.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line)));
        });
        Run { process, lines, said: Vec::new() }
    }

    /// A brief run of a scenario that goes on for long, with its results in a folder.
    fn brief(scenario: &[&str], out: &Path) -> Run {
        Run::start(Command::new(WIREBENCH).args(BRIEF).args(scenario).arg("--out").arg(out))
    }

    fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Waits until a line says something.
    fn until(&mut self, says: &str) -> &mut Run {
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.said.push(line);
            if self.said.last().unwrap().contains(says) {
                return self;
            }
        }
        panic!("it never said '{says}': {}", self.said.join("\n"));
    }

    /// Waits for its end; gives the exit code, and all that it said.
    fn end(mut self) -> (Option<i32>, String) {
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.said.push(line);
        }
        let code = eventually("ended", || self.process.try_wait().unwrap()).code();
        (code, self.said.join("\n"))
    }

    /// The process of a role that it started: the only one, or the first.
    fn role(&self, role: &str) -> u32 {
        eventually(&format!("a process of the role {role}"), || self.find(role))
    }

    fn find(&self, role: &str) -> Option<u32> {
        let is = |pid: &u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).nth(2) == Some(role.as_bytes())
        };
        children_of(self.pid()).into_iter().find(is)
    }

    /// All processes below it.
    fn descendants(&self) -> Vec<u32> {
        let mut found = children_of(self.pid());
        let mut next = 0;
        while let Some(&pid) = found.get(next) {
            found.extend(children_of(pid));
            next += 1;
        }
        found
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Ended already is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn children_of(parent: u32) -> Vec<u32> {
    let pids =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let mut children: Vec<u32> =
        pids.filter(|pid: &u32| status(*pid, "PPid:") == Some(parent.to_string())).collect();
    children.sort_unstable();
    children
}

fn status(pid: u32, name: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(status.lines().find_map(|line| line.strip_prefix(name))?.trim().to_owned())
}

/// Signals a process that a test started, or that was started by one of those.
fn signal(pid: u32, signal: Signal) {
    nix::sys::signal::kill(Pid::from_raw(pid.cast_signed()), signal).unwrap();
}

fn eventually<T>(what: &str, mut get: impl FnMut() -> Option<T>) -> T {
    let end = Clock::System.now() + PATIENCE;
    while Clock::System.now() < end {
        if let Some(got) = get() {
            return got;
        }
        clock::pause_thread(Duration::from_millis(5));
    }
    panic!("never {what}");
}

/// Waits for processes to be gone; a zombie is gone.
fn assert_gone(pids: &[u32]) {
    let is_alive = |pid: &&u32| status(**pid, "State:").is_some_and(|state| !state.starts_with('Z'));
    eventually("all gone", || (!pids.iter().any(|pid| is_alive(&pid))).then_some(()));
}

fn since(start: Mono) -> Duration {
    Clock::System.now().since(start)
}

/// Whether this is root, and may mount: elsewhere such a test says so and passes.
fn is_root(what: &str) -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        ::lab::skip(&format!("{what} takes root"));
    }
    root
}
