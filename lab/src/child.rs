//! Child processes that speak JSON lines over pipes: started from this very program, pinned by themselves, ended
//! by the end of their input, and always reaped.

use std::io::{self, BufRead as _, BufReader};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::hosts::Host;

/// Time that a child has to end by itself once its input is closed.
const END_TIME_MAX: Duration = Duration::from_secs(8);
/// Bytes of one message, at most: a round's histograms are a few KB.
const MESSAGE_BYTES_MAX: u64 = 16 << 20;

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

/// A child process of this program, which takes messages `I` and gives messages `O`.
#[derive(Debug)]
pub struct Child<I, O> {
    name: String,
    process: std::process::Child,
    input: Option<ChildStdin>,
    output: Receiver<io::Result<O>>,
    takes: std::marker::PhantomData<fn(I)>,
}

impl<I: Serialize, O: DeserializeOwned + Send + 'static> Child<I, O> {
    /// Starts this program again with other arguments, on another host if one is given. Its errors go where this one's go.
    ///
    /// # Errors
    /// Where the system refuses.
    pub fn start(name: &str, arguments: &[&str], host: Option<&Host>) -> Result<Child<I, O>, ChildError> {
        let failed = |reason| ChildError::Start { name: name.to_owned(), reason };
        let mut command = Command::new("/proc/self/exe");
        command
            .arg0("wirebench")
            .args(arguments)
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
        Ok(Child { name: name.to_owned(), process, input, output, takes: std::marker::PhantomData })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Sends a message.
    ///
    /// # Errors
    /// Where the child is gone.
    pub fn send(&mut self, message: &I) -> Result<(), ChildError> {
        let sent = match &mut self.input {
            Some(input) => write_message(input, message),
            None => Err(io::Error::from(io::ErrorKind::BrokenPipe)),
        };
        sent.map_err(|_| self.gone())
    }

    /// Waits for a message.
    ///
    /// # Errors
    /// Where the child is gone, silent, or says what is no message.
    pub fn receive(&mut self, within: Duration) -> Result<O, ChildError> {
        match self.output.recv_timeout(within) {
            Ok(Ok(message)) => Ok(message),
            Ok(Err(error)) => Err(ChildError::Garbled { name: self.name.clone(), what: error.to_string() }),
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

impl<I, O> Drop for Child<I, O> {
    fn drop(&mut self) {
        drop(self.input.take());
        if wait(&mut self.process, END_TIME_MAX).is_none() {
            // Already dead is as good.
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

/// Starts a command on a host, or on this one; it is killed when this process dies. (The end of its input ends a child that
/// can still read; this ends one that cannot.)
pub(crate) fn spawn_on(host: Option<&Host>, command: &mut Command) -> io::Result<std::process::Child> {
    let namespace = host.map(|host| host.as_fd().as_raw_fd());
    // SAFETY: prctl and setns are system calls, async-signal-safe, and touch no memory of the parent's; the namespace's
    // descriptor is open until after the spawn.
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

/// Reads one JSON line.
///
/// # Errors
/// `UnexpectedEof` at the end of the input; `InvalidData` where the line is no message.
pub fn read_message<M: DeserializeOwned>(input: &mut impl io::BufRead) -> io::Result<M> {
    let mut line = String::new();
    let mut limited = io::Read::take(input, MESSAGE_BYTES_MAX);
    if limited.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    serde_json::from_str(&line).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Writes one JSON line, whole.
///
/// # Errors
/// The writer's.
pub fn write_message<M: Serialize>(output: &mut impl io::Write, message: &M) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    output.write_all(&line)?;
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_lines() {
        let mut bytes = Vec::new();
        write_message(&mut bytes, &("a", 1)).unwrap();
        write_message(&mut bytes, &("b\nc", 2)).unwrap();
        let mut input = bytes.as_slice();
        assert_eq!(read_message::<(String, u8)>(&mut input).unwrap(), ("a".to_owned(), 1));
        assert_eq!(read_message::<(String, u8)>(&mut input).unwrap(), ("b\nc".to_owned(), 2));
        let end = read_message::<(String, u8)>(&mut input).unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_line_that_is_no_message_is_an_error() {
        let error = read_message::<u8>(&mut &b"{\n"[..]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn statuses_are_said_in_words() {
        assert_eq!(in_words(ExitStatus::from_raw(9)), "killed by signal 9 (SIGKILL)");
        assert_eq!(in_words(ExitStatus::from_raw(3 << 8)), "exit code 3");
    }
}
