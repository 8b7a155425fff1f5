//! What an HTTP/2 connection reads, with the heads in it counted: the library keeps every interim
//! head (1xx) until the reply comes, however many a server sends.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::limits::HEADS_AHEAD_MAX;

/// Bytes of a frame's header (RFC 9113, section 4.1).
const HEADER_BYTES: usize = 9;
/// The type of a frame that begins a head, or trailers.
const HEADERS: u8 = 0x1;

/// What a connection that had too many of them ends with. The library hands on the text alone.
pub(crate) const TOO_MANY: &str = "heads without end, and no reply";

/// What a reply of HTTP/1 begins with.
const HTTP1: &[u8] = b"HTTP/1.";
/// What is said of a server that answers so.
const ANSWERS_IN_HTTP1: &str = "the server answers in HTTP/1.1: it does not speak HTTP/2 here";

/// Heads that came since a call took one. One thread has them: atomic because the library would
/// have its connection on another.
#[derive(Debug, Default)]
pub(crate) struct Heads(AtomicUsize);

impl Heads {
    /// A call took one.
    pub(crate) fn taken(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// Who follows the frames that a connection reads.
#[derive(Debug)]
pub(crate) struct HeadsCounted {
    heads: Arc<Heads>,
    frames: HeadFrames,
    /// Whether nothing was read before.
    is_first: bool,
}

impl HeadsCounted {
    pub(crate) fn new(heads: Arc<Heads>) -> HeadsCounted {
        HeadsCounted { heads, frames: HeadFrames::default(), is_first: true }
    }

    /// Takes note of what was read.
    ///
    /// # Errors
    /// Where there were too many heads.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !bytes.is_empty() && std::mem::take(&mut self.is_first) && bytes.starts_with(HTTP1) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, ANSWERS_IN_HTTP1));
        }
        let heads = self.heads.0.load(Ordering::Relaxed) + self.frames.count(bytes);
        self.heads.0.store(heads, Ordering::Relaxed);
        if heads > HEADS_AHEAD_MAX {
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, TOO_MANY));
        }
        Ok(())
    }
}

/// Finds the frames that begin a head in what follows the preface, however it is cut.
#[derive(Debug, Default)]
pub struct HeadFrames {
    /// The beginning of a header.
    header: [u8; HEADER_BYTES],
    known: usize,
    /// Bytes of a payload that are still to come.
    payload: usize,
}

impl HeadFrames {
    /// How many heads begin in the next bytes.
    pub fn count(&mut self, mut bytes: &[u8]) -> usize {
        let mut heads = 0;
        while !bytes.is_empty() {
            let payload = self.payload.min(bytes.len());
            self.payload -= payload;
            bytes = &bytes[payload..];
            let more = (HEADER_BYTES - self.known).min(bytes.len());
            self.header[self.known..self.known + more].copy_from_slice(&bytes[..more]);
            self.known += more;
            bytes = &bytes[more..];
            if self.known == HEADER_BYTES {
                let [high, middle, low, kind, ..] = self.header;
                self.payload = u32::from_be_bytes([0, high, middle, low]) as usize;
                self.known = 0;
                heads += usize::from(kind == HEADERS);
            }
        }
        heads
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::Full;
    use terms::HttpVersion;

    use super::*;
    use crate::connection::CallError;
    use crate::endpoint::Endpoint;
    use crate::http_client::HttpConnection;
    use crate::http_request::Origin;

    /// A server whose interim heads have no end.
    #[test]
    fn interim_heads_without_end_are_over_a_limit() {
        use std::io::{Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let flooding = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.read_exact(&mut [0; 24]).unwrap();
            stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).unwrap();
            let interim = b"\x00\x00\x05\x01\x04\x00\x00\x00\x01\x08\x03103".repeat(1_000);
            let mut reading = stream.try_clone().unwrap();
            std::thread::spawn(move || std::io::copy(&mut reading, &mut std::io::sink()));
            clock::pause_thread(std::time::Duration::from_millis(100));
            while stream.write_all(&interim).is_ok() {}
        });
        let runtime = crate::local_runtime().unwrap();
        let error = runtime.block_on(async {
            let endpoint = Endpoint::from(address);
            let version = HttpVersion::Http2;
            let http = HttpConnection::<Full<Bytes>>::open(&endpoint, version).await.unwrap();
            let request = Origin::new(&endpoint, version).get("/", "*/*").unwrap();
            http.exchange(request.build(None)).await.unwrap_err()
        });
        assert!(matches!(error, CallError::Limit(_)), "{error}");
        drop(runtime);
        flooding.join().unwrap();
    }

    #[test]
    fn heads_are_found_however_the_stream_is_cut() {
        let mut stream = Vec::new();
        for (kind, bytes) in [(4, 6), (HEADERS, 3), (0, 300), (HEADERS, 0), (6, 8), (HEADERS, 70_000)] {
            let length = u32::try_from(bytes).unwrap().to_be_bytes();
            stream.extend_from_slice(&[length[1], length[2], length[3], kind, 0, 0, 0, 0, 1]);
            // Bytes that look like heads, where they are none.
            stream.extend(std::iter::repeat_n(HEADERS, bytes));
        }
        for cut in [1, 7, 9, 10, 1_000, stream.len()] {
            let mut frames = HeadFrames::default();
            let heads: usize = stream.chunks(cut).map(|chunk| frames.count(chunk)).sum();
            assert_eq!(heads, 3, "in pieces of {cut}");
        }
    }
}
