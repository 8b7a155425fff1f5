//! Reads what a server says in frames of HTTP/2: statuses, statuses of gRPC, resets, GOAWAY. It
//! relies on the inputs' preface, which allows the server no dynamic table (RFC 7541, section 4.2).

/// `grpc-status`, in the Huffman code of RFC 7541.
const GRPC_STATUS_CODED: &[u8] = &[0x9a, 0xca, 0xc8, 0xb2, 0x12, 0x34, 0xda, 0x8f];
/// Index of `:status` in the static table, and the statuses that have an index of their own.
const STATUS_INDEX: u64 = 8;
const INDEXED_STATUSES: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];

/// What was said, by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Http2 {
    pub(crate) statuses: Vec<u16>,
    pub(crate) grpc_statuses: Vec<u16>,
    /// Error codes of RST_STREAM.
    pub(crate) resets: Vec<u32>,
    /// Error codes of GOAWAY.
    pub(crate) goaways: Vec<u32>,
    /// Bytes of all DATA.
    pub(crate) data_bytes: usize,
}

impl Http2 {
    pub(crate) fn read(bytes: &[u8]) -> Http2 {
        let (mut heard, mut rest, mut block) = (Http2::default(), bytes, Vec::new());
        while let Some((&[a, b, c, kind, flags, _, _, _, _], behind)) = rest.split_first_chunk::<9>() {
            let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap();
            let Some((payload, behind)) = behind.split_at_checked(length) else { break };
            rest = behind;
            let number =
                |at: usize| payload.get(at..at + 4).map(|code| u32::from_be_bytes(code.try_into().unwrap()));
            match kind {
                0 => heard.data_bytes += length,
                1 | 9 => {
                    block.extend(payload);
                    if flags & 0x4 != 0 {
                        heard.take_fields(&std::mem::take(&mut block));
                    }
                }
                3 => heard.resets.extend(number(0)),
                7 => heard.goaways.extend(number(4)),
                _ => {}
            }
        }
        heard
    }

    fn take_fields(&mut self, block: &[u8]) {
        let mut reader = Reader(block);
        while let Some(first) = reader.0.first().copied() {
            if reader.field(first, self).is_none() {
                return;
            }
        }
    }
}

/// A block of fields, of which the rest is still to be read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn field(&mut self, first: u8, heard: &mut Http2) -> Option<()> {
        match first {
            0x80.. => {
                let index = self.integer(7)?;
                let nth = usize::try_from(index.checked_sub(STATUS_INDEX)?).ok();
                heard.statuses.extend(nth.and_then(|nth| INDEXED_STATUSES.get(nth)));
            }
            0x20..0x40 => drop(self.integer(5)?),
            _ => {
                let index = self.integer(if first >= 0x40 { 6 } else { 4 })?;
                let is_grpc_status = index == 0 && {
                    let (_, name) = self.string()?;
                    name == b"grpc-status" || name == GRPC_STATUS_CODED
                };
                let (coded, value) = self.string()?;
                let number = if coded { coded_number(value) } else { plain_number(value) };
                if index == STATUS_INDEX {
                    heard.statuses.extend(number);
                } else if is_grpc_status {
                    heard.grpc_statuses.extend(number);
                }
            }
        }
        Some(())
    }

    fn integer(&mut self, bits: u32) -> Option<u64> {
        let mask = (1_u8 << bits) - 1;
        let mut value = u64::from(self.byte()? & mask);
        if value < u64::from(mask) {
            return Some(value);
        }
        for shift in (0..28).step_by(7) {
            let byte = self.byte()?;
            value += u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// Whether it is in the Huffman code, and its bytes.
    fn string(&mut self) -> Option<(bool, &'a [u8])> {
        let coded = self.0.first()? & 0x80 != 0;
        let length = usize::try_from(self.integer(7)?).ok()?;
        let (string, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some((coded, string))
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }
}

fn plain_number(digits: &[u8]) -> Option<u16> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Digits in the Huffman code: 0, 1 and 2 have five bits (0 to 2), 3 to 9 have six (25 to 31).
fn coded_number(coded: &[u8]) -> Option<u16> {
    let bits: Vec<u8> = coded.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let value = |bits: &[u8]| bits.iter().fold(0_u16, |value, bit| value << 1 | u16::from(*bit));
    let (mut number, mut rest) = (None, &bits[..]);
    while rest.len() >= 5 {
        let (digit, length) = match (value(&rest[..5]), rest.get(..6).map(value)) {
            (short @ 0..=2, _) => (short, 5),
            (_, Some(long @ 25..=31)) => (long - 22, 6),
            _ => break,
        };
        number = Some(number.unwrap_or(0_u16).checked_mul(10)? + digit);
        rest = &rest[length..];
    }
    number
}
