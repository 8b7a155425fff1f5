//! Generates the gRPC server stub of `market.proto`; the messages are those of `proto`. Needs no `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = "../proto";
    println!("cargo:rerun-if-changed={root}/wirebench/market/v1/market.proto");
    let descriptors = protox::compile(["wirebench/market/v1/market.proto"], [root])?;
    tonic_prost_build::configure()
        .build_client(false)
        .build_transport(false)
        .extern_path(".wirebench.market.v1", "::proto::v1")
        .compile_fds(descriptors)?;
    Ok(())
}
