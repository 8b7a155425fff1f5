//! What errors of HTTP/1.1 and HTTP/2 mean for a call.

use crate::connection::CallError;
use crate::http2_heads::TOO_MANY;

/// What an error of hyper's means for a call.
pub(crate) fn failure(error: &hyper::Error) -> CallError {
    let text = in_full(error);
    let failure = failure_of(error, text);
    if is_unprocessed(error) { CallError::Unprocessed(Box::new(failure)) } else { failure }
}

fn failure_of(error: &hyper::Error, text: String) -> CallError {
    if error.is_canceled() || error.is_closed() || error.is_incomplete_message() {
        return CallError::Reset(text);
    }
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            return CallError::from_io(io);
        }
        cause = inner.source();
    }
    // h2 names its reasons only in its messages, unless one depends on it: REFUSED_STREAM and
    // ENHANCE_YOUR_CALM.
    if ["refused stream", "excessive load", TOO_MANY].iter().any(|reason| text.contains(reason)) {
        return CallError::Limit(text);
    }
    CallError::Protocol(text)
}

/// Whether the server says that it did not process a request: it refused its stream, or its GOAWAY
/// is of streams before (RFC 9113, sections 6.8 and 8.7), or it was never sent.
fn is_unprocessed(error: &hyper::Error) -> bool {
    // A pending request that was dropped before it was ever sent.
    if error.is_canceled() {
        return true;
    }
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if let Some(http2) = inner.downcast_ref::<h2::Error>() {
            let refused = http2.is_reset() && http2.reason() == Some(h2::Reason::REFUSED_STREAM);
            return http2.is_remote() && (refused || http2.is_go_away());
        }
        cause = inner.source();
    }
    false
}

/// An error with its causes.
pub(crate) fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
