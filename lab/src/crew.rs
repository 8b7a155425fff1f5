//! The children of a run, looked at together: while the command waits for one of them, it notices
//! the death or the stop of any other within seconds, and can say what its last words were.
//!
//! A look is one system call that a parent may always make (`waitid`): it sends nothing to a child
//! and takes no processor time from it.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clock::{Clock, Mono};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use crate::child::ChildError;
use crate::words::Words;

/// Between two looks: often enough for ten seconds, and seldom enough to cost nothing.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A child that is stopped for longer is not about to go on: a debugger or a job control that
/// touches it for a moment does not end the run.
const STOPPED_TIME_MAX: Duration = Duration::from_secs(2);
/// What is under way when the run is told to stop may take so long to end; a measurement of the
/// usual length does.
const STOP_PATIENCE: Duration = Duration::from_secs(5);
/// Time for the cause of an error to show: a supervisor sees the end of its program within a
/// second.
const CAUSE_TIME_MAX: Duration = Duration::from_millis(1_500);
/// Between two looks for it.
const CAUSE_LOOKED_FOR_EVERY: Duration = Duration::from_millis(10);

/// The children of a run that are up.
#[derive(Debug, Clone, Default)]
pub struct Crew(Arc<Mutex<Members>>);

#[derive(Debug, Default)]
struct Members {
    up: BTreeMap<u32, Member>,
    looked: Mono,
    /// Whether a look found somebody who ended or is stopped.
    broken: bool,
    /// Becomes true where the run is told to stop.
    stop: Arc<AtomicBool>,
    /// Since when looks find that it is.
    told_since: Option<Mono>,
}

#[derive(Debug)]
struct Member {
    name: String,
    words: Words,
    /// Since when looks find it stopped.
    stopped_since: Option<Mono>,
}

/// How a child is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Up,
    Stopped(Signal),
    Ended(WaitStatus),
}

impl Crew {
    /// A crew of a run that can be told to stop: nobody waits for one of them for long after that.
    pub fn heeding(stop: Arc<AtomicBool>) -> Crew {
        Crew(Arc::new(Mutex::new(Members { stop, ..Members::default() })))
    }

    pub(crate) fn join(&self, pid: u32, name: &str, words: Words) {
        let member = Member { name: name.to_owned(), words, stopped_since: None };
        self.members().up.insert(pid, member);
    }

    /// One of them ended, as whoever waited for it found.
    pub(crate) fn breaks(&self) {
        self.members().broken = true;
    }

    /// From now on its end is nobody's concern.
    pub(crate) fn leave(&self, pid: u32) {
        self.members().up.remove(&pid);
    }

    /// Stops one (SIGSTOP), which is nobody's concern until it goes on.
    pub(crate) fn freeze(&self, pid: u32) -> io::Result<()> {
        self.leave(pid);
        Ok(kill(pid_of(pid), Signal::SIGSTOP)?)
    }

    /// Has one go on that was stopped, and looks after it again.
    pub(crate) fn thaw(&self, pid: u32, name: &str, words: Words) -> io::Result<()> {
        kill(pid_of(pid), Signal::SIGCONT)?;
        // The kernel remembers that it was stopped: nobody else is to hear of it.
        let _ = was_stopped(pid);
        self.join(pid, name, words);
        Ok(())
    }

    /// Checks that all are up, unless that was done within the last second.
    ///
    /// # Errors
    /// Who ended, or has been stopped for seconds; that the run was told to stop seconds ago.
    pub fn look_now_and_then(&self) -> Result<(), ChildError> {
        let mut members = self.members();
        let now = Clock::System.now();
        if now.since(members.looked) < LOOK_EVERY {
            return Ok(());
        }
        members.looked = now;
        members.heed(now)?;
        members.look(now, STOPPED_TIME_MAX)
    }

    /// Checks that the run was not told to stop, where nothing is lost by that.
    ///
    /// # Errors
    /// That it was.
    pub fn heed_at_once(&self) -> Result<(), ChildError> {
        let mut members = self.members();
        if !members.stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        members.broken = true;
        Err(ChildError::ToldToStop)
    }

    /// Checks that all are up, now; who is stopped at this moment is not.
    ///
    /// # Errors
    /// Who ended or is stopped.
    pub fn look(&self) -> Result<(), ChildError> {
        self.members().look(Clock::System.now(), Duration::ZERO)
    }

