//! The accept loop of every server on QUIC: as `accept` is for TCP, with the same windows and
//! time-outs, and the same bound on connections. What is bounded of one TCP connection is bounded
//! of one stream here, and streams are bounded as calls are.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use proto::flow::Congestion;
use quinn::congestion::{BbrConfig, ControllerFactory, CubicConfig, NewRenoConfig};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{
    Connection, Endpoint, EndpointConfig, IdleTimeout, ServerConfig, TokioRuntime, TransportConfig, VarInt,
};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::protocols::udp;
use crate::tls::Identity;
use crate::{Limits, Shutdown};

/// Streams that a peer may open to send on alone: those that HTTP/3 has of its own, and some that
/// it does not know.
const UNI_STREAMS_MAX: u32 = 8;
/// Application close code of a server that is done with a connection.
const DONE: VarInt = VarInt::from_u32(0);

/// Binds an endpoint.
pub(crate) fn bind(
    address: SocketAddr,
    identity: &Identity,
    alpn: &[&[u8]],
    limits: &Limits,
    congestion: Option<Congestion>,
) -> io::Result<Endpoint> {
    let tls = QuicServerConfig::try_from(identity.within_quic(alpn)?).map_err(io::Error::other)?;
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    config.transport_config(Arc::new(transport(limits, congestion)));
    let socket = udp::bind_std(address)?;
    Endpoint::new(EndpointConfig::default(), Some(config), socket, Arc::new(TokioRuntime))
}

fn transport(limits: &Limits, congestion: Option<Congestion>) -> TransportConfig {
    let mut transport = TransportConfig::default();
    let in_flight = u32::try_from(limits.in_flight_max).unwrap_or(u32::MAX);
    transport
        .congestion_controller_factory(controller(congestion))
        .max_concurrent_bidi_streams(VarInt::from_u32(in_flight))
        .max_concurrent_uni_streams(VarInt::from_u32(UNI_STREAMS_MAX))
        .stream_receive_window(VarInt::from_u32(limits.h2_stream_window_bytes))
        .receive_window(VarInt::from_u32(limits.h2_connection_window_bytes))
        // What is written and not acknowledged: the library's 10 MB would be held for each peer who
        // is silent.
        .send_window(limits.h2_stream_window_bytes.into())
        // Datagrams that wait: past it the oldest are lost.
        .datagram_receive_buffer_size(Some(limits.outbound_bytes_max))
        .datagram_send_buffer_size(limits.outbound_bytes_max)
        .max_idle_timeout(IdleTimeout::try_from(limits.idle_time_max).ok());
    transport
}

/// As the client's; the library's own choice is cubic.
fn controller(congestion: Option<Congestion>) -> Arc<dyn ControllerFactory + Send + Sync> {
    match congestion.unwrap_or(Congestion::Cubic) {
        Congestion::Reno => Arc::new(NewRenoConfig::default()),
        Congestion::Cubic => Arc::new(CubicConfig::default()),
        Congestion::Bbr => Arc::new(BbrConfig::default()),
    }
}

/// Accepts until `shutdown`, gives each connection to `serve` before its handshake is over (so that
/// early data is answered in the first flight), and then waits for them at most the drain time.
/// Once half the places are taken, callers must prove their address first (a Retry, one round trip
/// more), so that forged ones take none.
pub(crate) async fn accept<S, F>(endpoint: Endpoint, limits: Limits, shutdown: Shutdown, serve: S)
where
    S: Fn(Connection) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let connections = TaskTracker::new();
    let abandon = Shutdown::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = endpoint.accept() => accepted,
        };
        let Some(incoming) = accepted else { break };
        let is_crowded = places.available_permits() < limits.connections_max / 2;
        if is_crowded && incoming.may_retry() && !incoming.remote_address_validated() {
            // It may be retried: it was asked.
            let _ = incoming.retry();
            continue;
        }
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            incoming.refuse();
            continue;
        };
        let opened = incoming.accept().map(quinn::Connecting::into_0rtt);
        let Ok(Ok((connection, shaken))) = opened else {
            tracing::debug!("a handshake that could not begin");
            continue;
        };
        let served = serve(connection.clone());
        let (abandon, shake_max) = (abandon.clone(), limits.header_time_max);
        connections.spawn(async move {
            let stalled = async {
                if clock::limit(shake_max, shaken).await.is_ok() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = served => {}
                _ = connection.closed() => {}
                () = stalled => tracing::debug!("closed a connection that did not shake hands"),
                () = abandon.cancelled() => tracing::debug!("dropped a connection that did not drain"),
            }
            // What was said last is sent when others have had their turn; a peer who goes first
            // need not be waited for.
            let _ = clock::limit(GOODBYE_TIME_MAX, connection.closed()).await;
            connection.close(DONE, b"");
            drop(place);
        });
    }
    // Nobody new.
    endpoint.set_server_config(None);
    connections.close();
    if clock::limit(limits.drain_time_max, connections.wait()).await.is_err() {
        abandon.cancel();
        connections.wait().await;
    }
    // So long that the last goodbyes are sent.
    let _ = clock::limit(GOODBYE_TIME_MAX, endpoint.wait_idle()).await;
}

/// Time for the peers to hear that a server goes.
const GOODBYE_TIME_MAX: Duration = Duration::from_millis(200);
