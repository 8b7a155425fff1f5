//! A file a verb.

pub mod calibrate;
pub mod compare;
pub mod doctor;
pub mod lab;
pub mod list;
pub mod load;
pub mod report;
pub mod run;
pub mod serve;
