//! The accept loop of every server on TCP: a bound on connections, TLS where it is asked for, an
//! idle time-out, a graceful stop.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::either::Either;
use tokio_util::task::TaskTracker;

use crate::linger::{self, Linger};
use crate::tls::TlsStream;
use crate::{Limits, Shutdown};

/// Where a server listens, and whether connections are TLS.
#[derive(Debug)]
pub struct Listener {
    /// The socket.
    pub socket: TcpListener,
    /// What TLS is told; `None` for plain text.
    pub tls: Option<Arc<ServerConfig>>,
}

impl From<TcpListener> for Listener {
    fn from(socket: TcpListener) -> Listener {
        Listener { socket, tls: None }
    }
}

/// Connections that may wait to be accepted, at most; Linux allows no more unless told
/// (`net.core.somaxconn`). Beyond it SYNs are thrown away, and come again after a second: of the
/// default of 128, a restart under a thousand subscribers makes a second's outage.
const ACCEPT_QUEUE: u32 = 4_096;

/// Time for a connection that is refused to hear it.
const REFUSAL_TIME_MAX: Duration = Duration::from_millis(100);

/// Listens at an address, which a process that has just ended may have had.
///
/// # Errors
/// The system's, where it refuses the address.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(ACCEPT_QUEUE)
}

/// Accepts until `shutdown`, gives each connection to `serve`, and then waits for them at most the
/// drain time.
///
/// `refusal` is what a connection over the limit is told before it is closed, in plain text: over
/// TLS it is closed untold, for a handshake is what the limit is there to save. `serve` must end
/// soon after `shutdown` fires; what has not ended after the drain time is dropped.
pub(crate) async fn accept<S, F>(
    listener: Listener,
    limits: Limits,
    refusal: &'static [u8],
    shutdown: Shutdown,
    serve: S,
) where
    S: Fn(Stream) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let Listener { socket, tls } = listener;
    let refusal = tls.is_none().then_some(refusal);
    let (first_max, idle_max) = (limits.header_time_max, limits.idle_time_max);
    let begin = |stream| {
        let (watched, progress) = Watched::new(stream);
        let stream = match secured(watched, tls.as_ref(), &progress) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!("no TLS for a connection: {error}");
                return None;
            }
        };
        let served = serve(stream);
        Some(async move {
            tokio::select! {
                () = served => {}
                () = stalled(progress, first_max, idle_max) => tracing::debug!("closed an idle connection"),
            }
        })
    };
    accept_plain(socket, limits, refusal, shutdown, begin).await;
}

/// The same without a look at what is said: `begin` has each connection as it came, and decides
/// itself how long it may be idle. Where it gives nothing, the connection is closed.
pub(crate) async fn accept_plain<S, F>(
    socket: TcpListener,
    limits: Limits,
    refusal: Option<&'static [u8]>,
    shutdown: Shutdown,
    begin: S,
) where
    S: Fn(TcpStream) -> Option<F>,
    F: Future<Output = ()> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let connections = TaskTracker::new();
    let abandon = Shutdown::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = socket.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _peer)) => stream,
            Err(error) => {
                // Out of file descriptors, or a peer gone before it was accepted: neither ends the
                // server.
                tracing::warn!("accept failed: {error}");
                clock::pause(Duration::from_millis(10)).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            if let Some(refusal) = refusal {
                connections.spawn(linger::dismiss(stream, refusal, REFUSAL_TIME_MAX));
            }
            continue;
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!("TCP_NODELAY refused: {error}");
        }
        let Some(begun) = begin(stream) else { continue };
        let abandon = abandon.clone();
        connections.spawn(async move {
            tokio::select! {
                () = begun => {}
                () = abandon.cancelled() => tracing::debug!("dropped a connection that did not drain"),
            }
            drop(place);
        });
    }
    drop(socket);
    connections.close();
    if clock::limit(limits.drain_time_max, connections.wait()).await.is_err() {
        abandon.cancel();
        connections.wait().await;
    }
}

/// What a connection has come to, as it is watched.
#[derive(Debug, Default)]
struct Progress {
    /// Bytes moved, both ways.
    moved: AtomicU64,
    /// TLS, where it is asked for, has shaken hands.
    shaken: Arc<AtomicBool>,
}

/// Returns once no first byte has come within `first`, or no whole handshake, or a whole `span` has
/// passed without a byte later. Looks every half span, so that the bytes themselves cost no reading
/// of a clock.
async fn stalled(progress: Arc<Progress>, first: Duration, span: Duration) {
    clock::pause(first).await;
    let (mut last, mut quiet_looks) = (0, 0);
    if progress.moved.load(Ordering::Relaxed) == 0 || !progress.shaken.load(Ordering::Relaxed) {
        return;
    }
    while quiet_looks < 2 {
        clock::pause(span / 2).await;
        let now = progress.moved.load(Ordering::Relaxed);
        quiet_looks = if now == last { quiet_looks + 1 } else { 0 };
        last = now;
    }
}

