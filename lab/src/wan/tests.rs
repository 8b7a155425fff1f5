//! Real sockets over links.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use clock::{Clock, pause_thread};
use terms::ways::parse;

use super::*;

/// Says so and passes where the machine allows no links: the command then refuses them, and another
/// test shows that.
fn wan(hosts: usize, joins: &[Join]) -> Option<Wan> {
    match Wan::build(hosts, joins, 7) {
        Ok(wan) => Some(wan),
        Err(error @ (HostError::NotAllowed(_) | HostError::NoTun(_))) => {
            crate::skip(&error.to_string());
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn joined(words: &str) -> Option<Wan> {
    wan(2, &[Join { from: 0, to: 1, link: parse(words, None).unwrap() }])
}

fn udp(wan: &Wan, host: usize) -> UdpSocket {
    let bind = || UdpSocket::bind((Wan::address(host), 0));
    let socket = wan.host(host).unwrap().on(bind).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    socket
}

fn tcp(wan: &Wan) -> (TcpStream, TcpStream) {
    let listener = wan.host(1).unwrap().on(|| TcpListener::bind((Wan::address(1), 0))).unwrap();
    let address = listener.local_addr().unwrap();
    let client = wan.host(0).unwrap().on(|| TcpStream::connect(address)).unwrap();
    (client, listener.accept().unwrap().0)
}

/// Until what is on the way has arrived, and what was lost was sent again.
fn settle(wan: &Wan, which: Which) -> WayCount {
    let both = || (wan.count(Which::Up(0)), wan.count(Which::Down(0)));
    loop {
        let before = both();
        pause_thread(Duration::from_secs(1));
        if both() == before {
            return wan.count(which);
        }
    }
}

/// Early by no more than what the router allows for waking, and not so late that another delay
/// could be meant; how precise it is, `calibrate` says.
#[test]
fn a_round_trip_takes_the_delay_of_both_ways() {
    let Some(wan) = joined("up.delay=30ms down.delay=10ms") else { return };
    let (client, server) = (udp(&wan, 0), udp(&wan, 1));
    client.connect(server.local_addr().unwrap()).unwrap();
    let clock = Clock::System;
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let sent = clock.now();
        client.send(b"there").unwrap();
        let mut buffer = [0; 16];
        let (_, from) = server.recv_from(&mut buffer).unwrap();
        let there = clock.now().since(sent);
        server.send_to(b"back", from).unwrap();
        client.recv(&mut buffer).unwrap();
        let took = clock.now().since(sent);
        assert!(
            there >= Duration::from_micros(29_750) && took >= Duration::from_micros(39_500),
            "{there:?} {took:?}"
        );
        best = best.min(took);
    }
    assert!(best < Duration::from_millis(50), "{best:?}");
}

#[test]
fn packets_are_lost_by_seed_and_counted() {
    let sent = 2_000;
    let arrivals = || {
        let wan = joined("loss=10%")?;
        let (client, server) = (udp(&wan, 0), udp(&wan, 1));
        server.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let to = server.local_addr().unwrap();
        // At once, or the socket's buffer overflows.
        let receiver = std::thread::spawn(move || {
            let (mut arrived, mut buffer) = (Vec::new(), [0; 4]);
            while let Ok(4) = server.recv(&mut buffer) {
                arrived.push(u32::from_le_bytes(buffer));
            }
            arrived
        });
        for nth in 0..sent {
            client.send_to(&u32::to_le_bytes(nth), to).unwrap();
            if nth % 50 == 49 {
                pause_thread(Duration::from_millis(1));
            }
        }
        let arrived = receiver.join().unwrap();
        let count = settle(&wan, Which::Up(0));
        assert_eq!((count.offered, count.delivered), (u64::from(sent), arrived.len() as u64), "{count:?}");
        assert_eq!(count.lost, u64::from(sent) - count.delivered);
        Some(arrived)
    };
    let (Some(first), Some(second)) = (arrivals(), arrivals()) else { return };
    assert_eq!(first, second);
    // 1 800 ± 4 standard deviations of 13.4.
    assert!((1_746..=1_854).contains(&first.len()), "{}", first.len());
}

#[test]
fn tcp_delivers_everything_over_a_bad_link_and_a_capture_agrees_with_the_counters() {
    let folder = files::TemporaryFolder::make().unwrap();
    let capture = folder.path().join("packets.pcap");
    let Some(wan) = joined("rtt=4ms loss=2% duplicates=1% reordered=2%:3ms jitter=1ms") else { return };
    wan.capture(0, &capture).unwrap();
    let (mut client, mut server) = tcp(&wan);
    let sent: Vec<u8> = (0..1_u32 << 20).map(|nth| (nth % 251) as u8).collect();
    let expected = sent.clone();
    let writer = std::thread::spawn(move || client.write_all(&sent));
    let mut received = Vec::new();
    server.read_to_end(&mut received).unwrap();
    writer.join().unwrap().unwrap();
    assert!(received == expected, "{} bytes", received.len());
    drop(server);
    let (up, down) = (settle(&wan, Which::Up(0)), settle(&wan, Which::Down(0)));
    assert!(up.lost > 0 && up.duplicated > 0 && up.reordered > 0, "{up:?}");
    assert_eq!(up.offered, up.delivered - up.duplicated + up.lost, "{up:?}");
    drop(wan);

    let file = std::fs::read(&capture).unwrap();
    let word = |at: usize| u32::from_le_bytes([file[at], file[at + 1], file[at + 2], file[at + 3]]);
    assert_eq!((word(0), word(20)), (0xa1b2_3c4d, 101));
    let (mut at, mut packets, mut bytes) = (24, [0_u64; 2], [0_u64; 2]);
    while at < file.len() {
        let length = word(at + 8) as usize;
        assert_eq!(length, word(at + 12) as usize);
        let to_server = packet::destination(&file[at + 16..]) == Some(Wan::address(1));
        let way = usize::from(!to_server);
        packets[way] += 1;
        bytes[way] += length as u64;
        at += 16 + length;
    }
    assert_eq!(packets, [up.delivered, down.delivered]);
    assert_eq!(bytes, [up.delivered_bytes, down.delivered_bytes]);
}

#[test]
fn a_link_changes_while_packets_cross_it() {
    let Some(wan) = joined("delay=1ms") else { return };
    let (client, server) = (udp(&wan, 0), udp(&wan, 1));
    server.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let to = server.local_addr().unwrap();
    let arrives = || {
        client.send_to(b"?", to).unwrap();
        server.recv(&mut [0; 4]).is_ok()
    };
    assert!(arrives());
    let link = |words| parse(words, None).unwrap();
    let now = Clock::System.now();
    let up_again = Duration::from_millis(600);
    wan.change([(now, 0, link("delay=1ms cut")), (now + up_again, 0, link("delay=1ms"))]);
    pause_thread(Duration::from_millis(10));
    assert!(!arrives());
    pause_thread(up_again);
    assert!(arrives());
    assert_eq!(wan.count(Which::Up(0)).down, 1);
}

/// 2 Mbit/s: 100 datagrams of 1 000 bytes and 28 of headers take 411 ms, and a queue of 20 000
/// bytes holds 19 of them.
#[test]
fn a_full_queue_drops_what_comes_last() {
    let Some(wan) = joined("rate=2Mbit/s queue=20000B") else { return };
    let (client, server) = (udp(&wan, 0), udp(&wan, 1));
    for _ in 0..100 {
        client.send_to(&[0; 1_000], server.local_addr().unwrap()).unwrap();
    }
    let count = settle(&wan, Which::Up(0));
    assert!((19..=40).contains(&count.delivered), "{count:?}");
    assert_eq!(count.delivered + count.queue_full, 100);
    assert!((70_000..=80_000).contains(&count.queued_us_max), "{count:?}");
}

/// The first datagram that is too big is refused by ICMP, after which the kernel knows; TCP learns
/// it and goes on.
#[test]
fn a_smaller_mtu_on_the_way_is_told_to_the_sender() {
    let Some(wan) = joined("delay=1ms up.mtu=1000") else { return };
    let (mut client, mut server) = tcp(&wan);
    let writer = std::thread::spawn(move || client.write_all(&[7; 100_000]));
    let mut received = Vec::new();
    server.read_to_end(&mut received).unwrap();
    writer.join().unwrap().unwrap();
    assert_eq!(received.len(), 100_000);
    assert!(wan.count(Which::Up(0)).too_big > 0);
}

#[test]
fn datagrams_larger_than_a_packet_cross_in_fragments() {
    let Some(wan) = joined("delay=1ms") else { return };
    let (client, server) = (udp(&wan, 0), udp(&wan, 1));
    client.send_to(&[3; 20_000], server.local_addr().unwrap()).unwrap();
    assert_eq!(server.recv(&mut [0; 30_000]).unwrap(), 20_000);
    assert_eq!(wan.count(Which::Up(0)).delivered, 14);
}

#[test]
fn hosts_reach_only_whom_a_link_joins_them_with() {
    let link = parse("delay=1ms", None).unwrap();
    let Some(wan) = wan(3, &[Join { from: 0, to: 1, link }, Join { from: 1, to: 2, link }]) else { return };
    let (first, second, third) = (udp(&wan, 0), udp(&wan, 1), udp(&wan, 2));
    second.send_to(b"?", first.local_addr().unwrap()).unwrap();
    second.send_to(b"?", third.local_addr().unwrap()).unwrap();
    assert!(first.recv(&mut [0; 4]).is_ok() && third.recv(&mut [0; 4]).is_ok());
    third.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    first.send_to(b"?", third.local_addr().unwrap()).unwrap();
    assert!(third.recv(&mut [0; 4]).is_err());
    assert_eq!(wan.take_router_count().no_link, 1);
}

/// What is not IPv4 (the kernel's own IPv6 talk, if nothing else) is counted and dropped, and a
/// host that vanishes does not stop the others.
#[test]
fn strange_packets_and_hosts_that_vanish_do_not_stop_it() {
    let link = parse("delay=1ms", None).unwrap();
    let joins = [Join { from: 0, to: 1, link }, Join { from: 0, to: 2, link }];
    let Some(wan) = wan(3, &joins) else { return };
    let (client, server) = (udp(&wan, 0), udp(&wan, 1));
    let to_the_vanished = SocketAddr::from((Wan::address(2), 9));
    // The descriptor of its device keeps the host's namespace; without the device the host is gone
    // for the others.
    let vanish = || {
        crate::hosts::netlink(|handle| async move {
            handle.link().del(crate::hosts::index_of(WAN)?).execute().await
        })
    };
    wan.host(2).unwrap().on(vanish).unwrap();
    for _ in 0..100 {
        client.send_to(b"?", to_the_vanished).unwrap();
    }
    pause_thread(Duration::from_millis(50));
    let count = wan.take_router_count();
    assert_eq!(count.refused, 100, "{count:?}");
    let send_raw = || {
        let socket = socket2::Socket::new(
            socket2::Domain::PACKET,
            socket2::Type::DGRAM,
            Some(socket2::Protocol::from(0)),
        )?;
        strange(&socket)
    };
    match wan.host(0).unwrap().on(send_raw) {
        Ok(sent) => {
            pause_thread(Duration::from_millis(50));
            assert!(wan.take_router_count().not_ipv4 >= sent);
        }
        Err(error) => assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}"),
    }
    client.send_to(b"?", server.local_addr().unwrap()).unwrap();
    assert!(server.recv(&mut [0; 4]).is_ok());
}

/// Sends an IPv6 header, one byte, and a cut IPv4 header onto the device, beneath IP; says how
/// many.
fn strange(socket: &socket2::Socket) -> std::io::Result<u64> {
    use nix::libc;
    let index = nix::net::if_::if_nametoindex(WAN)?;
    let strangers: [(&[u8], i32); 3] = [
        (&[0x60; 40], libc::ETH_P_IPV6),
        (&[0x45], libc::ETH_P_IP),
        (&[0x45, 0, 0, 40, 0, 0], libc::ETH_P_IP),
    ];
    for (bytes, protocol) in strangers {
        // SAFETY: a sockaddr_ll of zeros is a valid one.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (protocol as u16).to_be();
        address.sll_ifindex = index.cast_signed();
        let length = size_of::<libc::sockaddr_ll>();
        // SAFETY: the address and its length are those of a sockaddr_ll that lives until the call
        // returns.
        let sent = unsafe {
            libc::sendto(
                std::os::fd::AsRawFd::as_raw_fd(socket),
                bytes.as_ptr().cast(),
                bytes.len(),
                0,
                (&raw const address).cast(),
                length as libc::socklen_t,
            )
        };
        if sent < 0 {
            return Err(std::io::Error::last_os_error());
        }
    }
    Ok(strangers.len() as u64)
}

/// In CI as root (`--ignored`): as fast as TCP goes for a minute, and the process does not grow.
#[test]
#[ignore = "takes a minute"]
fn a_minute_at_full_rate_takes_no_more_memory() {
    let Some(wan) = joined("delay=2ms") else { return };
    let (mut client, mut server) = tcp(&wan);
    let clock = Clock::System;
    let end = clock.now() + Duration::from_secs(60);
    let writer = std::thread::spawn(move || {
        let block = vec![5; 1 << 16];
        while Clock::System.now() < end && client.write_all(&block).is_ok() {}
    });
    let memory = || crate::meter::process_memory(std::process::id()).unwrap();
    let (mut buffer, mut received, mut early) = (vec![0; 1 << 16], 0_u64, None);
    let warm = clock.now() + Duration::from_secs(10);
    loop {
        let n = server.read(&mut buffer).unwrap();
        received += n as u64;
        if n == 0 {
            break;
        }
        if early.is_none() && clock.now() > warm {
            early = Some(memory());
        }
    }
    writer.join().unwrap();
    let grown = memory().saturating_sub(early.unwrap());
    eprintln!("{:.2} Gbit/s, {grown} bytes more", received as f64 * 8.0 / 60e9);
    assert!(grown < 8 << 20, "{grown} bytes more after a minute");
    assert!(received > 1 << 30, "{received}");
}
