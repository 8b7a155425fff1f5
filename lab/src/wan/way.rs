//! One way of a link: what it does to packets, decided packet by packet and without reading time.

use std::time::Duration;

use clock::Mono;

use super::fate::Fates;

/// The MTU of Ethernet, in bytes of IP.
pub(super) const MTU: u32 = 1_500;

/// What befalls packets on their way from one host to another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Way {
    /// From the end of its transmission to a packet's arrival.
    pub delay: Duration,
    /// What varies of it. Order is kept: a packet that would overtake arrives with the one before it, so that packets which
    /// follow each other closely wait for the slowest of them, and longer on average than the distribution says.
    pub jitter: Option<Jitter>,
    /// Packets that never arrive, after they were transmitted.
    pub loss: Loss,
    /// The share of packets that arrive twice.
    pub duplicates: f64,
    /// The share of packets that are held back by [`Way::reordered_by`], so that others overtake them.
    pub reordered: f64,
    /// How long those are held back.
    pub reordered_by: Duration,
    /// Bits a second that it transmits, from the IP header on; `None` for as fast as they come.
    pub bits_per_s: Option<f64>,
    /// Bytes that wait for transmission at most; a packet that does not fit is dropped (drop tail).
    pub queue_bytes: u64,
    /// The largest packet. The sender of a larger one is told so by ICMP where it forbade splitting it, as TCP does; others are
    /// dropped in silence, since this router splits nothing.
    pub mtu: u32,
    /// Nothing arrives.
    pub down: bool,
}

/// How a delay varies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Jitter {
    /// Its size: see [`JitterShape`].
    pub size: Duration,
    /// Its distribution.
    pub shape: JitterShape,
}

/// A distribution of jitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JitterShape {
    /// Evenly between the delay less the size and the delay plus the size.
    Uniform,
    /// Normal, the size its standard deviation, never below no delay.
    Normal,
    /// Exponential, the size its mean, added to the delay: what queues elsewhere look like.
    Exponential,
}

/// How packets are lost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Loss {
    /// Each with the same probability.
    Independent(f64),
    /// Gilbert and Elliott's two states (Elliott 1963): in the good one nothing is lost, in the bad one this share.
    Bursts {
        /// The probability that a packet ends a good spell.
        begin: f64,
        /// The probability that a packet ends a bad one.
        end: f64,
        /// The share that a bad spell loses.
        lost: f64,
    },
}

impl Loss {
    /// The share of packets that are lost in the long run.
    pub fn mean(self) -> f64 {
        match self {
            Loss::Independent(share) => share,
            Loss::Bursts { begin, .. } if begin <= 0.0 => 0.0,
            Loss::Bursts { begin, end, lost } => lost * begin / (begin + end),
        }
    }
}

impl Way {
    /// A way that takes this long and does nothing else.
    pub const fn of(delay: Duration) -> Way {
        Way {
            delay,
            jitter: None,
            loss: Loss::Independent(0.0),
            duplicates: 0.0,
            reordered: 0.0,
            reordered_by: Duration::from_millis(1),
            bits_per_s: None,
            queue_bytes: 1 << 20,
            mtu: MTU,
            down: false,
        }
    }

    fn transmission(&self, bytes: usize) -> Duration {
        let seconds = self.bits_per_s.map(|bits| bytes as f64 * 8.0 / bits);
        seconds.map_or(Duration::ZERO, |seconds| Duration::from_secs_f64(seconds.clamp(0.0, 1e6)))
    }
}

/// What became of the packets of a way.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub struct WayCount {
    /// Packets that a host sent onto it.
    pub offered: u64,
    /// Bytes of those, from the IP header on.
    pub offered_bytes: u64,
    /// Packets handed to the other host, doubles included.
    pub delivered: u64,
    /// Bytes of those.
    pub delivered_bytes: u64,
    /// Lost on the way, as was asked for.
    pub lost: u64,
    /// Arrived twice.
    pub duplicated: u64,
    /// Held back, so that others overtake.
    pub reordered: u64,
    /// Dropped, since the queue was full.
    pub queue_full: u64,
    /// Refused, being larger than its MTU.
    pub too_big: u64,
    /// Lost, since the link was down.
    pub down: u64,
    /// The longest that a packet waited for its transmission, in µs.
    pub queued_us_max: u64,
    /// How long packets waited for their transmission, together, in µs; of those that were not dropped.
    pub queued_us: u64,
}

impl WayCount {
    /// What was counted since an earlier look; the longest wait is of all the time.
    #[must_use]
    pub fn since(&self, earlier: &WayCount) -> WayCount {
        WayCount {
            offered: self.offered - earlier.offered,
            offered_bytes: self.offered_bytes - earlier.offered_bytes,
            delivered: self.delivered - earlier.delivered,
            delivered_bytes: self.delivered_bytes - earlier.delivered_bytes,
            lost: self.lost - earlier.lost,
            duplicated: self.duplicated - earlier.duplicated,
            reordered: self.reordered - earlier.reordered,
            queue_full: self.queue_full - earlier.queue_full,
            too_big: self.too_big - earlier.too_big,
            down: self.down - earlier.down,
            queued_us_max: self.queued_us_max,
            queued_us: self.queued_us - earlier.queued_us,
        }
    }

    /// How long a packet waited for its transmission on average, in µs.
    pub fn queued_us_mean(&self) -> f64 {
        self.queued_us as f64 / self.offered.saturating_sub(self.queue_full + self.too_big).max(1) as f64
    }
}

