//! The ticks: one source, any number of subscribers, bounded memory. A subscriber reads the shared
//! ring at its own place; one that falls behind misses the oldest ticks and slows nobody.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use clock::{Clock, Mono, Timer};
use proto::data::DataSet;
use proto::encoding::Encoding;
use proto::v1::Tick;
use tokio::sync::watch;

/// Ticks between two turns for others, at most.
const YIELD_EVERY: u64 = 64;
/// How many ticks a subscriber takes from the ring at a time.
const BATCH: usize = 64;

/// A tick, and its bytes in each format, encoded when first asked for and then shared by all.
#[derive(Debug)]
pub struct EncodedTick {
    /// Its place in the order of emission: the tick's sequence, but where a reference disturbs the
    /// order on purpose.
    place: u64,
    tick: Tick,
    json: OnceLock<Bytes>,
    protobuf: OnceLock<Bytes>,
}

impl EncodedTick {
    /// Where to resume after it.
    pub fn place(&self) -> u64 {
        self.place
    }

    /// The tick itself, for protocols whose library encodes it.
    pub fn tick(&self) -> &Tick {
        &self.tick
    }

    /// Its bytes.
    pub fn encoded(&self, encoding: Encoding) -> &Bytes {
        let once = match encoding {
            Encoding::Json => &self.json,
            Encoding::Protobuf => &self.protobuf,
        };
        once.get_or_init(|| encoding.encode(&self.tick))
    }
}

/// The last ticks, and word of new ones.
#[derive(Debug)]
pub struct Ticks {
    held_max: usize,
    ring: Mutex<VecDeque<Arc<EncodedTick>>>,
    /// The place of the newest tick.
    head: watch::Sender<u64>,
}

/// A stretch of ticks read from the ring.
#[derive(Debug, Default)]
pub struct TickStretch {
    /// In order, without gaps of the ring's making.
    pub ticks: Vec<Arc<EncodedTick>>,
    /// Ticks after the asked sequence that were no longer held.
    pub missed: u64,
}

impl Ticks {
    pub(super) fn new(held_max: usize) -> Ticks {
        Ticks { held_max: held_max.max(1), ring: Mutex::default(), head: watch::Sender::new(0) }
    }

    /// The place of the newest tick; 0 before the first.
    pub fn newest(&self) -> u64 {
        *self.head.borrow()
    }

    /// At most `count_max` of the ticks after a place.
    pub fn after(&self, sequence: u64, count_max: usize) -> TickStretch {
        let ring = self.ring();
        let Some(oldest) = ring.front().map(|tick| tick.place) else { return TickStretch::default() };
        let next = sequence.saturating_add(1);
        let missed = oldest.saturating_sub(next);
        let start = usize::try_from(next.saturating_sub(oldest)).unwrap_or(usize::MAX);
        TickStretch { ticks: ring.iter().skip(start).take(count_max).map(Arc::clone).collect(), missed }
    }

    /// Returns when there is a tick after a place.
    pub async fn wait_after(&self, sequence: u64) {
        let mut head = self.head.subscribe();
        // The sender is `self`, so that it cannot be gone.
        let _ = head.wait_for(|newest| *newest > sequence).await;
    }

    /// How many wait for the next tick now: subscriptions that have taken all there were, and polls
    /// that wait.
    pub fn waiting(&self) -> usize {
        self.head.receiver_count()
    }

    /// Adds a tick and wakes whoever waits.
    pub fn emit(&self, tick: Tick) {
        let place = self.newest() + 1;
        let encoded = EncodedTick { place, tick, json: OnceLock::new(), protobuf: OnceLock::new() };
        let mut ring = self.ring();
        if ring.len() >= self.held_max {
            ring.pop_front();
        }
        ring.push_back(Arc::new(encoded));
        drop(ring);
        self.head.send_replace(place);
    }

    fn ring(&self) -> MutexGuard<'_, VecDeque<Arc<EncodedTick>>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A subscriber's place in the ring.
#[derive(Debug)]
pub struct Subscription {
    ticks: Arc<Ticks>,
    symbols: HashSet<String>,
    /// Place of the last tick taken from the ring.
    at: u64,
    batch: VecDeque<Arc<EncodedTick>>,
    missed: u64,
}

impl Subscription {
    /// Begins after the newest tick. No symbols: all.
    pub fn from_now(ticks: Arc<Ticks>, symbols: &[String]) -> Subscription {
        let at = ticks.newest();
        Subscription::after(ticks, symbols, at)
    }

