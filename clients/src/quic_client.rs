//! QUIC connections, for every client that rides on them: each has a socket of its own, as each TCP
//! connection has.

use std::sync::Arc;

use proto::flow::Congestion;
use quinn::congestion::{BbrConfig, ControllerFactory, CubicConfig, NewRenoConfig};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connecting, Connection, EndpointConfig, TokioRuntime, TransportConfig, VarInt};
use terms::Phase;

use crate::connection::CallError;
use crate::endpoint::Endpoint;
use crate::limits::{CONNECTION_WINDOW_BYTES, STREAM_WINDOW_BYTES};
use crate::phases::during;
use crate::protocols::udp::bind_udp;
use crate::quic_socket::QuicSocket;

/// Streams that the server may open to send on alone: those that HTTP/3 has of its own, and some
/// that it does not know.
const UNI_STREAMS_MAX: u32 = 8;

/// Opens a connection, on which `alpn` is the one protocol that is offered. With early data and a
/// session to resume it is there at once, and what is sent on it goes out with the first flight.
pub(crate) async fn open(endpoint: &Endpoint, alpn: &'static [u8]) -> Result<Connection, CallError> {
    let Some(tls) = &endpoint.tls else {
        return Err(CallError::Protocol("QUIC has TLS within: it needs to know whom to trust".to_owned()));
    };
    let mut config = (*tls.config).clone();
    config.alpn_protocols = vec![alpn.to_vec()];
    let config =
        QuicClientConfig::try_from(config).map_err(|error| CallError::Protocol(error.to_string()))?;
    let mut config = ClientConfig::new(Arc::new(config));
    config.transport_config(Arc::new(transport(endpoint.congestion)));
    let address = endpoint.resolve().await?;
    let ours = bind_udp(endpoint.local(address)).and_then(QuicSocket::of).and_then(|socket| {
        let (config, runtime) = (EndpointConfig::default(), Arc::new(TokioRuntime));
        quinn::Endpoint::new_with_abstract_socket(config, None, socket, runtime)
    });
    let ours = ours.map_err(|error| CallError::from_io(&error))?;
    let connecting = ours
        .connect_with(config, address, &tls.server_name.to_str())
        .map_err(|error| CallError::Protocol(error.to_string()))?;
    if tls.early_data {
        match connecting.into_0rtt() {
            Ok((connection, _accepted)) => Ok(connection),
            Err(connecting) => shake_hands(connecting).await,
        }
    } else {
        shake_hands(connecting).await
    }
}

async fn shake_hands(connecting: Connecting) -> Result<Connection, CallError> {
    during(Phase::Tls, connecting).await.map_err(|error| failure(&error))
}

/// The server bounds idle time.
fn transport(congestion: Option<Congestion>) -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .congestion_controller_factory(controller(congestion))
        .max_concurrent_uni_streams(VarInt::from_u32(UNI_STREAMS_MAX))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW_BYTES))
        .max_idle_timeout(None);
    transport
}

/// As the server's.
fn controller(congestion: Option<Congestion>) -> Arc<dyn ControllerFactory + Send + Sync> {
    match congestion.unwrap_or(Congestion::Cubic) {
        Congestion::Reno => Arc::new(NewRenoConfig::default()),
        Congestion::Cubic => Arc::new(CubicConfig::default()),
        Congestion::Bbr => Arc::new(BbrConfig::default()),
    }
}

/// What the end of a connection means for a call.
pub(crate) fn failure(error: &quinn::ConnectionError) -> CallError {
    let text = format!("QUIC: {error}");
    match error {
        // Refused: the server is over its limit of connections (RFC 9000, section 20.1).
        quinn::ConnectionError::ConnectionClosed(frame)
            if frame.error_code == quinn::TransportErrorCode::CONNECTION_REFUSED =>
        {
            CallError::Limit(text)
        }
        quinn::ConnectionError::TransportError(_) | quinn::ConnectionError::VersionMismatch => {
            CallError::Protocol(text)
        }
        _ => CallError::Reset(text),
    }
}
