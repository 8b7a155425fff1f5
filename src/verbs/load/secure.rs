//! Whom a load trusts, who it says it is, and by which TLS.

use std::path::Path;

use clients::{ClientIdentity, Tls, Trust};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use terms::TlsVersion;

use super::options::{Options, TlsName, read_file};
use super::target::Target;
use crate::ending::UsageError;

/// Bytes of a file of certificates, at most: the roots of a whole system have 300 kB.
const PEM_BYTES_MAX: u64 = 16 << 20;

/// What the connections need to be secure; `None` where they are not.
///
/// # Errors
/// Where a file cannot be read, or has not what it should have.
pub(super) fn tls(options: &Options, target: &Target) -> anyhow::Result<Option<Tls>> {
    if !target.secure {
        return Ok(None);
    }
    let versions: &[TlsVersion] = match options.tls {
        None => &[TlsVersion::Tls13, TlsVersion::Tls12],
        Some(TlsName::Tls12) => &[TlsVersion::Tls12],
        Some(TlsName::Tls13) => &[TlsVersion::Tls13],
    };
    let trust = match &options.root {
        _ if options.insecure => Trust::Anybody,
        None => Trust::Roots(
            rustls_native_certs::load_native_certs().certs.iter().map(|root| root.to_vec()).collect(),
        ),
        Some(file) => Trust::Roots(certificates("--root", file)?.iter().map(|root| root.to_vec()).collect()),
    };
    let identity = match (&options.cert, &options.key) {
        (Some(cert), Some(key)) => Some(ClientIdentity {
            chain: certificates("--cert", cert)?.iter().map(|cert| cert.to_vec()).collect(),
            key: private_key(key)?,
        }),
        _ => None,
    };
    let name = options.sni.as_deref().unwrap_or(&target.host);
    let tls = Tls::to_foreign(versions, name, &trust, identity);
    Ok(Some(tls.map_err(|error| UsageError(error.sample()))?))
}

fn certificates(option: &str, file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let unreadable = |error: String| UsageError(format!("{option} {}: {error}", file.display()));
    let text = read_file(option, file, PEM_BYTES_MAX)?;
    let certificates = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.map_err(|error| unreadable(error.to_string()))?;
    if certificates.is_empty() {
        return Err(unreadable("the file has no certificate".to_owned()).into());
    }
    Ok(certificates)
}

fn private_key(file: &Path) -> anyhow::Result<PrivateKeyDer<'static>> {
    let text = read_file("--key", file, PEM_BYTES_MAX)?;
    PrivateKeyDer::from_pem_slice(&text)
        .map_err(|error| UsageError(format!("--key {}: {error}", file.display())).into())
}
