//! Hosts on this machine, and the cable between two: anonymous network namespaces, held by file
//! descriptors, so that nothing is left when this process dies in whatever way.

use std::fs::{self, File};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::stat::Mode;
use rtnetlink::{Handle, LinkUnspec, LinkVeth};
use socket2::{Domain, Socket, Type};

/// Why there can be no hosts here.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The system lets this process make no namespace.
    #[error(
        "this process may make no network namespace ({0}): run as root, or allow user namespaces \
         (sysctl kernel.unprivileged_userns_clone=1; on Ubuntu also kernel.apparmor_restrict_unprivileged_userns=0)"
    )]
    NotAllowed(io::Error),
    /// As many namespaces are there as may be.
    #[error(
        "the system has no room for another network namespace ({0}): end other containers, or allow more \
         (sysctl user.max_net_namespaces)"
    )]
    NoRoom(io::Error),
    /// Links need a device that this process may not open.
    #[error(
        "this process may open no TUN device ({0}): load the module (modprobe tun), and let this user open /dev/net/tun \
         (mknod /dev/net/tun c 10 200; chmod 666 /dev/net/tun; in a container: --device /dev/net/tun)"
    )]
    NoTun(io::Error),
    /// A namespace was made, and something in it was refused.
    #[error("{what}: {reason}")]
    Refused {
        /// What was being done.
        what: &'static str,
        /// The system's reason.
        reason: io::Error,
    },
}

fn refused(what: &'static str) -> impl Fn(io::Error) -> HostError {
    move |reason| HostError::Refused { what, reason }
}

/// A host of its own: a network namespace that nothing else is in.
#[derive(Debug)]
pub struct Host {
    namespace: OwnedFd,
}

impl Host {
    /// Makes one. A process that is not root must have called [`prepare`] before.
    ///
    /// # Errors
    /// Where the system allows none, or has no room for one.
    pub fn new() -> Result<Host, HostError> {
        let made = on_a_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            settle_settings();
            Ok(OwnedFd::from(File::open("/proc/thread-self/ns/net")?))
        });
        let namespace = made.map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported => HostError::NotAllowed(error),
            io::ErrorKind::StorageFull => HostError::NoRoom(error),
            _ => HostError::Refused { what: "making a network namespace", reason: error },
        })?;
        Ok(Host { namespace })
    }

    /// Does something on this host, on a thread that ends with it.
    ///
    /// # Errors
    /// The system's, and what is done's.
    pub fn on<T: Send>(&self, act: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        on_a_thread(|| {
            setns(&self.namespace, CloneFlags::CLONE_NEWNET)?;
            act()
        })
    }
}

/// Gives a TCP socket of the calling thread's host this congestion control, and forgets the socket.
///
/// # Errors
/// The system's, where it has none of that name or keeps it from unprivileged sockets.
pub fn try_congestion_control(name: &str) -> io::Result<()> {
    Socket::new(Domain::IPV4, Type::STREAM, None)?.set_tcp_congestion(name.as_bytes())
}

/// Of the host that the reading or writing thread is on.
const CONGESTION_CONTROL: &str = "/proc/sys/net/ipv4/tcp_congestion_control";
/// Likewise.
const PORT_RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";
/// Every port that needs no privilege. Of the usual 28 232 the kernel gives to connections those of
/// one parity first: after some fourteen thousand, open or waiting out their minute, each
/// connection would look through all of these for longer than for a server.
const PORTS: &str = "1024 65535";

/// Cubic for every TCP socket of a host, since a new one may come with something else; where it is
/// refused reno, which every kernel has. All ports for connections. No IPv6, which would send
/// packets of its own among those that are counted. Where neither may be set (a container with
/// /proc/sys read-only) it is as it is: the record says which congestion control there was.
fn settle_settings() {
    let _ = fs::write(CONGESTION_CONTROL, "cubic").or_else(|_| fs::write(CONGESTION_CONTROL, "reno"));
    let _ = fs::write(PORT_RANGE, PORTS);
    for interfaces in ["all", "default"] {
        let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{interfaces}/disable_ipv6"), "1");
    }
}

impl AsFd for Host {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.namespace.as_fd()
    }
}

/// Two hosts and a cable between them: a veth pair of MTU 1500, segmentation offloads off, so that
/// a packet is what it would be on a wire.
#[derive(Debug)]
pub struct Cable {
    /// Where clients run.
    pub client: Host,
    /// Where servers run.
    pub server: Host,
}

/// The cable's interface, at both ends.
pub const CABLE: &str = "cable0";
/// The MTU of Ethernet.
const MTU: u32 = 1_500;
const PREFIX: u8 = 24;

