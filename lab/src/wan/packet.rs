//! The little of IPv4 that a router reads and writes: whom a packet is for, and the refusal of one
//! that is too big.

use std::net::Ipv4Addr;

/// The header without options, in bytes.
const HEADER: usize = 20;

/// Whom an IPv4 packet is for; `None` where it is none, or is cut short.
pub(super) fn destination(packet: &[u8]) -> Option<Ipv4Addr> {
    let header = packet.first_chunk::<HEADER>()?;
    (header[0] >> 4 == 4).then(|| Ipv4Addr::new(header[16], header[17], header[18], header[19]))
}

/// Whether its sender forbids splitting it.
fn dont_fragment(packet: &[u8]) -> bool {
    packet.get(6).is_some_and(|flags| flags & 0x40 != 0)
}

/// ICMP "fragmentation needed" (RFC 792, RFC 1191) to the sender of a packet, in the name of whom
/// it was for; `None` for packets that are not answered: those that may be split, and ICMP itself.
pub(super) fn fragmentation_needed(packet: &[u8], mtu: u32) -> Option<Vec<u8>> {
    const ICMP: u8 = 1;
    let header = packet.first_chunk::<HEADER>()?;
    if !dont_fragment(packet) || header[9] == ICMP {
        return None;
    }
    let quoted = &packet[..packet.len().min(HEADER + 8)];
    let mut icmp = vec![3, 4, 0, 0, 0, 0];
    icmp.extend(u16::try_from(mtu).unwrap_or(u16::MAX).to_be_bytes());
    icmp.extend(quoted);
    let sum = checksum(&icmp).to_be_bytes();
    icmp[2..4].copy_from_slice(&sum);

    let mut reply = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, ICMP, 0, 0];
    reply.extend(&header[16..20]);
    reply.extend(&header[12..16]);
    let length = u16::try_from(HEADER + icmp.len()).ok()?.to_be_bytes();
    reply[2..4].copy_from_slice(&length);
    let sum = checksum(&reply).to_be_bytes();
    reply[10..12].copy_from_slice(&sum);
    reply.extend(icmp);
    Some(reply)
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Wikipedia's "Internet checksum": a UDP packet from 192.168.0.1 to
    /// 192.168.0.199.
    const PACKET: [u8; 20] = [
        0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8, 0x00, 0x01, 0xc0,
        0xa8, 0x00, 0xc7,
    ];

    #[test]
    fn a_packet_says_whom_it_is_for() {
        assert_eq!(destination(&PACKET), Some(Ipv4Addr::new(192, 168, 0, 199)));
        assert_eq!(destination(&PACKET[..19]), None);
        let mut six = PACKET;
        six[0] = 0x60;
        assert_eq!(destination(&six), None);
        assert_eq!(destination(&[]), None);
    }

    /// A header whose checksum is right sums to zero.
    #[test]
    fn one_that_is_too_big_is_refused_where_it_may_not_be_split() {
        assert_eq!(checksum(&PACKET), 0);
        let reply = fragmentation_needed(&PACKET, 1_400).unwrap();
        assert_eq!(destination(&reply), Some(Ipv4Addr::new(192, 168, 0, 1)));
        assert_eq!((checksum(&reply[..20]), checksum(&reply[20..])), (0, 0));
        assert_eq!(reply[20..28], [3, 4, reply[22], reply[23], 0, 0, 0x05, 0x78]);
        let mut may_be_split = PACKET;
        may_be_split[6] = 0;
        assert_eq!(fragmentation_needed(&may_be_split, 1_400), None);
        let mut icmp = PACKET;
        icmp[9] = 1;
        assert_eq!(fragmentation_needed(&icmp, 1_400), None);
    }
}
