//! TCP: length-prefixed protobuf frames, many in flight on a connection.

use std::sync::Arc;

use crate::accept::{Listener, accept};
use crate::framed::Framed;
use crate::replies::Replies;
use crate::{Limits, Market, Shutdown};

/// A fault frame (id 0) with code LIMIT and the detail "too many connections".
const REFUSAL: &[u8] = b"\x00\x00\x00\x1d\x00\x00\x00\x00\xff\x08\x04\x12\x14too many connections";

/// Serves until `shutdown`, then drains.
pub async fn serve(listener: Listener, market: Arc<Market>, limits: Limits, shutdown: Shutdown) {
    accept(listener, limits, REFUSAL, shutdown.clone(), |stream| {
        let connection = Framed::new(Arc::clone(&market), limits, Replies::new(&limits));
        let shutdown = shutdown.clone();
        async move {
            if let Err(error) = connection.run(stream, shutdown).await {
                tracing::debug!("tcp connection ended: {error}");
            }
        }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use prost::Message as _;
    use proto::frame::{Frame, Kind};
    use proto::v1::FaultCode;

    use super::*;

    #[test]
    fn the_refusal_is_the_fault_it_says_it_is() {
        let mut bytes = BytesMut::from(REFUSAL);
        let frame = Frame::take(&mut bytes, 1024).unwrap().unwrap();
        assert!(bytes.is_empty() && frame.kind == Kind::Fault && frame.id == 0);
        let fault = proto::v1::Fault::decode(frame.payload).unwrap();
        assert_eq!((fault.code(), fault.detail.as_str()), (FaultCode::Limit, "too many connections"));
    }
}
