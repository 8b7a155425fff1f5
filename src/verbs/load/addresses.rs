//! Where a name leads: the system's answer, or what `--resolve` and `--connect-to` say instead.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use super::options::Options;
use super::target::{Scheme, Target, is_ours};
use crate::ending::{UsageError, say};

/// `HOST:PORT:ADDRESS[,ADDRESS…]`, as curl's `--resolve` takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resolve {
    host: String,
    port: u16,
    addresses: Vec<IpAddr>,
}

/// `HOST:PORT:HOST:PORT`, as curl's `--connect-to` takes it; an empty first half is of every host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ConnectTo {
    from: (String, Option<u16>),
    to: (String, Option<u16>),
}

/// Reads what `--resolve` was given.
pub(super) fn parse_resolve(text: &str) -> Result<Resolve, String> {
    let wrong = || format!("'{text}': write HOST:PORT:ADDRESS, such as example.test:443:127.0.0.1");
    let (host, rest) = host_and_rest(text).ok_or_else(wrong)?;
    let (port, addresses) = rest.split_once(':').ok_or_else(wrong)?;
    let address = |text: &str| text.trim_matches(['[', ']']).parse().map_err(|_| wrong());
    let addresses = addresses.split(',').map(address).collect::<Result<Vec<_>, _>>()?;
    let port = port.parse().map_err(|_| wrong())?;
    if host.is_empty() {
        return Err(wrong());
    }
    Ok(Resolve { host, port, addresses })
}

/// Reads what `--connect-to` was given.
pub(super) fn parse_connect_to(text: &str) -> Result<ConnectTo, String> {
    let wrong = || format!("'{text}': write HOST:PORT:HOST:PORT, such as example.test:443:127.0.0.1:8443");
    let port =
        |text: &str| if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(|_| wrong()) };
    let (from, rest) = host_and_rest(text).ok_or_else(wrong)?;
    let (from_port, rest) = rest.split_once(':').ok_or_else(wrong)?;
    let (to, to_port) = host_and_rest(rest).ok_or_else(wrong)?;
    Ok(ConnectTo { from: (from, port(from_port)?), to: (to, port(to_port)?) })
}

/// The host before the first colon, or in brackets, and what comes behind.
fn host_and_rest(text: &str) -> Option<(String, &str)> {
    match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            Some((host.to_owned(), rest.strip_prefix(':')?))
        }
        None => text.split_once(':').map(|(host, rest)| (host.to_owned(), rest)),
    }
}

