//! Any program as a process of ours: started, and ended with us however we end.

use std::io;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use clock::Clock;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::child::{in_words, spawn_on};

/// Time for a program to end when it is told to; then it is killed.
const END_TIME_MAX: Duration = Duration::from_secs(2);
/// Between two looks whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A program that runs, and a thread that waits for its end.
#[derive(Debug)]
pub struct Program {
    pid: u32,
    told_to_end: Arc<AtomicBool>,
    waiting: JoinHandle<()>,
}

impl Program {
    /// Starts a program, on this thread's core and host; its errors go where this process's go, what else it prints goes nowhere. `ended`
    /// is told how, where it ends before it is told to. The kernel kills it when this process dies.
    ///
    /// # Errors
    /// The system's, where there is no such program.
    pub fn start(words: &[String], ended: impl FnOnce(String) + Send + 'static) -> io::Result<Program> {
        let (name, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(name);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = spawn_on(None, &mut command)?;
        let pid = child.id();
        let told_to_end = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&told_to_end);
        let waiting = std::thread::spawn(move || {
            let how = child.wait().map_or_else(|error| error.to_string(), in_words);
            if !told.load(Ordering::Relaxed) {
                ended(how);
            }
        });
        Ok(Program { pid, told_to_end, waiting })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Tells it to end, and kills it where it does not.
    pub fn end(self) {
        self.told_to_end.store(true, Ordering::Relaxed);
        let clock = Clock::System;
        let deadline = clock.now() + END_TIME_MAX;
        self.signal(Signal::SIGTERM);
        while !self.waiting.is_finished() && clock.now() < deadline {
            clock::pause_thread(LOOK_EVERY);
        }
        if !self.waiting.is_finished() {
            self.signal(Signal::SIGKILL);
        }
        let _ = self.waiting.join();
    }

    /// Gone already is as good.
    fn signal(&self, signal: Signal) {
        let Ok(pid) = i32::try_from(self.pid) else { return };
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn a_program_that_ends_by_itself_is_told_of_and_one_that_is_told_to_is_not() {
        let (tell, told) = channel();
        let program =
            Program::start(&words(&["sh", "-c", "exit 3"]), move |how| tell.send(how).unwrap()).unwrap();
        assert_eq!(told.recv().unwrap(), "exit code 3");
        program.end();
        let program = Program::start(&words(&["sleep", "60"]), |how| panic!("{how}")).unwrap();
        let pid = program.pid();
        program.end();
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
        assert!(Program::start(&words(&["/no/such/program"]), |_| ()).is_err());
    }
}
