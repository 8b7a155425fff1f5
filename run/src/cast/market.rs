//! A market's process, in whose place another can be started.

use std::io;

use clock::{Clock, Mono};
use lab::child::{Child, ChildError};
use lab::meter::ProcessUse;
use servers::MarketConfig;
use servers::market::{CountCalls, Spell};
use servers::role::{CountCallsInTrouble, MarketServer, Ready, Serve, TakeCounts, Troubles};
use terms::Handler;
use terms::role::Role;

use super::{ANSWER_TIME_MAX, OPEN_TIME_MAX};
use crate::site::Site;

/// A market's process, and how it was told to serve.
#[derive(Debug)]
pub(crate) struct MarketProcess {
    name: String,
    /// Where it stands.
    host: &'static str,
    pub(crate) child: Child<MarketServer>,
    /// With where it listens.
    serve: Box<Serve>,
    /// What those used that were here before it.
    used_before: ProcessUse,
    /// What calls are counted, and those that those before it counted.
    counts: Option<CountCalls>,
    counted_before: Vec<u64>,
    /// What happens in it, which a successor has to be told.
    spells: Vec<Spell>,
    in_trouble_before: u64,
}

impl MarketProcess {
    /// Starts it, and waits until it listens.
    pub(super) fn start(
        site: &Site<'_>,
        name: &str,
        host: &'static str,
        serve: Box<Serve>,
    ) -> Result<(MarketProcess, Ready), ChildError> {
        let name = format!("the server of {name}");
        let (child, ready) = start(site, &name, host, &serve)?;
        let serve = Box::new(Serve { address: ready.address, ..*serve });
        Ok((
            MarketProcess {
                name,
                host,
                child,
                serve,
                used_before: ProcessUse::default(),
                counts: None,
                counted_before: Vec::new(),
                spells: Vec::new(),
                in_trouble_before: 0,
            },
            ready,
        ))
    }

    /// Kills it, with everybody's connections; says when.
    pub(super) fn kill(&mut self) -> anyhow::Result<Mono> {
        self.used_before = self.used()?;
        self.counted_before = self.counted_calls()?;
        self.in_trouble_before = self.calls_in_trouble()?;
        let killed = Clock::System.now();
        self.child.kill()?;
        Ok(killed)
    }

    /// Starts another that listens where it did, and does this; says since when it listens.
    pub(super) fn start_again(&mut self, site: &Site<'_>, handler: Handler) -> anyhow::Result<Mono> {
        let market = MarketConfig { handler, ..self.serve.market.clone() };
        let serve = Box::new(Serve { market, ..(*self.serve).clone() });
        let (child, ready) = start(site, &self.name, self.host, &serve)?;
        self.child = child;
        if let Some(counts) = self.counts {
            self.child.ask(counts, ANSWER_TIME_MAX)?;
        }
        if !self.spells.is_empty() {
            self.child.ask(Troubles(self.spells.clone()), ANSWER_TIME_MAX)?;
        }
        Ok(ready.listening_since)
    }

    /// Counts calls in slices, in place of what was counted before.
    pub(super) fn count_calls(&mut self, counts: CountCalls) -> anyhow::Result<()> {
        (self.counts, self.counted_before) = (Some(counts), Vec::new());
        Ok(self.child.ask(counts, ANSWER_TIME_MAX)?)
    }

    /// Has this happen in it, in place of what was to happen before.
    pub(super) fn trouble(&mut self, spells: Vec<Spell>) -> anyhow::Result<()> {
        (self.spells, self.in_trouble_before) = (spells, 0);
        Ok(self.child.ask(Troubles(self.spells.clone()), ANSWER_TIME_MAX)?)
    }

    /// Calls that came to it, and to those before it, while something happened in it.
    pub(super) fn calls_in_trouble(&mut self) -> anyhow::Result<u64> {
        Ok(self.in_trouble_before + self.child.ask(CountCallsInTrouble, ANSWER_TIME_MAX)?)
    }

    /// Calls that it and those before it counted.
    pub(super) fn counted_calls(&mut self) -> anyhow::Result<Vec<u64>> {
        if self.counts.is_none() {
            return Ok(Vec::new());
        }
        let mut counts = self.child.ask(TakeCounts, ANSWER_TIME_MAX)?;
        counts.iter_mut().zip(&self.counted_before).for_each(|(count, before)| *count += before);
        Ok(counts)
    }

    /// What it used so far, and those before it.
    pub(crate) fn used(&self) -> io::Result<ProcessUse> {
        Ok(ProcessUse::read(self.child.pid())?.and(&self.used_before))
    }
}

fn start(
    site: &Site<'_>,
    name: &str,
    host: &str,
    serve: &<MarketServer as Role>::Start,
) -> Result<(Child<MarketServer>, Ready), ChildError> {
    let mut child = Child::start(&site.crew, name, site.topology.host(host), serve)?;
    let ready = child.ready(OPEN_TIME_MAX)?;
    Ok((child, ready))
}
