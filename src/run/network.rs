//! What the contenders talk over: the cable where it can be laid, loopback where not; a link, or nothing.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use anyhow::Context as _;
use clock::Mono;
use lab::hosts::{CABLE, Cable, Host, try_congestion_control};
use lab::meter::LOOPBACK;
use lab::wan::{self, RouterCount, WAN, Wan, WayCount, Which};

use proto::flow::Congestion;

use crate::scenario::{Link, WanLink};

/// The network of a run.
pub(crate) enum Network {
    /// Both ends are on this machine's own host.
    Loopback,
    /// Each end is a host of its own.
    Cable(Cable),
    /// So, with a router between them.
    Wan(Wan),
}

/// What a run talked over, and why not over what was asked for.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct LinkUsed {
    /// What was used.
    pub link: Link,
    /// Why it is not what the scenario asks for.
    pub instead_because: Option<String>,
    /// The congestion control of contenders that state none, over TCP and QUIC alike: cubic, or reno where a socket is refused
    /// that; absent from older records.
    #[serde(default)]
    pub congestion_control: Option<String>,
}

impl Network {
    /// Makes the network that a scenario asks for. Loopback stands in for the cable where the machine does not let it, and
    /// says why; nothing stands in for a link.
    ///
    /// # Errors
    /// Where there can be no link here, with what is missing and how to get it.
    pub(crate) fn build(link: &Link, seed: u64) -> anyhow::Result<(Network, LinkUsed)> {
        let cable = match link {
            Link::Wan(WanLink { ways, .. }) => {
                let wan = Wan::between(**ways, seed)
                    .with_context(|| format!("'{}' is a link between two hosts", link.name()))?;
                return Ok(Network::Wan(wan).used(link.clone(), None));
            }
            Link::Loopback => return Ok(Network::Loopback.used(Link::Loopback, None)),
            Link::Cable => Cable::lay(),
        };
        Ok(match cable {
            Ok(cable) => Network::Cable(cable).used(Link::Cable, None),
            Err(error) => Network::Loopback.used(Link::Loopback, Some(error.to_string())),
        })
    }

    fn used(self, link: Link, instead_because: Option<String>) -> (Network, LinkUsed) {
        let congestion_control = Some(self.congestion().name().to_owned());
        (self, LinkUsed { link, instead_because, congestion_control })
    }

    /// What contenders have that state no congestion control: cubic, and where a socket is refused that reno, which every kernel
    /// gives everybody.
    pub(crate) fn congestion(&self) -> Congestion {
        let ask = || try_congestion_control(Congestion::Cubic.name());
        let asked = self.client_host().map_or_else(ask, |host| host.on(ask));
        if asked.is_ok() { Congestion::Cubic } else { Congestion::Reno }
    }

    /// Has the link do this from these instants on; without effect on a network that has no router.
    pub(super) fn change(&self, changes: impl IntoIterator<Item = (Mono, wan::Link)>) {
        if let Network::Wan(wan) = self {
            wan.change(changes.into_iter().map(|(at, ways)| (at, 0, ways)));
        }
    }

    /// Keeps every packet that crosses the link in a file, from now on.
    pub(super) fn capture(&self, file: &Path) -> anyhow::Result<()> {
        match self {
            Network::Wan(wan) => wan.capture(0, file).with_context(|| format!("writing {}", file.display())),
            Network::Loopback | Network::Cable(_) => Ok(()),
        }
    }

    /// How late the router was since this was last asked; `None` of a network that has none.
    pub(super) fn take_router_count(&self) -> Option<RouterCount> {
        match self {
            Network::Wan(wan) => Some(wan.take_router_count()),
            Network::Loopback | Network::Cable(_) => None,
        }
    }

    /// What became of packets from servers to clients so far; `None` of a network that has no router.
    pub(super) fn to_clients(&self) -> Option<WayCount> {
        match self {
            Network::Wan(wan) => Some(wan.count(Which::Down(0))),
            Network::Loopback | Network::Cable(_) => None,
        }
    }

    /// Where receivers of flows listen.
    pub(super) fn client_address(&self) -> IpAddr {
        match self {
            Network::Loopback => Ipv4Addr::LOCALHOST.into(),
            Network::Cable(_) => Cable::CLIENT.into(),
            Network::Wan(_) => Wan::address(Wan::CLIENT).into(),
        }
    }

    /// Where servers listen.
    pub(super) fn server_address(&self) -> IpAddr {
        match self {
            Network::Loopback => Ipv4Addr::LOCALHOST.into(),
            Network::Cable(_) => Cable::SERVER.into(),
            Network::Wan(_) => Wan::address(Wan::SERVER).into(),
        }
    }

    /// The host of the servers, where it is not this machine's own.
    pub(super) fn server_host(&self) -> Option<&Host> {
        match self {
            Network::Loopback => None,
            Network::Cable(cable) => Some(&cable.server),
            Network::Wan(wan) => wan.host(Wan::SERVER),
        }
    }

    /// The host of the clients, likewise.
    pub(super) fn client_host(&self) -> Option<&Host> {
        match self {
            Network::Loopback => None,
            Network::Cable(cable) => Some(&cable.client),
            Network::Wan(wan) => wan.host(Wan::CLIENT),
        }
    }

    /// The interface that is counted.
    pub(super) fn interface(&self) -> &'static str {
        match self {
            Network::Loopback => LOOPBACK,
            Network::Cable(_) => CABLE,
            Network::Wan(_) => WAN,
        }
    }
}
