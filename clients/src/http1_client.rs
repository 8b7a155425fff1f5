//! An HTTP/1.1 connection for one request again and again, whose replies are counted and not kept:
//! what `wirebench load` calls foreign servers with.
//!
//! A call is one write and one read in the usual case, and allocates nothing. The market's clients
//! are on hyper (`http_client`), which decodes, and does more for each call.

pub mod reply;
mod request;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use crate::connection::CallError;
use crate::endpoint::Stream;
use crate::limits::TURN_BYTES;
use reply::ReplyReader;

pub(crate) use reply::CountedReply;
pub use request::Encoded;

/// Bytes read at a time.
const READ_BYTES: usize = 64 << 10;

thread_local! {
    /// What is read comes here first. All connections of a thread share it: it stays in the cache,
    /// and a connection that waits keeps no memory for what it will read.
    static READ: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// An open connection: one call at a time.
pub(crate) struct Http1Connection {
    link: RefCell<Link>,
    phase: Cell<Phase>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No call is in flight, and one can be made.
    Idle,
    /// A call is in flight, or was dropped: its reply would be the next one's.
    Busy,
    Closed,
}

/// What a call uses of its connection.
struct Link {
    stream: Stream,
    /// The beginning of a head whose end is to come.
    unfinished: Vec<u8>,
    /// Whether a reply came on it before.
    is_reused: bool,
    /// Bytes read since nothing was there to read.
    bytes_in_turn: usize,
}

/// A call in flight.
struct Exchange<'a> {
    request: &'a Encoded,
    sending: Sending,
    reader: ReplyReader,
    /// Whether any byte of the reply came.
    has_begun: bool,
}

/// How far the request is.
enum Sending {
    /// So many of its bytes are written.
    Written(usize),
    /// TLS keeps what is written until it is flushed.
    Flushing,
    Sent,
    /// The server takes no more of it. It may have answered before.
    Failed(CallError),
}

impl Http1Connection {
    /// Speaks HTTP/1.1 on a stream that is open, on which nothing was said.
    pub(crate) fn new(stream: Stream) -> Http1Connection {
        let link = Link { stream, unfinished: Vec::new(), is_reused: false, bytes_in_turn: 0 };
        Http1Connection { link: RefCell::new(link), phase: Cell::new(Phase::Idle) }
    }

    /// Sends a request and counts its reply, whatever its status; the pieces of its body go to
    /// `on_body` as they come. A final reply that comes before the request is sent is the reply.
    ///
    /// Where the future is dropped, the connection is not open any more.
    ///
    /// # Errors
    /// [`CallError::Unprocessed`] where the server had closed the connection, after a reply and
    /// before this request (RFC 9112, section 9.3.1), and the method is safe;
    /// [`CallError::Reset`] where the connection broke otherwise; those of [`ReplyReader::read`].
    /// The connection is not open then.
    pub(crate) async fn call(
        &self,
        request: &Encoded,
        mut on_body: impl FnMut(&[u8]),
    ) -> Result<CountedReply, CallError> {
        if self.phase.get() != Phase::Idle {
            let told = "a call is in flight on this connection, or it is closed";
            return Err(CallError::Protocol(told.to_owned()));
        }
        self.phase.set(Phase::Busy);
        let mut exchange = Exchange::of(request);
        let (answer, keeps_open) =
            std::future::poll_fn(|context| exchange.poll(&mut self.link.borrow_mut(), context, &mut on_body))
                .await
                .inspect_err(|_| self.phase.set(Phase::Closed))?;
        self.phase.set(if keeps_open { Phase::Idle } else { Phase::Closed });
        Ok(answer)
    }

    /// Whether a call can be made on it. Looks whether the server has closed it meanwhile, or has
    /// said anything: that would be taken for the next reply.
    pub(crate) fn is_open(&self) -> bool {
        if self.phase.get() != Phase::Idle {
            return false;
        }
        let is_silent = self.link.borrow_mut().is_silent();
        if !is_silent {
            self.phase.set(Phase::Closed);
        }
        is_silent
    }
}

impl Link {
    fn is_silent(&mut self) -> bool {
        // A turn that is over says that nothing is there, once, without a look.
        let looks = if self.bytes_in_turn < TURN_BYTES { 1 } else { 2 };
        self.bytes_in_turn = 0;
        let mut context = Context::from_waker(Waker::noop());
        let mut byte = [0];
        (0..looks).all(|_| {
            let mut buffer = ReadBuf::new(&mut byte);
            Pin::new(&mut self.stream).poll_read(&mut context, &mut buffer).is_pending()
        })
    }

