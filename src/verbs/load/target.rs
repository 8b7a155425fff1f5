//! What is loaded: a URL, read as curl reads one, or refused with what to write.

use std::net::IpAddr;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use http::uri::PathAndQuery;
use percent_encoding::percent_decode_str;
use url::{Host, Position, Url};

use super::outcome::without_password;
use crate::ending::UsageError;

/// How a target is spoken with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    WebSocket,
    Tcp,
    Udp,
    Grpc,
    Quic,
}

/// Each scheme as it is written, with the port that it has where none is.
const SCHEMES: [(&str, Scheme, bool, Option<u16>); 10] = [
    ("http", Scheme::Http, false, Some(80)),
    ("https", Scheme::Http, true, Some(443)),
    ("ws", Scheme::WebSocket, false, Some(80)),
    ("wss", Scheme::WebSocket, true, Some(443)),
    ("tcp", Scheme::Tcp, false, None),
    ("tls", Scheme::Tcp, true, None),
    ("udp", Scheme::Udp, false, None),
    ("grpc", Scheme::Grpc, false, None),
    ("grpcs", Scheme::Grpc, true, None),
    ("quic", Scheme::Quic, true, None),
];

fn scheme_of(written: &str) -> Option<(&'static str, Scheme, bool, Option<u16>)> {
    SCHEMES.into_iter().find(|(name, ..)| name.eq_ignore_ascii_case(written))
}

/// A target, as its URL says it.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) scheme: Scheme,
    /// Over TLS, or over QUIC, which has it within.
    pub(super) secure: bool,
    /// The host, as certificates and lookups name it: without brackets, in ASCII.
    pub(super) host: String,
    pub(super) port: u16,
    /// What `Host` and `:authority` say: without the port where that is the scheme's.
    pub(super) authority: String,
    /// The interface of a link-local address of IPv6 (RFC 6874); 0 of others.
    pub(super) scope: u32,
    pub(super) path: PathAndQuery,
    /// The path as it was written.
    pub(super) written_path: String,
    /// `Basic …`, of a user and a password in the URL.
    pub(super) authorization: Option<String>,
}

