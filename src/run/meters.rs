//! What the two ends of a pair used: meters that are read from outside, before and after.

use std::time::Duration;

use anyhow::Context as _;
use clock::{Clock, Mono};
use lab::meter::{CoreShares, CoreTime, HostCount, ProcessUse};
use lab::wan::WayCount;

use super::{Pair, Place};

/// What one end used in the measured time, and what happened to its core.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct EndUse {
    /// The time in which all this was: the measured time, as the meters were read.
    pub window: Duration,
    /// Processor time, waits and switches of the process.
    pub process: ProcessUse,
    /// Its processor time as a share of the time.
    pub own_share: f64,
    /// The share of the time in which its core was busy, with whatever.
    pub busy_share: f64,
    /// The share in which its core handled packets and timers; in `busy_share` too.
    pub softirq_share: f64,
    /// The share that the hypervisor took.
    pub steal_share: f64,
    /// The share that processes other than the two ends and the command used.
    pub foreign_share: f64,
    /// Allocations, in a build that counts them.
    pub allocations: Option<f64>,
}

/// What crossed between the ends in the measured time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wire {
    /// As the client's host counts it; on loopback that is both ways, and others' too.
    pub client: HostCount,
    /// As the server's host counts it, which on loopback is the same.
    pub server: HostCount,
}

impl Place<'_> {
    /// Reads the meters of a pair, from outside so that it does nothing for them.
    pub(super) fn read(&self, pair: &mut Pair) -> anyhow::Result<Readings> {
        pair.ensure_running()?;
        let client_core = *self.layout.client.first().context("no core for the client")?;
        let ((client, server), interface) = (pair.pids(), self.network.interface());
        Ok(Readings {
            at: Clock::System.now(),
            shared_core: self.layout.shared,
            server: ProcessUse::read(server)?,
            client: ProcessUse::read(client)?,
            command: ProcessUse::read(std::process::id())?,
            server_core: CoreTime::read(self.layout.server)?,
            client_core: CoreTime::read(client_core)?,
            server_host: HostCount::read(server, interface)?,
            client_host: HostCount::read(client, interface)?,
            way: self.network.to_clients(),
        })
    }
}

/// Meters of a pair at an instant.
pub(super) struct Readings {
    pub(super) at: Mono,
    shared_core: bool,
    server: ProcessUse,
    client: ProcessUse,
    command: ProcessUse,
    server_core: CoreTime,
    client_core: CoreTime,
    pub(super) server_host: HostCount,
    pub(super) client_host: HostCount,
    /// What became of packets to clients, where a router knows.
    pub(super) way: Option<WayCount>,
}

impl Readings {
    /// The client shares its core with the command.
    pub(super) fn client_use(&self, before: &Readings) -> EndUse {
        let process = self.client.since(&before.client);
        let beside = self.command.since(&before.command).cpu;
        let server = if self.shared_core { self.server.since(&before.server).cpu } else { Duration::ZERO };
        self.end_use(before, process, beside + server, self.client_core.shares_since(&before.client_core))
    }

    pub(super) fn server_use(&self, before: &Readings) -> EndUse {
        let process = self.server.since(&before.server);
        let others = self.client.since(&before.client).cpu + self.command.since(&before.command).cpu;
        let beside = if self.shared_core { others } else { Duration::ZERO };
        self.end_use(before, process, beside, self.server_core.shares_since(&before.server_core))
    }

    /// `beside`: processor time of ours that was used on the same core.
    fn end_use(&self, before: &Readings, process: ProcessUse, beside: Duration, core: CoreShares) -> EndUse {
        let share = |cpu: Duration| cpu.as_secs_f64() / self.at.since(before.at).as_secs_f64();
        // Packets that are handled while the core is otherwise idle are nobody's processor time.
        let known = share(process.cpu) + share(beside) + core.softirq;
        EndUse {
            window: self.at.since(before.at),
            process,
            own_share: share(process.cpu),
            busy_share: core.busy,
            softirq_share: core.softirq,
            steal_share: core.steal,
            foreign_share: (core.busy - known).max(0.0),
            allocations: None,
        }
    }
}
