//! What lies between two hosts: what becomes of packets each way; in words too, and under names.

mod grammar;
mod profiles;

use std::time::Duration;

pub use grammar::{WaysError, parse, parse_bytes, parse_changes, parse_rate};
pub use profiles::{NamedWays, PROFILES};

/// The MTU of Ethernet, in bytes of IP.
pub const MTU: u32 = 1_500;

/// What befalls packets on their way from one host to another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Way {
    /// From the end of its transmission to a packet's arrival.
    pub delay: Duration,
    /// What varies of it. Order is kept: a packet that would overtake arrives with the one before
    /// it, so that packets which follow each other closely wait for the slowest of them, and longer
    /// on average than the distribution says.
    pub jitter: Option<Jitter>,
    /// Packets that never arrive, after they were transmitted.
    pub loss: Loss,
    /// The share of packets that arrive twice.
    pub duplicates: f64,
    /// The share of packets that are held back by [`Way::reordered_by`], so that others overtake
    /// them.
    pub reordered: f64,
    /// How long those are held back.
    pub reordered_by: Duration,
    /// Bits a second that it transmits, from the IP header on; `None` for as fast as they come.
    pub bits_per_s: Option<f64>,
    /// Bytes that wait for transmission at most; a packet that does not fit is dropped (drop tail).
    pub queue_bytes: u64,
    /// The largest packet. The sender of a larger one is told so by ICMP where it forbade splitting
    /// it, as TCP does; others are dropped in silence, since this router splits nothing.
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
    /// Gilbert and Elliott's two states (Elliott 1963): in the good one nothing is lost, in the bad
    /// one this share.
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

    /// The time that so many bytes take to be transmitted.
    pub fn transmission(&self, bytes: usize) -> Duration {
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
    /// How long packets waited for their transmission, together, in µs; of those that were not
    /// dropped.
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

/// What lies between two hosts, each way on its own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ways {
    /// From the first to the second: from clients to servers.
    pub up: Way,
    /// And back.
    pub down: Way,
}

impl Ways {
    /// The same, without loss, doubles, packets held back or a cut.
    #[must_use]
    pub fn lossless(self) -> Ways {
        let [up, down] = [self.up, self.down].map(|way| Way {
            loss: Loss::Independent(0.0),
            duplicates: 0.0,
            reordered: 0.0,
            down: false,
            ..way
        });
        Ways { up, down }
    }

    /// A link with these largest packets and nothing else of this one: no delay, no loss, no rate.
    #[must_use]
    pub fn cleared(self) -> Ways {
        let [up, down] = [self.up, self.down].map(|way| Way { mtu: way.mtu, ..Way::of(Duration::ZERO) });
        Ways { up, down }
    }
}
