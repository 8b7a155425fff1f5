//! A file of packets that Wireshark opens: pcap with nanoseconds, of IP packets without a link
//! header.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::time::Duration;

use clock::{Clock, Mono};

/// Past so many bytes nothing more is written: a minute at 1 Gbit/s is 7.5 GB.
const BYTES_MAX: u64 = 1 << 30;
/// pcap's magic number where times are in ns.
const MAGIC: u32 = 0xa1b2_3c4d;
/// LINKTYPE_RAW: an IP packet and nothing before it.
const RAW_IP: u32 = 101;
/// Bytes of a packet that are kept: all that IP can have.
const SNAP: u32 = 65_535;

/// A capture that is being written; what is in memory is written when it is dropped.
#[derive(Debug)]
pub(super) struct Capture {
    file: BufWriter<File>,
    bytes: u64,
    /// From the monotonic clock to the wall's.
    wall_offset: Duration,
}

impl Capture {
    pub(super) fn create(path: &Path) -> io::Result<Capture> {
        let mut file = BufWriter::new(files::create(path, b"").map_err(io::Error::other)?);
        for word in [MAGIC, 2 | 4 << 16, 0, 0, SNAP, RAW_IP] {
            file.write_all(&word.to_le_bytes())?;
        }
        let wall = Duration::from_micros(clock::wall_time_us());
        let wall_offset = wall.saturating_sub(Duration::from_nanos(Clock::System.now().0));
        Ok(Capture { file, bytes: 24, wall_offset })
    }

    /// Writes a packet, unless the file is full.
    pub(super) fn write(&mut self, at: Mono, packet: &[u8]) -> io::Result<()> {
        if self.bytes > BYTES_MAX {
            return Ok(());
        }
        let time = self.wall_offset + Duration::from_nanos(at.0);
        let length = u32::try_from(packet.len()).unwrap_or(SNAP);
        // Seconds fit until 2106.
        for word in [time.as_secs() as u32, time.subsec_nanos(), length, length] {
            self.file.write_all(&word.to_le_bytes())?;
        }
        self.bytes += 16 + packet.len() as u64;
        self.file.write_all(packet)
    }
}
