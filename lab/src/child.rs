//! Child processes that speak JSON lines over pipes: started from this very program, pinned by
//! themselves, ended by the end of their input, and always reaped.

use std::io::{self, BufReader};
use std::marker::PhantomData;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use serde_json::value::RawValue;
use terms::lines::{read_message, write_message};
use terms::role::{Order, Progress, Role, Said};

use crate::hosts::Host;

/// Time that a child has to end by itself once its input is closed.
const END_TIME_MAX: Duration = Duration::from_secs(8);
/// Why a child cannot be spoken with.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// It could not be started.
    #[error("{name} could not be started: {reason}")]
    Start {
        /// What it is called.
        name: String,
        /// The system's reason.
        reason: io::Error,
    },
    /// It said why it cannot go on.
    #[error("{name}: {why}")]
    Failed {
        /// What it is called.
        name: String,
        /// Why.
        why: String,
    },
    /// It ended, or closed its output.
    #[error("{name} ended unexpectedly: {how}")]
    Gone {
        /// What it is called.
        name: String,
        /// Its exit status or signal, in words.
        how: String,
    },
    /// It said nothing in time.
    #[error("{name} did not answer within {} s", waited.as_secs_f64())]
    Silent {
        /// What it is called.
        name: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// It said something that is no message.
    #[error("{name} sent something that is not a message: {what}")]
    Garbled {
        /// What it is called.
        name: String,
        /// What was wrong.
        what: String,
    },
}

/// A child process of this program, in a role.
#[derive(Debug)]
pub struct Child<R: Role> {
    name: String,
    process: std::process::Child,
    input: Option<ChildStdin>,
    output: Receiver<io::Result<Said<Box<RawValue>>>>,
    role: PhantomData<fn(R)>,
}

/// An order that was given and not answered yet.
#[derive(Debug)]
#[must_use = "an order has an answer"]
pub struct Given<O>(PhantomData<fn(O)>);

/// What was heard of an order.
#[derive(Debug)]
pub enum Heard<A> {
    /// How it is going.
    Progress(Progress),
    /// It is done.
    Done(A),
}

impl<R: Role> Child<R> {
    /// Starts this program again in a role, on another host if one is given. Its errors go where
    /// this one's go. It is not ready yet.
    ///
    /// # Errors
    /// Where the system refuses.
    pub fn start(name: &str, host: Option<&Host>, start: &R::Start) -> Result<Child<R>, ChildError> {
        let failed = |reason| ChildError::Start { name: name.to_owned(), reason };
        let mut command = Command::new("/proc/self/exe");
        command
            .arg0("wirebench")
            .args(["agent", R::NAME])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0);
        let mut process = spawn_on(host, &mut command).map_err(failed)?;
        let input = process.stdin.take();
        let Some(stdout) = process.stdout.take() else {
            return Err(failed(io::Error::other("no pipe for its output")));
        };
        let (sender, output) = channel();
        let reader = move || {
            let mut lines = BufReader::new(stdout);
            loop {
                let message = read_message(&mut lines);
                let ended = matches!(&message, Err(error) if error.kind() == io::ErrorKind::UnexpectedEof);
                if ended || sender.send(message).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name(format!("read {name}")).spawn(reader).map_err(failed)?;
        let mut child = Child { name: name.to_owned(), process, input, output, role: PhantomData };
        child.send(start)?;
        Ok(child)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Waits until it is ready.
    ///
    /// # Errors
    /// Where it fails, is gone or silent.
    pub fn ready(&mut self, within: Duration) -> Result<R::Ready, ChildError> {
        loop {
            if let Heard::Done(ready) = self.receive(within)? {
                return Ok(ready);
            }
        }
    }

    /// Gives an order and waits for its answer.
    ///
    /// # Errors
    /// Where it fails, is gone or silent.
    pub fn ask<O: Order<R>>(&mut self, order: O, within: Duration) -> Result<O::Answer, ChildError> {
        let given = self.give(order)?;
        loop {
            if let Heard::Done(answer) = self.hear(&given, within)? {
                return Ok(answer);
            }
        }
    }

    /// Gives an order; what comes of it is heard later.
    ///
    /// # Errors
    /// Where it is gone.
    pub fn give<O: Order<R>>(&mut self, order: O) -> Result<Given<O>, ChildError> {
        self.send(&order.into())?;
        Ok(Given(PhantomData))
    }

    /// Waits for what comes of an order next.
    ///
    /// # Errors
    /// Where it fails, is gone or silent.
    pub fn hear<O: Order<R>>(
        &mut self,
        _: &Given<O>,
        within: Duration,
    ) -> Result<Heard<O::Answer>, ChildError> {
        self.receive(within)
    }

    fn send(&mut self, message: &impl Serialize) -> Result<(), ChildError> {
        let sent = match &mut self.input {
            Some(input) => write_message(input, message),
            None => Err(io::Error::from(io::ErrorKind::BrokenPipe)),
        };
        sent.map_err(|_| self.gone())
    }

    fn receive<A: DeserializeOwned>(&mut self, within: Duration) -> Result<Heard<A>, ChildError> {
        let garbled = |name: &str, what: String| ChildError::Garbled { name: name.to_owned(), what };
        match self.output.recv_timeout(within) {
            Ok(Ok(Said::Done(answer))) => match serde_json::from_str(answer.get()) {
                Ok(answer) => Ok(Heard::Done(answer)),
                Err(error) => Err(garbled(&self.name, error.to_string())),
            },
            Ok(Ok(Said::Progress(progress))) => Ok(Heard::Progress(progress)),
            Ok(Ok(Said::Failed(why))) => Err(ChildError::Failed { name: self.name.clone(), why }),
            Ok(Err(error)) => Err(garbled(&self.name, error.to_string())),
            Err(RecvTimeoutError::Timeout) => {
                Err(ChildError::Silent { name: self.name.clone(), waited: within })
            }
            Err(RecvTimeoutError::Disconnected) => Err(self.gone()),
        }
    }

    /// Checks that it still runs.
    ///
    /// # Errors
    /// Where it has ended, with how.
    pub fn ensure_running(&mut self) -> Result<(), ChildError> {
        match self.process.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(_)) | Err(_) => Err(self.gone()),
        }
    }

