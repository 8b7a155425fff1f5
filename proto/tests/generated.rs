//! Code that is generated from `market.proto` is checked in, so that nobody compiles a compiler to
//! build wirebench; this test holds it to the contract. `UPDATE_FILES=1 cargo test` writes it anew.
//! Needs no `protoc`.

#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

use std::path::Path;

use prost::Message as _;
use prost_types::FileDescriptorSet;

const MARKET: &str = "wirebench/market/v1/market.proto";

/// Holds a file of another room to what is generated now.
fn hold(file: &str, current: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    if std::env::var_os("UPDATE_FILES").is_some() {
        std::fs::write(&path, current).unwrap();
    }
    let stored = std::fs::read(&path).unwrap_or_default();
    assert!(stored == current, "{file} is out of date: run with UPDATE_FILES=1");
}

/// What a generator writes for the contract.
fn generated(generate: impl FnOnce(FileDescriptorSet, &Path)) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    generate(protox::compile([MARKET], [env!("CARGO_MANIFEST_DIR")]).unwrap(), folder.path());
    std::fs::read(folder.path().join("wirebench.market.v1.rs")).unwrap()
}

#[test]
fn the_checked_in_messages_are_those_of_the_contract() {
    let descriptors = protox::compile([MARKET], [env!("CARGO_MANIFEST_DIR")]).unwrap();
    hold("proto/src/generated/market.binpb", &descriptors.encode_to_vec());
    hold("proto/src/generated/market.rs", &generated(messages));
}

/// Messages with serde and OpenAPI derives.
fn messages(descriptors: FileDescriptorSet, folder: &Path) {
    let package = "wirebench.market.v1";
    let mut config = prost_build::Config::new();
    config.type_attribute(".", "#[derive(serde::Serialize, serde::Deserialize)]");
    config.type_attribute(".", "#[serde(rename_all = \"snake_case\")]");
    config.message_attribute(".", "#[serde(default, deny_unknown_fields)]");
    for shown_over_http in [
        "Quote",
        "Quotes",
        "Portfolio",
        "Position",
        "News",
        "History",
        "Candle",
        "Side",
        "OrderStatus",
        "Order",
        "OrderReceipt",
        "Tick",
        "TickBatch",
    ] {
        config.type_attribute(format!(".{package}.{shown_over_http}"), "#[derive(utoipa::ToSchema)]");
    }
    for (field, of) in [("Order.side", "Side"), ("OrderReceipt.status", "OrderStatus")] {
        config.field_attribute(
            format!(".{package}.{field}"),
            format!("#[serde(with = \"crate::json::EnumName::<{of}>\")] #[schema(value_type = {of})]"),
        );
    }
    config.field_attribute(
        format!(".{package}.Fault.code"),
        "#[serde(with = \"crate::json::EnumName::<FaultCode>\")]",
    );
    config.field_attribute(
        format!(".{package}.PortfolioRequest.field_mask"),
        "#[serde(with = \"crate::json::mask\")]",
    );
    config.out_dir(folder).compile_fds(descriptors).unwrap();
}

/// The stubs take the messages of `proto`.
fn stubs(client: bool) -> Vec<u8> {
    generated(|descriptors, folder| {
        tonic_prost_build::configure()
            .build_client(client)
            .build_server(!client)
            .build_transport(false)
            .extern_path(".wirebench.market.v1", "::proto::v1")
            .out_dir(folder)
            .compile_fds(descriptors)
            .unwrap();
    })
}

#[test]
fn the_checked_in_stubs_are_those_of_the_contract() {
    hold("clients/src/generated/market.rs", &stubs(true));
    hold("servers/src/generated/market.rs", &stubs(false));
}
