//! What the servers of a cast are told and asked, round by round: the market, or a front and the
//! markets behind it.

use std::time::Duration;

use clock::Mono;
use servers::market::Spell;
use servers::role::{CountCallsInTrouble, CountOrders, Renew, Troubles};
use terms::{Concurrency, Condition, Handler, Trouble};

use super::{ANSWER_TIME_MAX, Cast, MarketProcess};

/// What the servers of a cast do about calls.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct CastWork {
    /// What the market's handlers do.
    pub(crate) handler: Handler,
    /// How long those of the second market wait, where that differs.
    pub(crate) second_wait: Option<Duration>,
    /// How much a front does at once.
    pub(crate) front: Option<Concurrency>,
}

impl From<&Condition> for CastWork {
    fn from(condition: &Condition) -> CastWork {
        let Condition { handler, second_wait, front, .. } = condition;
        CastWork { handler: *handler, second_wait: *second_wait, front: *front }
    }
}

impl CastWork {
    /// What the handlers of a market do, counted from 1.
    pub(super) fn handler_of(&self, nth: usize) -> Handler {
        let own = self.second_wait.filter(|_| nth == 2);
        own.map_or(self.handler, |wait| Handler { wait, ..self.handler })
    }
}

impl Cast {
    /// Has markets and front do this, unless they do.
    pub(crate) fn handle(&mut self, work: CastWork) -> anyhow::Result<()> {
        let CastWork { handler, second_wait, front } = work;
        if (self.work.handler, self.work.second_wait) != (handler, second_wait) {
            self.each_market(|nth, market| Ok(market.child.ask(work.handler_of(nth), ANSWER_TIME_MAX)?))?;
        }
        if self.work.front != front {
            let front = Handler { concurrency: front, ..Handler::default() };
            self.server.market()?.ask(front, ANSWER_TIME_MAX)?;
        }
        self.work = work;
        Ok(())
    }

    /// Tells each market something, counted from 1: those behind the server, or else the server.
    pub(super) fn each_market(
        &mut self,
        mut tell: impl FnMut(usize, &mut MarketProcess) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        if self.behind.is_empty() {
            return tell(1, self.server.process()?);
        }
        self.behind.iter_mut().enumerate().try_for_each(|(nth, market)| tell(nth + 1, market))
    }

    /// Has this happen to the market, in place of what was to happen before.
    pub(super) fn trouble(&mut self, measured_from: Mono, troubles: &[Trouble]) -> anyhow::Result<()> {
        let inside: Vec<&Trouble> = troubles.iter().filter(|of| !of.kind.is_of_process()).collect();
        if inside.is_empty() && !self.troubled {
            return Ok(());
        }
        let spell = |trouble: &Trouble| {
            let from = measured_from + trouble.after;
            Spell { from, to: from + trouble.lasts, kind: trouble.kind }
        };
        self.each_market(|nth, market| {
            let of_it = inside.iter().filter(|trouble| trouble.market.is_none_or(|market| market == nth));
            let spells = of_it.map(|trouble| spell(trouble)).collect();
            Ok(market.child.ask(Troubles(spells), ANSWER_TIME_MAX)?)
        })?;
        self.troubled = !inside.is_empty();
        Ok(())
    }

    /// Has a front's policies begin a round, as the load engine's do.
    pub(super) fn renew(&mut self, seed: u64) -> anyhow::Result<()> {
        if self.behind.is_empty() {
            return Ok(());
        }
        Ok(self.server.market()?.ask(Renew(seed), ANSWER_TIME_MAX)?)
    }

    /// Calls that came to markets while something happened to them; `None` where nothing did.
    pub(super) fn calls_in_trouble(&mut self) -> anyhow::Result<Option<u64>> {
        if !self.troubled {
            return Ok(None);
        }
        let mut calls = 0;
        self.each_market(|_, market| {
            calls += market.child.ask(CountCallsInTrouble, ANSWER_TIME_MAX)?;
            Ok(())
        })?;
        Ok(Some(calls))
    }

    /// Orders in the market's ledger.
    pub(super) fn orders(&mut self) -> anyhow::Result<u64> {
        Ok(self.server.market()?.ask(CountOrders, ANSWER_TIME_MAX)?)
    }
}
