//! Meters: what a process used, what happened to its core, what its host sent. Read from outside,
//! so that the measured processes do nothing for it.

use std::fs;
use std::io;
use std::time::Duration;

use clock::Mono;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use procfs::{CurrentSI as _, FromRead as _, KernelStats};

/// Processor time of a process so far, user and kernel, all its threads, from its CPU-time clock.
///
/// # Errors
/// Where there is no such process.
pub fn cpu_time(pid: u32) -> io::Result<Duration> {
    let pid = Pid::from_raw(i32::try_from(pid).map_err(io::Error::other)?);
    let time = clock_gettime(ClockId::pid_cpu_clock_id(pid)?)?;
    Ok(time.into())
}

/// What a process has used so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProcessUse {
    /// Processor time, user and kernel, all threads.
    pub cpu: Duration,
    /// Times that a thread gave its core up, to wait.
    pub voluntary_switches: u64,
    /// Times that a thread was made to give its core up.
    pub involuntary_switches: u64,
    /// Time that its threads could have run and did not, because something else had their core:
    /// `/proc/PID/schedstat`.
    pub waited: Duration,
}

impl ProcessUse {
    /// Reads a process's.
    ///
    /// # Errors
    /// Where there is no such process.
    pub fn read(pid: u32) -> io::Result<ProcessUse> {
        let mut used = ProcessUse { cpu: cpu_time(pid)?, ..ProcessUse::default() };
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            let task = task?.path();
            // A thread may end between the listing and the reading.
            let text = |name: &str| fs::read_to_string(task.join(name)).unwrap_or_default();
            let waited = text("schedstat").split(' ').nth(1).and_then(|ns| ns.parse().ok());
            used.waited += Duration::from_nanos(waited.unwrap_or_default());
            let status = text("status");
            let count = |name: &str| {
                let value = status.lines().find_map(|line| line.strip_prefix(name));
                value.and_then(|value| value.trim().parse::<u64>().ok()).unwrap_or_default()
            };
            used.voluntary_switches += count("voluntary_ctxt_switches:");
            used.involuntary_switches += count("nonvoluntary_ctxt_switches:");
        }
        Ok(used)
    }

    /// What was used since `earlier`.
    pub fn since(&self, earlier: &ProcessUse) -> ProcessUse {
        ProcessUse {
            cpu: self.cpu.saturating_sub(earlier.cpu),
            voluntary_switches: self.voluntary_switches.saturating_sub(earlier.voluntary_switches),
            involuntary_switches: self.involuntary_switches.saturating_sub(earlier.involuntary_switches),
            waited: self.waited.saturating_sub(earlier.waited),
        }
    }

    /// What two processes used together.
    #[must_use]
    pub fn and(&self, other: &ProcessUse) -> ProcessUse {
        ProcessUse {
            cpu: self.cpu + other.cpu,
            voluntary_switches: self.voluntary_switches + other.voluntary_switches,
            involuntary_switches: self.involuntary_switches + other.involuntary_switches,
            waited: self.waited + other.waited,
        }
    }
}

/// How one core has spent its time so far. What the kernel says of user and system time is sampled
/// at its ticks, and misses work that begins with them; idle time is measured, and so busy time is
/// what is left of the clock's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoreTime {
    /// When it was read.
    pub at: Mono,
    /// Taken by the hypervisor for others.
    pub steal: Duration,
    /// Spent idle.
    pub idle: Duration,
    /// Spent in software interrupts: packets, timers. Sampled.
    pub softirq: Duration,
}

/// How one core spent a stretch of time, in shares of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CoreShares {
    /// Neither idle nor stolen.
    pub busy: f64,
    /// In software interrupts, which are in `busy` too.
    pub softirq: f64,
    /// Taken by the hypervisor for others.
    pub steal: f64,
}

impl CoreTime {
    /// Reads a core's times, which the kernel gives in steps of 10 ms.
    ///
    /// # Errors
    /// The system's, or that there is no such core.
    pub fn read(core: usize) -> io::Result<CoreTime> {
        let stats = KernelStats::current().map_err(io::Error::other)?;
        let at = clock::Clock::System.now();
        let cpu = stats.cpu_time.get(core).ok_or_else(|| io::Error::other(format!("no core {core}")))?;
        let time =
            |ticks: Option<u64>| Duration::from_millis(ticks.unwrap_or_default().saturating_mul(TICK_MS));
        let waiting = cpu.iowait.unwrap_or_default();
        Ok(CoreTime {
            at,
            steal: time(cpu.steal),
            idle: time(Some(cpu.idle + waiting)),
            softirq: time(cpu.softirq),
        })
    }