    /// Reads once, and gives the reader what came and what it was not done with before. `None` at
    /// the end of the connection; else how many bytes came, and how many are left.
    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        reader: &mut ReplyReader,
        on_body: &mut impl FnMut(&[u8]),
    ) -> Poll<Result<Option<usize>, CallError>> {
        let mut memory = READ.take();
        memory.resize(READ_BYTES, 0);
        let mut buffer = ReadBuf::new(&mut memory);
        let polled = Pin::new(&mut self.stream).poll_read(context, &mut buffer);
        let result = polled.map(|read| match read {
            Err(error) => Err(CallError::from_io(&error)),
            Ok(()) if buffer.filled().is_empty() => reader.end(&self.unfinished).map(|()| None),
            Ok(()) => self.give(buffer.filled(), reader, on_body).map(Some),
        });
        match result {
            Poll::Pending => self.bytes_in_turn = 0,
            Poll::Ready(_) => self.bytes_in_turn += buffer.filled().len(),
        }
        READ.set(memory);
        result
    }

    /// Gives the reader what came; says how many bytes it was not done with.
    fn give(
        &mut self,
        new: &[u8],
        reader: &mut ReplyReader,
        on_body: &mut impl FnMut(&[u8]),
    ) -> Result<usize, CallError> {
        if self.unfinished.is_empty() {
            let done = reader.read(new, on_body)?;
            self.unfinished.extend_from_slice(&new[done..]);
        } else {
            self.unfinished.extend_from_slice(new);
            let done = reader.read(&self.unfinished, on_body)?;
            self.unfinished.drain(..done);
        }
        Ok(self.unfinished.len())
    }
}

impl Exchange<'_> {
    fn of(request: &Encoded) -> Exchange<'_> {
        let reader = ReplyReader::new(request.asked);
        Exchange { request, sending: Sending::Written(0), reader, has_begun: false }
    }

    /// Sends what it can and reads what there is, at the same time: a server that answers early may
    /// read no more. Says the answer, and whether the connection can be used again.
    fn poll(
        &mut self,
        link: &mut Link,
        context: &mut Context<'_>,
        on_body: &mut impl FnMut(&[u8]),
    ) -> Poll<Result<(CountedReply, bool), CallError>> {
        self.send(link, context);
        loop {
            let before = link.bytes_in_turn;
            let read = std::task::ready!(link.poll_read(context, &mut self.reader, on_body));
            self.has_begun |= link.bytes_in_turn > before;
            let left = match read {
                Ok(left) => left,
                Err(error) => return Poll::Ready(Err(self.failure(link, error))),
            };
            if let Some(answer) = self.reader.answer() {
                let keeps_open = left == Some(0)
                    && self.reader.keeps_open()
                    && matches!(self.sending, Sending::Sent)
                    && !self.request.says_close;
                link.is_reused = true;
                // What a long head took is not kept for the next one.
                link.unfinished.shrink_to(READ_BYTES);
                return Poll::Ready(Ok((answer, keeps_open)));
            }
        }
    }

    /// Sends as much of the request as the connection takes.
    fn send(&mut self, link: &mut Link, context: &mut Context<'_>) {
        loop {
            let stream = Pin::new(&mut link.stream);
            let bytes = &self.request.bytes;
            let polled = match &self.sending {
                Sending::Written(at) if *at == bytes.len() => Poll::Ready(Ok(Sending::Flushing)),
                Sending::Written(at) => {
                    stream.poll_write(context, &bytes[*at..]).map(|written| match written {
                        Ok(0) => Err(std::io::ErrorKind::WriteZero.into()),
                        written => Ok(Sending::Written(at + written?)),
                    })
                }
                Sending::Flushing => stream.poll_flush(context).map_ok(|()| Sending::Sent),
                Sending::Sent | Sending::Failed(_) => return,
            };
            let Poll::Ready(next) = polled else { return };
            self.sending = next.unwrap_or_else(|error| Sending::Failed(CallError::from_io(&error)));
        }
    }

    /// Why the call failed, where reading says this.
    fn failure(&mut self, link: &Link, error: CallError) -> CallError {
        if self.has_begun {
            return error;
        }
        // The first thing that went wrong says most.
        let error = match std::mem::replace(&mut self.sending, Sending::Sent) {
            Sending::Failed(error) => error,
            _ => error,
        };
        match error {
            CallError::Reset(_) if link.is_reused && self.request.is_safe => {
                CallError::Unprocessed(Box::new(error))
            }
            error => error,
        }
    }
}
