//! What the two ends of a cast used: meters that are read from outside, before and after.

use std::time::Duration;

use anyhow::Context as _;
use clock::{Clock, Mono};
use lab::meter::{CoreShares, CoreTime, HostCount, ProcessUse};
use record::{EndPart, TrafficPart, WirePart};
use terms::WayCount;

use crate::cast::Cast;
use crate::site::Site;

impl Site<'_> {
    /// Reads the meters of a cast, from outside so that it does nothing for them.
    pub(crate) fn read(&self, cast: &mut Cast) -> anyhow::Result<Readings> {
        cast.ensure_running()?;
        let client_core = *self.layout.client.first().context("no core for the client")?;
        let (client, server) = (cast.client.pid(), cast.server.pid());
        let interface = self.topology.interface();
        Ok(Readings {
            at: Clock::System.now(),
            shared_core: self.layout.shared,
            server: cast.server_use()?,
            client: ProcessUse::read(client)?,
            command: ProcessUse::read(std::process::id())?,
            server_core: CoreTime::read(self.layout.server)?,
            client_core: CoreTime::read(client_core)?,
            server_host: HostCount::read(server, interface)?,
            client_host: HostCount::read(client, interface)?,
            way: self.topology.to_clients(),
        })
    }
}

/// Meters of a cast at an instant.
pub(crate) struct Readings {
    at: Mono,
    shared_core: bool,
    server: ProcessUse,
    client: ProcessUse,
    command: ProcessUse,
    server_core: CoreTime,
    client_core: CoreTime,
    server_host: HostCount,
    client_host: HostCount,
    /// What became of packets to clients, where a router knows.
    pub(crate) way: Option<WayCount>,
}

impl Readings {
    /// What the client used. It shares its core with the command.
    pub(crate) fn client_part(&self, before: &Readings) -> EndPart {
        let process = self.client.since(&before.client);
        let beside = self.command.since(&before.command).cpu;
        let server = if self.shared_core { self.server.since(&before.server).cpu } else { Duration::ZERO };
        self.end_part(before, process, beside + server, self.client_core.shares_since(&before.client_core))
    }

    /// What the server used.
    pub(crate) fn server_part(&self, before: &Readings) -> EndPart {
        let process = self.server.since(&before.server);
        let others = self.client.since(&before.client).cpu + self.command.since(&before.command).cpu;
        let beside = if self.shared_core { others } else { Duration::ZERO };
        self.end_part(before, process, beside, self.server_core.shares_since(&before.server_core))
    }

    /// `beside`: processor time of ours that was used on the same core.
    fn end_part(
        &self,
        before: &Readings,
        process: ProcessUse,
        beside: Duration,
        core: CoreShares,
    ) -> EndPart {
        let window = self.at.since(before.at);
        let share = |cpu: Duration| cpu.as_secs_f64() / window.as_secs_f64();
        // Packets that are handled while the core is otherwise idle are nobody's processor time.
        let known = share(process.cpu) + share(beside) + core.softirq;
        EndPart {
            window_us: micros(window),
            cpu_us: micros(process.cpu),
            waited_us: micros(process.waited),
            voluntary_switches: process.voluntary_switches,
            involuntary_switches: process.involuntary_switches,
            own_share: share(process.cpu),
            core_busy_share: core.busy,
            core_softirq_share: core.softirq,
            core_steal_share: core.steal,
            core_foreign_share: (core.busy - known).max(0.0),
            allocations: None,
        }
    }

    /// What crossed between the ends. On loopback both read the same interface, which does not tell
    /// the ways apart.
    pub(crate) fn wire_part(&self, before: &Readings, loopback: bool) -> WirePart {
        let client = self.client_host.since(&before.client_host);
        let server = self.server_host.since(&before.server_host);
        let sent = |count: &HostCount| TrafficPart { bytes: count.sent_bytes, packets: count.sent_packets };
        let (to_server, to_client) = (sent(&client), sent(&server));
        if loopback {
            return WirePart {
                total: to_server,
                to_server: None,
                to_client: None,
                retransmitted_segments: client.retransmitted_segments,
                udp_drops: client.udp_drops,
            };
        }
        WirePart {
            total: TrafficPart {
                bytes: to_server.bytes + to_client.bytes,
                packets: to_server.packets + to_client.packets,
            },
            to_server: Some(to_server),
            to_client: Some(to_client),
            retransmitted_segments: client.retransmitted_segments + server.retransmitted_segments,
            udp_drops: client.udp_drops + server.udp_drops,
        }
    }
}

/// A time in µs.
pub(crate) fn micros(span: Duration) -> f64 {
    span.as_nanos() as f64 / 1e3
}