    /// How the time since `earlier` was spent.
    pub fn shares_since(&self, earlier: &CoreTime) -> CoreShares {
        let total = self.at.since(earlier.at).as_secs_f64();
        let share = |part: fn(&CoreTime) -> Duration| {
            if total == 0.0 { 0.0 } else { part(self).saturating_sub(part(earlier)).as_secs_f64() / total }
        };
        let (steal, softirq) = (share(|time| time.steal), share(|time| time.softirq));
        let idle = if total == 0.0 { 1.0 } else { share(|time| time.idle) };
        CoreShares { busy: (1.0 - idle - steal).clamp(0.0, 1.0), softirq, steal }
    }
}

/// `USER_HZ` is 100 on every Linux that Rust runs on.
const TICK_MS: u64 = 10;

/// Memory of a process in bytes: what is resident and its own, from `/proc/PID/statm`.
///
/// # Errors
/// Where there is no such process.
pub fn process_memory(pid: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/statm"))?;
    let pages: Vec<u64> = text.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    let [_, resident, shared, ..] = pages[..] else {
        return Err(io::Error::other(format!("statm says '{text}'")));
    };
    Ok(resident.saturating_sub(shared) * page_bytes())
}

/// The kernel's caches of what a socket, its file and its place in an epoll set take
/// (`/proc/slabinfo`).
const SOCKET_CACHES: [&str; 11] = [
    "TCP",
    "TCPv6",
    "UDP",
    "UDPv6",
    "sock_inode_cache",
    "filp",
    "eventpoll_epi",
    "eventpoll_pwq",
    "lsm_inode_cache",
    "lsm_file_cache",
    "skbuff_head_cache",
];

/// Memory that the kernel holds for everybody's sockets, with the buffers of those of TCP and UDP,
/// in bytes. Only root may read which objects there are; others get all of the kernel's slabs, in
/// which files and routes come and go.
///
/// # Errors
/// The system's.
pub fn kernel_memory() -> io::Result<u64> {
    let objects = match fs::read_to_string("/proc/slabinfo") {
        Ok(caches) => socket_objects(&caches),
        Err(_) => slabs()?,
    };
    let sockets = fs::read_to_string("/proc/net/sockstat")?;
    let buffers: u64 = sockets
        .lines()
        .filter(|line| line.starts_with("TCP:") || line.starts_with("UDP:"))
        .filter_map(|line| line.split(" mem ").nth(1)?.trim().parse::<u64>().ok())
        .sum();
    Ok(objects + buffers * page_bytes())
}

/// A line is: name, objects in use, objects, bytes of one.
fn socket_objects(caches: &str) -> u64 {
    let bytes = |line: &str| {
        let mut fields = line.split_whitespace();
        SOCKET_CACHES.contains(&fields.next()?).then_some(())?;
        let [objects, size] =
            [fields.nth(1)?, fields.next()?].map(|number| number.parse::<u64>().unwrap_or(0));
        Some(objects * size)
    };
    caches.lines().filter_map(bytes).sum()
}

fn slabs() -> io::Result<u64> {
    let memory = fs::read_to_string("/proc/meminfo")?;
    let slab = memory.lines().find_map(|line| line.strip_prefix("Slab:"));
    let slab = slab.and_then(|value| value.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    Ok(slab.ok_or_else(|| io::Error::other("/proc/meminfo has no Slab"))? * 1024)
}

fn page_bytes() -> u64 {
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE);
    size.ok().flatten().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(4_096)
}

/// The interface that both ends of a loopback measurement send on.
pub const LOOPBACK: &str = "lo";

/// What a host has sent and received over one interface so far: every header and acknowledgement is
/// in it. On loopback a packet may be as large as 64 KiB, and what other programs send is in it
/// too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct HostCount {
    /// Bytes; on loopback from the IP header on, on others from the Ethernet header on.
    pub sent_bytes: u64,
    /// Packets.
    pub sent_packets: u64,
    /// Bytes, likewise.
    pub received_bytes: u64,
    /// Packets.
    pub received_packets: u64,
    /// TCP segments that the host sent again, on any interface.
    pub retransmitted_segments: u64,
    /// Datagrams that the host threw away, because a socket's buffer was full.
    pub udp_drops: u64,
}

