//! A file a verb.

pub mod calibrate;
pub mod compare;
pub mod doctor;
pub mod list;
pub mod load;
pub mod report;
pub mod run;
pub mod serve;
