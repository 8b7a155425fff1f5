//! `wirebench serve` as a process of a test, ended with it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

/// A market of one protocol.
pub(crate) struct Served {
    process: Child,
    /// `127.0.0.1:PORT`.
    pub(crate) authority: String,
}

impl Served {
    /// Starts one with these arguments of `serve`, and waits until it listens.
    pub(crate) fn with(arguments: &[&str]) -> Served {
        let mut process = Command::new(env!("CARGO_BIN_EXE_wirebench"))
            .arg("serve")
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let authority = line.split("://").nth(1).unwrap().split('/').next().unwrap().trim().to_owned();
        Served { process, authority }
    }

    /// Ends it at once, whatever it does (SIGKILL).
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
