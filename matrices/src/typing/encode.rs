//! Protobuf by hand, so that it can be wrong.

/// A field: its number, its wire type, and what follows.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) number: u32,
    wire_type: u32,
    content: Vec<u8>,
}

impl Field {
    /// The same under another number.
    pub(super) fn renumbered(self, number: u32) -> Field {
        Field { number, ..self }
    }
}

pub(super) fn varint(number: u32, value: u64) -> Field {
    varint_u128(number, u128::from(value))
}

pub(super) fn varint_u128(number: u32, value: u128) -> Field {
    Field { number, wire_type: 0, content: base_128(value) }
}

pub(super) fn double(number: u32, value: f64) -> Field {
    Field { number, wire_type: 1, content: value.to_le_bytes().to_vec() }
}

pub(super) fn bytes(number: u32, value: &[u8]) -> Field {
    let mut content = base_128(value.len() as u128);
    content.extend(value);
    Field { number, wire_type: 2, content }
}

pub(super) fn message(fields: &[Field]) -> Vec<u8> {
    let mut out = Vec::new();
    for field in fields {
        out.extend(base_128(u128::from(field.number << 3 | field.wire_type)));
        out.extend(&field.content);
    }
    out
}

/// The order of all cases: five of AAAA, bought by ACC00001.
pub(super) fn order() -> Vec<Field> {
    vec![bytes(1, b"ACC00001"), bytes(2, b"AAAA"), varint(3, 1), varint(4, 5)]
}

/// A message as gRPC frames it: not compressed, its length, itself.
pub(super) fn frame(message: &[u8]) -> Vec<u8> {
    let mut out = vec![0];
    out.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    out.extend(message);
    out
}

fn base_128(mut value: u128) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let low = u8::try_from(value & 0x7f).unwrap();
        value >>= 7;
        if value == 0 {
            out.push(low);
            return out;
        }
        out.push(low | 0x80);
    }
}
