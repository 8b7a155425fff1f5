//! Frames of every carriage, the messages in them, and blocks of flows.
#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use proto::Operation;
use proto::encoding::Encoding;
use proto::flow::Block;
use proto::frame::Frame;

/// As servers have it.
const LENGTH_MAX: usize = 64 << 10;

fuzz_target!(|data: &[u8]| {
    let mut stream = BytesMut::from(data);
    while let Ok(Some(frame)) = Frame::take(&mut stream, LENGTH_MAX) {
        decode(&frame);
    }
    let bytes = Bytes::copy_from_slice(data);
    for frame in [Frame::from_datagram(data), Frame::from_message(bytes.clone()), Frame::from_text(&bytes)] {
        if let Ok(frame) = frame {
            decode(&frame);
        }
    }
    let _ = Block::read(data);
});

fn decode(frame: &Frame) {
    for encoding in [Encoding::Protobuf, Encoding::Json] {
        let _ = Operation::decode(frame.kind, encoding, &frame.payload);
    }
}
