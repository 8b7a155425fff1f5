//! TCP: frames with correlation ids, any number of calls in flight on a connection.

use proto::{Protocol, Transport};

use crate::connection::{CallError, Connector};
use crate::endpoint::{Endpoint, Stream};
use crate::framed::Framed;
use crate::multiplex::Multiplexed;

/// Opens TCP connections.
#[derive(Debug, Clone)]
pub struct TcpConnector {
    /// The server.
    pub endpoint: Endpoint,
}

impl Connector for TcpConnector {
    type Connection = Multiplexed<Framed<Stream>>;

    async fn connect(&self) -> Result<Self::Connection, CallError> {
        let stream = self.endpoint.connect(Some(Protocol::Tcp.alpn(Transport::Tls)[0])).await?;
        Ok(Multiplexed::new(Framed::new(stream)))
    }

    fn in_flight_max(&self) -> Option<usize> {
        None
    }
}