    /// Kills it (SIGKILL) and reaps it: it has no time to say anything to anybody.
    ///
    /// # Errors
    /// The system's.
    pub fn kill(&mut self) -> Result<(), io::Error> {
        self.process.kill()?;
        self.process.wait().map(drop)
    }

    fn gone(&mut self) -> ChildError {
        // Its pipe closes a moment before it can be reaped.
        let status = wait(&mut self.process, Duration::from_secs(1));
        let how = status.map_or_else(|| "it closed its pipe and runs on".to_owned(), in_words);
        ChildError::Gone { name: self.name.clone(), how }
    }
}

impl<R: Role> Drop for Child<R> {
    fn drop(&mut self) {
        drop(self.input.take());
        if wait(&mut self.process, END_TIME_MAX).is_none() {
            // Already dead is as good.
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

/// Starts a command on a host, or on this one; it is killed when this process dies. (The end of its
/// input ends a child that can still read; this ends one that cannot.)
pub(crate) fn spawn_on(host: Option<&Host>, command: &mut Command) -> io::Result<std::process::Child> {
    let namespace = host.map(|host| host.as_fd().as_raw_fd());
    // SAFETY: prctl and setns are system calls, async-signal-safe, and touch no memory of the
    // parent's; the namespace's descriptor is open until after the spawn.
    unsafe {
        command.pre_exec(move || {
            if let Some(namespace) = namespace {
                let namespace = BorrowedFd::borrow_raw(namespace);
                nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET)?;
            }
            nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL).map_err(io::Error::from)
        });
    }
    command.spawn()
}

pub(crate) fn wait(process: &mut std::process::Child, at_most: Duration) -> Option<ExitStatus> {
    let clock = clock::Clock::System;
    let end = clock.now() + at_most;
    loop {
        if let Ok(Some(status)) = process.try_wait() {
            return Some(status);
        }
        if clock.now() >= end {
            return None;
        }
        clock::pause_thread(Duration::from_millis(2));
    }
}

fn in_words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(number)) => {
            let name = nix::sys::signal::Signal::try_from(number).map_or("unknown", |signal| signal.as_str());
            format!("killed by signal {number} ({name})")
        }
        (None, None) => "unknown status".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_said_in_words() {
        assert_eq!(in_words(ExitStatus::from_raw(9)), "killed by signal 9 (SIGKILL)");
        assert_eq!(in_words(ExitStatus::from_raw(3 << 8)), "exit code 3");
    }
}
