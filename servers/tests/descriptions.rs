//! The checked-in descriptions of the APIs are those that the code serves.
//! `UPDATE_FILES=1 cargo test` writes them anew.

#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

fn assert_current(file: &str, mut current: String) {
    let path = format!("{}/../proto/{file}", env!("CARGO_MANIFEST_DIR"));
    if !current.ends_with('\n') {
        current.push('\n');
    }
    if std::env::var_os("UPDATE_FILES").is_some() {
        std::fs::write(&path, &current).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == current, "proto/{file} is out of date: run with UPDATE_FILES=1");
}

#[test]
fn the_checked_in_openapi_is_current() {
    assert_current("openapi.json", servers::protocols::rest::openapi().to_pretty_json().unwrap());
}

#[test]
fn the_checked_in_graphql_schema_is_current() {
    assert_current("schema.graphql", servers::protocols::graphql::sdl());
}
