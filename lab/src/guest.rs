//! A program of somebody else's on a host: with everything that it starts, it ends when it is
//! dropped, and when this process dies in whatever way.

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::hosts::Host;
use crate::process::{spawn_in, wait};
use crate::words::tell;

/// The hidden verb of this program that [`init`] is.
pub const INIT: &str = "init";
/// Time that a guest has to end by itself.
const END_TIME_MAX: Duration = Duration::from_secs(2);

/// What a guest has to do with the terminal and the streams of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuestStreams {
    /// It has them, and the terminal: it is in the process group of this process, and hears Ctrl-C
    /// itself.
    Foreground,
    /// It has them, in a process group of its own: it hears what this process passes on.
    Passed,
    /// It reads nothing, and what it says is for people: another's output is data.
    Beside,
}

/// A program, and the processes that it started.
#[derive(Debug)]
pub struct Guest {
    process: Child,
    /// The thread that started it, which ends when this is gone: the process is killed when that
    /// ends.
    _starter: Sender<()>,
    /// Whether it has a process group of its own; one in the foreground shares this process's, so
    /// that it has the terminal.
    own_group: bool,
}

impl Guest {
    /// Starts a program on a host, as a child of an [`init`] of its own: a process namespace ends
    /// with its first process, and that one is killed when this process dies.
    ///
    /// # Errors
    /// Where the system refuses. That there is no such program is said by the init, which then ends
    /// with 127.
    pub fn start(
        host: &Host,
        words: &[String],
        environment: &[(&str, String)],
        streams: GuestStreams,
    ) -> io::Result<Guest> {
        let mut command = Command::new("/proc/self/exe");
        command.arg0("wirebench").arg(INIT).arg("--").args(words);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        if streams != GuestStreams::Foreground {
            command.process_group(0);
        }
        if streams == GuestStreams::Beside {
            command.stdin(Stdio::null()).stdout(io::stderr());
        }
        let namespace = host.as_fd().try_clone_to_owned()?;
        let (starter, ended) = channel();
        let (sender, started) = channel();
        let start = move || {
            // The namespace is for the children of this thread, and of no other: who is not root
            // may not give a thread its old one back.
            let process = unshare(CloneFlags::CLONE_NEWPID)
                .map_err(|error| no_processes(&error.into()))
                .and_then(|()| spawn_in(Some(namespace.as_fd()), &mut command));
            let is_started = process.is_ok();
            if sender.send(process).is_ok() && is_started {
                let _: Result<(), _> = ended.recv();
            }
        };
        std::thread::Builder::new().name("guest".to_owned()).spawn(start)?;
        let process = started.recv().map_err(|_| io::Error::other("the thread of a guest panicked"))??;
        Ok(Guest { process, _starter: starter, own_group: streams != GuestStreams::Foreground })
    }

    /// Passes a signal on to the program: to its process group where it has one of its own. (The
    /// init of its namespace hears none.)
    pub fn signal(&self, signal: Signal) {
        let init = self.process.id();
        // Where it ended meanwhile nobody is to be told.
        if self.own_group {
            let _ = killpg(Pid::from_raw(init.cast_signed()), signal);
            return;
        }
        let children = std::fs::read_to_string(format!("/proc/{init}/task/{init}/children"));
        for child in children.unwrap_or_default().split_whitespace().filter_map(|pid| pid.parse().ok()) {
            let _ = kill(Pid::from_raw(child), signal);
        }
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// The system's.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.process.try_wait()
    }

    /// Whether it listens: a socket on its host waits for connections or datagrams.
    pub fn listens(&self) -> bool {
        // State 0A is LISTEN, and 07 that of a UDP socket without a peer
        // (include/net/tcp_states.h).
        ["tcp", "tcp6", "udp", "udp6"].iter().any(|table| {
            let sockets = std::fs::read_to_string(format!("/proc/{}/net/{table}", self.process.id()));
            sockets
                .unwrap_or_default()
                .lines()
                .any(|socket| matches!(socket.split_whitespace().nth(3), Some("0A" | "07")))
        })
    }
}

/// That there can be no process namespace, with what to do.
fn no_processes(error: &io::Error) -> io::Error {
    let what = format!(
        "this process may make no process namespace ({error}): run as root, or allow more of them \
         (sysctl user.max_pid_namespaces)"
    );
    io::Error::new(error.kind(), what)
}

impl Drop for Guest {
    fn drop(&mut self) {
        if self.own_group && matches!(self.process.try_wait(), Ok(None)) {
            // An init does not hear it, and ends with what it started.
            let _ = killpg(Pid::from_raw(self.process.id().cast_signed()), Signal::SIGTERM);
            let _ = wait(&mut self.process, END_TIME_MAX);
        }
        // Ended already is as good; what is left of its processes ends with it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The first process of a guest's namespace: starts the program, waits for it, and says how it
/// ended as a shell does.
pub fn init(words: &[String]) -> u8 {
    use std::os::unix::process::ExitStatusExt as _;
    let Some((program, arguments)) = words.split_first() else { return 127 };
    match Command::new(program).args(arguments).status() {
        Ok(status) => {
            let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
            code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
        }
        Err(error) => {
            tell(&format!("{program}: {error}"));
            127
        }
    }
}
