//! Any TCP server that answers a fixed request with bytes that end in a known way; one call in
//! flight.

use std::cell::{Cell, RefCell};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::greeting::Greeting;
use crate::connection::{CallError, Connection, Connector, ReplyFacts, Unsupported};
use crate::endpoint::{Endpoint, Stream};
use crate::limits::EVENT_BYTES_MAX;
use crate::reply_body::CountedBody;

/// How a reply ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplyEnd {
    /// With these bytes.
    Until(Vec<u8>),
    /// After this many bytes.
    Bytes(usize),
}

/// Opens connections to a TCP server.
#[derive(Debug, Clone)]
pub struct RawTcpConnector {
    /// The server.
    pub endpoint: Endpoint,
    /// How its replies end.
    pub end: ReplyEnd,
    /// Whether the server speaks first.
    pub greeting: Greeting,
}

/// An open connection.
pub struct RawTcp {
    stream: RefCell<Option<Stream>>,
    inbound: RefCell<BytesMut>,
    end: ReplyEnd,
    broken: Cell<bool>,
}

impl Connector for RawTcpConnector {
    type Connection = RawTcp;

    async fn connect(&self) -> Result<RawTcp, CallError> {
        let (mut stream, mut inbound) = (self.endpoint.connect(None).await?, BytesMut::new());
        let greeted = async {
            while self.end.find(&inbound, 0).is_none() {
                if read(&mut stream, &mut inbound).await? == 0 {
                    return Err(closed());
                }
                if inbound.len() > EVENT_BYTES_MAX {
                    return Err(CallError::Limit("the server speaks first, and without end".to_owned()));
                }
            }
            Ok(())
        };
        if self.greeting.settled(greeted).await? {
            inbound.clear();
        }
        Ok(RawTcp {
            stream: RefCell::new(Some(stream)),
            inbound: RefCell::new(inbound),
            end: self.end.clone(),
            broken: Cell::new(false),
        })
    }

    fn in_flight_max(&self) -> Option<usize> {
        Some(1)
    }
}

impl Connection for RawTcp {
    type Request = Bytes;
    type Prepared = Bytes;
    type Reply = usize;

    fn prepare(&self, request: &Bytes) -> Result<Bytes, Unsupported> {
        Ok(request.clone())
    }

    async fn call(&self, request: &Bytes, _: Option<Duration>) -> Result<usize, CallError> {
        // Taken out for the time of the call: if it is given up, the stream is gone with it, and
        // the reply too.
        let taken = self.stream.borrow_mut().take();
        let Some(mut stream) = taken else {
            return Err(CallError::Protocol("a call is in flight on this connection".to_owned()));
        };
        self.broken.set(true);
        let mut inbound = self.inbound.take();
        if !inbound.is_empty() {
            // They would be taken for the reply, which would seem to have taken no time.
            return Err(CallError::Protocol(format!("{} bytes before they were asked for", inbound.len())));
        }
        stream.write_all(request).await.map_err(|error| CallError::from_io(&error))?;
        stream.flush().await.map_err(|error| CallError::from_io(&error))?;
        let mut counted = CountedBody::default();
        let behind = loop {
            if read(&mut stream, &mut inbound).await? == 0 {
                return Err(closed());
            }
            if let Some(behind) = self.end.take(&mut inbound, &mut counted)? {
                break behind;
            }
        };
        inbound.clear();
        if behind > 0 {
            // They would be taken for the beginning of the next reply, and its time would be too
            // short.
            return Err(CallError::Protocol(format!("{behind} bytes behind the end of the reply")));
        }
        *self.inbound.borrow_mut() = inbound;
        *self.stream.borrow_mut() = Some(stream);
        self.broken.set(false);
        Ok(counted.bytes())
    }

    fn facts(bytes: usize) -> ReplyFacts {
        ReplyFacts { bytes, ..ReplyFacts::default() }
    }

    /// Looks at what came between calls: a server may close a connection that is idle, or greet.
    fn is_open(&self) -> bool {
        if self.broken.get() {
            return false;
        }
        let mut stream = self.stream.borrow_mut();
        // A call is under way.
        let Some(stream) = stream.as_mut() else { return true };
        let mut inbound = self.inbound.borrow_mut();
        // To the end of what there is: behind a goodbye the connection may be closed.
        while inbound.len() < READ_BYTES {
            inbound.reserve(READ_BYTES);
            let mut reading = std::pin::pin!(stream.read_buf(&mut *inbound));
            match reading.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Pending => return true,
                Poll::Ready(Ok(0) | Err(_)) => return false,
                Poll::Ready(Ok(_)) => {}
            }
        }
        true
    }
}

/// Bytes read at a time.
const READ_BYTES: usize = 16 << 10;

