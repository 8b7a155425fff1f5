//! A gRPC method of one's own: found in a file, or by asking the server (reflection), and its
//! request made of JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use clients::foreign::grpc::{GrpcCall, messages};
use clients::{CallError, Endpoint};
use http::{HeaderMap, Uri};
use prost::Message as _;
use prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor,
};
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use terms::text;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

use super::options::{Options, read_file};
use crate::ending::UsageError;

/// Bytes of a descriptor set.
const DESCRIPTORS_BYTES_MAX: u64 = 64 << 20;
/// The status of a service that a server does not have.
const UNIMPLEMENTED: u16 = 12;
/// Files that a server may be asked for: a service has a dozen.
const FILES_MAX: usize = 1_000;
/// Bytes of all files that a server tells of: what the library makes of them may have six hundred
/// times as many.
const REFLECTED_BYTES_MAX: usize = 2 << 20;

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
            let bytes = read_file("--descriptor-set", file, DESCRIPTORS_BYTES_MAX)?;
            descriptor_set(&bytes)
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
    let runtime = clients::local_runtime()?;
    gather(service, |request| {
        let asked = async {
            let silent = || anyhow!("no answer within {}", text::exact(time));
            clock::limit(time, reflect(server, request)).await.unwrap_or_else(|_| Err(silent()))
        };
        runtime.block_on(asked).with_context(|| {
            format!(
                "the server does not tell of its service {service} by reflection; give --proto FILE or --descriptor-set FILE"
            )
        })
    })
}

/// The file that has a service, and those that it needs, each asked for once.
fn gather(
    service: &str,
    mut ask: impl FnMut(MessageRequest) -> anyhow::Result<Vec<Bytes>>,
) -> anyhow::Result<DescriptorPool> {
    let mut files: BTreeMap<String, FileDescriptorProto> = BTreeMap::new();
    let mut asked_for = BTreeSet::new();
    let (mut wanted, mut bytes) = (vec![MessageRequest::FileContainingSymbol(service.to_owned())], 0);
    while let Some(request) = wanted.pop() {
        for file in ask(request)? {
            bytes += file.len();
            if bytes > REFLECTED_BYTES_MAX {
                return Err(anyhow!(
                    "the server tells of files of more than {} MiB: give --proto FILE or --descriptor-set FILE",
                    REFLECTED_BYTES_MAX >> 20
                ));
            }
            let file = FileDescriptorProto::decode(file)?;
            for needed in &file.dependency {
                if DescriptorPool::global().get_file_by_name(needed).is_none()
                    && !files.contains_key(needed)
                    && asked_for.insert(needed.clone())
                {
                    wanted.push(MessageRequest::FileByFilename(needed.clone()));
                }
                if asked_for.len() > FILES_MAX {
                    return Err(anyhow!("the server tells of more than {FILES_MAX} files"));
                }
            }
            files.entry(file.name().to_owned()).or_insert(file);
        }
    }
    pool(files.into_values().collect())
}

fn descriptor_set(bytes: &[u8]) -> anyhow::Result<DescriptorPool> {
    pool(FileDescriptorSet::decode(bytes)?.file)
}

/// What is told in files, and in those of protobuf itself.
fn pool(files: Vec<FileDescriptorProto>) -> anyhow::Result<DescriptorPool> {
    // The library does not refuse another, but panics (prost-reflect 0.16.5).
    let unknown =
        files.iter().find(|file| !matches!(file.syntax.as_deref(), None | Some("proto2" | "proto3")));
    if let Some(file) = unknown {
        return Err(anyhow!(
            "{} has the syntax '{}', and proto2 and proto3 are known",
            file.name(),
            file.syntax()
        ));
    }
    let mut pool = DescriptorPool::global();
    pool.add_file_descriptor_protos(files)?;
    // It takes the entries of maps for right ones, and panics where one is filled in.
    if let Some(entry) = pool.all_messages().find(|message| message.is_map_entry() && !is_entry(message)) {
        return Err(anyhow!("{} is no entry of a map: it needs a key and a value", entry.full_name()));
    }
    Ok(pool)
}

