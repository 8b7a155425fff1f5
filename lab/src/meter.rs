//! Meters: processor time of a process, and what was taken from a core. Read from outside, so that the measured
//! processes do nothing for it.

use std::io;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use procfs::{CurrentSI as _, KernelStats};

/// Processor time of a process so far, user and kernel, all its threads, from its CPU-time clock.
///
/// # Errors
/// Where there is no such process.
pub fn cpu_time(pid: u32) -> io::Result<Duration> {
    let pid = Pid::from_raw(i32::try_from(pid).map_err(io::Error::other)?);
    let time = clock_gettime(ClockId::pid_cpu_clock_id(pid)?)?;
    Ok(time.into())
}

/// Time of one core so far, in the kernel's ticks of 10 ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoreTime {
    /// All of it.
    pub total: u64,
    /// Taken by the hypervisor for others.
    pub steal: u64,
    /// Spent idle.
    pub idle: u64,
}

impl CoreTime {
    /// Reads a core's times.
    ///
    /// # Errors
    /// The system's, or that there is no such core.
    pub fn read(core: usize) -> io::Result<CoreTime> {
        let stats = KernelStats::current().map_err(io::Error::other)?;
        let cpu = stats.cpu_time.get(core).ok_or_else(|| io::Error::other(format!("no core {core}")))?;
        let optional = [cpu.iowait, cpu.irq, cpu.softirq, cpu.steal].map(Option::unwrap_or_default);
        Ok(CoreTime {
            total: cpu.user + cpu.nice + cpu.system + cpu.idle + optional.iter().sum::<u64>(),
            steal: cpu.steal.unwrap_or_default(),
            idle: cpu.idle + cpu.iowait.unwrap_or_default(),
        })
    }

    /// The share of the time since `earlier` that was stolen.
    pub fn steal_share_since(&self, earlier: &CoreTime) -> f64 {
        let total = self.total.saturating_sub(earlier.total);
        if total == 0 { 0.0 } else { self.steal.saturating_sub(earlier.steal) as f64 / total as f64 }
    }
}

/// The interface that both ends of a loopback measurement send on.
pub const LOOPBACK: &str = "lo";

/// What an interface has sent so far: every header and acknowledgement is in it. On loopback a packet may be as large
/// as 64 KiB, and what other programs send is in it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkCount {
    /// Bytes; on loopback from the IP header on, on others from the Ethernet header on.
    pub bytes: u64,
    /// Packets.
    pub packets: u64,
}

impl LinkCount {
    /// Reads the counters of an interface of this network namespace.
    ///
    /// # Errors
    /// The system's, or that there is no such interface.
    pub fn read(interface: &str) -> io::Result<LinkCount> {
        let devices = procfs::net::dev_status().map_err(io::Error::other)?;
        let device = devices.get(interface);
        let device = device.ok_or_else(|| io::Error::other(format!("no interface {interface}")))?;
        Ok(LinkCount { bytes: device.sent_bytes, packets: device.sent_packets })
    }

    /// What was sent since `earlier`.
    pub fn since(&self, earlier: &LinkCount) -> LinkCount {
        LinkCount {
            bytes: self.bytes.saturating_sub(earlier.bytes),
            packets: self.packets.saturating_sub(earlier.packets),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burning_shows_in_the_processor_time() {
        let clock = clock::Clock::System;
        let before = cpu_time(std::process::id()).unwrap();
        clock.burn(Duration::from_millis(30));
        let used = cpu_time(std::process::id()).unwrap() - before;
        // Other tests burn too, and others may take the core: bounds, not a figure.
        assert!(used >= Duration::from_millis(3), "{used:?}");
    }

    #[test]
    fn a_datagram_over_loopback_is_counted() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let before = LinkCount::read(LOOPBACK).unwrap();
        socket.send_to(&[0; 1_000], socket.local_addr().unwrap()).unwrap();
        let sent = LinkCount::read(LOOPBACK).unwrap().since(&before);
        // 20 bytes of IP and 8 of UDP; other programs may have sent too.
        assert!(sent.packets >= 1 && sent.bytes >= 1_028, "{sent:?}");
        assert!(LinkCount::read("no-such-interface").is_err());
    }

    #[test]
    fn no_such_process_is_an_error() {
        assert!(cpu_time(4_000_000).is_err());
    }
}