/// Reads what there is.
async fn read(stream: &mut Stream, inbound: &mut BytesMut) -> Result<usize, CallError> {
    inbound.reserve(READ_BYTES);
    stream.read_buf(inbound).await.map_err(|error| CallError::from_io(&error))
}

fn closed() -> CallError {
    CallError::Reset("the server closed the connection".to_owned())
}

impl ReplyEnd {
    /// Counts what came of a reply, and lets go of it. Says how many bytes came behind the reply
    /// where that is whole.
    ///
    /// # Errors
    /// Where it is over the limit.
    fn take(&self, inbound: &mut BytesMut, counted: &mut CountedBody) -> Result<Option<usize>, CallError> {
        let whole = self.find(inbound, counted.bytes());
        // What may be the beginning of its end is looked at again.
        let seen = whole.unwrap_or_else(|| inbound.len() - self.overlap().min(inbound.len()));
        counted.add(seen)?;
        inbound.advance(seen);
        Ok(whole.map(|_| inbound.len()))
    }

    /// Where the reply ends in these bytes, before which so many of it came; `None` where it goes
    /// on.
    fn find(&self, bytes: &[u8], before: usize) -> Option<usize> {
        match self {
            ReplyEnd::Bytes(count) => {
                let left = count.saturating_sub(before);
                (bytes.len() >= left).then_some(left)
            }
            ReplyEnd::Until(end) => memchr::memmem::find(bytes, end).map(|at| at + end.len()),
        }
    }

    /// Bytes at the end of what came that may belong to the end of the reply.
    fn overlap(&self) -> usize {
        match self {
            ReplyEnd::Bytes(_) => 0,
            ReplyEnd::Until(end) => end.len().saturating_sub(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_reply_ends_where_it_says() {
        assert_eq!(ReplyEnd::Bytes(3).find(b"ab", 0), None);
        assert_eq!(ReplyEnd::Bytes(3).find(b"abcd", 0), Some(3));
        assert_eq!(ReplyEnd::Bytes(3).find(b"bcd", 1), Some(2));
        assert_eq!(ReplyEnd::Until(b"\r\n".to_vec()).find(b"ab\r\ncd\r\n", 0), Some(4));
        assert_eq!(ReplyEnd::Until(b"\r\n".to_vec()).find(b"ab\r", 0), None);
    }

    /// A reply in pieces, cut within its end; then one before it was asked for.
    #[test]
    fn replies_in_pieces_are_counted_and_those_that_come_too_soon_are_not_taken() {
        let runtime = crate::local_runtime().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let endpoint = Endpoint::from(listener.local_addr().unwrap());
            let end = ReplyEnd::Until(b"\r\n".to_vec());
            let connector = RawTcpConnector { endpoint, end, greeting: Greeting::none() };
            let connection = connector.connect().await.unwrap();
            let (mut server, _) = listener.accept().await.unwrap();
            let long = vec![b'x'; 100_000];
            let answer = async {
                let mut request = [0; 3];
                server.read_exact(&mut request).await.unwrap();
                server.write_all(&long).await.unwrap();
                server.write_all(b"\r").await.unwrap();
                clock::pause(std::time::Duration::from_millis(20)).await;
                server.write_all(b"\n").await.unwrap();
            };
            let ask = Bytes::from_static(b"ask");
            let (reply, ()) = tokio::join!(connection.call(&ask, None), answer);
            assert_eq!(reply, Ok(100_002));
            assert!(connection.is_open());

            server.write_all(b"again\r\n").await.unwrap();
            clock::pause(std::time::Duration::from_millis(20)).await;
            assert!(connection.is_open());
            let early = connection.call(&ask, None).await.unwrap_err().to_string();
            assert!(early.contains("before they were asked for"), "{early}");
            assert!(!connection.is_open());
        });
    }

    proptest! {
        #[test]
        fn any_reply_ends_where_it_says_in_any_pieces(
            end in prop_oneof![
                prop::collection::vec(0..3_u8, 1..5).prop_map(ReplyEnd::Until),
                (1..40_usize).prop_map(ReplyEnd::Bytes),
            ],
            pieces in prop::collection::vec(prop::collection::vec(0..3_u8, 1..9), 1..9),
        ) {
            let (mut inbound, mut counted, mut came) = (BytesMut::new(), CountedBody::default(), 0);
            let mut behind = None;
            for piece in &pieces {
                inbound.extend_from_slice(piece);
                came += piece.len();
                behind = end.take(&mut inbound, &mut counted).unwrap();
                if behind.is_some() {
                    break;
                }
                prop_assert_eq!(inbound.len(), end.overlap().min(came));
            }
            let at = end.find(&pieces.concat(), 0);
            prop_assert_eq!(behind.map(|_| counted.bytes()), at);
            prop_assert_eq!(behind, at.map(|at| came - at));
        }
    }
}
