//! Generates the messages of `market.proto`, with serde and OpenAPI derives. Needs no `protoc`.

use prost::Message as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = "wirebench/market/v1/market.proto";
    println!("cargo:rerun-if-changed={file}");
    let descriptors = protox::compile([file], ["."])?;
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("market.binpb"), descriptors.encode_to_vec())?;

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
    config.compile_fds(descriptors)?;
    Ok(())
}
