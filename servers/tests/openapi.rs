//! The checked-in description of the REST API is the one that the code serves.

/// `UPDATE_FILES=1 cargo test -p wirebench-servers` writes it anew.
#[test]
fn the_checked_in_openapi_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../proto/openapi.json");
    let mut current = servers::protocols::rest::openapi().to_pretty_json().unwrap();
    current.push('\n');
    if std::env::var_os("UPDATE_FILES").is_some() {
        std::fs::write(path, &current).unwrap();
    }
    let stored = std::fs::read_to_string(path).unwrap_or_default();
    assert!(stored == current, "proto/openapi.json is out of date: run with UPDATE_FILES=1");
}
