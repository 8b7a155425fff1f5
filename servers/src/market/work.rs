//! What a handler does before a call's answer leaves: its wait, its turn, and what goes wrong.

use std::sync::Arc;
use std::time::Duration;

use clock::{Clock, Delays, Mono};
use proto::{MarketResult, Reply};
use serde::{Deserialize, Serialize};
use terms::{Handler, TroubleKind};

use super::arrivals::CallCount;
use super::backend::Asked;
use super::turns::Turns;

/// Something that happens to the market, and when.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spell {
    /// Its beginning.
    pub from: Mono,
    /// Its end.
    pub to: Mono,
    /// What happens.
    pub kind: TroubleKind,
}

/// What handlers do, with whom they take turns, and what happens to them.
#[derive(Debug, Clone)]
pub(super) struct Work {
    pub(super) handler: Handler,
    turns: Option<Arc<Turns>>,
    /// `None` where nothing was ever to happen, so that nobody looks at the time.
    spells: Option<Arc<[Spell]>>,
    /// Counts calls, where somebody asked for that.
    pub(super) calls: Option<CallCount>,
}

/// When a call's answer leaves.
#[derive(Debug)]
pub(super) enum Time {
    /// At this time.
    At(Mono),
    /// When it has had its turn.
    InTurn(Work),
}

impl Work {
    pub(super) fn of(handler: Handler) -> Work {
        Work { handler, turns: handler.concurrency.map(Turns::new), spells: None, calls: None }
    }

    pub(super) fn set_handler(&mut self, handler: Handler) {
        *self = Work { spells: self.spells.take(), calls: self.calls.take(), ..Work::of(handler) };
    }

    pub(super) fn set_spells(&mut self, spells: &[Spell]) {
        self.spells = (!spells.is_empty()).then(|| spells.into());
    }

    fn now<'a>(&'a self, clock: &Clock) -> impl Iterator<Item = &'a Spell> + use<'a> {
        let now = self.spells.as_ref().map(|_| clock.now());
        let spells = self.spells.iter().flat_map(|spells| spells.iter());
        spells.filter(move |spell| now.is_some_and(|now| (spell.from..spell.to).contains(&now)))
    }

    /// Whether anything happens to it now.
    pub(super) fn in_trouble(&self, clock: &Clock) -> bool {
        self.now(clock).next().is_some()
    }

    /// Whether every call fails now.
    pub(super) fn fails(&self, clock: &Clock) -> bool {
        self.now(clock).any(|spell| spell.kind == TroubleKind::Fails)
    }

    /// When the answer leaves of a call that comes now; `None` for at once.
    pub(super) fn time(self, clock: &Clock) -> Option<Time> {
        if !self.handler.cpu.is_zero() {
            clock.burn(self.handler.cpu);
        }
        if self.turns.is_some() {
            return Some(Time::InTurn(self));
        }
        (!self.handler.wait.is_zero() || self.spells.is_some()).then(|| Time::At(self.end(clock)))
    }

    /// When work ends that could begin now.
    fn end(&self, clock: &Clock) -> Mono {
        let (mut begin, mut wait) = (clock.now(), self.handler.wait);
        for spell in self.now(clock) {
            match spell.kind {
                TroubleKind::Stalls => begin = begin.max(spell.to),
                TroubleKind::Slows(times) => wait = slower(wait, times),
                // It is told of nothing that happens to it from outside.
                TroubleKind::Fails | TroubleKind::Dies | TroubleKind::Freezes | TroubleKind::Leaves => {}
            }
        }
        begin + wait
    }

    /// Waits for its turn, and does the work.
    ///
    /// # Errors
    /// Where as many wait as may.
    pub(super) async fn in_turn(self, clock: Clock, delays: Delays) -> MarketResult<()> {
        let turns = self.turns.clone();
        in_turn(turns, async move { delays.sleep_until(self.end(&clock)).await }).await
    }

    /// Waits for its turn, and has somebody else do the work.
    ///
    /// # Errors
    /// The same, or what comes of it.
    pub(super) async fn asking(self, asked: Asked) -> MarketResult<Reply> {
        in_turn(self.turns, asked).await?
    }
}

/// So many times as long, an hour at most.
fn slower(wait: Duration, times: f64) -> Duration {
    const LONGEST: Duration = Duration::from_hours(1);
    Duration::try_from_secs_f64(wait.as_secs_f64() * times).unwrap_or(LONGEST).min(LONGEST)
}

async fn in_turn<T: Send + 'static>(
    turns: Option<Arc<Turns>>,
    work: impl Future<Output = T> + Send + 'static,
) -> MarketResult<T> {
    match turns {
        Some(turns) => turns.work(work).await,
        None => Ok(work.await),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn troubles_last_from_their_beginning_to_their_end() {
        let time = clock::Fake::new();
        let clock = Clock::Fake(time.clone());
        let start = clock.now();
        let mut work = Work::of(Handler { wait: 5 * MS, ..Handler::default() });
        let spell = |from: u32, to: u32, kind| Spell { from: start + from * MS, to: start + to * MS, kind };
        work.set_spells(&[
            spell(10, 20, TroubleKind::Stalls),
            spell(30, 40, TroubleKind::Fails),
            spell(50, 60, TroubleKind::Slows(100.0)),
        ]);
        let ends = |work: &Work| work.end(&clock).since(start);
        assert_eq!((ends(&work), work.fails(&clock)), (5 * MS, false));
        time.advance(10 * MS);
        assert_eq!(ends(&work), 25 * MS);
        time.advance(10 * MS);
        assert_eq!(ends(&work), 25 * MS);
        time.advance(19 * MS);
        assert!(work.fails(&clock));
        time.advance(MS);
        assert!(!work.fails(&clock));
        time.advance(10 * MS);
        assert_eq!(ends(&work), 550 * MS);
        assert_eq!(slower(Duration::MAX, 10_000.0), Duration::from_hours(1));
        work.set_handler(Handler::default());
        assert_eq!(ends(&work), 50 * MS, "what happens goes on when the handler changes");
    }
}
