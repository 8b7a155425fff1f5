//! Descriptions of gRPC services, as a file or a server's answers by reflection, and messages that
//! are made for them of JSON.
#![no_main]

use bytes::Bytes;
use clients::foreign::grpc::split;
use libfuzzer_sys::fuzz_target;
use prost::Message as _;
use prost_reflect::{Cardinality, DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor};
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use serde_json::{Map, Value, json};

fuzz_target!(|data: &[u8]| {
    if let Ok(set) = FileDescriptorSet::decode(data) {
        read(set.file);
    }
    let Ok(messages) = split(Bytes::copy_from_slice(data)) else { return };
    assert_eq!(messages.iter().map(|message| message.len() + 5).sum::<usize>(), data.len());
    let files = messages.into_iter().map(FileDescriptorProto::decode);
    if let Ok(files) = files.collect() {
        read(files);
    }
});

/// As `load` reads them: without those that the library panics at.
fn read(files: Vec<FileDescriptorProto>) {
    let is_known =
        |file: &FileDescriptorProto| matches!(file.syntax.as_deref(), None | Some("proto2" | "proto3"));
    let mut pool = DescriptorPool::global();
    if files.iter().all(is_known)
        && pool.add_file_descriptor_protos(files).is_ok()
        && pool.all_messages().all(|message| !message.is_map_entry() || is_entry(&message))
    {
        encode(&pool);
    }
}

fn is_entry(message: &MessageDescriptor) -> bool {
    let is_key = |key: FieldDescriptor| {
        !matches!(key.kind(), Kind::Double | Kind::Float | Kind::Bytes | Kind::Enum(_) | Kind::Message(_))
    };
    let fields = message.fields().all(|field| field.cardinality() != Cardinality::Repeated);
    fields && message.get_field(1).is_some_and(is_key) && message.get_field(2).is_some()
}

/// Makes messages for each method: one in which every field has a value of its own kind or another.
fn encode(pool: &DescriptorPool) {
    for method in pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
        let input = method.input();
        for value in [json!(1), json!("1"), json!([1]), json!({}), json!({ "1": {} }), json!([{}])] {
            let fields = input.fields().take(16);
            let filled: Map<String, Value> =
                fields.map(|field| (field.json_name().to_owned(), value.clone())).collect();
            for json in [Value::Object(filled), value] {
                if let Ok(message) = DynamicMessage::deserialize(input.clone(), json) {
                    let _ = message.encode_to_vec();
                }
            }
        }
    }
}
