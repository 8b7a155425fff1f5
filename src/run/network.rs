//! What the contenders talk over: the cable where it can be laid, loopback where not.

use std::net::{IpAddr, Ipv4Addr};

use lab::hosts::{CABLE, Cable, Host};
use lab::meter::LOOPBACK;

use crate::scenario::Link;

/// The network of a run.
pub(crate) enum Network {
    /// Both ends are on this machine's own host.
    Loopback,
    /// Each end is a host of its own.
    Cable(Cable),
}

/// What a run talked over, and why not over what was asked for.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct LinkUsed {
    /// What was used.
    pub link: Link,
    /// Why it is not what the scenario asks for.
    pub instead_because: Option<String>,
}

impl Network {
    /// Makes the network that a scenario asks for; loopback where the machine does not let it, and why.
    pub(crate) fn build(link: Link) -> (Network, LinkUsed) {
        let cable = match link {
            Link::Loopback => None,
            Link::Cable => Some(Cable::lay()),
        };
        let (network, link, instead_because) = match cable {
            Some(Ok(cable)) => (Network::Cable(cable), Link::Cable, None),
            Some(Err(error)) => (Network::Loopback, Link::Loopback, Some(error.to_string())),
            None => (Network::Loopback, Link::Loopback, None),
        };
        (network, LinkUsed { link, instead_because })
    }

    /// Where servers listen.
    pub(super) fn server_address(&self) -> IpAddr {
        match self {
            Network::Loopback => Ipv4Addr::LOCALHOST.into(),
            Network::Cable(_) => Cable::SERVER.into(),
        }
    }

    /// The host of the servers, where it is not this machine's own.
    pub(super) fn server_host(&self) -> Option<&Host> {
        match self {
            Network::Loopback => None,
            Network::Cable(cable) => Some(&cable.server),
        }
    }

    /// The host of the clients, likewise.
    pub(super) fn client_host(&self) -> Option<&Host> {
        match self {
            Network::Loopback => None,
            Network::Cable(cable) => Some(&cable.client),
        }
    }

    /// The interface that is counted.
    pub(super) fn interface(&self) -> &'static str {
        match self {
            Network::Loopback => LOOPBACK,
            Network::Cable(_) => CABLE,
        }
    }
}
