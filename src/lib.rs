//! The command: verbs, scenario → plan → run → record → verdict → report.
//!
//! Data flows one way: a [`scenario`] is read, a [`plan`] is made of it, a [`run`] gives results, a [`record`] keeps
//! them with their environment and verdicts, a [`report`] is drawn from the record and from nothing else.

pub mod allocations;
pub mod calibrate;
pub mod capacity;
pub mod card;
pub mod cli;
pub mod compare;
pub mod export;
pub mod expression;
pub mod matrix;
pub mod plan;
pub mod progress;
pub mod record;
pub mod report;
pub mod run;
pub mod scenario;
pub mod statistics;
mod text;
pub mod verbs;