/// Whether a message has a key that maps may have, and one value.
fn is_entry(message: &MessageDescriptor) -> bool {
    let is_key = |key: FieldDescriptor| {
        !matches!(key.kind(), Kind::Double | Kind::Float | Kind::Bytes | Kind::Enum(_) | Kind::Message(_))
    };
    let fields = message.fields().all(|field| field.cardinality() != Cardinality::Repeated);
    fields && message.get_field(1).is_some_and(is_key) && message.get_field(2).is_some()
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
            Ok(_) => drop(refused.get_or_insert_with(|| anyhow!("it does not know {service}"))),
            // That it does not know one name says nothing of the other.
            Err(CallError::Status { status: UNIMPLEMENTED, .. }) => {}
            Err(error) => drop(refused.get_or_insert_with(|| anyhow!("{}", error.sample()))),
        }
    }
    Err(refused.unwrap_or_else(|| anyhow!("it has no reflection")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;
    use prost_types::field_descriptor_proto::{Label, Type};
    use prost_types::{DescriptorProto, FieldDescriptorProto, MessageOptions};

    use super::super::bent::{bent, bent_text};
    use super::super::described::files;
    use super::*;

    /// A server that tells of ever more files.
    #[test]
    fn a_server_is_not_asked_without_end() {
        let (mut asked, file) = (0, |name: String, needs: Vec<String>| {
            Bytes::from(
                FileDescriptorProto { name: Some(name), dependency: needs, ..Default::default() }
                    .encode_to_vec(),
            )
        });
        let error = gather("a.B", |_| {
            asked += 1;
            Ok(vec![file(asked.to_string(), vec![(asked + 1).to_string()])])
        });
        assert!(error.unwrap_err().to_string().contains("more than 1000 files"));
        assert_eq!(asked, FILES_MAX + 1);

        // All at once, and nothing of them.
        let mut asked = 0;
        let error = gather("a.B", |_| {
            asked += 1;
            Ok(vec![file("a".to_owned(), (0..100_000).map(|nth| nth.to_string()).collect())])
        });
        assert!(error.unwrap_err().to_string().contains("more than 1000 files"));
        assert_eq!(asked, 1);

        let mut asked = 0;
        let error = gather("a.B", |_| {
            asked += 1;
            Ok(vec![file("a".repeat(1 << 20), vec![asked.to_string()])])
        });
        assert!(error.unwrap_err().to_string().contains("more than 2 MiB"));
        assert_eq!(asked, 2);
    }

    /// As compilers write files of an edition (`edition = "2023"`), which the library panics at.
    #[test]
    fn files_of_an_unknown_syntax_are_refused() {
        let syntax = Some("editions".to_owned());
        let file = FileDescriptorProto { name: Some("a.proto".to_owned()), syntax, ..Default::default() };
        let told = gather("a.B", |_| Ok(vec![file.encode_to_vec().into()])).unwrap_err().to_string();
        assert_eq!(told, "a.proto has the syntax 'editions', and proto2 and proto3 are known");
        let set = FileDescriptorSet { file: vec![file.clone()] }.encode_to_vec();
        assert_eq!(descriptor_set(&set).unwrap_err().to_string(), told);
    }

    /// Found by the fuzz target: a map whose keys are messages, or that has no values.
    #[test]
    fn entries_of_maps_have_a_key_and_a_value() {
        let field = |name: &str, number, label: Label, kind: Type, of: Option<&str>| FieldDescriptorProto {
            name: Some(name.to_owned()),
            number: Some(number),
            label: Some(label.into()),
            r#type: Some(kind.into()),
            type_name: of.map(str::to_owned),
            ..Default::default()
        };
        let key = |kind, of| field("key", 1, Label::Optional, kind, of);
        let value = || field("value", 2, Label::Optional, Type::Int32, None);
        let with = |entry: Vec<FieldDescriptorProto>| {
            let entry = DescriptorProto {
                name: Some("MEntry".to_owned()),
                field: entry,
                options: Some(MessageOptions { map_entry: Some(true), ..Default::default() }),
                ..Default::default()
            };
            let message = DescriptorProto {
                name: Some("A".to_owned()),
                field: vec![field("m", 1, Label::Repeated, Type::Message, Some(".A.MEntry"))],
                nested_type: vec![entry],
                ..Default::default()
            };
            let message_type = vec![message];
            pool(vec![FileDescriptorProto { name: Some("a".to_owned()), message_type, ..Default::default() }])
        };
        assert!(with(vec![key(Type::String, None), value()]).is_ok());
        assert!(with(vec![key(Type::Sfixed64, None), value()]).is_ok());
        let many = field("value", 2, Label::Repeated, Type::Int32, None);
        for wrong in [
            vec![key(Type::Message, Some(".A")), value()],
            vec![key(Type::Double, None), value()],
            vec![key(Type::Bytes, None), value()],
            vec![key(Type::String, None)],
            vec![value()],
            vec![key(Type::String, None), many],
        ] {
            assert!(with(wrong).unwrap_err().to_string().contains("A.MEntry is no entry of a map"));
        }
    }

    /// Makes a message of JSON for each method there is.
    fn encode_all(pool: &DescriptorPool, json: &str) {
        for method in pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
            let _ = encode(&method, json.as_bytes());
            let each = ["1", "\"1\"", "[1]", "{}", "{\"1\":{}}", "[{}]", "null"];
            for value in each {
                let fields: Vec<_> = method
                    .input()
                    .fields()
                    .map(|field| format!("{}:{value}", serde_json::json!(field.json_name())))
                    .collect();
                let _ = encode(&method, format!("{{{}}}", fields.join(",")).as_bytes());
            }
        }
    }

    const JSON: &[&str] = &[
        "{\"symbol\":\"AAAA\"}",
        "{\"symbols\":[\"A\"],\"afterSequence\":\"1\"} {}",
        "{\"a\":{\"a\":{}},\"b\":[1]}",
    ];

    proptest! {
        // Always the same descriptions: the library has more panics than this reader keeps from it,
        // and `cargo fuzz run descriptors` looks for them.
        #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

        /// Whatever a server tells by reflection, it makes requests, or it is said what is wrong.
        #[test]
        fn any_answers_make_requests_or_are_refused(
            answers in prop::collection::vec(prop::collection::vec(files(), 0..3), 1..4), json in bent_text(JSON),
        ) {
            let mut answers = answers.iter().cycle();
            let pool = gather("a.S", |_| {
                Ok(answers.next().unwrap().iter().map(|file| file.encode_to_vec().into()).collect())
            });
            if let Ok(pool) = pool {
                encode_all(&pool, &json);
            }
        }

        #[test]
        fn any_descriptor_set_makes_requests_or_is_refused(
            bytes in bent(&[proto::DESCRIPTOR_SET]), set in prop::collection::vec(files(), 1..3), json in bent_text(JSON),
        ) {
            let set = FileDescriptorSet { file: set }.encode_to_vec();
            for bytes in [&bytes[..], &set] {
                if let Ok(pool) = descriptor_set(bytes) {
                    encode_all(&pool, &json);
                }
            }
        }
    }
}
