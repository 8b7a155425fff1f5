//! What arithmetic says that a load measures.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use clock::Mono;
use hdrhistogram::Histogram;
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
    /// The response time of every counted call in ns, sorted, where a call itself takes no time:
    /// each waits for a slot, is treated as the behaviour says, and leaves after the reply before
    /// it.
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

/// The quantile of an exponential distribution of this mean: −ln(1 − q) times it.
pub(super) fn exponential_us(mean_us: f64, share: f64) -> f64 {
    -(1.0 - share).ln() * mean_us
}

/// The time that a protocol and the machine take for themselves: what a response took beyond a
/// known delay.
pub(super) struct Own {
    delay_us: f64,
    /// `None` of no loads.
    responses: Option<Histogram<u64>>,
}

impl Own {
    /// From loads of that delay.
    pub(super) fn beyond<'a>(delay: Duration, loads: impl Iterator<Item = &'a Histogram<u64>>) -> Own {
        let responses = loads.cloned().reduce(|sum, next| sum + next);
        Own { delay_us: delay.as_secs_f64() * 1e6, responses }
    }

    pub(super) fn median_us(&self) -> f64 {
        self.responses.as_ref().map_or(0.0, |all| all.value_at_quantile(0.5) as f64 / 1e3 - self.delay_us)
    }

    /// How much further out than an exponential delay's own quantile that of its sum with this time
    /// lies. A quantile of a sum is not the sum of the quantiles: P(X + Y ≤ t) = E[F_X(t − Y)],
    /// here over the histogram of Y, solved for t.
    pub(super) fn adds_to_exponential_us(&self, mean_us: f64, share: f64) -> f64 {
        let Some(responses) = &self.responses else { return 0.0 };
        let below = |time_us: f64| {
            let (mut sum, mut n) = (0.0, 0.0);
            for value in responses.iter_recorded() {
                let own_us = value.value_iterated_to() as f64 / 1e3 - self.delay_us;
                let count = value.count_at_value() as f64;
                sum += count * (1.0 - (-(time_us - own_us).max(0.0) / mean_us).exp());
                n += count;
            }
            sum / f64::max(n, 1.0)
        };
        let quantile_us = exponential_us(mean_us, share);
        let (mut low, mut high) = (0.0, quantile_us + responses.max() as f64 / 1e3);
        // Sixty halvings of less than an hour come to less than a nanosecond.
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if below(middle) < share { low = middle } else { high = middle }
        }
        high - quantile_us
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

    /// Y at 0.1 ms shifts every quantile by that; with one call in ten at 2 ms, the mean of X, the
    /// quantile moves by mean · ln E[exp(Y / mean)] = 2 ms · ln(0.9 · e^0.05 + 0.1 · e) = 0.398 ms,
    /// where every Y is below the quantile.
    #[test]
    fn what_a_protocol_takes_is_added_as_a_distribution() {
        let own = |slow_in_ten| {
            let mut histogram = Histogram::<u64>::new(3).unwrap();
            histogram.record_n(600_000, 10 - slow_in_ten).unwrap();
            histogram.record_n(2_500_000, slow_in_ten).unwrap();
            Own::beyond(Duration::from_micros(500), std::iter::once(&histogram))
        };
        assert!((own(0).median_us() - 100.0).abs() < 1.0);
        for share in [0.5, 0.9, 0.99] {
            assert!((own(0).adds_to_exponential_us(2_000.0, share) - 100.0).abs() < 2.0);
        }
        let shift_us = 2_000.0 * (0.9 * 0.05_f64.exp() + 0.1 * 1_f64.exp()).ln();
        let found_us = own(1).adds_to_exponential_us(2_000.0, 0.9);
        assert!((found_us - shift_us).abs() < 5.0, "{found_us}, not {shift_us}");
    }
}
