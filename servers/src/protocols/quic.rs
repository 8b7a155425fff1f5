//! QUIC: the frames of TCP on streams. A caller opens a stream for each call, or one for all of
//! them: a stream is served the same, and what is lost on one holds up no other.

use std::sync::Arc;

use quinn::{Connection, Endpoint};
use tokio_util::task::TaskTracker;

use crate::framed::Framed;
use crate::replies::Replies;
use crate::{Limits, Market, Shutdown, quic_server};

/// Serves until `shutdown`, then drains.
pub async fn serve(endpoint: Endpoint, market: Arc<Market>, limits: Limits, shutdown: Shutdown) {
    quic_server::accept(endpoint, limits, shutdown.clone(), |connection| {
        converse(connection, Arc::clone(&market), limits, shutdown.clone())
    })
    .await;
}

async fn converse(connection: Connection, market: Arc<Market>, limits: Limits, shutdown: Shutdown) {
    let (streams, replies) = (TaskTracker::new(), Replies::new(&limits));
    // Where the connection is given up, so are its streams.
    let gone = Shutdown::new();
    let _given_up = gone.clone().drop_guard();
    while let Some(Ok((sender, receiver))) = shutdown.run_until_cancelled(connection.accept_bi()).await {
        let framed = Framed::new(Arc::clone(&market), limits, replies.clone());
        let (shutdown, gone) = (shutdown.clone(), gone.clone());
        streams.spawn(async move {
            let served = framed.run(tokio::io::join(receiver, sender), shutdown);
            if let Some(Err(error)) = gone.run_until_cancelled(served).await {
                tracing::debug!("quic stream ended: {error}");
            }
        });
    }
    streams.close();
    streams.wait().await;
}