impl Cable {
    /// The address of the server's end: of a range that is kept for benchmarks (RFC 2544).
    pub const SERVER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
    /// The address of the client's end.
    pub const CLIENT: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);

    /// Addresses of the server's end.
    const SERVERS: usize = 8;

    /// The nth address of the server's end, counted from 1.
    pub fn server(nth: usize) -> Ipv4Addr {
        match u8::try_from(nth) {
            Ok(nth @ 2..) => Ipv4Addr::new(198, 18, 0, nth.saturating_add(10)),
            _ => Cable::SERVER,
        }
    }

    /// Makes the hosts and lays the cable.
    ///
    /// # Errors
    /// Where the system allows no namespaces, or no veth pair in them.
    pub fn lay() -> Result<Cable, HostError> {
        let cable = Cable { client: Host::new()?, server: Host::new()? };
        let far_end = cable.server.namespace.as_raw_fd();
        let pair = |handle: Handle| async move {
            let both = LinkVeth::new(CABLE, "far0").mtu(MTU).build();
            handle.link().add(both).execute().await?;
            let move_it = LinkUnspec::new_with_name("far0").setns_by_fd(far_end).build();
            handle.link().set(move_it).execute().await
        };
        cable.client.on(|| netlink(pair)).map_err(refused("laying a veth pair"))?;
        let servers: Vec<Ipv4Addr> = (1..=Cable::SERVERS).map(Cable::server).collect();
        let ends = [(&cable.client, CABLE, vec![Cable::CLIENT]), (&cable.server, "far0", servers)];
        for (host, name, addresses) in ends {
            let plug = || {
                netlink(|handle| plug_in(handle, name, addresses))?;
                [ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO].into_iter().try_for_each(switch_off)
            };
            host.on(plug).map_err(refused("plugging the cable in"))?;
        }
        Ok(cable)
    }
}

/// Gives an interface its name, addresses and the rest that makes a host of a namespace.
async fn plug_in(handle: Handle, name: &str, addresses: Vec<Ipv4Addr>) -> Result<(), rtnetlink::Error> {
    let index = index_of(name)?;
    let renamed = LinkUnspec::new_with_index(index).name(CABLE).mtu(MTU).build();
    handle.link().set(renamed).execute().await?;
    for address in addresses {
        handle.address().add(index, address.into(), PREFIX).execute().await?;
    }
    for index in [index, index_of("lo")?] {
        let up = LinkUnspec::new_with_index(index).up().build();
        handle.link().set(up).execute().await?;
    }
    Ok(())
}

pub(crate) fn index_of(name: &str) -> Result<u32, rtnetlink::Error> {
    nix::net::if_::if_nametoindex(name)
        .map_err(|error| rtnetlink::Error::NamespaceError(format!("no interface {name}: {error}")))
}

/// Asks the kernel something about the network of the calling thread's host.
pub(crate) fn netlink<F, A>(ask: F) -> io::Result<()>
where
    F: FnOnce(Handle) -> A,
    A: Future<Output = Result<(), rtnetlink::Error>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        let connection = tokio::spawn(connection);
        let asked = ask(handle).await.map_err(io::Error::other);
        connection.abort();
        asked
    })
}

const ETHTOOL_STSO: u32 = 0x1f;
const ETHTOOL_SGSO: u32 = 0x24;
const ETHTOOL_SGRO: u32 = 0x2c;

/// `struct ethtool_value` of linux/ethtool.h.
#[repr(C)]
struct EthtoolValue {
    command: u32,
    data: u32,
}

nix::ioctl_write_ptr_bad!(
    /// Sets a feature of an interface.
    ethtool,
    nix::libc::SIOCETHTOOL,
    nix::libc::ifreq
);

/// A request about an interface, to be filled in.
pub(crate) fn interface_request(name: &str) -> nix::libc::ifreq {
    // SAFETY: an ifreq of zeros is a valid one.
    let mut request: nix::libc::ifreq = unsafe { std::mem::zeroed() };
    for (place, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *place = byte.cast_signed();
    }
    request
}

/// Switches a feature of the cable's end off, on the calling thread's host.
fn switch_off(command: u32) -> io::Result<()> {
    let mut value = EthtoolValue { command, data: 0 };
    let mut request = interface_request(CABLE);
    request.ifr_ifru.ifru_data = (&raw mut value).cast();
    let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    // SAFETY: the request names an interface and points to a value that lives until the call
    // returns.
    unsafe { ethtool(socket.as_raw_fd(), &raw const request) }?;
    Ok(())
}

/// Lets a process that is not root make hosts: it becomes root of a user namespace of its own,
/// which changes nothing outside. Must be called while the process has one thread. Without effect
/// for root, and where user namespaces are not allowed: [`Host::new`] then says so.
pub fn prepare() {
    let (user, group) = (nix::unistd::geteuid(), nix::unistd::getegid());
    if !user.is_root() && unshare(CloneFlags::CLONE_NEWUSER).is_ok() {
        // What fails here shows when a host is made.
        let _ = fs::write("/proc/self/setgroups", "deny");
        let _ = fs::write("/proc/self/uid_map", format!("0 {user} 1"));
        let _ = fs::write("/proc/self/gid_map", format!("0 {group} 1"));
    }
}

