//! Roles: the kinds of process that a run starts, and what is said over their pipes. A role is
//! started with something, says when it is ready, and then answers orders, each with an answer of
//! its own type: what a role cannot be told cannot be written down.
//!
//! The pipe carries one JSON value a line. The end of a process's input is its order to stop.

use std::io::{self, BufRead, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::lines::{read_message, write_message};

/// A kind of process.
pub trait Role: 'static {
    /// Its name behind the hidden verb that starts it.
    const NAME: &'static str;
    /// What it is started with.
    type Start: Serialize + DeserializeOwned;
    /// What it says once it is ready.
    type Ready: Serialize + DeserializeOwned;
    /// What it can be told; see [`orders!`](crate::orders).
    type Order: Serialize + DeserializeOwned + Send + 'static;
}

/// Something that a role can be told, and what it answers.
pub trait Order<R: Role>: Into<R::Order> {
    /// The answer.
    type Answer: Serialize + DeserializeOwned;
}

/// What a process says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said<A> {
    /// How what it was told is going.
    Progress(Progress),
    /// It did what it was told.
    Done(A),
    /// It cannot go on, and ends: why.
    Failed(String),
}

/// A look at a running round, coarse.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Calls that succeeded.
    pub ok: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Median response time so far, in µs, to within 9 %.
    pub p50_us: Option<f64>,
    /// Its 99th percentile, likewise.
    pub p99_us: Option<f64>,
}

/// What a process needs of whoever started it, beside its orders.
#[derive(Debug, Clone, Copy)]
pub struct Means {
    /// Pins the calling thread, and the threads that it starts later, to a core.
    pub pin: fn(usize) -> io::Result<()>,
    /// Allocations of this process so far; `None` in a build that does not count them.
    pub allocations: fn() -> Option<u64>,
}

/// Why a process cannot go on, in words.
#[derive(Debug)]
pub struct RoleError(pub String);

impl<E: std::error::Error> From<E> for RoleError {
    fn from(error: E) -> RoleError {
        let mut words = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let why = error.to_string();
            // Many errors repeat their cause.
            if !words.contains(&why) {
                words += ": ";
                words += &why;
            }
            cause = error.source();
        }
        RoleError(words)
    }
}

impl RoleError {
    /// The same, behind what was being done.
    pub fn during<E: Into<RoleError>>(what: &str) -> impl FnOnce(E) -> RoleError + '_ {
        move |error| RoleError(format!("{what}: {}", error.into().0))
    }
}

/// Says that a role is ready.
///
/// # Errors
/// Where nobody reads.
pub fn say_ready<R: Role>(output: &mut impl Write, ready: R::Ready) -> io::Result<()> {
    write_message(output, &Said::Done(ready))
}

/// Says how an order is going.
///
/// # Errors
/// Where nobody reads.
pub fn say_progress(output: &mut impl Write, progress: Progress) -> io::Result<()> {
    write_message(output, &Said::<()>::Progress(progress))
}

/// Answers an order.
///
/// # Errors
/// Where nobody reads.
pub fn answer<R: Role, O: Order<R>>(output: &mut impl Write, _: &O, answer: O::Answer) -> io::Result<()> {
    write_message(output, &Said::Done(answer))
}

/// Says why a process ends.
pub fn say_failed(output: &mut impl Write, error: &RoleError) {
    // Whoever would read it may be gone.
    let _ = write_message(output, &Said::<()>::Failed(error.0.clone()));
}

/// The next order; `None` at the end of the input.
///
/// # Errors
/// Where the input is no order.
pub fn next_order<R: Role>(input: &mut dyn BufRead) -> io::Result<Option<R::Order>> {
    match read_message(input) {
        Ok(order) => Ok(Some(order)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// Defines the orders of a role as an enum, one variant an order with its answer.
#[macro_export]
macro_rules! orders {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident of $role:ty {
            $($(#[$doc:meta])* $variant:ident($order:ty) -> $answer:ty),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "snake_case")]
        $vis enum $name {
            $($(#[$doc])* $variant($order)),+
        }

        $(
            impl From<$order> for $name {
                fn from(order: $order) -> $name {
                    $name::$variant(order)
                }
            }

            impl $crate::role::Order<$role> for $order {
                type Answer = $answer;
            }
        )+
    };
}