impl Target {
    pub(super) fn parse(text: &str) -> Result<Target, UsageError> {
        let wrong = |what: &str| UsageError(format!("target '{}' {what}", without_password(text)));
        if let Some(character) = text.chars().find(|c| c.is_ascii_control() || *c == ' ' || *c == '\\') {
            let code = format!("%{:02X}", u32::from(character));
            return Err(wrong(&format!("contains {character:?}: write {code}")));
        }
        let known = || SCHEMES.map(|(name, ..)| format!("{name}://")).join(", ");
        let (scheme, rest) = text.split_once("://").ok_or_else(|| {
            if Path::new(text).is_file() {
                return wrong("is a file, and no URL: one with a target and options ends in .toml");
            }
            let bare = match text.split_once(':') {
                Some((scheme, rest)) if scheme_of(scheme).is_some() => {
                    format!("{scheme}://{}", rest.trim_start_matches('/'))
                }
                _ if text.is_empty() => "http://HOST:PORT/".to_owned(),
                _ => format!("http://{}", text.trim_start_matches('/')),
            };
            wrong(&format!("has no scheme: write {bare}, or another of {}", known()))
        })?;
        let (_, scheme, secure, usual_port) =
            scheme_of(scheme).ok_or_else(|| wrong(&format!("must begin with one of {}", known())))?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, written_path) = rest.split_at(end);
        let (user, host_and_port) =
            authority.rsplit_once('@').map_or((None, authority), |(user, rest)| (Some(user), rest));
        let (host_and_port, zone) = without_zone(host_and_port);
        if host_and_port.is_empty() || host_and_port.starts_with(':') {
            return Err(wrong("has no host"));
        }
        let port = match port_of(&host_and_port) {
            None => None,
            Some(digits) => Some(
                digits
                    .parse::<u16>()
                    .ok()
                    .filter(|port| *port > 0 && digits.bytes().all(|byte| byte.is_ascii_digit()))
                    .ok_or_else(|| {
                        wrong(&format!("has the port '{digits}': a port is a number from 1 to 65535"))
                    })?,
            ),
        };
        let port = port.or(usual_port).ok_or_else(|| {
            wrong(&format!(
                "has no port: write {}://{host_and_port}:PORT",
                text.split_once("://").map_or("", |(scheme, _)| scheme)
            ))
        })?;
        // One scheme for all, so that all have the same hosts and paths.
        let url = Url::parse(&format!("http://{host_and_port}{written_path}"))
            .map_err(|error| wrong(&format!("is not a URL: {error}")))?;
        let (host, written) = match url.host() {
            Some(Host::Domain(name)) => (name.to_owned(), name.to_owned()),
            Some(Host::Ipv4(address)) => (address.to_string(), address.to_string()),
            Some(Host::Ipv6(address)) => (address.to_string(), format!("[{address}]")),
            None => return Err(wrong("has no host")),
        };
        let scope = match zone {
            None => 0,
            Some(zone) => interface(&zone).ok_or_else(|| {
                wrong(&format!("has the interface '{zone}', which this machine does not have"))
            })?,
        };
        let path = url[Position::BeforePath..Position::AfterQuery]
            .parse::<PathAndQuery>()
            .map_err(|error| wrong(&format!("has a path that cannot be asked for: {error}")))?;
        let has_paths = matches!(scheme, Scheme::Http | Scheme::WebSocket | Scheme::Grpc);
        if !has_paths && path.as_str() != "/" {
            return Err(wrong(&format!(
                "has '{written_path}' behind its port, and its scheme has no paths: write HOST:PORT alone"
            )));
        }
        if (!has_paths || scheme == Scheme::Grpc) && user.is_some() {
            return Err(wrong("has a user, and its scheme has none: write HOST:PORT alone"));
        }
        let authority = if Some(port) == usual_port { written } else { format!("{written}:{port}") };
        let authorization = user.map(|user| {
            let user = if user.contains(':') { user.to_owned() } else { format!("{user}:") };
            let (name, password) = user.split_once(':').unwrap_or((&user, ""));
            let bytes: Vec<u8> =
                percent_decode_str(name).chain(*b":").chain(percent_decode_str(password)).collect();
            format!("Basic {}", STANDARD.encode(bytes))
        });
        let written_path = written_path.to_owned();
        Ok(Target { scheme, secure, host, port, authority, scope, path, written_path, authorization })
    }

    /// The gRPC method that its path names, if it names one.
    pub(super) fn method(&self) -> Option<&str> {
        Some(self.path.as_str()).filter(|path| self.scheme == Scheme::Grpc && *path != "/")
    }

    /// The same with another path, as it may be written.
    ///
    /// # Errors
    /// Where it is none.
    pub(super) fn at(&self, path: &str) -> Result<Target, UsageError> {
        let url = Url::parse(&format!("http://{}{path}", self.authority))
            .map_err(|error| UsageError(format!("the path '{path}': {error}")))?;
        let path = url[Position::BeforePath..Position::AfterQuery]
            .parse::<PathAndQuery>()
            .map_err(|error| UsageError(format!("the path '{path}': {error}")))?;
        Ok(Target { path, ..self.clone() })
    }

    /// The whole, as HTTP names it.
    pub(super) fn uri(&self) -> Result<Uri, UsageError> {
        let scheme = if self.secure { "https" } else { "http" };
        let parts = Uri::builder()
            .scheme(scheme)
            .authority(self.authority.as_str())
            .path_and_query(self.path.clone());
        parts.build().map_err(|error| UsageError(format!("target '{}': {error}", self.authority)))
    }
}

/// The port behind a host; `None` where there is none, or nothing behind the colon.
fn port_of(host_and_port: &str) -> Option<&str> {
    let behind = match host_and_port.rfind(']') {
        None if host_and_port.starts_with('[') => return None,
        bracket => bracket.map_or(0, |at| at + 1),
    };
    host_and_port[behind..].split_once(':').map(|(_, port)| port).filter(|port| !port.is_empty())
}

/// `[fe80::1%25eth0]:80` as `[fe80::1]:80` and `eth0`; `%` alone is read too, as curl does.
fn without_zone(host_and_port: &str) -> (String, Option<String>) {
    let zone = || {
        let end = host_and_port.strip_prefix('[')?.find(']')? + 1;
        let at = host_and_port[..end].find('%')?;
        let zone = &host_and_port[at + 1..end];
        let zone = zone.strip_prefix("25").unwrap_or(zone);
        Some((format!("{}{}", &host_and_port[..at], &host_and_port[end..]), zone.to_owned()))
    };
    zone().map_or((host_and_port.to_owned(), None), |(rest, zone)| (rest, Some(zone)))
}

/// The number of an interface, by its name or its number.
fn interface(zone: &str) -> Option<u32> {
    zone.parse().ok().or_else(|| nix::net::if_::if_nametoindex(zone).ok())
}

