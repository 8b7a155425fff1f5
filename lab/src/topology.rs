//! A topology: named hosts, and what joins them. A host is a namespace of its own, or this
//! machine's own network where nothing else is asked for.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use clock::Mono;
use terms::{WayCount, Ways};

use crate::hosts::{CABLE, Cable, Host, HostError, try_congestion_control};
use crate::meter::LOOPBACK;
use crate::wan::{Join, RouterCount, WAN, Wan, Which};

/// The host of the clients.
pub const CLIENTS: &str = "clients";
/// The host of the servers.
pub const SERVERS: &str = "servers";
/// The host of the markets behind a front, where they are not on its own.
pub const MARKETS: &str = "markets";

/// Named hosts, and what joins them.
#[derive(Debug)]
pub struct Topology {
    hosts: Vec<String>,
    network: Network,
}

#[derive(Debug)]
enum Network {
    /// All hosts are this machine's own.
    Loopback,
    /// Two hosts and a cable.
    Cable(Cable),
    /// Hosts around a router.
    Wan(Wan),
}

impl Topology {
    /// Hosts that are all this machine's own.
    pub fn loopback(hosts: &[&str]) -> Topology {
        Topology { hosts: owned(hosts), network: Network::Loopback }
    }

    /// Clients and servers, each on a host of its own, and a cable between them.
    ///
    /// # Errors
    /// Where the machine allows no namespaces.
    pub fn cable() -> Result<Topology, HostError> {
        Ok(Topology { hosts: owned(&[CLIENTS, SERVERS]), network: Network::Cable(Cable::lay()?) })
    }

    /// Hosts around a router; each join names two of them by their places in the list.
    ///
    /// # Errors
    /// Where the machine allows no namespaces or no TUN device, or a join names a host that is not
    /// there.
    pub fn wan(hosts: &[&str], joins: &[Join], seed: u64) -> Result<Topology, HostError> {
        let wan = Wan::build(hosts.len(), joins, seed)?;
        Ok(Topology { hosts: owned(hosts), network: Network::Wan(wan) })
    }

    /// Clients, servers that are fronts, and their markets: with this between the first two, and
    /// nothing yet between the others.
    ///
    /// # Errors
    /// As [`Topology::wan`].
    pub fn with_markets(link: Ways, seed: u64) -> Result<Topology, HostError> {
        let joins = [Join { from: 0, to: 1, link }, Join { from: 1, to: 2, link: link.cleared() }];
        Topology::wan(&[CLIENTS, SERVERS, MARKETS], &joins, seed)
    }

    /// Clients and servers, with this between them.
    ///
    /// # Errors
    /// As [`Topology::wan`].
    pub fn between(link: Ways, seed: u64) -> Result<Topology, HostError> {
        Topology::wan(&[CLIENTS, SERVERS], &[Join { from: 0, to: 1, link }], seed)
    }

    /// Whether all hosts are this machine's own.
    pub fn is_loopback(&self) -> bool {
        matches!(self.network, Network::Loopback)
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.hosts.iter().position(|host| host == name)
    }

    /// A host by its name; `None` where that is this machine's own network.
    pub fn host(&self, name: &str) -> Option<&Host> {
        match &self.network {
            Network::Loopback => None,
            Network::Cable(cable) if name == CLIENTS => Some(&cable.client),
            Network::Cable(cable) => Some(&cable.server),
            Network::Wan(wan) => wan.host(self.place(name)?),
        }
    }

    /// The address of a host.
    pub fn address(&self, name: &str) -> IpAddr {
        match &self.network {
            Network::Loopback => Ipv4Addr::LOCALHOST.into(),
            Network::Cable(_) if name == CLIENTS => Cable::CLIENT.into(),
            Network::Cable(_) => Cable::SERVER.into(),
            Network::Wan(_) => Wan::address(self.place(name).unwrap_or(usize::MAX)).into(),
        }
    }

    /// The nth address of the servers' host, counted from 1: one for each market of a name. Around
    /// a router a host has one.
    pub fn server_address(&self, nth: usize) -> IpAddr {
        match (&self.network, u8::try_from(nth)) {
            (Network::Loopback, Ok(nth)) => Ipv4Addr::new(127, 0, 0, nth).into(),
            (Network::Cable(_), _) => Cable::server(nth).into(),
            _ => self.address(SERVERS),
        }
    }

    /// The interface that is counted, the same on every host.
    pub fn interface(&self) -> &'static str {
        match self.network {
            Network::Loopback => LOOPBACK,
            Network::Cable(_) => CABLE,
            Network::Wan(_) => WAN,
        }
    }

    /// Whether sockets on the clients' host may have a congestion control.
    pub fn allows_congestion_control(&self, name: &str) -> bool {
        let ask = || try_congestion_control(name);
        self.host(CLIENTS).map_or_else(ask, |host| host.on(ask)).is_ok()
    }

    /// Has the first join do this from these instants on; without effect where there is no router.
    pub fn change(&self, changes: impl IntoIterator<Item = (Mono, Ways)>) {
        if let Network::Wan(wan) = &self.network {
            wan.change(changes.into_iter().map(|(at, ways)| (at, 0, ways)));
        }
    }

    /// Has what is between fronts and their markets do this from now on; without effect where that
    /// is nothing.
    pub fn lay_to_markets(&self, ways: Ways) {
        if let (Network::Wan(wan), Some(_)) = (&self.network, self.place(MARKETS)) {
            wan.change([(Mono::default(), 1, ways)]);
        }
    }

    /// The host of the markets behind a front.
    pub fn of_markets(&self) -> &'static str {
        if self.place(MARKETS).is_some() { MARKETS } else { SERVERS }
    }

    /// Keeps every packet that crosses the first join in a file, from now on; without effect where
    /// there is no router.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn capture(&self, file: &Path) -> io::Result<()> {
        match &self.network {
            Network::Wan(wan) => wan.capture(0, file),
            Network::Loopback | Network::Cable(_) => Ok(()),
        }
    }

    /// How late the router was since this was last asked; `None` where there is none.
    pub fn take_router_count(&self) -> Option<RouterCount> {
        match &self.network {
            Network::Wan(wan) => Some(wan.take_router_count()),
            Network::Loopback | Network::Cable(_) => None,
        }
    }

    /// What became of packets from the second host of the first join to its first, so far; `None`
    /// where there is no router.
    pub fn to_clients(&self) -> Option<WayCount> {
        match &self.network {
            Network::Wan(wan) => Some(wan.count(Which::Down(0))),
            Network::Loopback | Network::Cable(_) => None,
        }
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_loopback_every_host_is_this_machines_own() {
        let topology = Topology::loopback(&[CLIENTS, SERVERS, "edge"]);
        assert!(topology.is_loopback() && topology.host("edge").is_none());
        assert_eq!(topology.address("edge"), topology.address(CLIENTS));
        assert_eq!((topology.interface(), topology.take_router_count()), (LOOPBACK, None));
    }
}