    /// Begins after a sequence; what is no longer held of the ticks after it counts as missed.
    pub fn after(ticks: Arc<Ticks>, symbols: &[String], sequence: u64) -> Subscription {
        let symbols = symbols.iter().cloned().collect();
        // Nobody can have seen what was not emitted yet: a place beyond is one of another server's,
        // or a guess.
        let at = sequence.min(ticks.newest());
        Subscription { ticks, symbols, at, batch: VecDeque::new(), missed: 0 }
    }

    /// Ticks that were no longer held when their turn came, since the last time this was asked.
    pub fn take_missed(&mut self) -> u64 {
        std::mem::take(&mut self.missed)
    }

    /// The next tick. Cancelling loses nothing.
    pub async fn next(&mut self) -> Arc<EncodedTick> {
        loop {
            while let Some(tick) = self.batch.pop_front() {
                if self.symbols.is_empty() || self.symbols.contains(&tick.tick.symbol) {
                    return tick;
                }
            }
            self.ticks.wait_after(self.at).await;
            let stretch = self.ticks.after(self.at, BATCH);
            self.missed += stretch.missed;
            if let Some(last) = stretch.ticks.last() {
                self.at = last.place;
            }
            self.batch = stretch.ticks.into();
        }
    }
}

/// Emits ticks at their times. Late ones are made up for at once, and each carries its own emit
/// time.
pub(super) async fn emit(
    ticks: Arc<Ticks>,
    data: Arc<DataSet>,
    clock: Clock,
    mut timer: Timer,
    schedule: impl Iterator<Item = (Mono, u64)>,
) {
    for (due, sequence) in schedule {
        timer.sleep_until(due).await;
        if sequence.is_multiple_of(YIELD_EVERY) {
            // At a rate that cannot be kept, no sleep is left to let others run.
            tokio::task::yield_now().await;
        }
        ticks.emit(Tick { emitted_mono_ns: clock.now().0, ..data.tick(sequence) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn emit(ticks: &Ticks, data: &DataSet, sequences: std::ops::RangeInclusive<u64>) {
        sequences.for_each(|sequence| ticks.emit(data.tick(sequence)));
    }

    #[tokio::test]
    async fn a_slow_subscriber_misses_the_oldest_and_a_fast_one_nothing() {
        let (ticks, data) = (Arc::new(Ticks::new(100)), DataSet::new(1));
        let mut slow = Subscription::from_now(Arc::clone(&ticks), &[]);
        let mut fast = Subscription::from_now(Arc::clone(&ticks), &[]);
        for sequence in 1..=1_000 {
            emit(&ticks, &data, sequence..=sequence);
            assert_eq!(fast.next().await.tick.sequence, sequence);
        }
        let seen: Vec<u64> = [slow.next().await, slow.next().await].iter().map(|t| t.tick.sequence).collect();
        assert_eq!(seen, [901, 902]);
        assert_eq!(ticks.ring().len(), 100);
    }

    #[tokio::test]
    async fn a_subscriber_gets_its_symbols_only() {
        let (ticks, data) = (Arc::new(Ticks::new(10_000)), DataSet::new(1));
        let symbol = data.tick(500).symbol;
        let mut subscription = Subscription::from_now(Arc::clone(&ticks), std::slice::from_ref(&symbol));
        emit(&ticks, &data, 1..=500);
        let tick = subscription.next().await;
        assert_eq!(tick.tick.symbol, symbol);
    }

    #[test]
    fn a_stretch_says_what_was_missed() {
        let (ticks, data) = (Ticks::new(10), DataSet::new(1));
        emit(&ticks, &data, 1..=25);
        let stretch = ticks.after(5, 4);
        let sequences: Vec<u64> = stretch.ticks.iter().map(|tick| tick.tick.sequence).collect();
        assert_eq!((sequences, stretch.missed), (vec![16, 17, 18, 19], 10));
        assert!(ticks.after(25, 4).ticks.is_empty());
        let beyond = ticks.after(u64::MAX, 4);
        assert!(beyond.ticks.is_empty() && beyond.missed == 0);
    }

    #[test]
    fn a_tick_is_encoded_once_a_format() {
        let (ticks, data) = (Ticks::new(10), DataSet::new(1));
        emit(&ticks, &data, 1..=1);
        let [first, second] = [ticks.after(0, 1).ticks.remove(0), ticks.after(0, 1).ticks.remove(0)];
        for encoding in [Encoding::Json, Encoding::Protobuf] {
            assert_eq!(first.encoded(encoding).as_ptr(), second.encoded(encoding).as_ptr());
        }
    }
}