/// What is done with one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It arrives at this time, and perhaps once more.
    Arrives { at: Mono, again: bool },
    /// It never does.
    Gone,
    /// It is too large.
    TooBig,
}

/// A way in time: its queue and its packets' fates.
#[derive(Debug)]
pub(super) struct Carrier {
    pub(super) way: Way,
    pub(super) count: WayCount,
    fates: Fates,
    /// When the last packet that was accepted has been transmitted.
    free_at: Mono,
    /// When the last packet that keeps its order arrives.
    last_at: Mono,
}

impl Carrier {
    pub(super) fn new(way: Way, seed: u64, place: usize) -> Carrier {
        let fates = Fates::new(seed, place);
        Carrier { way, count: WayCount::default(), fates, free_at: Mono(0), last_at: Mono(0) }
    }

    /// Takes a packet that a host sent at `now`.
    pub(super) fn offer(&mut self, now: Mono, bytes: usize) -> Verdict {
        self.count.offered += 1;
        self.count.offered_bytes += bytes as u64;
        // Each packet draws once, whatever becomes of it: the n-th packet's fate does not depend on the clock.
        let fate = self.fates.next(&self.way);
        if bytes > self.way.mtu as usize {
            self.count.too_big += 1;
            return Verdict::TooBig;
        }
        let transmission = self.way.transmission(bytes);
        let waits = self.free_at.since(now);
        if let Some(bits_per_s) = self.way.bits_per_s {
            let waiting = waits.as_secs_f64() * bits_per_s / 8.0;
            if waiting + bytes as f64 > self.way.queue_bytes as f64 {
                self.count.queue_full += 1;
                return Verdict::Gone;
            }
            let waits_us = u64::try_from(waits.as_micros()).unwrap_or(u64::MAX);
            self.count.queued_us_max = self.count.queued_us_max.max(waits_us);
            self.count.queued_us += waits_us;
        }
        self.free_at = self.free_at.max(now) + transmission;
        if self.way.down {
            self.count.down += 1;
            return Verdict::Gone;
        }
        if fate.lost {
            self.count.lost += 1;
            return Verdict::Gone;
        }
        let mut at = self.free_at + fate.delay;
        if fate.reordered {
            self.count.reordered += 1;
            at = at + self.way.reordered_by;
        } else {
            at = at.max(self.last_at);
            self.last_at = at;
        }
        self.count.duplicated += u64::from(fate.doubled);
        Verdict::Arrives { at, again: fate.doubled }
    }

    pub(super) fn delivered(&mut self, bytes: usize) {
        self.count.delivered += 1;
        self.count.delivered_bytes += bytes as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn at_ms(verdict: Verdict) -> f64 {
        match verdict {
            Verdict::Arrives { at, .. } => at.0 as f64 / 1e6,
            other => panic!("{other:?}"),
        }
    }

    /// 1 000 bytes at 8 Mbit/s take 1 ms; the second waits for the first.
    #[test]
    fn packets_are_transmitted_one_after_the_other_and_then_travel() {
        let way = Way { bits_per_s: Some(8e6), queue_bytes: 2_500, ..Way::of(MS * 40) };
        let mut carrier = Carrier::new(way, 1, 0);
        assert_eq!(at_ms(carrier.offer(Mono(0), 1_000)), 41.0);
        assert_eq!(at_ms(carrier.offer(Mono(0), 1_000)), 42.0);
        // What is still to be transmitted is 2 000 bytes: no room for another thousand, but for five hundred.
        assert_eq!(carrier.offer(Mono(0), 1_000), Verdict::Gone);
        assert_eq!(at_ms(carrier.offer(Mono(0), 500)), 42.5);
        // An idle link begins anew.
        assert_eq!(at_ms(carrier.offer(Mono(10_000_000), 1_000)), 51.0);
        assert_eq!((carrier.count.queue_full, carrier.count.queued_us_max), (1, 2_000));
    }

    #[test]
    fn jitter_keeps_the_order_and_what_is_held_back_does_not() {
        let jitter = Some(Jitter { size: MS * 10, shape: JitterShape::Uniform });
        let way = Way { jitter, reordered: 0.1, reordered_by: MS * 30, ..Way::of(MS * 20) };
        let mut carrier = Carrier::new(way, 1, 0);
        let times: Vec<f64> = (0..1_000).map(|nth| at_ms(carrier.offer(Mono(nth * 100_000), 100))).collect();
        let overtaken = times.windows(2).filter(|pair| pair[1] < pair[0]).count() as u64;
        // Two in a row are overtaken once.
        assert!(
            (60..=carrier.count.reordered).contains(&overtaken),
            "{overtaken} of {}",
            carrier.count.reordered
        );
        assert!(times.iter().zip(0..).all(|(at, nth)| *at >= f64::from(nth) * 0.1 + 10.0));
    }

    #[test]
    fn a_link_that_is_down_delivers_nothing_and_one_that_is_narrow_refuses() {
        let mut down = Carrier::new(Way { down: true, ..Way::of(MS) }, 1, 0);
        assert_eq!(down.offer(Mono(0), 100), Verdict::Gone);
        let mut narrow = Carrier::new(Way { mtu: 1_400, ..Way::of(MS) }, 1, 0);
        assert_eq!(narrow.offer(Mono(0), 1_401), Verdict::TooBig);
        assert_eq!((down.count.down, narrow.count.too_big), (1, 1));
    }
}
