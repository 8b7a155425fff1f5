//! Flows: numbered blocks from one end to the other, over TCP or UDP themselves and with nothing of
//! the market's between. What a transport does with a bottleneck, a slow reader or a peer that is
//! gone is asked of them.

use std::time::Duration;

/// Bytes of a block: with the headers of IP and UDP it fits a packet of any MTU from 1 280 on.
pub const BLOCK_BYTES: usize = 1_200;
/// Blocks of one flow in one round, at most: both ends count each.
pub const BLOCKS_MAX: u64 = 1 << 22;

const HEAD_BYTES: usize = 24;

/// Who decides how much of TCP, or of QUIC, is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "each is the algorithm of its name")]
pub enum Congestion {
    /// RFC 5681, with NewReno's recovery (RFC 6582).
    Reno,
    /// RFC 9438.
    Cubic,
    /// Cardwell et al., ACM Queue 14(5), 2016: version 1 in Linux and in quinn.
    Bbr,
}

impl Congestion {
    /// All of them.
    pub const ALL: [Congestion; 3] = [Congestion::Reno, Congestion::Cubic, Congestion::Bbr];

    /// Its name, as Linux has it.
    pub fn name(self) -> &'static str {
        match self {
            Congestion::Reno => "reno",
            Congestion::Cubic => "cubic",
            Congestion::Bbr => "bbr",
        }
    }
}

/// One flow.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Flow {
    /// What carries it.
    pub carrier: FlowCarrier,
    /// Bits of blocks that its sender offers a second, evenly spaced; `None` for as fast as they
    /// are taken.
    pub bits_per_s: Option<f64>,
    /// So long after the start of the measured time its receiver resets the connection; `None`
    /// where it does not.
    pub reset_after: Option<Duration>,
}

/// What carries a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlowCarrier {
    /// A connection.
    Tcp(Congestion),
    /// Datagrams, a block each, which nothing holds back.
    Udp,
}

impl Flow {
    /// In words: `tcp cubic`, `udp 30 Mbit/s`.
    pub fn in_words(self) -> String {
        let carrier = match self.carrier {
            FlowCarrier::Tcp(congestion) => format!("tcp {}", congestion.name()),
            FlowCarrier::Udp => "udp".to_owned(),
        };
        let pace = self.bits_per_s.map(|bits| format!(" {} Mbit/s", bits / 1e6)).unwrap_or_default();
        let reset = self.reset_after.map(|after| format!(", reset after {} s", after.as_secs_f64()));
        carrier + &pace + &reset.unwrap_or_default()
    }

    /// From one block to the next, in nanoseconds; `None` where it has no pace.
    pub fn interval_ns(self) -> Option<f64> {
        self.bits_per_s.map(block_interval_ns)
    }
}

/// What a block takes at so many bits a second, in nanoseconds.
pub fn block_interval_ns(bits_per_s: f64) -> f64 {
    BLOCK_BYTES as f64 * 8.0 * 1e9 / bits_per_s
}

/// What a block says at its head. The rest of it follows from the number, so that what was garbled
/// is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Its place, from 0.
    pub sequence: u64,
    /// When it was due, in nanoseconds of the monotonic clock.
    pub due_ns: u64,
    /// When it was given to the socket, likewise.
    pub sent_ns: u64,
}

impl Block {
    /// Writes it.
    pub fn write(&self, bytes: &mut [u8; BLOCK_BYTES]) {
        for (place, value) in [self.sequence, self.due_ns, self.sent_ns].into_iter().enumerate() {
            bytes[place * 8..][..8].copy_from_slice(&value.to_le_bytes());
        }
        bytes[HEAD_BYTES..].fill(filler(self.sequence));
    }

    /// Reads it; `None` where it is not one, or was garbled.
    pub fn read(bytes: &[u8]) -> Option<Block> {
        let value = |place: usize| bytes.get(place * 8..)?.first_chunk().copied().map(u64::from_le_bytes);
        let block = Block { sequence: value(0)?, due_ns: value(1)?, sent_ns: value(2)? };
        let right = filler(block.sequence);
        let whole = bytes.len() == BLOCK_BYTES && bytes[HEAD_BYTES..].iter().all(|byte| *byte == right);
        whole.then_some(block)
    }
}

fn filler(sequence: u64) -> u8 {
    sequence.to_le_bytes()[0] ^ 0x5a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_comes_back_and_a_garbled_one_does_not() {
        let block = Block { sequence: 77, due_ns: 5, sent_ns: 9 };
        let mut bytes = [0; BLOCK_BYTES];
        block.write(&mut bytes);
        assert_eq!(Block::read(&bytes), Some(block));
        assert_eq!(Block::read(&bytes[..BLOCK_BYTES - 1]), None);
        bytes[900] ^= 1;
        assert_eq!(Block::read(&bytes), None);
    }

    #[test]
    fn a_pace_is_of_whole_blocks() {
        let flow = Flow { carrier: FlowCarrier::Udp, bits_per_s: Some(9.6e6), reset_after: None };
        assert_eq!(flow.interval_ns(), Some(1e6));
        assert_eq!(flow.in_words(), "udp 9.6 Mbit/s");
    }
}
