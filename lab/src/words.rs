//! What a child says beside its answers: its errors, passed on to this process's own, and the last
//! of them kept for whoever must say how it ended. And what this process says beside its own.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Lines that are kept.
const LINES_MAX: usize = 3;
/// Bytes of a line, at most; a longer one is taken for several.
const LINE_BYTES_MAX: u64 = 4 << 10;
/// Characters of a line that are kept.
const LINE_CHARS_MAX: usize = 300;
/// Time in which the last words of a child that has ended arrive.
const LAST_WORDS_TIME_MAX: Duration = Duration::from_millis(200);

/// What one child has said so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Words(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    kept: Mutex<Kept>,
    closed: Condvar,
}

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<String>,
    failure: Option<String>,
    /// Threads that still listen: to what it answers, and to its errors.
    listening: usize,
}

/// The last lines that a process wrote to its error output, as a clause of a sentence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LastWords(Vec<String>);

impl fmt::Display for LastWords {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return out.write_str("it wrote nothing to its error output");
        }
        write!(out, "the last that it wrote to its error output: {}", self.0.join(" | "))
    }
}

impl Words {
    /// Listens to a child, on a thread of this name that ends with it.
    pub(crate) fn listen(
        &self,
        name: String,
        listen: impl FnOnce(&Words) + Send + 'static,
    ) -> io::Result<()> {
        let words = self.clone();
        self.kept().listening += 1;
        let listen = move || {
            listen(&words);
            words.kept().listening -= 1;
            words.0.closed.notify_all();
        };
        std::thread::Builder::new().name(name).spawn(listen).map(drop)
    }

    /// Passes on what comes from its error output, and keeps the last of it.
    pub(crate) fn pass_on(&self, errors: impl Read) {
        let mut errors = BufReader::new(errors);
        let mut line = Vec::new();
        while let Ok(1..) = errors.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line) {
            // Where this process's own errors go nowhere, nobody wants to know.
            let _ = io::stderr().write_all(&line);
            self.keep(&line);
            line.clear();
        }
    }

    fn keep(&self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        // No control character reaches a terminal in a sentence of ours.
        let plain = |letter: char| if letter.is_control() { ' ' } else { letter };
        let text: String = text.trim_end().chars().take(LINE_CHARS_MAX).map(plain).collect();
        if text.is_empty() {
            return;
        }
        let mut kept = self.kept();
        if kept.lines.len() == LINES_MAX {
            kept.lines.pop_front();
        }
        kept.lines.push_back(text);
    }

    /// It said over its pipe why it ends.
    pub(crate) fn fail(&self, why: &str) {
        self.kept().failure.get_or_insert_with(|| why.to_owned());
    }

    pub(crate) fn failure(&self) -> Option<String> {
        self.kept().failure.clone()
    }

    /// Waits, for a moment, until all that a child said before its end was heard.
    pub(crate) fn wait_for_the_last(&self) {
        let heard = |kept: &mut Kept| kept.listening > 0;
        let _ = self.0.closed.wait_timeout_while(self.kept(), LAST_WORDS_TIME_MAX, heard);
    }

    pub(crate) fn said(&self) -> LastWords {
        LastWords(self.kept().lines.iter().cloned().collect())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says a line of this process's own. Where its error output is gone or full nobody wants to know,
/// and what is being done goes on: the panic of `eprintln!` would end it.
pub(crate) fn tell(line: &str) {
    let _ = writeln!(io::stderr().lock(), "wirebench: {line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_no_control_character() {
        let words = Words::default();
        assert_eq!(words.said().to_string(), "it wrote nothing to its error output");
        for line in ["one\n", "two\n", "\n", "three\n", "\x1b[31mfour\n"] {
            words.keep(line.as_bytes());
        }
        let said = words.said().to_string();
        assert!(said.ends_with(": two | three |  [31mfour"), "{said}");
        words.keep("long ".repeat(1_000).as_bytes());
        assert!(words.said().to_string().len() < 500);
    }
}
