//! The reference server over the TCP frame: a quote request is answered with a quote of that symbol
//! and nothing else in it, under its correlation id; many in flight.

use std::sync::Arc;

use bytes::BytesMut;
use clock::{Clock, Delays, Precision};
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use prost::Message as _;
use proto::frame::{self, Frame, FrameError, FrameHead, Kind};
use proto::v1::{Quote, QuoteRequest};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{Behaviour, Reference, Treatment};
use crate::accept::{Stream, accept};
use crate::{Limits, Shutdown};

/// Serves until `shutdown`.
///
/// # Errors
/// The system's, where it refuses a timer.
pub fn serve(
    listener: TcpListener,
    behaviour: Behaviour,
    limits: Limits,
    shutdown: Shutdown,
) -> BoxFuture<'static, std::io::Result<()>> {
    // Boxed here, so that the server is compiled here.
    Box::pin(accepting(listener, behaviour, limits, shutdown))
}

async fn accepting(
    listener: TcpListener,
    behaviour: Behaviour,
    limits: Limits,
    shutdown: Shutdown,
) -> std::io::Result<()> {
    let reference = Arc::new(Reference::new(Clock::System, behaviour));
    // It has a core to itself: spinning for the last microseconds buys exactness.
    let delays = Delays::start(&Clock::System, Precision::Spin)?;
    accept(listener.into(), limits, b"", shutdown.clone(), |stream| {
        let (reference, delays, shutdown) = (Arc::clone(&reference), delays.clone(), shutdown.clone());
        async move {
            let _ = shutdown.run_until_cancelled_owned(converse(stream, &reference, &delays, limits)).await;
        }
    })
    .await;
    Ok(())
}

async fn converse(
    stream: Stream,
    reference: &Reference,
    delays: &Delays,
    limits: Limits,
) -> std::io::Result<()> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (mut inbound, mut outbound) = (BytesMut::new(), BytesMut::new());
    let mut due = FuturesUnordered::new();
    loop {
        while let Some(frame) = take(&mut inbound, limits.message_bytes_max)? {
            let Treatment { reply_at, fails } = reference.treat();
            due.push(async move {
                delays.sleep_until(reply_at).await;
                (frame, fails)
            });
        }
        tokio::select! {
            biased;
            written = writer.write_buf(&mut outbound), if !outbound.is_empty() => { written?; }
            Some((frame, fails)) = due.next(), if !due.is_empty() => put_reply(&mut outbound, &frame, fails),
            read = reader.read_buf(&mut inbound), if due.len() < limits.in_flight_max => {
                if read? == 0 {
                    return Ok(());
                }
            }
        }
    }
}

fn take(inbound: &mut BytesMut, max: usize) -> std::io::Result<Option<Frame>> {
    Frame::take(inbound, max).map_err(|error: FrameError| std::io::Error::other(error))
}

/// A quote is answered with its symbol, so that a market client takes it for the right one.
fn put_reply(outbound: &mut BytesMut, frame: &Frame, fails: bool) {
    match (frame.kind, QuoteRequest::decode(frame.payload.clone())) {
        (Kind::QuoteRequest, Ok(request)) if !fails => {
            frame::put(
                outbound,
                frame.id,
                Kind::Quote,
                &Quote { symbol: request.symbol, ..Quote::default() },
            );
        }
        _ => frame::put_encoded(outbound, FrameHead::of(frame.id, Kind::End), &[]),
    }
}
