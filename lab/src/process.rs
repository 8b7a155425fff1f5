//! A process of the system: started on a host, waited for with a bound, and its state in words.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use clock::Clock;
use nix::sys::signal::Signal;

use crate::hosts::Host;

/// Starts a command on a host, or on this one; it is killed when this process dies. (The end of its
/// input ends a child that can still read; this ends one that cannot.)
pub(crate) fn spawn_on(host: Option<&Host>, command: &mut Command) -> io::Result<std::process::Child> {
    spawn_in(host.map(Host::as_fd), command)
}

/// The same in a network namespace; it is killed when the calling thread ends.
pub(crate) fn spawn_in(
    namespace: Option<BorrowedFd<'_>>,
    command: &mut Command,
) -> io::Result<std::process::Child> {
    let namespace = namespace.map(|namespace| namespace.as_raw_fd());
    let parent = nix::unistd::getpid();
    // In a process namespace of its own a child sees no parent.
    let unseen = nix::unistd::Pid::from_raw(0);
    // SAFETY: prctl, setns and getppid are system calls, async-signal-safe, and touch no memory of
    // the parent's; the namespace's descriptor is open until after the spawn.
    unsafe {
        command.pre_exec(move || {
            if let Some(namespace) = namespace {
                let namespace = BorrowedFd::borrow_raw(namespace);
                nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET)?;
            }
            nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
            // Where the parent died before that, nobody would kill it.
            match nix::unistd::getppid() {
                now if now == parent || now == unseen => Ok(()),
                _ => Err(io::Error::from_raw_os_error(nix::libc::ESRCH)),
            }
        });
    }
    command.spawn()
}

pub(crate) fn wait(process: &mut std::process::Child, at_most: Duration) -> Option<ExitStatus> {
    let clock = Clock::System;
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

pub(crate) fn in_words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => exit_in_words(code),
        (None, Some(number)) => signal_in_words(number),
        (None, None) => "unknown status".to_owned(),
    }
}

pub(crate) fn exit_in_words(code: i32) -> String {
    format!("exit code {code}")
}

/// The kernel kills with SIGKILL where memory runs out, and nothing else says so.
pub(crate) fn signal_in_words(number: i32) -> String {
    let signal = Signal::try_from(number).ok();
    let name = signal.map_or("unknown", |signal| signal.as_str());
    let hint = match signal {
        Some(Signal::SIGKILL) => ", by somebody, or by the kernel for want of memory: `dmesg` says so then",
        _ => "",
    };
    format!("killed by signal {number} ({name}){hint}")
}

/// What a process does, as the kernel sees it.
pub(crate) fn state_in_words(pid: u32) -> &'static str {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Behind the name, which may hold anything but comes in parentheses.
    match stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()) {
        Some('R') => "running",
        Some('S' | 'I') => "waiting",
        Some('D') => "waiting for a disk or a device",
        Some('T') => "stopped",
        Some('t') => "held by a debugger",
        Some('Z' | 'X') => "ended",
        _ => "in an unknown state",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_said_in_words() {
        assert_eq!(in_words(ExitStatus::from_raw(15)), "killed by signal 15 (SIGTERM)");
        let killed = in_words(ExitStatus::from_raw(9));
        assert!(killed.starts_with("killed by signal 9 (SIGKILL), ") && killed.contains("dmesg"), "{killed}");
        assert_eq!(in_words(ExitStatus::from_raw(3 << 8)), "exit code 3");
    }

    #[test]
    fn states_are_said_in_words() {
        let mut ended = std::process::Command::new("true").spawn().unwrap();
        let pid = ended.id();
        // It stays so until it is waited for.
        let is_ended = || {
            clock::pause_thread(Duration::from_millis(10));
            state_in_words(pid) == "ended"
        };
        assert!(std::iter::repeat_with(is_ended).take(1_000).any(|ended| ended));
        ended.wait().unwrap();
        assert_eq!(state_in_words(u32::MAX), "in an unknown state");
    }
}
