//! The command: a file a verb, what is typed, and the folder of results. All that it does is done
//! by the rooms beside it.

pub mod cli;
mod columns;
pub mod ending;
pub mod folder;
mod progress;
mod signals;
mod verbs;
