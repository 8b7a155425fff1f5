//! Child processes that speak JSON lines over pipes: started from this very program, pinned by
//! themselves, ended by the end of their input, and always reaped. Whoever waits for one of them is
//! told within seconds where any of its [`Crew`] ends or is stopped.

use std::io::{self, BufReader};
use std::marker::PhantomData;
use std::os::unix::process::CommandExt as _;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use clock::{Clock, Mono};
use nix::sys::signal::Signal;
use serde::Serialize;
use serde::de::DeserializeOwned;

use serde_json::value::RawValue;
use terms::lines::{read_message, write_message};
use terms::role::{Order, Progress, Role, Said};

use crate::crew::{Crew, LOOK_EVERY, is_stopped};
use crate::hosts::Host;
use crate::process::{in_words, spawn_on, state_in_words, wait};
use crate::words::{LastWords, Words};

/// Time that a child has to end by itself once its input is closed.
const END_TIME_MAX: Duration = Duration::from_secs(8);
/// The same where another of its crew died or is stopped: then the run is over, and says so soon.
const END_TIME_OF_BROKEN_MAX: Duration = Duration::from_secs(1);

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
    #[error("{name} (process {pid}) ended unexpectedly: {how}; {words}")]
    Gone {
        /// What it is called.
        name: String,
        /// Its process.
        pid: u32,
        /// Its exit status or signal, in words.
        how: String,
        /// The end of its error output.
        words: LastWords,
    },
    /// Somebody stopped it.
    #[error(
        "{name} (process {pid}) is stopped ({signal}) and answers nothing: something outside wirebench stopped it, such as \
         `kill -STOP` or a debugger; let it be, and run again; {words}"
    )]
    Stopped {
        /// What it is called.
        name: String,
        /// Its process.
        pid: u32,
        /// What stopped it.
        signal: Signal,
        /// The end of its error output.
        words: LastWords,
    },
    /// It runs, and said nothing in time.
    #[error("{name} (process {pid}, {state}) did not answer within {:.0} s; {words}", waited.as_secs_f64())]
    Silent {
        /// What it is called.
        name: String,
        /// Its process.
        pid: u32,
        /// What the kernel says that it does.
        state: &'static str,
        /// Time since it was asked.
        waited: Duration,
        /// The end of its error output.
        words: LastWords,
    },
    /// The run was told to stop, and this took too long.
    #[error("told to stop: what was under way is not counted")]
    ToldToStop,
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
    crew: Crew,
    words: Words,
    input: Option<ChildStdin>,
    output: Receiver<io::Result<Said<Box<RawValue>>>>,
    role: PhantomData<fn(R)>,
}

/// An order that was given and not answered yet.
#[derive(Debug)]
#[must_use = "an order has an answer"]
pub struct Given<O> {
    at: Mono,
    order: PhantomData<fn(O)>,
}

/// What is lost where the run is told to stop while an answer is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meanwhile {
    /// Nothing is measured: nobody waits on.
    Nothing,
    /// A measurement, which has some seconds to end.
    Measuring,
}

/// What was heard of an order.
#[derive(Debug)]
pub enum Heard<A> {
    /// How it is going.
    Progress(Progress),
    /// It is done.
    Done(A),
}

