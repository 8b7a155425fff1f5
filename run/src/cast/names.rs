//! The name servers of a cast, and the resolver of somebody else's that asks them where there is
//! one.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::bail;
use lab::child::Child;
use lab::meter::ProcessUse;
use lab::topology::SERVERS;
use servers::role::{Name, NameServers, Ready};
use terms::{NameSettings, SetAbsences};

use super::{ANSWER_TIME_MAX, OPEN_TIME_MAX};
use crate::roles::Supervisor;
use crate::site::Site;

/// The processes that know the market's name.
#[derive(Debug)]
pub(super) struct NameProcesses {
    child: Child<NameServers>,
    /// The resolver's supervisor, and its process.
    resolver: Option<(Child<Supervisor>, u32)>,
    /// How long a resolver may answer from memory: it may count in whole seconds.
    kept_by_a_resolver: Duration,
    /// Whom clients ask.
    pub(super) asked: Vec<SocketAddr>,
}

impl NameProcesses {
    /// Starts those of these markets.
    pub(super) fn start(
        site: &Site<'_>,
        name: &str,
        settings: &NameSettings,
        markets: &[Ready],
        market_seed: u64,
    ) -> anyhow::Result<NameProcesses> {
        let addresses = markets.iter().map(|market| match market.address.ip() {
            IpAddr::V4(address) => Ok(address),
            IpAddr::V6(address) => bail!("a name of {name} cannot be {address}: it has IPv4 addresses"),
        });
        let start = Name {
            core: site.layout.server,
            address: site.topology.address(SERVERS),
            markets: addresses.collect::<anyhow::Result<_>>()?,
            settings: settings.clone(),
            seed: market_seed,
        };
        let title = format!("the name servers of {name}");
        let mut child = Child::start(&site.crew, &title, site.topology.host(SERVERS), &start)?;
        let named = child.ready(OPEN_TIME_MAX)?;
        let kept_by_a_resolver = settings.ttl + Duration::from_secs(1);
        let Some(resolver) = &settings.resolver else {
            return Ok(NameProcesses { child, resolver: None, kept_by_a_resolver, asked: named.caches });
        };
        let behind = vec![("name_server".to_owned(), named.zone)];
        let (supervisor, ready) = site.start_foreign(name, resolver, behind, market_seed)?;
        let resolver = ready.program.map(|program| (supervisor, program));
        Ok(NameProcesses { child, resolver, kept_by_a_resolver, asked: vec![ready.address] })
    }

    /// Has everybody forget what was answered before: connections that are opened now find all
    /// markets. A resolver of somebody else's cannot be told: it is waited for.
    pub(super) fn forget(&mut self) -> anyhow::Result<()> {
        if self.resolver.is_some() {
            clock::pause_thread(self.kept_by_a_resolver);
        }
        self.set(SetAbsences(Vec::new()))
    }

    /// Has these markets be absent from the list at their times.
    pub(super) fn set(&mut self, absences: SetAbsences) -> anyhow::Result<()> {
        Ok(self.child.ask(absences, ANSWER_TIME_MAX)?)
    }

    pub(super) fn ensure_running(&mut self) -> anyhow::Result<()> {
        if let Some((supervisor, _)) = &mut self.resolver {
            supervisor.ensure_running()?;
        }
        Ok(self.child.ensure_running()?)
    }

    /// What they used so far.
    pub(super) fn used(&self) -> io::Result<ProcessUse> {
        let own = ProcessUse::read(self.child.pid())?;
        let Some((_, program)) = self.resolver else { return Ok(own) };
        Ok(own.and(&ProcessUse::read(program)?))
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.pid()
    }
}