    /// Who is the cause of what went wrong: whoever was killed or is stopped, rather than whoever
    /// failed because of that. A process that was killed may take a moment to be gone.
    pub fn cause(&self) -> Option<ChildError> {
        let clock = Clock::System;
        let end = clock.now() + CAUSE_TIME_MAX;
        loop {
            let found = self.look().err();
            let is_cause = matches!(found, Some(ChildError::Gone { .. } | ChildError::Stopped { .. }));
            if is_cause || clock.now() >= end {
                return found;
            }
            clock::pause_thread(CAUSE_LOOKED_FOR_EVERY);
        }
    }

    /// Waits until `at`, and looks meanwhile.
    ///
    /// # Errors
    /// Who ended, or has been stopped for seconds.
    pub fn pause_until(&self, at: Mono) -> Result<(), ChildError> {
        loop {
            let left = at.since(Clock::System.now());
            if left.is_zero() {
                return Ok(());
            }
            clock::pause_thread(left.min(LOOK_EVERY));
            self.look_now_and_then()?;
        }
    }

    /// Whether a look found somebody who ended or is stopped.
    pub(crate) fn is_broken(&self) -> bool {
        self.members().broken
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Members {
    /// Gives up what is under way some seconds after the run was told to stop.
    fn heed(&mut self, now: Mono) -> Result<(), ChildError> {
        if !self.stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        if now.since(*self.told_since.get_or_insert(now)) < STOP_PATIENCE {
            return Ok(());
        }
        // Whoever is busy need not be waited for either.
        self.broken = true;
        Err(ChildError::ToldToStop)
    }

    fn look(&mut self, now: Mono, stopped_time_max: Duration) -> Result<(), ChildError> {
        // One call for all of them: usually none has anything to tell.
        if matches!(state_of(Id::All), State::Up) {
            self.up.values_mut().for_each(|member| member.stopped_since = None);
            return Ok(());
        }
        let mut found = Vec::new();
        for (&pid, member) in &mut self.up {
            match state_of(Id::Pid(pid_of(pid))) {
                State::Up => member.stopped_since = None,
                State::Ended(status) => found.push(member.ended(pid, status)),
                State::Stopped(signal) => {
                    let since = *member.stopped_since.get_or_insert(now);
                    if now.since(since) >= stopped_time_max {
                        found.push(member.stopped(pid, signal));
                    }
                }
            }
        }
        // Who said why it failed, failed because of somebody perhaps.
        match found.into_iter().min_by_key(|error| matches!(error, ChildError::Failed { .. })) {
            Some(error) => {
                self.broken = true;
                Err(error)
            }
            None => Ok(()),
        }
    }
}

impl Member {
    fn ended(&self, pid: u32, status: WaitStatus) -> ChildError {
        self.words.wait_for_the_last();
        match self.words.failure() {
            Some(why) => ChildError::Failed { name: self.name.clone(), why },
            None => ChildError::Gone {
                name: self.name.clone(),
                pid,
                how: in_words(status),
                words: self.words.said(),
            },
        }
    }

    fn stopped(&self, pid: u32, signal: Signal) -> ChildError {
        ChildError::Stopped { name: self.name.clone(), pid, signal, words: self.words.said() }
    }
}

/// Whether a process of this one's is stopped.
pub(crate) fn is_stopped(pid: u32) -> Option<Signal> {
    match state_of(Id::Pid(pid_of(pid))) {
        State::Stopped(signal) => Some(signal),
        State::Up | State::Ended(_) => None,
    }
}

/// Whether a process of this one's was stopped and went on since this was last asked: the kernel
/// remembers it, however short it was.
pub fn was_stopped(pid: u32) -> bool {
    let flags = WaitPidFlag::WCONTINUED | WaitPidFlag::WNOHANG;
    matches!(waitid(Id::Pid(pid_of(pid)), flags), Ok(WaitStatus::Continued(_)))
}

fn pid_of(pid: u32) -> Pid {
    Pid::from_raw(pid.cast_signed())
}

/// Leaves what it finds for whoever reaps the child.
fn state_of(children: Id<'_>) -> State {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WSTOPPED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    match waitid(children, flags) {
        Ok(WaitStatus::Stopped(_, signal)) => State::Stopped(signal),
        Ok(status @ (WaitStatus::Exited(..) | WaitStatus::Signaled(..))) => State::Ended(status),
        // Where there are no children, or one was reaped, there is nothing to say.
        Ok(_) | Err(_) => State::Up,
    }
}

/// How a process ended.
fn in_words(status: WaitStatus) -> String {
    match status {
        WaitStatus::Exited(_, code) => crate::process::exit_in_words(code),
        WaitStatus::Signaled(_, signal, _) => crate::process::signal_in_words(signal as i32),
        _ => "unknown status".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    /// A process that is ended and reaped with this.
    struct Sleeper(Child);

    impl Sleeper {
        fn join(crew: &Crew, name: &str) -> Sleeper {
            let sleeper = Sleeper(Command::new("sleep").arg("60").spawn().unwrap());
            crew.join(sleeper.0.id(), name, Words::default());
            sleeper
        }

        fn signal(&self, signal: Signal) {
            kill(pid_of(self.0.id()), signal).unwrap();
        }
    }

    impl Drop for Sleeper {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn eventually(is: impl Fn() -> bool) {
        for _ in 0..500 {
            if is() {
                return;
            }
            clock::pause_thread(Duration::from_millis(10));
        }
        panic!("it never was");
    }

    #[test]
    fn whoever_ends_is_named_with_how() {
        let crew = Crew::default();
        let (_one, other) = (Sleeper::join(&crew, "one"), Sleeper::join(&crew, "the other"));
        assert!(crew.look().is_ok());
        other.signal(Signal::SIGTERM);
        eventually(|| crew.look().is_err());
        let said = crew.look().unwrap_err().to_string();
        let pid = other.0.id();
        let expected = format!("the other (process {pid}) ended unexpectedly: killed by signal 15 (SIGTERM)");
        assert!(said.starts_with(&expected), "{said}");
        crew.leave(pid);
        assert!(crew.look().is_ok());
    }

    #[test]
    fn what_is_under_way_is_given_up_seconds_after_the_run_is_told_to_stop() {
        let stop = Arc::new(AtomicBool::new(false));
        let crew = Crew::heeding(Arc::clone(&stop));
        let at = |seconds: u64| crew.members().heed(Mono(seconds * 1_000_000_000));
        assert!(at(10).is_ok());
        stop.store(true, Ordering::Relaxed);
        assert!(at(11).is_ok() && at(15).is_ok() && !crew.is_broken());
        assert!(matches!(at(16), Err(ChildError::ToldToStop)) && crew.is_broken());
    }

    #[test]
    fn who_was_frozen_on_purpose_is_nobodys_concern_and_is_looked_after_again() {
        let crew = Crew::default();
        let frozen = Sleeper::join(&crew, "the market");
        let pid = frozen.0.id();
        crew.freeze(pid).unwrap();
        eventually(|| is_stopped(pid).is_some());
        assert!(crew.look().is_ok());
        crew.thaw(pid, "the market", Words::default()).unwrap();
        assert!(!was_stopped(pid), "that it was is told already");
        eventually(|| is_stopped(pid).is_none());
        frozen.signal(Signal::SIGTERM);
        eventually(|| crew.look().is_err());
    }

    #[test]
    fn whoever_is_stopped_is_named_after_a_while_and_not_when_it_goes_on() {
        let crew = Crew::default();
        let stopped = Sleeper::join(&crew, "the server");
        stopped.signal(Signal::SIGSTOP);
        eventually(|| crew.look().is_err());
        let at = |seconds: u64| crew.members().look(Mono(seconds * 1_000_000_000), STOPPED_TIME_MAX);
        crew.members().up.values_mut().for_each(|member| member.stopped_since = None);
        assert!(at(10).is_ok() && at(11).is_ok());
        let said = at(12).unwrap_err().to_string();
        assert!(said.contains("the server (process ") && said.contains("stopped (SIGSTOP)"), "{said}");
        stopped.signal(Signal::SIGCONT);
        eventually(|| crew.look().is_ok());
        assert!(was_stopped(stopped.0.id()) && !was_stopped(stopped.0.id()), "it is told once");
    }
}