/// Loopback, private (RFC 1918, RFC 4193) and link-local addresses.
pub(super) fn is_ours(address: IpAddr) -> bool {
    match address {
        // The unspecified address leads to this machine.
        IpAddr::V4(v4) => v4.is_unspecified() || v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_ours(IpAddr::V4(v4)),
            None => {
                v6.is_unspecified() || v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local()
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::bent::bent_text;
    use super::*;

    #[test]
    fn only_our_own_addresses_are_loaded_unless_allowed() {
        for ours in [
            "127.0.0.1",
            "10.1.2.3",
            "192.168.0.9",
            "172.31.0.1",
            "::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "0.0.0.0",
        ] {
            assert!(is_ours(ours.parse().unwrap()), "{ours}");
        }
        for public in ["8.8.8.8", "172.32.0.1", "2001:db8::1", "::ffff:8.8.8.8"] {
            assert!(!is_ours(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn targets_that_make_no_sense_are_refused() {
        for (text, said) in [
            ("ftp://127.0.0.1:1/", "must begin with one of http://"),
            ("127.0.0.1:80", "write http://127.0.0.1:80"),
            ("tcp://127.0.0.1", "no port"),
            ("tcp://127.0.0.1:", "no port"),
            ("http://127.0.0.1:80800/", "from 1 to 65535"),
            ("http://127.0.0.1:808O/", "'808O'"),
            ("http://127.0.0.1:0/", "from 1 to 65535"),
            ("http://127.0.0.1:+80/", "from 1 to 65535"),
            ("grpc://127.0.0.1:80800", "from 1 to 65535"),
            ("http://:80/", "no host"),
            ("http:///x", "no host"),
            ("http://[::1/", "not a URL"),
            ("http://[fe80::1%25nowhere0]/", "interface 'nowhere0'"),
            ("http://127.0.0.1/a b", "write %20"),
            ("http://127.0.0.1/a\tb", "write %09"),
            ("http://127.0.0.1\\x", "write %5C"),
            ("quic://127.0.0.1:1/x", "'/x' behind its port"),
            ("udp://127.0.0.1:1?x", "'?x' behind its port"),
            ("/etc/passwd", "is a file, and no URL"),
            ("http:/127.0.0.1:1/", "write http://127.0.0.1:1/,"),
            ("", "write http://HOST:PORT/,"),
            ("tcp://me@127.0.0.1:1", "has a user"),
            ("http://256.0.0.1/", "not a URL"),
        ] {
            let error = Target::parse(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn a_url_means_what_it_says() {
        for (text, authority, host, port, path) in [
            ("http://127.0.0.1:8080?x=1", "127.0.0.1:8080", "127.0.0.1", 8080, "/?x=1"),
            ("HTTP://LOCALHOST/Ä?q=ö#frag", "localhost", "localhost", 80, "/%C3%84?q=%C3%B6"),
            ("https://[::1]:443/x", "[::1]", "::1", 443, "/x"),
            ("https://[::1]:80/x", "[::1]:80", "::1", 80, "/x"),
            ("ws://a.test:80#x", "a.test", "a.test", 80, "/"),
            ("http://me:p%40ss@a.test/%zz/../y", "a.test", "a.test", 80, "/y"),
            ("tcp://0x7f.1:80", "127.0.0.1:80", "127.0.0.1", 80, "/"),
            ("http://müller.test/", "xn--mller-kva.test", "xn--mller-kva.test", 80, "/"),
            ("http://[fe80::1%25lo]:81/", "[fe80::1]:81", "fe80::1", 81, "/"),
        ] {
            let target = Target::parse(text).unwrap();
            let found = (target.authority.as_str(), target.host.as_str(), target.port, target.path.as_str());
            assert_eq!(found, (authority, host, port, path), "{text}");
        }
        let basic = |text: &str| Target::parse(text).unwrap().authorization;
        assert_eq!(basic("http://me:p%40ss@a.test/").as_deref(), Some("Basic bWU6cEBzcw=="));
        assert_eq!(basic("http://me@a.test/").as_deref(), Some("Basic bWU6"));
        assert_eq!(basic("http://a.test/@"), None);
    }

    const URLS: &[&str] = &[
        "http://127.0.0.1:8080?x=1",
        "HTTPS://LOCALHOST:443/Ä?q=ö#frag",
        "wss://me:p%40ss@[fe80::1%25lo]:81/a/../b",
        "tcp://0x7f.1:80",
        "grpc://müller.test:1/a.B/C",
        "udp://[::ffff:1.2.3.4]:65535",
    ];

    proptest! {
        /// Whatever is typed is refused, or is a target that is the same where it is written out
        /// and read again; no path leads elsewhere.
        #[test]
        fn any_url_is_a_target_or_is_refused(text in bent_text(URLS), path in bent_text(&["a/{{id}}?x=1#y"]).prop_map(|path| format!("/{path}"))) {
            let Ok(target) = Target::parse(&text) else { return Ok(()) };
            let (name, ..) = SCHEMES[SCHEMES.iter().position(|(_, scheme, secure, _)| (*scheme, *secure) == (target.scheme, target.secure)).unwrap()];
            let written = format!("{name}://{}{}", target.authority, target.path);
            let again = Target::parse(&written).map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert_eq!(
                (&again.host, again.port, &again.authority, &again.path),
                (&target.host, target.port, &target.authority, &target.path)
            );
            for uri in [target.uri(), target.at(&path).and_then(|at| at.uri())].into_iter().flatten() {
                prop_assert_eq!(uri.authority().unwrap().as_str(), target.authority.as_str());
            }
        }
    }
}