impl HostCount {
    /// Reads the counters of the host that a process is on.
    ///
    /// # Errors
    /// The system's, or that there is no such process or interface.
    pub fn read(pid: u32, interface: &str) -> io::Result<HostCount> {
        HostCount::read_under(&format!("/proc/{pid}/net"), interface)
    }

    /// Reads the counters of the host that the calling thread is on.
    ///
    /// # Errors
    /// The system's, or that there is no such interface.
    pub fn read_own(interface: &str) -> io::Result<HostCount> {
        HostCount::read_under("/proc/thread-self/net", interface)
    }

    fn read_under(folder: &str, interface: &str) -> io::Result<HostCount> {
        let devices = fs::File::open(format!("{folder}/dev"))?;
        let devices = procfs::net::InterfaceDeviceStatus::from_read(devices).map_err(io::Error::other)?;
        let device = devices.0.get(interface);
        let device = device.ok_or_else(|| io::Error::other(format!("no interface {interface}")))?;
        let protocols = fs::read_to_string(format!("{folder}/snmp"))?;
        Ok(HostCount {
            sent_bytes: device.sent_bytes,
            sent_packets: device.sent_packets,
            received_bytes: device.recv_bytes,
            received_packets: device.recv_packets,
            retransmitted_segments: protocol_count(&protocols, "Tcp:", "RetransSegs"),
            udp_drops: protocol_count(&protocols, "Udp:", "RcvbufErrors"),
        })
    }

    /// What was counted since `earlier`.
    pub fn since(&self, earlier: &HostCount) -> HostCount {
        HostCount {
            sent_bytes: self.sent_bytes.saturating_sub(earlier.sent_bytes),
            sent_packets: self.sent_packets.saturating_sub(earlier.sent_packets),
            received_bytes: self.received_bytes.saturating_sub(earlier.received_bytes),
            received_packets: self.received_packets.saturating_sub(earlier.received_packets),
            retransmitted_segments: self
                .retransmitted_segments
                .saturating_sub(earlier.retransmitted_segments),
            udp_drops: self.udp_drops.saturating_sub(earlier.udp_drops),
        }
    }
}

/// TCP connections that a process's host has asked for so far, as its kernel counts them
/// (`ActiveOpens`); other programs' too. A SYN that is sent again is none of its own.
///
/// # Errors
/// Where there is no such process.
pub fn connections_attempted(pid: u32) -> io::Result<u64> {
    Ok(protocol_count(&fs::read_to_string(format!("/proc/{pid}/net/snmp"))?, "Tcp:", "ActiveOpens"))
}

/// SYNs and ends of handshakes that a process's host has thrown away so far because a listening
/// socket's queue of connections to accept was full (`ListenOverflows`); of other programs too.
///
/// # Errors
/// Where there is no such process.
pub fn accept_queue_overflows(pid: u32) -> io::Result<u64> {
    Ok(protocol_count(&fs::read_to_string(format!("/proc/{pid}/net/netstat"))?, "TcpExt:", "ListenOverflows"))
}