/// A stream that counts the bytes it moves, so that an idle connection can be told from a busy one.
#[derive(Debug)]
pub(crate) struct Watched<S> {
    stream: S,
    progress: Arc<Progress>,
    /// The peer has ended, and sends nothing any more.
    peer_ended: bool,
    /// The end was said.
    linger: Option<Linger>,
}

impl<S> Watched<S> {
    fn new(stream: S) -> (Watched<S>, Arc<Progress>) {
        let progress = Arc::new(Progress::default());
        let watched = Watched { stream, progress: Arc::clone(&progress), peer_ended: false, linger: None };
        (watched, progress)
    }

    /// One writer at a time: a load and a store are enough, and cheaper than an atomic addition.
    fn count(&self, bytes: usize) {
        let moved = &self.progress.moved;
        moved.store(moved.load(Ordering::Relaxed).wrapping_add(bytes as u64), Ordering::Relaxed);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let has_room = buffer.remaining() > 0;
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let bytes = buffer.filled().len() - before;
        self.count(bytes);
        self.peer_ended |= has_room && bytes == 0 && polled.is_ready();
        polled
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(written)) = polled {
            self.count(written);
        }
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        if let Poll::Ready(Ok(written)) = polled {
            self.count(written);
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    /// Says the end, and waits for that of a peer who may still be sending: closed with bytes
    /// unread, the connection would be reset, and what was said last lost.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Watched { stream, peer_ended, linger, .. } = &mut *self;
        let mut stream = Pin::new(stream);
        if linger.is_none() {
            ready!(stream.as_mut().poll_shutdown(context))?;
        }
        if !*peer_ended {
            ready!(linger.get_or_insert_with(Linger::begin).poll(stream, context));
            *peer_ended = true;
        }
        Poll::Ready(Ok(()))
    }
}

/// A connection as protocols read and write it: in plain text, or over TLS.
pub(crate) type Stream = Either<Watched<TcpStream>, Box<TlsStream<Watched<TcpStream>>>>;

fn secured(
    watched: Watched<TcpStream>,
    tls: Option<&Arc<ServerConfig>>,
    progress: &Progress,
) -> io::Result<Stream> {
    let Some(config) = tls else {
        progress.shaken.store(true, Ordering::Relaxed);
        return Ok(Either::Left(watched));
    };
    let stream = TlsStream::new(watched, config, Arc::clone(&progress.shaken))?;
    Ok(Either::Right(Box::new(stream)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Duration = Duration::from_millis(60);

    async fn stalls_within(progress: &Arc<Progress>, within: Duration) -> bool {
        clock::limit(within, stalled(Arc::clone(progress), SPAN, SPAN)).await.is_ok()
    }

    /// More than 128, and few enough for any limit of open files.
    const MANY: usize = 300;

    #[tokio::test]
    async fn more_connections_may_wait_than_the_runtime_would_let() {
        let somaxconn = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
        if somaxconn.trim().parse::<usize>().unwrap() < MANY {
            eprintln!("not tested: net.core.somaxconn allows {somaxconn}");
            return;
        }
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        for nth in 0..MANY {
            // Beyond the queue a SYN is thrown away, and comes again after a second.
            let connected = clock::limit(Duration::from_millis(900), TcpStream::connect(address)).await;
            waiting.push(connected.unwrap_or_else(|_| panic!("there is no room for the {nth}th")).unwrap());
        }
    }

    #[tokio::test]
    async fn silence_is_a_stall_and_a_byte_now_and_then_is_none() {
        let moved = |shaken| {
            Arc::new(Progress { moved: AtomicU64::new(1), shaken: Arc::new(AtomicBool::new(shaken)) })
        };
        assert!(stalls_within(&Arc::default(), SPAN * 20).await, "no first byte");
        assert!(stalls_within(&moved(false), SPAN * 2).await, "no handshake");
        let once = moved(true);
        assert!(stalls_within(&once, SPAN * 20).await, "nothing after the first");
        let busy = moved(true);
        let mover = Arc::clone(&busy);
        let moving = tokio::spawn(async move {
            loop {
                clock::pause(SPAN / 6).await;
                mover.moved.fetch_add(1, Ordering::Relaxed);
            }
        });
        assert!(!stalls_within(&busy, SPAN * 10).await, "closed although bytes moved");
        moving.abort();
    }
}
