//! A file a verb.

pub(crate) mod calibrate;
pub(crate) mod compare;
pub(crate) mod doctor;
mod expressions;
mod formats;
pub(crate) mod given;
pub(crate) mod lab;
pub(crate) mod list;
pub(crate) mod load;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod serve;