/// A counter of `/proc/net/snmp` or `netstat`, whose lines come in pairs: names, then values. 0
/// where the kernel has no such counter.
fn protocol_count(text: &str, protocol: &str, name: &str) -> u64 {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(protocol));
    let (Some(names), Some(values)) = (lines.next(), lines.next()) else { return 0 };
    let found = names.split_whitespace().zip(values.split_whitespace()).find(|(other, _)| *other == name);
    found.and_then(|(_, value)| value.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burning_shows_in_the_processor_time() {
        let clock = clock::Clock::System;
        let before = ProcessUse::read(std::process::id()).unwrap();
        clock.burn(Duration::from_millis(30));
        let used = ProcessUse::read(std::process::id()).unwrap().since(&before);
        // Other tests burn too, and others may take the core: bounds, not a figure.
        assert!(used.cpu >= Duration::from_millis(3), "{used:?}");
    }

    #[test]
    fn waiting_and_giving_up_the_core_are_counted() {
        let before = ProcessUse::read(std::process::id()).unwrap();
        (0..20).for_each(|_| clock::pause_thread(Duration::from_millis(1)));
        let used = ProcessUse::read(std::process::id()).unwrap().since(&before);
        assert!(used.voluntary_switches >= 20, "{used:?}");
    }

    #[test]
    fn a_datagram_over_loopback_is_counted_on_both_sides() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let read = || HostCount::read_own(LOOPBACK).unwrap();
        let before = read();
        socket.send_to(&[0; 1_000], socket.local_addr().unwrap()).unwrap();
        let count = read().since(&before);
        // 20 bytes of IP and 8 of UDP; other programs may have sent too.
        assert!(count.sent_packets >= 1 && count.sent_bytes >= 1_028, "{count:?}");
        assert!(count.received_packets >= 1 && count.received_bytes >= 1_028, "{count:?}");
        assert!(HostCount::read(std::process::id(), "no-such-interface").is_err());
    }

    #[test]
    fn datagrams_that_find_a_full_buffer_are_counted_as_dropped() {
        let receiver = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let read = || HostCount::read_own(LOOPBACK).unwrap();
        let before = read();
        // More than any default buffer holds; a send that finds no room is an error that is of no
        // interest here.
        for _ in 0..20_000 {
            let _ = sender.send_to(&[0; 1_000], receiver.local_addr().unwrap());
        }
        assert!(read().since(&before).udp_drops > 0);
    }

    #[test]
    fn attempts_are_counted_and_so_is_who_finds_the_queue_full() {
        let own = std::process::id();
        let (attempted, overflows) =
            (connections_attempted(own).unwrap(), accept_queue_overflows(own).unwrap());
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        socket.listen(1).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        // Two wait in a queue of one; who comes then is not heard.
        let wait = Duration::from_millis(200);
        let tries: Vec<_> = (0..4).map(|_| std::net::TcpStream::connect_timeout(&address, wait)).collect();
        assert!(tries.iter().any(Result::is_err), "{tries:?}");
        assert!(connections_attempted(own).unwrap() >= attempted + 4);
        assert!(accept_queue_overflows(own).unwrap() > overflows);
        assert!(connections_attempted(u32::MAX).is_err());
    }

    #[test]
    fn memory_that_is_used_is_counted() {
        let before = process_memory(std::process::id()).unwrap();
        let held = std::hint::black_box(vec![1_u8; 64 << 20]);
        let grown = process_memory(std::process::id()).unwrap().saturating_sub(before);
        // Other tests allocate and free beside it.
        assert!(grown > 48 << 20, "{grown}");
        drop(held);
        assert!(kernel_memory().unwrap() > 0);
    }

    #[test]
    fn a_core_is_busy_idle_or_stolen() {
        let time = |ms: u64| Duration::from_millis(ms);
        let core = |ms: u64, steal, idle, softirq| CoreTime {
            at: Mono(ms * 1_000_000),
            steal: time(steal),
            idle: time(idle),
            softirq: time(softirq),
        };
        let earlier = core(1_000, 50, 500, 30);
        let shares = core(2_000, 150, 900, 80).shares_since(&earlier);
        assert!((shares.busy - 0.5).abs() < 1e-9 && (shares.steal - 0.1).abs() < 1e-9, "{shares:?}");
        assert!((shares.softirq - 0.05).abs() < 1e-9, "{shares:?}");
        let nothing = earlier.shares_since(&earlier);
        assert!(nothing.busy.abs() < 1e-9, "{nothing:?}");
    }

    #[test]
    fn no_such_process_is_an_error() {
        assert!(cpu_time(4_000_000).is_err());
    }

    #[test]
    fn only_what_belongs_to_sockets_is_counted() {
        let caches = "slabinfo - version: 2.1\n# name <active_objs> <num_objs> <objsize>\n\
                      TCP 90 100 2432 13 8 : tunables 0 0 0\ndentry 5 7 192 21 1 :\nfilp 1 10 256 16 1 :\n";
        assert_eq!(socket_objects(caches), 100 * 2_432 + 10 * 256);
    }

    /// Two TCP sockets a connection, as `/proc/net/sockstat` counts them: at least 4 KB. Others'
    /// come and go meanwhile.
    #[test]
    fn held_connections_show_in_the_kernels_memory() {
        if fs::read_to_string("/proc/slabinfo").is_err() {
            crate::skip("only root may read /proc/slabinfo");
            return;
        }
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let before = kernel_memory().unwrap();
        let connect = |_| {
            (
                std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap(),
                listener.accept().unwrap(),
            )
        };
        let held: Vec<_> = (0..400).map(connect).collect();
        let each = kernel_memory().unwrap().saturating_sub(before) / held.len() as u64;
        assert!((4_000..20_000).contains(&each), "{each} bytes");
    }
}
