//! What the servers of a cast are told and asked, round by round: the market, or a front and the
//! markets behind it.

use std::time::Duration;

use clock::Mono;
use servers::market::{CountCalls, Spell};
use servers::role::{CountOrders, Renew};
use terms::{
    Absence, Concurrency, Condition, Course, Handler, REPLICAS_MAX, SetAbsences, Trouble, TroubleKind,
};

use super::{ANSWER_TIME_MAX, Cast, Client, MarketProcess, Server};

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

    /// Tells each market something, counted from 1: the server, if it is one, and the others.
    pub(super) fn each_market(
        &mut self,
        mut tell: impl FnMut(usize, &mut MarketProcess) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let first = if self.is_before { None } else { Some(self.server.process()?) };
        let mut markets = first.into_iter().chain(&mut self.others).enumerate();
        markets.try_for_each(|(nth, market)| tell(nth + 1, market))
    }

    /// Has this happen to the market, in place of what was to happen before.
    pub(super) fn trouble(&mut self, measured_from: Mono, troubles: &[Trouble]) -> anyhow::Result<()> {
        let inside: Vec<&Trouble> = troubles.iter().filter(|of| of.kind.is_inside()).collect();
        if inside.is_empty() && !self.troubled {
            return Ok(());
        }
        let spell = |trouble: &Trouble| {
            let from = measured_from + trouble.after;
            Spell { from, to: from + trouble.lasts, kind: trouble.kind }
        };
        self.each_market(|nth, market| {
            let of_it = inside.iter().filter(|trouble| trouble.is_of(nth));
            market.trouble(of_it.map(|trouble| spell(trouble)).collect())
        })?;
        self.troubled = !inside.is_empty();
        Ok(())
    }

    /// Has a front's policies begin a round, as the load engine's do.
    pub(super) fn renew(&mut self, seed: u64) -> anyhow::Result<()> {
        match &mut self.server {
            Server::Market(front) if self.is_before => Ok(front.child.ask(Renew(seed), ANSWER_TIME_MAX)?),
            _ => Ok(()),
        }
    }

    /// Has each market count its calls in slices of the measured time, where there are several.
    pub(super) fn count_markets(&mut self, from: Mono, duration: Duration) -> anyhow::Result<()> {
        if !self.counts_markets {
            return Ok(());
        }
        let Course { slice, slices, .. } = Course::over(from.0, duration);
        let count = CountCalls { from, slice, slices: slices.len() };
        self.each_market(|_, market| market.count_calls(count))
    }

    /// Calls that came to each market, slice by slice; empty where they are not counted.
    pub(super) fn calls_by_market(&mut self) -> anyhow::Result<Vec<Vec<u64>>> {
        let mut calls = Vec::new();
        if self.counts_markets {
            self.each_market(|_, market| {
                calls.push(market.counted_calls()?);
                Ok(())
            })?;
        }
        Ok(calls)
    }

    /// Has these markets be absent from the list at their times, the client's or the name servers'.
    pub(super) fn leave_the_list(&mut self, measured_from: Mono, troubles: &[Trouble]) -> anyhow::Result<()> {
        let leaves = troubles.iter().filter(|trouble| trouble.kind == TroubleKind::Leaves);
        let absences = leaves.flat_map(|trouble| {
            let from = Duration::from_nanos((measured_from + trouble.after).0);
            let to = from + trouble.lasts;
            let all = trouble.market.map_or(1..=REPLICAS_MAX, |nth| nth..=nth);
            all.map(move |nth| Absence { market: nth - 1, from, to })
        });
        let absences = SetAbsences(absences.collect());
        if let Some(names) = &mut self.names {
            names.set(absences.clone())?;
        }
        match &mut self.client {
            Client::Caller(caller) if self.has_list => Ok(caller.ask(absences, ANSWER_TIME_MAX)?),
            _ => Ok(()),
        }
    }

    /// Calls that came to markets while something happened to them; `None` where nothing did.
    pub(super) fn calls_in_trouble(&mut self) -> anyhow::Result<Option<u64>> {
        if !self.troubled {
            return Ok(None);
        }
        let mut calls = 0;
        self.each_market(|_, market| {
            calls += market.calls_in_trouble()?;
            Ok(())
        })?;
        Ok(Some(calls))
    }

    /// Orders in the market's ledger.
    pub(super) fn orders(&mut self) -> anyhow::Result<u64> {
        Ok(self.server.market()?.ask(CountOrders, ANSWER_TIME_MAX)?)
    }
}
