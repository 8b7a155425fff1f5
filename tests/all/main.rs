//! Everything that is tested across rooms, in one program: it is linked once.

#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

mod balancing;
mod calibration;
mod command;
mod conformance;
mod deadlines;
mod documents;
mod failures;
mod faults;
mod flows;
mod golden;
mod hostile_files;
mod house;
mod judgement;
mod lab;
mod ledger;
mod load_files;
mod load_kinds;
mod load_wants;
mod loads;
mod matrix;
mod measured;
mod names;
mod outputs;
mod pages;
mod reconnections;
mod retries;
mod served;
mod stock_clients;
mod terminal;
mod workload_file;
