//! Cold calls: each opens a connection of its own, waits for the reply and closes it. Connecting, every handshake and the call
//! itself are in its response time.

use crate::connection::{CallError, Connection, Connector, Unsupported};

/// Calls of a connector, each on a new connection.
#[derive(Debug, Clone)]
pub struct Cold<K>(pub K);

/// A caller, who has no connection between two calls.
#[derive(Debug)]
pub struct ColdCaller<K>(K);

impl<K: Connector> Connector for Cold<K>
where
    <K::Connection as Connection>::Request: Clone + 'static,
{
    type Connection = ColdCaller<K>;

    async fn connect(&self) -> Result<ColdCaller<K>, CallError> {
        Ok(ColdCaller(self.0.clone()))
    }

    fn in_flight_max(&self) -> Option<usize> {
        None
    }
}

impl<K: Connector> Connection for ColdCaller<K>
where
    <K::Connection as Connection>::Request: Clone + 'static,
{
    type Request = <K::Connection as Connection>::Request;
    // A call is encoded on its connection; that takes microseconds of the time that is measured.
    type Prepared = Self::Request;
    type Reply = <K::Connection as Connection>::Reply;

    fn prepare(&self, request: &Self::Request) -> Result<Self::Prepared, Unsupported> {
        Ok(request.clone())
    }

    async fn call(&self, request: &Self::Prepared) -> Result<Self::Reply, CallError> {
        let connection = self.0.connect().await?;
        let prepared = connection.prepare(request)?;
        connection.call(&prepared).await
    }

    fn is_open(&self) -> bool {
        true
    }
}
