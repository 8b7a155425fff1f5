//! TLS for everything that calls: which version, whether sessions are resumed, whom to trust.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use terms::{TlsOptions, TlsVersion};

use proto::SERVER_NAME;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, NamedGroup, RootCertStore, SignatureScheme};

use crate::connection::CallError;

/// Tickets of TLS 1.3 that are kept; the oldest go first.
const TICKETS_MAX: usize = 4_096;

/// Whose certificates are believed.
#[derive(Debug, Clone)]
pub enum Trust {
    /// Those under these roots, in DER, of which one at least must be a certificate.
    Roots(Vec<Vec<u8>>),
    /// Anybody's: the connection is encrypted, and it is not known to whom.
    Anybody,
}

/// What connections to one server need. Clones share its sessions.
#[derive(Debug, Clone)]
pub struct Tls {
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) server_name: ServerName<'static>,
    pub(crate) early_data: bool,
}

impl Tls {
    /// To a server of this name.
    ///
    /// # Errors
    /// Where the name is none, a root is no certificate, or early data is asked for where there is
    /// none.
    pub fn new(options: TlsOptions, server_name: &str, trust: &Trust) -> Result<Tls, CallError> {
        if options.early_data && !(options.resume && options.version == TlsVersion::Tls13) {
            return Err(CallError::Protocol("TLS: early data needs a resumed session of TLS 1.3".to_owned()));
        }
        let (mut config, server_name) = config(&[options.version], server_name, trust, None)?;
        config.resumption = if options.resume {
            Resumption::store(Arc::new(Sessions::default()))
        } else {
            Resumption::disabled()
        };
        config.enable_early_data = options.early_data;
        Ok(Tls { config: Arc::new(config), server_name, early_data: options.early_data })
    }

    /// To a server that wirebench did not start, in any of these versions, and as whom.
    ///
    /// # Errors
    /// Where the name is none, or a certificate or key cannot be used.
    pub fn to_foreign(
        versions: &[TlsVersion],
        server_name: &str,
        trust: &Trust,
        identity: Option<ClientIdentity>,
    ) -> Result<Tls, CallError> {
        let (mut config, server_name) = config(versions, server_name, trust, identity)?;
        config.resumption = Resumption::disabled();
        Ok(Tls { config: Arc::new(config), server_name, early_data: false })
    }

    /// To a server of the market, who told its root certificate (DER).
    ///
    /// # Errors
    /// Where that is no certificate, or early data is asked for where there is none.
    pub fn to_market(options: TlsOptions, root: &[u8]) -> Result<Tls, CallError> {
        Tls::new(options, SERVER_NAME, &Trust::Roots(vec![root.to_vec()]))
    }
}

/// What TLS needs to know, but for sessions.
fn config(
    versions: &[TlsVersion],
    server_name: &str,
    trust: &Trust,
    identity: Option<ClientIdentity>,
) -> Result<(ClientConfig, ServerName<'static>), CallError> {
    let wrong = |error: &dyn std::error::Error| CallError::Protocol(format!("TLS: {error}"));
    let server_name = ServerName::try_from(server_name.to_owned()).map_err(|error| wrong(&error))?;
    let version = |version: &TlsVersion| match version {
        TlsVersion::Tls12 => &rustls::version::TLS12,
        TlsVersion::Tls13 => &rustls::version::TLS13,
    };
    let versions: Vec<_> = versions.iter().map(version).collect();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions)
        .map_err(|error| wrong(&error))?;
    let builder = match trust {
        Trust::Roots(roots) => {
            let mut store = RootCertStore::empty();
            let (added, _ignored) =
                store.add_parsable_certificates(roots.iter().map(|root| CertificateDer::from(root.clone())));
            if added == 0 {
                return Err(CallError::Protocol("TLS: there is no root certificate to trust".to_owned()));
            }
            builder.with_root_certificates(store)
        }
        Trust::Anybody => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(BelievesAnybody(provider)))
        }
    };
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some(ClientIdentity { chain, key }) => {
            let chain = chain.into_iter().map(CertificateDer::from).collect();
            builder.with_client_auth_cert(chain, key).map_err(|error| wrong(&error))?
        }
    };
    Ok((config, server_name))
}

/// Who a client says it is.
#[derive(Debug)]
pub struct ClientIdentity {
    /// Its certificate and those above it, in DER.
    pub chain: Vec<Vec<u8>>,
    /// The private key.
    pub key: PrivateKeyDer<'static>,
}

/// The sessions of one server. rustls's own store keeps eight tickets, which is fewer than calls
/// are in flight over a distance: all but eight of them would shake hands in full.
#[derive(Debug, Default)]
struct Sessions(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    group: Option<NamedGroup>,
    tls12: Option<Tls12ClientSessionValue>,
    tickets: VecDeque<Tls13ClientSessionValue>,
}

impl Sessions {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        // What is kept is whole after every step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, _server: ServerName<'static>, group: NamedGroup) {
        self.kept().group = Some(group);
    }

    fn kx_hint(&self, _server: &ServerName<'_>) -> Option<NamedGroup> {
        self.kept().group
    }

    fn set_tls12_session(&self, _server: ServerName<'static>, session: Tls12ClientSessionValue) {
        self.kept().tls12 = Some(session);
    }

    fn tls12_session(&self, _server: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.kept().tls12.clone()
    }

    fn remove_tls12_session(&self, _server: &ServerName<'static>) {
        self.kept().tls12 = None;
    }

    fn insert_tls13_ticket(&self, _server: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        let mut kept = self.kept();
        if kept.tickets.len() == TICKETS_MAX {
            kept.tickets.pop_front();
        }
        kept.tickets.push_back(ticket);
    }

    fn take_tls13_ticket(&self, _server: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.kept().tickets.pop_back()
    }
}

/// Checks that the server has the key of its certificate, and not whose certificate it is.
#[derive(Debug)]
struct BelievesAnybody(Arc<CryptoProvider>);

impl ServerCertVerifier for BelievesAnybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
