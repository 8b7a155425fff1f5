//! Reads the answers of HTTP/1.1, as far as to tell one from the next.

/// An answer whose head has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Its body, once it is whole.
    pub(crate) body: Option<Vec<u8>>,
}

/// The answers in what a server said, one behind the other.
pub(crate) fn responses(bytes: &[u8], closed: bool) -> Vec<Response> {
    let (mut responses, mut rest) = (Vec::new(), bytes);
    while let Some((head, behind)) = split(rest, b"\r\n\r\n") {
        let head = String::from_utf8_lossy(head).to_ascii_lowercase();
        let Some(status) = head.strip_prefix("http/1.").and_then(|head| head.get(2..5)?.parse().ok()) else {
            break;
        };
        let Some((body, read)) = body(&head, status, behind, closed) else {
            responses.push(Response { status, body: None });
            break;
        };
        responses.push(Response { status, body: Some(body) });
        rest = &behind[read..];
    }
    responses
}

/// A body that is whole, and how many bytes it took.
fn body(head: &str, status: u16, rest: &[u8], closed: bool) -> Option<(Vec<u8>, usize)> {
    if status < 200 || status == 204 || status == 304 {
        return Some((Vec::new(), 0));
    }
    if head.contains("transfer-encoding: chunked") {
        return chunks(rest);
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
    match length {
        Some(length) => rest.get(..length).map(|body| (body.to_vec(), length)),
        None => closed.then(|| (rest.to_vec(), rest.len())),
    }
}

fn chunks(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut body, mut rest) = (Vec::new(), bytes);
    loop {
        let (size, behind) = split(rest, b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()?;
        body.extend(behind.get(..size)?);
        rest = behind.get(size + 2..)?;
        if size == 0 {
            return Some((body, bytes.len() - rest.len()));
        }
    }
}

fn split<'a>(bytes: &'a [u8], at: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let place = bytes.windows(at.len()).position(|window| window == at)?;
    Some((&bytes[..place], &bytes[place + at.len()..]))
}
