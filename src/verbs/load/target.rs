//! Whom to load: parsed, resolved, and refused where it is somebody else's.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};

use http::Uri;

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

/// A target, resolved.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) scheme: Scheme,
    /// Over TLS, or over QUIC, which has it within.
    pub(super) secure: bool,
    pub(super) uri: Uri,
    pub(super) address: SocketAddr,
}

impl Target {
    pub(super) fn parse(text: &str, allow_public: bool) -> Result<Target, UsageError> {
        let wrong = |what: String| UsageError(format!("target '{text}' {what}"));
        let uri: Uri = text.parse().map_err(|error| wrong(format!("is not a URL: {error}")))?;
        let (scheme, secure) = match uri.scheme_str() {
            Some("http") => (Scheme::Http, false),
            Some("https") => (Scheme::Http, true),
            Some("ws") => (Scheme::WebSocket, false),
            Some("wss") => (Scheme::WebSocket, true),
            Some("tcp") => (Scheme::Tcp, false),
            Some("tls") => (Scheme::Tcp, true),
            Some("udp") => (Scheme::Udp, false),
            Some("grpc") => (Scheme::Grpc, false),
            Some("grpcs") => (Scheme::Grpc, true),
            Some("quic") => (Scheme::Quic, true),
            _ => {
                let known =
                    "http://, https://, ws://, wss://, tcp://, tls://, udp://, grpc://, grpcs:// or quic://";
                return Err(wrong(format!("must begin with {known}")));
            }
        };
        let host = uri.host().ok_or_else(|| wrong("has no host".to_owned()))?;
        let port = match (uri.port_u16(), scheme) {
            (Some(port), _) => port,
            (None, Scheme::Http | Scheme::WebSocket) => {
                if secure {
                    443
                } else {
                    80
                }
            }
            (None, _) => return Err(wrong("has no port".to_owned())),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let address = (host, port)
            .to_socket_addrs()
            .map_err(|error| wrong(format!("has a host that cannot be found: {error}")))?
            .next()
            .ok_or_else(|| wrong("has a host without an address".to_owned()))?;
        if !allow_public && !is_ours(address.ip()) {
            return Err(wrong(format!(
                "has a public address ({}). Loading somebody else's server is an attack on it; if it is yours, add \
                 --allow-public",
                address.ip()
            )));
        }
        Ok(Target { scheme, secure, uri, address })
    }
}

impl Target {
    /// The host, as certificates name it.
    pub(super) fn host(&self) -> &str {
        self.uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
    }
}

/// Loopback, private (RFC 1918, RFC 4193) and link-local addresses.
fn is_ours(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_ours(IpAddr::V4(v4)),
            None => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_addresses_are_loaded_unless_allowed() {
        for ours in
            ["127.0.0.1", "10.1.2.3", "192.168.0.9", "172.31.0.1", "::1", "fd00::1", "::ffff:127.0.0.1"]
        {
            assert!(is_ours(ours.parse().unwrap()), "{ours}");
        }
        for public in ["8.8.8.8", "172.32.0.1", "2001:db8::1", "0.0.0.0", "::ffff:8.8.8.8"] {
            assert!(!is_ours(public.parse().unwrap()), "{public}");
        }
        let refused = Target::parse("http://8.8.8.8/", false).unwrap_err().to_string();
        assert!(refused.contains("--allow-public"), "{refused}");
        assert!(Target::parse("http://8.8.8.8/", true).is_ok());
    }

    #[test]
    fn targets_that_make_no_sense_are_refused() {
        for (text, said) in [
            ("ftp://127.0.0.1:1/", "must begin with"),
            ("127.0.0.1:80", "must begin with"),
            ("tcp://127.0.0.1", "no port"),
        ] {
            let error = Target::parse(text, false).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
        assert_eq!(Target::parse("http://[::1]:81/x", false).unwrap().address.port(), 81);
    }
}
