//! Whom a load trusts, and by which TLS.

use anyhow::Context as _;
use clients::{Tls, Trust};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use terms::{TlsOptions, TlsVersion};

use super::options::{Options, TlsName};
use super::target::{Scheme, Target};
use crate::ending::UsageError;

/// Bytes of a file of roots, at most: those of a whole system have 300 kB.
const ROOTS_BYTES_MAX: u64 = 16 << 20;

/// What the connections need to be secure; `None` where they are not.
pub(super) fn tls(options: &Options, target: &Target) -> anyhow::Result<Option<Tls>> {
    if !target.secure {
        let given = [
            (options.http3, "--http3"),
            (options.root.is_some(), "--root"),
            (options.insecure, "--insecure"),
        ];
        return match given.into_iter().find(|(given, _)| *given) {
            Some((_, name)) => Err(UsageError(format!(
                "{name} needs a target of https://, wss://, tls://, grpcs:// or quic://"
            ))
            .into()),
            None => Ok(None),
        };
    }
    if options.http3 && target.scheme != Scheme::Http {
        return Err(UsageError("--http3 needs a target of https://".to_owned()).into());
    }
    if options.tls == TlsName::Tls12 && (options.http3 || target.scheme == Scheme::Quic) {
        return Err(
            UsageError("--tls 1.2 cannot be used with QUIC, which includes TLS 1.3".to_owned()).into()
        );
    }
    let version = match options.tls {
        TlsName::Tls12 => TlsVersion::Tls12,
        TlsName::Tls13 => TlsVersion::Tls13,
    };
    let trust = match &options.root {
        _ if options.insecure => Trust::Anybody,
        None => Trust::Roots(
            rustls_native_certs::load_native_certs().certs.iter().map(|root| root.to_vec()).collect(),
        ),
        Some(file) => {
            let unreadable = |error: String| UsageError(format!("--root {}: {error}", file.display()));
            let text = files::read(file, ROOTS_BYTES_MAX).context("cannot read --root")?;
            let roots = CertificateDer::pem_slice_iter(&text).map(|root| root.map(|root| root.to_vec()));
            let roots: Vec<_> =
                roots.collect::<Result<_, _>>().map_err(|error| unreadable(error.to_string()))?;
            if roots.is_empty() {
                return Err(unreadable("the file has no certificate".to_owned()).into());
            }
            Trust::Roots(roots)
        }
    };
    let options = TlsOptions { version, ..TlsOptions::default() };
    Ok(Some(Tls::new(options, target.host(), &trust)?))
}