impl<R: Role> Child<R> {
    /// Starts this program again in a role, on another host if one is given, as one of a crew. Its
    /// errors go where this one's go. It is not ready yet.
    ///
    /// # Errors
    /// Where the system refuses.
    pub fn start(
        crew: &Crew,
        name: &str,
        host: Option<&Host>,
        start: &R::Start,
    ) -> Result<Child<R>, ChildError> {
        let failed = |reason| ChildError::Start { name: name.to_owned(), reason };
        let mut command = Command::new("/proc/self/exe");
        command.arg0("wirebench").args(["agent", R::NAME]).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = spawn_on(host, &mut command).map_err(failed)?;
        let (input, pipes) = (process.stdin.take(), process.stdout.take().zip(process.stderr.take()));
        let words = Words::default();
        crew.join(process.id(), name, words.clone());
        let (sender, output) = channel();
        let (crew, role) = (crew.clone(), PhantomData);
        let mut child = Child { name: name.to_owned(), process, crew, words, input, output, role };
        let Some((answers, errors)) = pipes else {
            return Err(failed(io::Error::other("no pipes for its output")));
        };
        let read_errors = move |words: &Words| words.pass_on(errors);
        child.words.listen(format!("hear {name}"), read_errors).map_err(failed)?;
        let read = move |words: &Words| read_answers(answers, words, &sender);
        child.words.listen(format!("read {name}"), read).map_err(failed)?;
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
    /// Where it fails, is gone or silent, or another of its crew is gone or stopped.
    pub fn ready(&mut self, within: Duration) -> Result<R::Ready, ChildError> {
        let since = Clock::System.now();
        loop {
            match self.listen(within, Meanwhile::Nothing)? {
                Some(Heard::Done(ready)) => return Ok(ready),
                Some(Heard::Progress(_)) => {}
                None => return Err(self.silent(since)),
            }
        }
    }

    /// Gives an order and waits for its answer.
    ///
    /// # Errors
    /// As [`Child::ready`].
    pub fn ask<O: Order<R>>(&mut self, order: O, within: Duration) -> Result<O::Answer, ChildError> {
        let given = self.give(order)?;
        loop {
            match self.listen(within, Meanwhile::Nothing)? {
                Some(Heard::Done(answer)) => return Ok(answer),
                Some(Heard::Progress(_)) => {}
                None => return Err(self.silent(given.at)),
            }
        }
    }

    /// Gives an order; what comes of it is heard later.
    ///
    /// # Errors
    /// Where it is gone.
    pub fn give<O: Order<R>>(&mut self, order: O) -> Result<Given<O>, ChildError> {
        self.send(&order.into())?;
        Ok(Given { at: Clock::System.now(), order: PhantomData })
    }

    /// Waits for what comes of an order next.
    ///
    /// # Errors
    /// As [`Child::ready`].
    pub fn hear<O: Order<R>>(
        &mut self,
        given: &Given<O>,
        within: Duration,
    ) -> Result<Heard<O::Answer>, ChildError> {
        self.listen(within, Meanwhile::Measuring)?.ok_or_else(|| self.silent(given.at))
    }

    /// The same, where it may say nothing in time.
    ///
    /// # Errors
    /// As [`Child::ready`].
    pub fn hear_perhaps<O: Order<R>>(
        &mut self,
        _: &Given<O>,
        within: Duration,
    ) -> Result<Option<Heard<O::Answer>>, ChildError> {
        self.listen(within, Meanwhile::Measuring)
    }

    fn send(&mut self, message: &impl Serialize) -> Result<(), ChildError> {
        let sent = match &mut self.input {
            Some(input) => write_message(input, message),
            None => Err(io::Error::from(io::ErrorKind::BrokenPipe)),
        };
        sent.map_err(|_| self.gone())
    }

    /// Waits for what it says next, and looks after its crew meanwhile; `None` where it says
    /// nothing in time.
    fn listen<A: DeserializeOwned>(
        &mut self,
        within: Duration,
        meanwhile: Meanwhile,
    ) -> Result<Option<Heard<A>>, ChildError> {
        let clock = Clock::System;
        let end = clock.now() + within;
        loop {
            let left = end.since(clock.now());
            match self.output.recv_timeout(left.min(LOOK_EVERY)) {
                Ok(said) => {
                    let heard = self.understand(said)?;
                    if matches!(heard, Heard::Progress(_)) {
                        self.crew.look_now_and_then()?;
                    }
                    return Ok(Some(heard));
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.gone()),
                Err(RecvTimeoutError::Timeout) if left <= LOOK_EVERY => return Ok(None),
                Err(RecvTimeoutError::Timeout) => {
                    if meanwhile == Meanwhile::Nothing {
                        self.crew.heed_at_once()?;
                    }
                    self.crew.look_now_and_then()?;
                }
            }
        }
    }

    fn understand<A: DeserializeOwned>(
        &self,
        said: io::Result<Said<Box<RawValue>>>,
    ) -> Result<Heard<A>, ChildError> {
        let garbled = |what: String| ChildError::Garbled { name: self.name.clone(), what };
        match said {
            Ok(Said::Done(answer)) => {
                let answer = serde_json::from_str(answer.get());
                answer.map(Heard::Done).map_err(|error| garbled(error.to_string()))
            }
            Ok(Said::Progress(progress)) => Ok(Heard::Progress(progress)),
            Ok(Said::Failed(why)) => Err(ChildError::Failed { name: self.name.clone(), why }),
            Err(error) => Err(garbled(error.to_string())),
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
        self.crew.leave(self.pid());
        self.process.kill()?;
        self.process.wait().map(drop)
    }

    /// Stops it (SIGSTOP), of which its crew takes no notice: [`Child::thaw`] has it go on.
    ///
    /// # Errors
    /// The system's.
    pub fn freeze(&mut self) -> io::Result<()> {
        self.crew.freeze(self.pid())
    }

    /// Has it go on, and its crew look after it again.
    ///
    /// # Errors
    /// The system's.
    pub fn thaw(&mut self) -> io::Result<()> {
        self.crew.thaw(self.pid(), &self.name, self.words.clone())
    }

    fn gone(&mut self) -> ChildError {
        self.crew.breaks();
        // Its pipe closes a moment before it can be reaped.
        let status = wait(&mut self.process, Duration::from_secs(1));
        let how = status.map_or_else(|| "it closed its pipe and runs on".to_owned(), in_words);
        self.words.wait_for_the_last();
        match self.words.failure() {
            Some(why) => ChildError::Failed { name: self.name.clone(), why },
            None => {
                ChildError::Gone { name: self.name.clone(), pid: self.pid(), how, words: self.words.said() }
            }
        }
    }

    fn silent(&self, since: Mono) -> ChildError {
        let (name, pid, words) = (self.name.clone(), self.pid(), self.words.said());
        let waited = Clock::System.now().since(since);
        ChildError::Silent { name, pid, state: state_in_words(pid), waited, words }
    }
}

/// Passes on what a child answers, until it ends or nobody wants to know.
fn read_answers(answers: ChildStdout, words: &Words, sender: &Sender<io::Result<Said<Box<RawValue>>>>) {
    let mut lines = BufReader::new(answers);
    loop {
        let message = read_message(&mut lines);
        if let Ok(Said::Failed(why)) = &message {
            words.fail(why);
        }
        let ended = matches!(&message, Err(error) if error.kind() == io::ErrorKind::UnexpectedEof);
        if ended || sender.send(message).is_err() {
            return;
        }
    }
}

impl<R: Role> Drop for Child<R> {
    fn drop(&mut self) {
        self.crew.leave(self.pid());
        drop(self.input.take());
        // One that is stopped does not hear that its input ended, and one that waits for another
        // that is stopped does not listen.
        let within = match (is_stopped(self.pid()), self.crew.is_broken()) {
            (Some(_), _) => Duration::ZERO,
            (None, true) => END_TIME_OF_BROKEN_MAX,
            (None, false) => END_TIME_MAX,
        };
        if wait(&mut self.process, within).is_none() {
            // Already dead is as good.
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}
