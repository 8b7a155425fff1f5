//! Descriptions of gRPC services that no compiler writes, for the tests of what reads them.

use proptest::prelude::*;
use proptest::sample::select;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto,
    FileDescriptorProto, MessageOptions, MethodDescriptorProto, OneofDescriptorProto, ServiceDescriptorProto,
};

fn names() -> impl Strategy<Value = Option<String>> {
    const NAMES: &[&str] = &[
        "a",
        "b",
        "c",
        ".a.a",
        ".a.b",
        "a.b.c",
        "",
        ".",
        "x",
        "google.protobuf.Any",
        ".google.protobuf.Any",
        "ü\n",
    ];
    select(NAMES).prop_map(|name| Some(name.to_owned()))
}

fn numbers() -> impl Strategy<Value = Option<i32>> {
    select(&[1, 2, 3, 4, 5, 0, -1, 19_000, 536_870_911, 536_870_912, i32::MAX, i32::MIN][..]).prop_map(Some)
}

fn field() -> impl Strategy<Value = FieldDescriptorProto> {
    let values = select(&["", "1", "nan", "-inf", "a", "\\x", "\\777", "1e999", "true"][..]);
    let value = prop::option::weighted(0.1, values.prop_map(str::to_owned));
    let index = prop::option::weighted(0.2, select(&[0, 1, -1, i32::MAX][..]));
    let extendee = prop::option::weighted(0.1, names().prop_map(Option::unwrap_or_default));
    (
        names(),
        numbers(),
        1..=18_i32,
        1..=3_i32,
        prop::option::of(names()),
        value,
        index,
        extendee,
        any::<Option<bool>>(),
    )
        .prop_map(
            |(name, number, kind, label, of, default_value, oneof_index, extendee, proto3_optional)| {
                let (kind, label) = (Type::try_from(kind).unwrap(), Label::try_from(label).unwrap());
                FieldDescriptorProto {
                    name,
                    number,
                    label: Some(label.into()),
                    r#type: Some(kind.into()),
                    type_name: of.flatten(),
                    extendee,
                    default_value,
                    oneof_index,
                    proto3_optional,
                    ..Default::default()
                }
            },
        )
}

fn values() -> impl Strategy<Value = EnumDescriptorProto> {
    let value = (names(), numbers()).prop_map(|(name, number)| EnumValueDescriptorProto {
        name,
        number,
        ..Default::default()
    });
    (names(), prop::collection::vec(value, 0..3)).prop_map(|(name, value)| EnumDescriptorProto {
        name,
        value,
        ..Default::default()
    })
}

fn message() -> impl Strategy<Value = DescriptorProto> {
    let leaf = (names(), prop::collection::vec(field(), 0..4), any::<bool>(), 0..2_usize).prop_map(
        |(name, field, is_map, oneofs)| DescriptorProto {
            name,
            field,
            options: Some(MessageOptions { map_entry: Some(is_map), ..Default::default() }),
            oneof_decl: vec![OneofDescriptorProto { name: Some("o".to_owned()), options: None }; oneofs],
            ..Default::default()
        },
    );
    leaf.prop_recursive(3, 8, 2, |inner| {
        let nested = (prop::collection::vec(inner, 0..2), prop::collection::vec(values(), 0..2));
        (nested, names(), prop::collection::vec(field(), 0..4)).prop_map(
            |((nested_type, enum_type), name, field)| DescriptorProto {
                name,
                field,
                nested_type,
                enum_type,
                ..Default::default()
            },
        )
    })
}

/// A file that a server may tell of.
pub(super) fn files() -> impl Strategy<Value = FileDescriptorProto> {
    let messages = prop::collection::vec(message(), 0..4);
    let syntax = select(&["proto2", "proto3", "editions", ""][..]).prop_map(|syntax| Some(syntax.to_owned()));
    let dependency = prop::collection::vec(names().prop_map(Option::unwrap_or_default), 0..2);
    let method =
        (names(), names(), any::<Option<bool>>()).prop_map(|(input_type, output_type, client_streaming)| {
            MethodDescriptorProto {
                name: Some("M".to_owned()),
                input_type,
                output_type,
                client_streaming,
                ..Default::default()
            }
        });
    let extensions = prop::collection::vec(field(), 0..2);
    (names(), names(), messages, values(), syntax, dependency, method, extensions).prop_map(
        |(name, package, message_type, values, syntax, dependency, method, extension)| FileDescriptorProto {
            name,
            package,
            dependency,
            message_type,
            enum_type: vec![values],
            service: vec![ServiceDescriptorProto {
                name: Some("S".to_owned()),
                method: vec![method],
                options: None,
            }],
            extension,
            syntax,
            ..Default::default()
        },
    )
}
