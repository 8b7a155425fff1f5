//! Messages between processes: one JSON value a line.

use std::io::{self, BufRead as _};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes of one message, at most: a round's histograms are a few KB.
const MESSAGE_BYTES_MAX: u64 = 16 << 20;

/// Reads one JSON line.
///
/// # Errors
/// `UnexpectedEof` at the end of the input; `InvalidData` where the line is no message.
pub fn read_message<M: DeserializeOwned>(input: &mut (impl io::BufRead + ?Sized)) -> io::Result<M> {
    let mut line = String::new();
    let mut limited = io::Read::take(input, MESSAGE_BYTES_MAX);
    if limited.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    serde_json::from_str(&line).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Writes one JSON line, whole.
///
/// # Errors
/// The writer's.
pub fn write_message<M: Serialize>(output: &mut impl io::Write, message: &M) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    output.write_all(&line)?;
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_lines() {
        let mut bytes = Vec::new();
        write_message(&mut bytes, &("a", 1)).unwrap();
        write_message(&mut bytes, &("b\nc", 2)).unwrap();
        let mut input = bytes.as_slice();
        assert_eq!(read_message::<(String, u8)>(&mut input).unwrap(), ("a".to_owned(), 1));
        assert_eq!(read_message::<(String, u8)>(&mut input).unwrap(), ("b\nc".to_owned(), 2));
        let end = read_message::<(String, u8)>(&mut input).unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_line_that_is_no_message_is_an_error() {
        let error = read_message::<u8>(&mut &b"{\n"[..]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
