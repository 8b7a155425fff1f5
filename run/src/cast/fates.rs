//! What happens to the processes of markets in the measured time: they are killed and others take
//! their places, or they are stopped and go on.

use std::collections::VecDeque;

use clock::{Clock, Mono};
use record::HappenedPart;
use terms::{Trouble, TroubleKind};

use super::Cast;
use crate::meters::micros;
use crate::site::Site;

/// What happens to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Dies,
    IsBack,
    Freezes,
    GoesOn,
}

/// All that is still to happen, in its order, and what has.
#[derive(Debug)]
pub(super) struct Fates {
    measured_from: Mono,
    to_come: VecDeque<(Mono, Option<usize>, Fate)>,
    happened: Vec<HappenedPart>,
}

impl Fates {
    /// Of these troubles, those that happen to processes.
    pub(super) fn of(troubles: &[Trouble], measured_from: Mono) -> Fates {
        let both = |trouble: &Trouble| {
            let (first, last) = match trouble.kind {
                TroubleKind::Dies => (Fate::Dies, Fate::IsBack),
                TroubleKind::Freezes => (Fate::Freezes, Fate::GoesOn),
                _ => return None,
            };
            let from = measured_from + trouble.after;
            Some([(from, trouble.market, first), (from + trouble.lasts, trouble.market, last)])
        };
        let mut to_come: Vec<_> = troubles.iter().filter_map(both).flatten().collect();
        to_come.sort_by_key(|(at, ..)| *at);
        Fates { measured_from, to_come: to_come.into(), happened: Vec::new() }
    }

    /// When something happens next.
    pub(super) fn next(&self) -> Option<Mono> {
        self.to_come.front().map(|(at, ..)| *at)
    }

    /// Has everything happen that is due.
    pub(super) fn come(&mut self, now: Mono, cast: &mut Cast, site: &Site<'_>) -> anyhow::Result<()> {
        while let Some(&(asked, market, fate)) = self.to_come.front().filter(|(at, ..)| *at <= now) {
            self.to_come.pop_front();
            for (nth, at) in cast.meet(site, market, fate)? {
                let what = match fate {
                    Fate::Dies => "dies",
                    Fate::IsBack => "is back",
                    Fate::Freezes => "freezes",
                    Fate::GoesOn => "goes on",
                };
                let us = |at: Mono| micros(at.since(self.measured_from));
                let what = format!("market.{nth} {what}");
                self.happened.push(HappenedPart { what, asked_us: us(asked), at_us: us(at) });
            }
        }
        Ok(())
    }

    /// What has happened.
    pub(super) fn happened(self) -> Vec<HappenedPart> {
        self.happened
    }
}

impl Cast {
    /// Has this happen to a market, or to all; says when it did to which.
    fn meet(
        &mut self,
        site: &Site<'_>,
        market: Option<usize>,
        fate: Fate,
    ) -> anyhow::Result<Vec<(usize, Mono)>> {
        let (work, mut met) = (self.work, Vec::new());
        self.each_market(|nth, process| {
            if market.is_some_and(|market| market != nth) {
                return Ok(());
            }
            let now = Clock::System.now();
            let at = match fate {
                Fate::Dies => process.kill()?,
                Fate::IsBack => process.start_again(site, work.handler_of(nth))?,
                Fate::Freezes => process.child.freeze().map(|()| now)?,
                Fate::GoesOn => process.child.thaw().map(|()| now)?,
            };
            met.push((nth, at));
            Ok(())
        })?;
        Ok(met)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_happens_to_processes_comes_in_its_order() {
        let ms = Duration::from_millis;
        let trouble =
            |kind, after, lasts| Trouble { market: Some(1), after: ms(after), lasts: ms(lasts), kind };
        let troubles = [
            trouble(TroubleKind::Freezes, 20, 100),
            trouble(TroubleKind::Stalls, 0, 10),
            trouble(TroubleKind::Dies, 10, 20),
        ];
        let fates = Fates::of(&troubles, Mono(0));
        let in_order: Vec<_> = fates.to_come.iter().map(|(at, _, fate)| (at.0 / 1_000_000, *fate)).collect();
        let expected = [(10, Fate::Dies), (20, Fate::Freezes), (30, Fate::IsBack), (120, Fate::GoesOn)];
        assert_eq!(in_order, expected);
        assert_eq!(fates.next(), Some(Mono(10_000_000)));
    }
}
