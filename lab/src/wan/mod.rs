//! Distance on one machine: hosts that are joined by links with delay, loss, a rate and a queue.
//! Each host has one TUN device; one router in this process reads every packet of it, decides its
//! fate, and hands it on when it is due. Real loss under real TCP and UDP, with no module of the
//! kernel's; seeded; gone when the process is.
//!
//! It works on packets of at most one MTU: a TUN device without `IFF_VNET_HDR` is offered no larger
//! ones.

mod capture;
mod fate;
mod packet;
mod router;
mod tun;
mod way;

use std::io;
use std::net::Ipv4Addr;
use std::path::Path;

use clock::Mono;

use terms::ways::MTU;
use terms::{WayCount, Ways};

use crate::hosts::{Host, HostError};
use router::Router;
pub use router::RouterCount;

/// The interface of a host on a wan, the same on each.
pub const WAN: &str = "wan0";
/// Hosts of one topology, at most.
const HOSTS_MAX: usize = 64;

/// Two hosts that a link joins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Join {
    /// A host, by its place.
    pub from: usize,
    /// Another.
    pub to: usize,
    /// What lies between.
    pub link: Ways,
}

/// Which way of which join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// From its first host to its second.
    Up(usize),
    /// And back.
    Down(usize),
}

impl Which {
    fn place(self) -> usize {
        match self {
            Which::Up(join) => join * 2,
            Which::Down(join) => join * 2 + 1,
        }
    }
}

/// Hosts, the links between them, and the router that carries packets over them.
#[derive(Debug)]
pub struct Wan {
    hosts: Vec<Host>,
    router: Router,
}

impl Wan {
    /// The host of the clients, where there are two.
    pub const CLIENT: usize = 0;
    /// The host of the servers.
    pub const SERVER: usize = 1;

    /// Two hosts and a link between them.
    ///
    /// # Errors
    /// As [`Wan::build`].
    pub fn between(link: Ways, seed: u64) -> Result<Wan, HostError> {
        Wan::build(2, &[Join { from: Wan::CLIENT, to: Wan::SERVER, link }], seed)
    }

    /// Makes hosts and joins them; the same seed gives the n-th packet of a way the same fate.
    ///
    /// # Errors
    /// Where the system allows no namespaces or no TUN device, or a join names a host that is not
    /// there.
    pub fn build(hosts: usize, joins: &[Join], seed: u64) -> Result<Wan, HostError> {
        let refused = |what| move |reason| HostError::Refused { what, reason };
        if hosts > HOSTS_MAX || joins.iter().any(|join| join.from.max(join.to) >= hosts) {
            let reason = io::Error::new(io::ErrorKind::InvalidInput, "a join of a host that is not there");
            return Err(HostError::Refused { what: "joining hosts", reason });
        }
        let made: Vec<Host> = (0..hosts).map(|_| Host::new()).collect::<Result<_, _>>()?;
        let mut devices = Vec::with_capacity(hosts);
        for (place, host) in made.iter().enumerate() {
            let touching = joins.iter().filter(|join| join.from == place || join.to == place);
            let mtu = touching.map(|join| join.link.up.mtu.max(join.link.down.mtu)).max().unwrap_or(MTU);
            devices.push(tun::plug_in(host, Wan::address(place), mtu)?);
        }
        let router = Router::start(devices, joins, seed).map_err(refused("starting the router"))?;
        Ok(Wan { hosts: made, router })
    }

    /// A host.
    pub fn host(&self, place: usize) -> Option<&Host> {
        self.hosts.get(place)
    }

    /// The address of a host: of the range that is kept for benchmarks (RFC 2544).
    pub fn address(place: usize) -> Ipv4Addr {
        let last = u8::try_from(place + 1).unwrap_or(u8::MAX);
        Ipv4Addr::new(198, 18, 1, last)
    }

    /// Changes links at given times, as precisely as packets are released; a time that has passed
    /// is now. What is on its way arrives as it would have.
    pub fn change(&self, changes: impl IntoIterator<Item = (Mono, usize, Ways)>) {
        let ways = |(at, join, link): (Mono, usize, Ways)| {
            [(at, Which::Up(join).place(), link.up), (at, Which::Down(join).place(), link.down)]
        };
        self.router.change(changes.into_iter().flat_map(ways));
    }

    /// Writes every packet that arrives over a join into a file for Wireshark, from now on and
    /// until this is dropped.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn capture(&self, join: usize, file: &Path) -> io::Result<()> {
        self.router.capture(join, capture::Capture::create(file)?);
        Ok(())
    }

    /// What became of the packets of a way so far.
    pub fn count(&self, which: Which) -> WayCount {
        self.router.count(which.place())
    }

    /// How late the router itself was, since this was last asked, and what it could not carry.
    pub fn take_router_count(&self) -> RouterCount {
        self.router.take_count()
    }
}

#[cfg(test)]
mod tests;
