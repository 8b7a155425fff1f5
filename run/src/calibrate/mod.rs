//! Calibration: the engine measures what is known. Every protocol's own server and client, and the
//! market behind them treats each call by a formula ([`servers::reference`]); what was measured
//! stands beside what is true.

mod bench;
mod known;
mod links;
mod predict;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bench::{Bench, Surroundings, control};
use lab::crew::Crew;
use lab::stalls::Stalls;
use proto::Protocol;
use record::Calibration;
pub use record::calibration::{Accuracy, CalibrationRow, Unit};
use terms::{Layout, Link};

use crate::site::Site;

/// What is calibrated, and where.
#[derive(Debug)]
pub struct Calibrating<'a> {
    /// Each as one contender.
    pub protocols: &'a [Protocol],
    /// Whether the lab's links are, too.
    pub with_links: bool,
    /// Which cores do what.
    pub layout: &'a Layout,
    /// What this machine is called.
    pub machine: String,
    /// Of this build.
    pub commit: Option<String>,
    /// What the processes talk over.
    pub link: &'a Link,
    /// Becomes true where it is told to stop.
    pub stop: &'a Arc<AtomicBool>,
}

/// Calibrates what is asked for; `tell` hears of every row and of what begins. Ends early, with the
/// rows that there are, where it is told to stop.
///
/// # Errors
/// Where a process or the network fails.
pub fn calibrate(asked: &Calibrating<'_>, tell: &mut dyn FnMut(Told<'_>)) -> anyhow::Result<Calibration> {
    let Calibrating { protocols, with_links, layout, machine, commit, link, stop } = asked;
    let (mut site, link) = Site::build(layout, link, false, 1)?;
    site.crew = Crew::heeding(Arc::clone(stop));
    let is_stopped = || stop.load(Ordering::Relaxed);
    let mut calibration = Calibration {
        made_at_us: clock::wall_time_us(),
        machine: machine.clone(),
        commit: commit.clone(),
        link,
        stall_share: 0.0,
        rows: Vec::new(),
    };
    let cores: Vec<usize> = std::iter::once(layout.server).chain(layout.client.iter().copied()).collect();
    let mut watched = 0.0;
    for protocol in *protocols {
        if is_stopped() {
            return Ok(calibration);
        }
        tell(Told::Begins(protocol.name()));
        let stalls = Stalls::watch(&cores, Duration::from_secs(1));
        watched += 1.0;
        calibration.stall_share += (stalls.share - calibration.stall_share) / watched;
        let bench = Bench { site: &site, protocol: *protocol, stalls, base: control(layout)? };
        let mut rows = Vec::new();
        let read = known::read(&bench, &mut rows);
        rows.iter().for_each(|row| tell(Told::Row(row)));
        calibration.rows.extend(rows);
        // What it was doing then was given up, and is no failure.
        if let Err(error) = read {
            return if is_stopped() { Ok(calibration) } else { Err(error) };
        }
    }
    if *with_links && !is_stopped() {
        tell(Told::Begins(links::NAME));
        let (stalls, base) = (Stalls::watch(&cores, Duration::from_secs(1)), control(layout)?);
        let among = || Ok(Surroundings::of(links::NAME, None, base.worse(control(layout)?), &base, &stalls));
        let rows = links::rows(layout, among, is_stopped)?;
        rows.iter().for_each(|row| tell(Told::Row(row)));
        calibration.rows.extend(rows);
    }
    Ok(calibration)
}

/// What a calibration says while it goes on.
pub enum Told<'a> {
    /// A protocol's turn.
    Begins(&'a str),
    /// A comparison is done.
    Row(&'a CalibrationRow),
}
