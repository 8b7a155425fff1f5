//! The chunked transfer coding (RFC 9112, section 7.1). The extensions of chunks and the fields of
//! the trailer are skipped, whatever they are.

use crate::connection::CallError;

/// Bytes of the extensions of one chunk, and of the trailer; what hyper allows.
const SKIPPED_BYTES_MAX: usize = 16 << 10;
/// Digits of a chunk's size: those of a number of 64 bits.
const DIGITS_MAX: u8 = 16;

/// Reads chunks until the last one and its trailer.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    at: At,
    /// Of the present chunk: its size, then what of it is to come.
    size: u64,
    digits: u8,
    skipped_bytes: usize,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum At {
    #[default]
    Size,
    /// Blanks behind the size.
    Blanks,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// A line of the trailer, or the empty one that ends it.
    TrailerLine,
    WithinTrailerLine,
    LastLf,
    Over,
}

impl Chunks {
    /// Whether the last chunk has come, and its trailer.
    pub(super) fn are_over(&self) -> bool {
        self.at == At::Over
    }

    /// Reads on, to the end of the bytes or of the chunks; says how many it read.
    ///
    /// # Errors
    /// [`CallError::Protocol`] where they are no chunks; [`CallError::Limit`] where an extension or
    /// the trailer is over its bound; what `on_data` says.
    pub(super) fn read(
        &mut self,
        bytes: &[u8],
        mut on_data: impl FnMut(&[u8]) -> Result<(), CallError>,
    ) -> Result<usize, CallError> {
        let mut at = 0;
        while at < bytes.len() && !self.are_over() {
            if self.at == At::Data {
                let rest = &bytes[at..];
                // One that is beyond `usize` is beyond the bytes.
                let left = usize::try_from(self.size).unwrap_or(usize::MAX);
                let piece = &rest[..rest.len().min(left)];
                self.size -= piece.len() as u64;
                if self.size == 0 {
                    self.at = At::DataCr;
                }
                on_data(piece)?;
                at += piece.len();
            } else {
                self.at = self.step(bytes[at])?;
                at += 1;
            }
        }
        Ok(at)
    }

    /// What comes behind this byte, which is none of the data.
    fn step(&mut self, byte: u8) -> Result<At, CallError> {
        match (self.at, byte) {
            (At::Size, _) if byte.is_ascii_hexdigit() => self.digit(byte),
            (At::Size | At::Blanks | At::Extension, b'\r') if self.digits > 0 => Ok(At::SizeLf),
            (At::Size | At::Blanks, b' ' | b'\t') if self.digits > 0 => self.skip(At::Blanks),
            (At::Size | At::Blanks, b';') if self.digits > 0 => self.skip(At::Extension),
            (At::Extension, byte) if byte != b'\n' => self.skip(At::Extension),
            (At::SizeLf, b'\n') => {
                (self.digits, self.skipped_bytes) = (0, 0);
                Ok(if self.size == 0 { At::TrailerLine } else { At::Data })
            }
            (At::DataCr, b'\r') => Ok(At::DataLf),
            (At::DataLf, b'\n') => Ok(At::Size),
            (At::TrailerLine, b'\r') => Ok(At::LastLf),
            (At::TrailerLine, b'\n') | (At::LastLf, b'\n') => Ok(At::Over),
            (At::WithinTrailerLine, b'\n') => self.skip(At::TrailerLine),
            (At::TrailerLine | At::WithinTrailerLine, _) => self.skip(At::WithinTrailerLine),
            _ => Err(self.unexpected(byte)),
        }
    }

    fn digit(&mut self, byte: u8) -> Result<At, CallError> {
        self.digits += 1;
        if self.digits > DIGITS_MAX {
            return Err(CallError::Protocol(format!("a chunk's size of more than {DIGITS_MAX} digits")));
        }
        let digit = char::from(byte).to_digit(16).unwrap_or_default();
        self.size = self.size << 4 | u64::from(digit);
        Ok(At::Size)
    }

    fn skip(&mut self, then: At) -> Result<At, CallError> {
        self.skipped_bytes += 1;
        if self.skipped_bytes > SKIPPED_BYTES_MAX {
            let what = "a chunk's extensions, or a trailer,";
            return Err(CallError::Limit(format!("{what} of more than {SKIPPED_BYTES_MAX} bytes")));
        }
        Ok(then)
    }

    fn unexpected(&self, byte: u8) -> CallError {
        let place = match self.at {
            At::Size if self.digits == 0 => "in the place of a chunk's size",
            At::Size | At::Blanks | At::Extension | At::SizeLf => "in the line of a chunk's size",
            At::DataCr | At::DataLf => "behind a chunk of its size",
            At::Data | At::TrailerLine | At::WithinTrailerLine | At::LastLf | At::Over => "in a trailer",
        };
        CallError::Protocol(format!("'{}' {place}", byte.escape_ascii()))
    }
}
