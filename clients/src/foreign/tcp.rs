//! Any TCP server that answers a fixed request with bytes that end in a known way; one call in
//! flight.

use std::cell::{Cell, RefCell};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::connection::{CallError, Connection, Connector, Unsupported};
use crate::endpoint::{Endpoint, Stream};
use crate::http_client::BODY_BYTES_MAX;

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
        Ok(RawTcp {
            stream: RefCell::new(Some(self.endpoint.connect(None).await?)),
            inbound: RefCell::default(),
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

    async fn call(&self, request: &Bytes) -> Result<usize, CallError> {
        // Taken out for the time of the call: if it is given up, the stream is gone with it, and
        // the reply too.
        let taken = self.stream.borrow_mut().take();
        let Some(mut stream) = taken else {
            return Err(CallError::Protocol("a call is in flight on this connection".to_owned()));
        };
        self.broken.set(true);
        let mut inbound = self.inbound.take();
        stream.write_all(request).await.map_err(|error| CallError::from_io(&error))?;
        stream.flush().await.map_err(|error| CallError::from_io(&error))?;
        let bytes = loop {
            if let Some(bytes) = self.end.find(&inbound) {
                break bytes;
            }
            if inbound.len() > BODY_BYTES_MAX {
                return Err(CallError::Limit(format!("a reply of more than {BODY_BYTES_MAX} bytes")));
            }
            match stream.read_buf(&mut inbound).await {
                Ok(0) => return Err(CallError::Reset("the server closed the connection".to_owned())),
                Ok(_) => {}
                Err(error) => return Err(CallError::from_io(&error)),
            }
        };
        drop(inbound.split_to(bytes));
        if !inbound.is_empty() {
            // They would be taken for the beginning of the next reply, and its time would be too
            // short.
            return Err(CallError::Protocol(format!("{} bytes behind the end of the reply", inbound.len())));
        }
        *self.inbound.borrow_mut() = inbound;
        *self.stream.borrow_mut() = Some(stream);
        self.broken.set(false);
        Ok(bytes)
    }

    fn is_open(&self) -> bool {
        !self.broken.get()
    }
}

impl ReplyEnd {
    /// Where the reply at the front ends, if it is whole.
    fn find(&self, bytes: &[u8]) -> Option<usize> {
        match self {
            ReplyEnd::Bytes(count) => (bytes.len() >= *count).then_some(*count),
            ReplyEnd::Until(end) => {
                let at = bytes.windows(end.len().max(1)).position(|window| window == end.as_slice());
                at.map(|at| at + end.len())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_ends_where_it_says() {
        assert_eq!(ReplyEnd::Bytes(3).find(b"ab"), None);
        assert_eq!(ReplyEnd::Bytes(3).find(b"abcd"), Some(3));
        assert_eq!(ReplyEnd::Until(b"\r\n".to_vec()).find(b"ab\r\ncd\r\n"), Some(4));
        assert_eq!(ReplyEnd::Until(b"\r\n".to_vec()).find(b"ab\r"), None);
    }
}
