//! Calibration: the engine measures what is known. Every protocol's own server and client, and the
//! market behind them treats each call by a formula ([`servers::reference`]); what was measured
//! stands beside what is true.

mod bench;
mod known;
mod links;
mod predict;

use std::time::Duration;

use bench::{Bench, Surroundings, control};
use lab::stalls::Stalls;
use proto::Protocol;
use record::Calibration;
pub use record::calibration::{Accuracy, CalibrationRow, Unit};
use terms::{Layout, Link};

use crate::site::Site;

/// Calibrates protocols, each as one contender, and the lab's links if asked; `tell` hears of every
/// row and of what begins.
///
/// # Errors
/// Where a process or the network fails.
pub fn calibrate(
    protocols: &[Protocol],
    layout: &Layout,
    machine: String,
    commit: Option<String>,
    link: &Link,
    with_links: bool,
    tell: &mut dyn FnMut(Told<'_>),
) -> anyhow::Result<Calibration> {
    let (site, link) = Site::build(layout, link, false, 1)?;
    let mut calibration = Calibration {
        made_at_us: clock::wall_time_us(),
        machine,
        commit,
        link,
        stall_share: 0.0,
        rows: Vec::new(),
    };
    let cores: Vec<usize> = std::iter::once(layout.server).chain(layout.client.iter().copied()).collect();
    let mut watched = 0.0;
    for protocol in protocols {
        tell(Told::Begins(protocol.name()));
        let stalls = Stalls::watch(&cores, Duration::from_secs(1));
        watched += 1.0;
        calibration.stall_share += (stalls.share - calibration.stall_share) / watched;
        let bench = Bench { site: &site, protocol: *protocol, stalls, base: control(layout)? };
        let rows = known::rows(&bench)?;
        rows.iter().for_each(|row| tell(Told::Row(row)));
        calibration.rows.extend(rows);
    }
    if with_links {
        tell(Told::Begins(links::NAME));
        let (stalls, base) = (Stalls::watch(&cores, Duration::from_secs(1)), control(layout)?);
        let among = || Ok(Surroundings::of(links::NAME, None, base.worse(control(layout)?), &base, &stalls));
        let rows = links::rows(layout, among)?;
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