/// The addresses of a target, in the order in which they are tried.
///
/// # Errors
/// Where there is none, or one is somebody else's and that was not allowed.
pub(super) fn addresses(options: &Options, target: &Target) -> Result<Vec<SocketAddr>, UsageError> {
    let is_this = |host: &str, port: u16| host.eq_ignore_ascii_case(&target.host) && port == target.port;
    let elsewhere = options.connect_to.iter().find(|connect| {
        let (host, port) = &connect.from;
        is_this(if host.is_empty() { &target.host } else { host }, port.unwrap_or(target.port))
    });
    let (host, port) = match elsewhere {
        Some(ConnectTo { to: (host, port), .. }) => {
            let host = if host.is_empty() { &target.host } else { host };
            (host.clone(), port.unwrap_or(target.port))
        }
        None => (target.host.clone(), target.port),
    };
    let told = options.resolve.iter().find(|told| told.host.eq_ignore_ascii_case(&host) && told.port == port);
    let found = match told {
        Some(told) => told.addresses.iter().map(|address| SocketAddr::new(*address, port)).collect(),
        None => look_up(&host, port, options.connect_time_out())?,
    };
    let unused = |option: &str, host: &str, port: u16| {
        let what = "is of another host and port, or given before, and would do nothing";
        Err(UsageError(format!("{option} {what}: {host}:{port} is looked for")))
    };
    if options.resolve.iter().any(|other| Some(other) != told) {
        return unused("--resolve", &host, port);
    }
    if options.connect_to.iter().any(|other| Some(other) != elsewhere) {
        return unused("--connect-to", &target.host, target.port);
    }
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for mut address in found {
        if let SocketAddr::V6(v6) = &mut address
            && v6.ip().is_unicast_link_local()
            && target.scope > 0
        {
            v6.set_scope_id(target.scope);
        }
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    check_sources(options, &mut addresses)?;
    let public = addresses.iter().find(|address| !is_ours(address.ip()));
    match public {
        Some(public) if !options.allow_public => Err(UsageError(format!(
            "target '{}' has a public address ({}). Loading somebody else's server is an attack on it; if it is yours, \
             add --allow-public",
            options.target,
            public.ip()
        ))),
        _ => Ok(addresses),
    }
}

/// Holds the source addresses to this machine, and to those that are connected to: from one of IPv4
/// nothing of IPv6 can be reached.
fn check_sources(options: &Options, addresses: &mut Vec<SocketAddr>) -> Result<(), UsageError> {
    for source in &options.source_address {
        if let Err(error) = UdpSocket::bind((*source, 0)) {
            let message = format!("--source-address {source}: this machine cannot use it: {error}");
            return Err(UsageError(message));
        }
    }
    let Some(first) = options.source_address.first() else { return Ok(()) };
    let is_alike = |address: &IpAddr| address.is_ipv4() == first.is_ipv4();
    addresses.retain(|address| is_alike(&address.ip()));
    if addresses.is_empty() || !options.source_address.iter().all(is_alike) {
        let message =
            "--source-address: IPv4 reaches IPv4 only, and IPv6 IPv6; give addresses of the target's kind";
        return Err(UsageError(message.to_owned()));
    }
    Ok(())
}

/// Asks the system, which may ask a name server that does not answer.
fn look_up(host: &str, port: u16, time: Duration) -> Result<Vec<SocketAddr>, UsageError> {
    if let Ok(address) = host.parse() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let (told, found) = mpsc::channel();
    let asked = (if is_this_machine(host) { "localhost" } else { host }.to_owned(), port);
    std::thread::spawn(move || told.send(asked.to_socket_addrs().map(Iterator::collect::<Vec<_>>)));
    match found.recv_timeout(time) {
        Ok(Ok(found)) if !found.is_empty() => Ok(found),
        Ok(Ok(_)) => Err(UsageError(format!("the host '{host}' has no address"))),
        Ok(Err(error)) => Err(UsageError(format!(
            "the host '{host}' cannot be found: {error}; write an address, or --resolve {host}:{port}:ADDRESS"
        ))),
        Err(_) => Err(UsageError(format!(
            "the host '{host}' was not found within {time:?}: no name server answers"
        ))),
    }
}

/// Whether a name is of this machine without anybody being asked: `localhost`, and all below it
/// (RFC 6761, section 6.3).
fn is_this_machine(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    name.rsplit('.').next().is_some_and(|last| last.eq_ignore_ascii_case("localhost"))
}

/// The addresses, of which the first is one that answers where that can be told: a TCP connection
/// is there, or no system says that nobody listens for datagrams. Over QUIC they stay as they are,
/// and are tried by opening.
pub(super) fn answering(
    addresses: Vec<SocketAddr>,
    options: &Options,
    target: &Target,
    stop: &AtomicBool,
) -> Vec<SocketAddr> {
    if addresses.len() < 2 || options.http3 || target.scheme == Scheme::Quic {
        return addresses;
    }
    for address in &addresses {
        let answered = if target.scheme == Scheme::Udp {
            answers_datagrams(*address).then_some(()).ok_or_else(|| "nobody listens there".to_owned())
        } else {
            let connected = TcpStream::connect_timeout(address, options.connect_time_out());
            connected.map(drop).map_err(|error| error.to_string())
        };
        match answered {
            Ok(()) => {
                say(&format!("{} has {} addresses: {address} is loaded", target.host, addresses.len()));
                return vec![*address];
            }
            Err(_) if stop.load(Ordering::Relaxed) => break,
            Err(error) => say(&format!("{address}: {error}; trying the next address of {}", target.host)),
        }
    }
    addresses
}

/// How long a system is waited for to say that nobody listens for datagrams.
const DATAGRAM_REFUSED_WITHIN: Duration = Duration::from_millis(200);

/// Whether datagrams to an address are taken: the system says so where nobody listens, and a silent
/// server may be there. It is sent an empty one.
fn answers_datagrams(address: SocketAddr) -> bool {
    let any: SocketAddr = if address.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
    let refused = || {
        let socket = UdpSocket::bind(any)?;
        socket.connect(address)?;
        socket.set_read_timeout(Some(DATAGRAM_REFUSED_WITHIN))?;
        socket.send(&[])?;
        socket.recv(&mut [0; 1])
    };
    refused().err().is_none_or(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_below_localhost_are_this_machine() {
        for (name, is_ours) in [
            ("localhost", true),
            ("LocalHost.", true),
            ("shop.localhost", true),
            ("localhost.example", false),
            ("notlocalhost", false),
            ("", false),
        ] {
            assert_eq!(is_this_machine(name), is_ours, "{name}");
        }
        let found = look_up("shop.localhost.", 80, Duration::from_secs(5)).unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback()), "{found:?}");
    }
}