/// Has a program be no root where that is only said by [`prepare`]'s user namespace, which knows
/// one user: a program that finds itself root gives its files to another user (nginx does), and
/// there is none. In a namespace of its own below it is user 1000, without the capabilities of
/// root.
pub fn be_no_root(command: &mut Command) {
    let users = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    if !nix::unistd::geteuid().is_root() || !knows_one_user(&users) {
        return;
    }
    // SAFETY: unshare, open, write and close are system calls, async-signal-safe, on names and
    // texts that are constants.
    unsafe {
        command.pre_exec(|| {
            unshare(CloneFlags::CLONE_NEWUSER)?;
            for (file, text) in [
                (c"/proc/self/setgroups", &b"deny"[..]),
                (c"/proc/self/uid_map", &b"1000 0 1"[..]),
                (c"/proc/self/gid_map", &b"1000 0 1"[..]),
            ] {
                let file = nix::fcntl::open(file, OFlag::O_WRONLY, Mode::empty())?;
                nix::unistd::write(&file, text)?;
            }
            Ok(())
        });
    }
}

/// Whether a `uid_map` has one user: each line has one inside, one outside, and how many.
fn knows_one_user(map: &str) -> bool {
    let number = |line: &str| line.split_whitespace().nth(2)?.parse::<u64>().ok();
    map.lines().filter_map(number).sum::<u64>() == 1
}

/// A namespace is a thread's: one that is not kept for anything else.
fn on_a_thread<T: Send>(act: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let ran = std::thread::Builder::new().name("host".to_owned()).spawn_scoped(scope, act)?.join();
        ran.unwrap_or_else(|_| Err(io::Error::other("the thread on the host panicked")))
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// Says so and passes where the machine allows no hosts: the command then measures over
    /// loopback, and says that.
    fn cable() -> Option<Cable> {
        match Cable::lay() {
            Ok(cable) => Some(cable),
            Err(error @ HostError::NotAllowed(_)) => {
                crate::skip(&error.to_string());
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn bytes_cross_the_cable_in_packets_of_its_mtu() {
        let Some(cable) = cable() else { return };
        let listener = cable.server.on(|| TcpListener::bind((Cable::SERVER, 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let mut stream = cable.client.on(|| TcpStream::connect(address)).unwrap();
        let (mut accepted, _) = listener.accept().unwrap();
        let count = |host: &Host| host.on(|| crate::meter::HostCount::read_own(CABLE)).unwrap();
        let (before, far_before) = (count(&cable.client), count(&cable.server));
        let sent = vec![7_u8; 1 << 20];
        let writer = std::thread::spawn(move || {
            stream.write_all(&sent).unwrap();
            stream
        });
        let mut received = vec![0; 1 << 20];
        accepted.read_exact(&mut received).unwrap();
        let _open = writer.join().unwrap();
        let (sent, far) = (count(&cable.client).since(&before), count(&cable.server).since(&far_before));
        // 1 448 bytes of data a packet with TCP's timestamps, and 66 bytes of headers.
        let packets = (1_u64 << 20).div_ceil(1_448);
        // A crowded machine is late with acknowledgements, and TCP sends segments again.
        let again = sent.retransmitted_segments;
        assert!((packets..packets + 40 + again).contains(&sent.sent_packets), "{sent:?}");
        assert!(sent.sent_bytes >= (1 << 20) + 66 * packets, "{sent:?}");
        assert!((sent.sent_packets - again..=sent.sent_packets).contains(&far.received_packets), "{far:?}");
        assert!(again > 0 || sent.sent_bytes == far.received_bytes, "{sent:?} {far:?}");
    }

    #[test]
    fn a_user_namespace_of_one_user_is_told_from_others() {
        assert!(knows_one_user("         0      65534          1\n"));
        assert!(!knows_one_user("         0          0 4294967295\n"));
        assert!(!knows_one_user("0 1000 1\n1 100000 65536\n") && !knows_one_user(""));
    }

    #[test]
    fn hosts_have_one_congestion_control() {
        let Some(cable) = cable() else { return };
        let [client, server] = [&cable.client, &cable.server]
            .map(|host| host.on(|| Ok(fs::read_to_string(CONGESTION_CONTROL)?.trim().to_owned())).unwrap());
        assert!(cable.client.on(|| try_congestion_control("reno")).is_ok());
        assert!(cable.client.on(|| try_congestion_control("none-such")).is_err());
        assert_eq!(client, server);
        let allowed =
            fs::read_to_string("/proc/sys/net/ipv4/tcp_allowed_congestion_control").unwrap_or_default();
        let writable = cable.client.on(|| fs::write(CONGESTION_CONTROL, &client)).is_ok();
        assert!(!(writable && allowed.contains("cubic")) || client == "cubic", "{client}");
    }

    #[test]
    fn a_host_has_nothing_of_the_machines_network() {
        let Some(cable) = cable() else { return };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert!(cable.client.on(|| TcpStream::connect(address)).is_err());
    }
}
