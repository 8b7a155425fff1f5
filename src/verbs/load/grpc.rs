//! A gRPC method of one's own: found in a file, or by asking the server (reflection), and its
//! request made of JSON.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use clients::Endpoint;
use clients::foreign::grpc::{GrpcCall, messages};
use http::{HeaderMap, Uri};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};
use prost_types::FileDescriptorProto;
use terms::text;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

use super::options::Options;
use crate::ending::UsageError;

/// Bytes of a descriptor set.
const DESCRIPTORS_BYTES_MAX: u64 = 64 << 20;
/// Files that a server may be asked for: a service has a dozen.
const FILES_MAX: usize = 1_000;

/// The method that a path names, as `/package.Service/Method`: of a file, or as the server tells
/// it.
///
/// # Errors
/// Where there is none, and which there are.
pub(super) fn find(
    options: &Options,
    endpoint: &Endpoint,
    uri: &Uri,
    headers: &HeaderMap,
    path: &str,
) -> anyhow::Result<MethodDescriptor> {
    let wrong = || UsageError(format!("'{path}' is no gRPC method: write /package.Service/Method"));
    let (service_name, method_name) = path.trim_start_matches('/').split_once('/').ok_or_else(wrong)?;
    if service_name.is_empty() || method_name.is_empty() || method_name.contains(['/', '?']) {
        return Err(wrong().into());
    }
    let pool = match (&options.descriptor_set, &options.proto) {
        (Some(file), _) => {
            let bytes = files::read(file, DESCRIPTORS_BYTES_MAX).context("cannot read --descriptor-set")?;
            DescriptorPool::decode(&*bytes)
                .map_err(|error| UsageError(format!("--descriptor-set {}: {error}", file.display())))?
        }
        (None, Some(file)) => compile(file, &options.proto_path)?,
        (None, None) => ask(&Server { endpoint, uri, headers }, service_name, options.connect_time_out())?,
    };
    let service = pool.get_service_by_name(service_name).ok_or_else(|| {
        let known: Vec<_> = pool.services().map(|service| service.full_name().to_owned()).collect();
        UsageError(format!("there is no service '{service_name}': there is {}", known.join(", ")))
    })?;
    let method = service.methods().find(|method| method.name() == method_name);
    method.ok_or_else(|| {
        let known: Vec<_> = service.methods().map(|method| method.name().to_owned()).collect();
        UsageError(format!("{service_name} has no method '{method_name}': it has {}", known.join(", ")))
            .into()
    })
}

/// The messages of a call: one JSON value, or several where the method takes a stream.
///
/// # Errors
/// Where they do not fit the method's request.
pub(super) fn encode(method: &MethodDescriptor, json: &[u8]) -> anyhow::Result<Vec<Bytes>> {
    let input = method.input();
    let mut encoded = Vec::new();
    for value in serde_json::Deserializer::from_slice(json).into_iter::<serde_json::Value>() {
        let value = value.map_err(|error| UsageError(format!("--body is no JSON: {error}")))?;
        let message = DynamicMessage::deserialize(input.clone(), value)
            .map_err(|error| UsageError(format!("--body does not fit {}: {error}", input.full_name())))?;
        encoded.push(Bytes::from(message.encode_to_vec()));
    }
    match encoded.len() {
        1 => Ok(encoded),
        _ if method.is_client_streaming() => Ok(encoded),
        several => Err(UsageError(format!(
            "--body has {several} JSON values, and {} takes one {}",
            method.full_name(),
            input.full_name()
        ))
        .into()),
    }
}

fn compile(file: &Path, folders: &[std::path::PathBuf]) -> anyhow::Result<DescriptorPool> {
    let own = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folders: Vec<&Path> = folders.iter().map(std::path::PathBuf::as_path).chain([own]).collect();
    let set = protox::compile([file], folders)
        .map_err(|error| UsageError(format!("--proto {}: {error}", file.display())))?;
    Ok(DescriptorPool::from_file_descriptor_set(set)?)
}

/// A server that is asked, as its methods are called.
struct Server<'a> {
    endpoint: &'a Endpoint,
    uri: &'a Uri,
    headers: &'a HeaderMap,
}

/// Asks the server for the file that has a service, and for those that it needs.
fn ask(server: &Server<'_>, service: &str, time: Duration) -> anyhow::Result<DescriptorPool> {
    let mut files: Vec<FileDescriptorProto> = Vec::new();
    let mut wanted = vec![MessageRequest::FileContainingSymbol(service.to_owned())];
    let runtime = clients::local_runtime()?;
    while let Some(request) = wanted.pop() {
        let asked = async {
            let silent = || anyhow!("no answer within {}", text::exact(time));
            clock::limit(time, reflect(server, request)).await.unwrap_or_else(|_| Err(silent()))
        };
        let answer = runtime.block_on(asked).with_context(|| {
            format!(
                "the server does not tell of its service {service} by reflection; give --proto FILE or --descriptor-set FILE"
            )
        })?;
        for bytes in answer {
            let file = FileDescriptorProto::decode(bytes)?;
            if files.iter().any(|known| known.name == file.name) {
                continue;
            }
            for needed in &file.dependency {
                let is_known = files.iter().any(|known| known.name.as_ref() == Some(needed));
                if !is_known && DescriptorPool::global().get_file_by_name(needed).is_none() {
                    wanted.push(MessageRequest::FileByFilename(needed.clone()));
                }
            }
            files.push(file);
        }
        if files.len() > FILES_MAX {
            return Err(anyhow!("the server tells of more than {FILES_MAX} files"));
        }
    }
    let mut pool = DescriptorPool::global();
    pool.add_file_descriptor_protos(files)?;
    Ok(pool)
}

async fn reflect(server: &Server<'_>, request: MessageRequest) -> anyhow::Result<Vec<Bytes>> {
    let message = ServerReflectionRequest { host: String::new(), message_request: Some(request) };
    let encoded = message.encode_to_vec();
    let mut refused = None;
    // The same messages under both names.
    for service in ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"] {
        let mut parts = server.uri.clone().into_parts();
        parts.path_and_query = Some(format!("/{service}/ServerReflectionInfo").parse()?);
        let (uri, headers) = (Uri::from_parts(parts)?, server.headers.clone());
        let call = GrpcCall { uri, headers, messages: vec![encoded.clone().into()], streams: true };
        match messages(server.endpoint, &call).await {
            Ok(found) if !found.is_empty() => {
                let answer = ServerReflectionResponse::decode(found[0].clone())?;
                return match answer.message_response {
                    Some(MessageResponse::FileDescriptorResponse(files)) => {
                        Ok(files.file_descriptor_proto.into_iter().map(Bytes::from).collect())
                    }
                    Some(MessageResponse::ErrorResponse(error)) => Err(anyhow!("{}", error.error_message)),
                    _ => Err(anyhow!("it answers something else")),
                };
            }
            Ok(_) => refused = Some(anyhow!("it does not know {service}")),
            Err(error) => refused = Some(anyhow!("{}", error.sample())),
        }
    }
    Err(refused.unwrap_or_else(|| anyhow!("no answer")))
}
