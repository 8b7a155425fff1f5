//! What arithmetic says that a load measures.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use clock::Mono;
use servers::reference::Behaviour;

/// A load as arithmetic sees it.
pub(super) struct Load<'a> {
    /// When each call is due, in ns after the start.
    pub(super) offsets_ns: &'a [u64],
    /// When its warm-up began.
    pub(super) start: Mono,
    /// Its warm-up, whose calls are not counted.
    pub(super) warm_up: Duration,
    /// Calls that can be in flight.
    pub(super) slots: usize,
    /// The least time between two replies: after a freeze the backlog drains at this pace.
    pub(super) cost: Duration,
}

impl Load<'_> {
    /// The response time of every counted call in ns, sorted, where a call itself takes no time: each waits for a slot, is
    /// treated as the behaviour says, and leaves after the reply before it.
    pub(super) fn responses_ns(&self, behaviour: &Behaviour, origin: Mono) -> Vec<u64> {
        let mut free: BinaryHeap<Reverse<Mono>> = (0..self.slots).map(|_| Reverse(Mono(0))).collect();
        let mut last = Mono(0);
        let mut responses = Vec::with_capacity(self.offsets_ns.len());
        for (nth, offset) in self.offsets_ns.iter().enumerate() {
            let due = self.start + Duration::from_nanos(*offset);
            let slot = free.pop().map_or(due, |Reverse(slot)| slot);
            let begun = due.max(slot);
            let replied = behaviour.reply_time(origin, begun, behaviour.delay.of(nth as u64));
            let done = replied.max(last + self.cost);
            last = done;
            free.push(Reverse(done));
            if *offset >= clock::nanos(self.warm_up) {
                responses.push(done.nanos_since(due));
            }
        }
        responses.sort_unstable();
        responses
    }
}

/// A percentile of sorted values, by nearest rank as the histograms have it.
pub(super) fn percentile(sorted: &[u64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or_default() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use servers::reference::Freeze;

    const MS: u64 = 1_000_000;

    /// A freeze of 100 ms, a call every 10 ms, room for all: the calls wait 100, 90 … 10 ms.
    #[test]
    fn calls_in_a_freeze_wait_for_its_end() {
        let freeze = Freeze { span: Duration::from_millis(100), period: Duration::from_secs(1) };
        let behaviour = Behaviour { freeze: Some(freeze), ..Behaviour::fixed(Duration::ZERO) };
        let offsets: Vec<u64> = (0..20).map(|nth| nth * 10 * MS).collect();
        let load = |slots, cost_ms| Load {
            offsets_ns: &offsets,
            start: Mono(0),
            warm_up: Duration::ZERO,
            slots,
            cost: Duration::from_millis(cost_ms),
        };
        let responses = load(64, 0).responses_ns(&behaviour, Mono(0));
        assert_eq!(&responses[10..], (1..=10).map(|nth| nth * 10 * MS).collect::<Vec<_>>());
        assert!((percentile(&responses, 0.95) - 90.0 * MS as f64).abs() < 1.0);
        // The backlog drains a call every 2 ms: the last of ten leaves 18 ms after the thaw.
        let drained = load(64, 2).responses_ns(&behaviour, Mono(0));
        assert_eq!(drained.iter().max(), Some(&(100 * MS)));
        assert!(drained.iter().sum::<u64>() > responses.iter().sum::<u64>());
    }

    /// One slot, replies after 20 ms, a call every 10 ms: the n-th waits for those before it.
    #[test]
    fn calls_wait_for_a_slot() {
        let behaviour = Behaviour::fixed(Duration::from_millis(20));
        let load = Load {
            offsets_ns: &[0, 10 * MS, 20 * MS],
            start: Mono(5),
            warm_up: Duration::ZERO,
            slots: 1,
            cost: Duration::ZERO,
        };
        assert_eq!(load.responses_ns(&behaviour, Mono(0)), [20 * MS, 30 * MS, 40 * MS]);
    }
}
