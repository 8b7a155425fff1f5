//! Where casts play: the hosts of a run, what joins them, and which cores do what.

use std::path::Path;

use anyhow::Context as _;
use clock::Mono;
use lab::crew::Crew;
use lab::topology::Topology;
use proto::Transport;
use proto::flow::Congestion;
use terms::{Access, Contender, Layout, Link, LinkUsed, Traffic, WanLink, Ways};

/// The hosts of a run, and its cores.
#[derive(Debug)]
pub(crate) struct Site<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) topology: Topology,
    /// All processes that play here.
    pub(crate) crew: Crew,
    /// Of contenders that state none: cubic, and where a socket is refused that reno, which every
    /// kernel gives everybody.
    pub(crate) congestion: Congestion,
}

impl Site<'_> {
    /// Makes the hosts that a scenario asks for, with one for the markets of fronts where these are
    /// elsewhere. Loopback stands in for the cable where the machine
    /// does not let it be laid, and says why; nothing stands in for a link.
    ///
    /// # Errors
    /// Where there can be no link here, with what is missing and how to get it.
    pub(crate) fn build<'a>(
        layout: &'a Layout,
        link: &Link,
        markets_elsewhere: bool,
        seed: u64,
    ) -> anyhow::Result<(Site<'a>, LinkUsed)> {
        let (topology, link, instead_because) = match link {
            Link::Wan(WanLink { ways, .. }) => {
                let topology = match markets_elsewhere {
                    true => Topology::with_markets(**ways, seed),
                    false => Topology::between(**ways, seed),
                };
                let name = || format!("'{}' is a link between two hosts", link.name());
                (topology.with_context(name)?, link.clone(), None)
            }
            Link::Loopback => (Topology::loopback(&[]), Link::Loopback, None),
            Link::Cable => match Topology::cable() {
                Ok(topology) => (topology, Link::Cable, None),
                Err(error) => (Topology::loopback(&[]), Link::Loopback, Some(error.to_string())),
            },
        };
        let has_cubic = topology.allows_congestion_control(Congestion::Cubic.name());
        let congestion = if has_cubic { Congestion::Cubic } else { Congestion::Reno };
        let congestion_control = Some(congestion.name().to_owned());
        let site = Site { layout, topology, crew: Crew::default(), congestion };
        Ok((site, LinkUsed { link, instead_because, congestion_control }))
    }

    /// Keeps every packet that crosses the link in a file, from now on.
    pub(crate) fn capture(&self, file: &Path) -> anyhow::Result<()> {
        self.topology.capture(file).with_context(|| format!("writing {}", file.display()))
    }

    /// Has the link do this from now on.
    pub(crate) fn lay(&self, ways: Ways) {
        self.topology.change([(Mono::default(), ways)]);
    }

    pub(crate) fn congestion_of(&self, access: &Access) -> Congestion {
        access.congestion.unwrap_or(self.congestion)
    }
}

/// Why a contender cannot run on this machine, where it cannot: what is missing, and how to get it.
pub(crate) fn cannot_run(contender: &Contender) -> Option<String> {
    let access = match &contender.traffic {
        Traffic::Market(access) => access,
        Traffic::Flows(flows) => {
            return flows.iter().find_map(|flow| match flow.carrier {
                proto::flow::FlowCarrier::Tcp(congestion) => missing_control(congestion),
                proto::flow::FlowCarrier::Udp => None,
            });
        }
    };
    if let Some(program) = access.program().filter(|program| lab::program::find(&[program]).is_none()) {
        return Some(format!("{program} is not installed (`{}`)", lab::program::how_to_get(program)));
    }
    match (access.congestion, access.transport()) {
        (Some(congestion), Transport::Plain | Transport::Tls) => missing_control(congestion),
        _ => None,
    }
}

/// A congestion control that this machine has not.
fn missing_control(congestion: Congestion) -> Option<String> {
    let has = lab::machine::congestion_controls().iter().any(|name| name == congestion.name());
    (!has).then(|| {
        format!("this kernel has no {0}: `modprobe tcp_{0}` as root may bring it", congestion.name())
    })
}
