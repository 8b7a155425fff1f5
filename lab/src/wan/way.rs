//! One way of a link: what it does to packets, decided packet by packet and without reading time.

use clock::Mono;

use terms::{Way, WayCount};

use super::fate::Fates;

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
        // Each packet draws once, whatever becomes of it: the n-th packet's fate does not depend on
        // the clock.
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
    use std::time::Duration;

    use terms::{Jitter, JitterShape};

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
        // What is still to be transmitted is 2 000 bytes: no room for another thousand, but for
        // five hundred.
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
