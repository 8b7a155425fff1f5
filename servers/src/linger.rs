//! How a connection is closed that the peer still sends on: a socket that is closed with bytes
//! unread resets the connection, and what was said last (413, 431, "too many connections") is lost
//! with it. So the end is said, and what comes is read and thrown away until the peer ends too (RFC
//! 9112, section 9.6).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;

/// The peer is silent for so long: it has heard.
const SILENCE_MAX: Duration = Duration::from_millis(500);
/// All of it, however busy the peer is.
const TIME_MAX: Duration = Duration::from_secs(10);
/// Bytes that are thrown away, at most.
const BYTES_MAX: usize = 256 << 20;
/// Bytes that are read before others have their turn.
const TURN_BYTES: usize = 128 << 10;
const PIECE_BYTES: usize = 8 << 10;

type Pause = Pin<Box<dyn Future<Output = ()> + Send>>;

fn pause(span: Duration) -> Pause {
    Box::pin(clock::pause(span))
}

/// A connection that was told that it ends.
pub(crate) struct Linger {
    whole: Pause,
    silence: Pause,
    bytes: usize,
}

impl std::fmt::Debug for Linger {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Linger").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl Linger {
    pub(crate) fn begin() -> Linger {
        Linger { whole: pause(TIME_MAX), silence: pause(SILENCE_MAX), bytes: 0 }
    }

    /// Ready once the peer has ended, or was given time enough to.
    pub(crate) fn poll(
        &mut self,
        mut stream: Pin<&mut impl AsyncRead>,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        let (mut piece, mut turn) = ([0; PIECE_BYTES], 0);
        loop {
            if self.bytes >= BYTES_MAX || self.whole.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            let mut read = ReadBuf::new(&mut piece);
            match stream.as_mut().poll_read(context, &mut read) {
                Poll::Ready(Ok(())) if !read.filled().is_empty() => {
                    let bytes = read.filled().len();
                    (self.bytes, turn) = (self.bytes + bytes, turn + bytes);
                    self.silence = pause(SILENCE_MAX);
                    if turn >= TURN_BYTES {
                        context.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                }
                // Its end, or it is gone.
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => {
                    ready!(self.silence.as_mut().poll(context));
                    return Poll::Ready(());
                }
            }
        }
    }
}

/// Says something to a connection that is not served, and closes it so that it is heard.
pub(crate) async fn dismiss(mut stream: TcpStream, last: &[u8], within: Duration) {
    let closing = async {
        stream.write_all(last).await?;
        stream.shutdown().await?;
        let mut piece = [0; PIECE_BYTES];
        while stream.read(&mut piece).await? > 0 {}
        io::Result::Ok(())
    };
    // The peer may be gone already: there is nobody to tell then.
    let _ = clock::limit(within, closing).await;
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (client, listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn the_last_words_are_heard_by_who_goes_on_sending() {
        for _ in 0..20 {
            let (mut client, server) = pair().await;
            let sent = vec![7; 4 << 20];
            let dismissed = dismiss(server, b"too much", Duration::from_secs(5));
            let heard = async {
                client.write_all(&sent).await.unwrap();
                let mut heard = Vec::new();
                client.read_to_end(&mut heard).await.unwrap();
                drop(client);
                heard
            };
            let ((), heard) = tokio::join!(dismissed, heard);
            assert_eq!(heard, b"too much");
        }
    }

    #[tokio::test]
    async fn a_peer_who_says_nothing_is_not_waited_for() {
        let (_client, mut server) = pair().await;
        let mut linger = Linger::begin();
        let lingered = std::future::poll_fn(|context| linger.poll(Pin::new(&mut server), context));
        clock::limit(SILENCE_MAX * 10, lingered).await.unwrap();
    }
}
