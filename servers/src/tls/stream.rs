//! The server's end of a TLS connection, over rustls. tokio-rustls waits for the end of the
//! handshake before it shows early data, a round trip late; this one shakes hands while it is read,
//! and hands over what came early at once.

use std::io::{self, Read as _, Write as _};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker, ready};

use rustls::{ServerConfig, ServerConnection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A TLS connection on a stream. Reading drives the handshake.
#[derive(Debug)]
pub(crate) struct TlsStream<S> {
    stream: S,
    session: ServerConnection,
    /// The peer's end was read.
    ended: bool,
    /// The handshake is over: read by whoever bounds its time.
    shaken: Arc<AtomicBool>,
    /// Of a writer that found no room before the handshake was over.
    writer: Option<Waker>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream<S> {
    /// Begins to be a server; `shaken` becomes true at the end of the handshake.
    pub(crate) fn new(
        stream: S,
        config: &Arc<ServerConfig>,
        shaken: Arc<AtomicBool>,
    ) -> io::Result<TlsStream<S>> {
        let session = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
        Ok(TlsStream { stream, session, ended: false, shaken, writer: None })
    }

    /// What can be read now of what has come; `None` where that is nothing.
    fn read_plain(&mut self, buffer: &mut ReadBuf<'_>) -> Option<io::Result<()>> {
        let unfilled = buffer.initialize_unfilled();
        if let Some(mut early) = self.session.early_data() {
            match early.read(unfilled) {
                Ok(0) => {}
                Ok(bytes) => {
                    buffer.advance(bytes);
                    return Some(Ok(()));
                }
                Err(error) => return Some(Err(error)),
            }
        }
        match self.session.reader().read(buffer.initialize_unfilled()) {
            Ok(bytes) => {
                buffer.advance(bytes);
                Some(Ok(()))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            // The peer went without saying so in TLS. Each protocol above frames its messages, and
            // knows what is whole.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Some(Ok(())),
            Err(error) => Some(Err(error)),
        }
    }

    /// Takes what has come on the stream. Ready once there was something, or its end.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut reader = Blocking { stream: &mut self.stream, context };
        match self.session.read_tls(&mut reader) {
            Ok(bytes) => self.ended |= bytes == 0,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
            Err(error) => return Poll::Ready(Err(error)),
        }
        let processed = self.session.process_new_packets();
        // An alert is sent on, as far as it goes; what comes of the handshake too.
        let sent = self.poll_push(context);
        processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        if let Poll::Ready(Err(error)) = sent {
            return Poll::Ready(Err(error));
        }
        if !self.session.is_handshaking()
            && !self.shaken.swap(true, Ordering::Relaxed)
            && let Some(writer) = self.writer.take()
        {
            writer.wake();
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what TLS has made, as far as it goes.
    fn poll_push(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.session.wants_write() {
            let mut writer = Blocking { stream: &mut self.stream, context };
            match self.session.write_tls(&mut writer) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if let Some(read) = this.read_plain(buffer) {
                return Poll::Ready(read);
            }
            if this.ended {
                return Poll::Ready(Ok(()));
            }
            if let Poll::Ready(Err(error)) = this.poll_push(context) {
                return Poll::Ready(Err(error));
            }
            ready!(this.poll_fill(context))?;
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        loop {
            let written = this.session.writer().write(bytes)?;
            let pushed = this.poll_push(context);
            if let Poll::Ready(Err(error)) = pushed {
                return Poll::Ready(Err(error));
            }
            if written > 0 || bytes.is_empty() {
                return Poll::Ready(Ok(written));
            }
            if pushed.is_pending() {
                return Poll::Pending;
            }
            if this.session.is_handshaking() {
                this.writer = Some(context.waker().clone());
                return Poll::Pending;
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_push(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.session.send_close_notify();
        ready!(self.poll_push(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// An asynchronous stream as rustls reads and writes it.
struct Blocking<'a, 'b, S> {
    stream: &'a mut S,
    context: &'a mut Context<'b>,
}

fn or_would_block<T>(polled: Poll<io::Result<T>>) -> io::Result<T> {
    match polled {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

impl<S: AsyncRead + Unpin> io::Read for Blocking<'_, '_, S> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(bytes);
        or_would_block(Pin::new(&mut *self.stream).poll_read(self.context, &mut buffer))?;
        Ok(buffer.filled().len())
    }
}

impl<S: AsyncWrite + Unpin> io::Write for Blocking<'_, '_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        or_would_block(Pin::new(&mut *self.stream).poll_write(self.context, bytes))
    }

    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        or_would_block(Pin::new(&mut *self.stream).poll_write_vectored(self.context, slices))
    }

    fn flush(&mut self) -> io::Result<()> {
        or_would_block(Pin::new(&mut *self.stream).poll_flush(self.context))
    }
}
