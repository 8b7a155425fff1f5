//! TLS for everything that listens: a certificate chain of the size that public servers send, made
//! for this run, and what rustls is told. Keys never leave the process.

mod stream;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use proto::SERVER_NAME;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::ServerSessionMemoryCache;

pub(crate) use stream::TlsStream;

/// Bytes of early data that a connection may send, over TCP; QUIC has flow control instead.
const EARLY_DATA_BYTES_MAX: u32 = 16 << 10;
/// Sessions that are kept for resumption; the oldest go first.
const SESSIONS_MAX: usize = 32_768;
/// Bytes that public certificates have and these would lack, so that leaf and intermediate come to
/// about 3 kB: two signed certificate timestamps, addresses of revocation lists and policies, and
/// larger keys above the leaf.
const LEAF_PADDING_BYTES: usize = 1_200;
const INTERMEDIATE_PADDING_BYTES: usize = 700;
/// An extension that nobody knows, of the arc that RFC 5612 keeps for documentation: it is read
/// over.
const PADDING_OID: [u64; 8] = [1, 3, 6, 1, 4, 1, 32_473, 1];

/// Who a server is: a leaf certificate and an intermediate one (ECDSA P-256), under a root that
/// clients are told to trust.
#[derive(Debug)]
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    root: CertificateDer<'static>,
    root_pem: String,
}

impl Identity {
    /// Makes keys and certificates for `localhost`, the loopback addresses, and these.
    ///
    /// # Errors
    /// Where the cryptographic library refuses.
    pub fn generate(addresses: &[IpAddr]) -> io::Result<Identity> {
        Identity::issue(addresses).map_err(io::Error::other)
    }

    fn issue(addresses: &[IpAddr]) -> Result<Identity, rcgen::Error> {
        let root = CertifiedIssuer::self_signed(
            authority("wirebench root, of this run only", 0),
            KeyPair::generate()?,
        )?;
        let above = authority("wirebench intermediate", INTERMEDIATE_PADDING_BYTES);
        let intermediate = CertifiedIssuer::signed_by(above, KeyPair::generate()?, &root)?;
        let mut leaf = CertificateParams::new(vec![SERVER_NAME.to_owned()])?;
        let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        leaf.subject_alt_names
            .extend(loopback.iter().chain(addresses).map(|address| SanType::IpAddress(*address)));
        leaf.distinguished_name.push(DnType::CommonName, "wirebench market");
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.use_authority_key_identifier_extension = true;
        leaf.custom_extensions = vec![padding(LEAF_PADDING_BYTES)];
        let key = KeyPair::generate()?;
        let leaf = leaf.signed_by(&key, &intermediate)?;
        Ok(Identity {
            chain: vec![leaf.der().clone(), intermediate.der().clone()],
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            root: root.der().clone(),
            root_pem: root.pem(),
        })
    }

    /// The certificate that clients are to trust, in DER.
    pub fn root(&self) -> &[u8] {
        &self.root
    }

    /// The same in PEM, for the clients that read files.
    pub fn root_pem(&self) -> &str {
        &self.root_pem
    }

    /// TLS 1.3 and 1.2 over TCP, with resumption, and with early data where the client sends it.
    ///
    /// # Errors
    /// Where rustls refuses the keys.
    pub fn over_tcp(&self, alpn: &[&[u8]]) -> io::Result<Arc<ServerConfig>> {
        let mut config = self.config(alpn, rustls::DEFAULT_VERSIONS)?;
        config.max_early_data_size = EARLY_DATA_BYTES_MAX;
        // The reply to early data goes out with the server's first flight, not a round trip later.
        config.send_half_rtt_data = true;
        Ok(Arc::new(config))
    }

    /// The TLS 1.3 within QUIC, with resumption and 0-RTT.
    ///
    /// # Errors
    /// Where rustls refuses the keys.
    pub fn within_quic(&self, alpn: &[&[u8]]) -> io::Result<Arc<ServerConfig>> {
        let mut config = self.config(alpn, &[&rustls::version::TLS13])?;
        // QUIC has no other number for it (RFC 9001, section 4.6.1).
        config.max_early_data_size = u32::MAX;
        Ok(Arc::new(config))
    }

    fn config(
        &self,
        alpn: &[&[u8]],
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> io::Result<ServerConfig> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .map_err(io::Error::other)?;
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        config.session_storage = ServerSessionMemoryCache::new(SESSIONS_MAX);
        Ok(config)
    }
}

fn authority(name: &str, padding_bytes: usize) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    if padding_bytes > 0 {
        params.custom_extensions = vec![padding(padding_bytes)];
    }
    params
}

fn padding(bytes: usize) -> CustomExtension {
    // An octet string, written by hand: its tag, its length in two bytes, and what no compressor
    // makes small.
    let mut content = vec![0x04, 0x82, (bytes >> 8) as u8, bytes as u8];
    content.extend((0..bytes as u64).map(|nth| (nth.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8));
    CustomExtension::from_oid_content(&PADDING_OID, content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_is_as_large_as_those_of_public_servers() {
        let identity = Identity::generate(&[]).unwrap();
        let bytes: usize = identity.chain.iter().map(|certificate| certificate.len()).sum();
        assert!((2_800..=3_200).contains(&bytes), "{bytes} bytes");
        assert!(identity.root_pem().starts_with("-----BEGIN CERTIFICATE-----"));
    }
}
