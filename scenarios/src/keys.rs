//! The tables of keys in `docs/SCENARIOS.md`, drawn from the JSON Schema: page and editors say the
//! same, and both say what the doc comments of `wire`, `asked` and `profile` say.

use std::collections::BTreeMap;

use serde_json::Value;

/// Where the tables stand in the page.
const BEGIN: &str = "<!-- keys: begin (UPDATE_FILES=1 cargo test -p wirebench-scenarios) -->\n";
const END: &str = "<!-- keys: end -->";
/// What a doc comment has before a key's default.
const DEFAULT: &str = "Default: ";
/// The tables that every file has; they stand first.
const FIRST: [&str; 3] = ["workload", "condition", "contender"];

/// What a key holds, and the keys that hold it.
type Table<'a> = (&'a Value, Vec<(&'a str, &'a Value)>);
type Tables<'a> = Vec<Table<'a>>;

/// The tables of all keys.
fn tables(schema: &Value) -> String {
    let mut all = String::from("### The head of the file\n\n");
    all += &rows(schema, schema);
    for (of, keys) in in_order(nested(schema, schema)) {
        section(schema, of, &keys, "", &mut all);
    }
    all
}

/// The tables of one table's keys, and of those within it. Several keys may have the same ones, as
/// profiles have.
fn section(schema: &Value, of: &Value, keys: &[(&str, &Value)], within: &str, all: &mut String) {
    let name = |(key, property): &(&str, &Value)| {
        let path = format!("{within}{key}");
        if property["type"] == "array" { format!("`[[{path}]]`") } else { format!("`[{path}]`") }
    };
    let names: Vec<String> = keys.iter().map(name).collect();
    let about = if let [(_, only)] = keys { text(only) } else { text(of) };
    *all += &format!("\n### {}\n\n{about}\n\n{}", names.join(", "), rows(schema, of));
    for (inner, inner_keys) in in_order(nested(schema, of)) {
        section(schema, inner, &inner_keys, &format!("{within}{}.", keys[0].0), all);
    }
}

/// A row for each key that is no table; those that are needed first.
fn rows(schema: &Value, of: &Value) -> String {
    let plain = properties(of).into_iter().filter(|(_, property)| target(schema, property).is_none());
    let mut plain: Vec<_> = plain.map(|(key, property)| (!is_needed(of, key), key, property)).collect();
    plain.sort_by_key(|(is_optional, key, _)| (*is_optional, *key));
    let rows = plain.into_iter().map(|(is_optional, key, property)| {
        let (meaning, default) = meaning_and_default(property);
        let default = if is_optional { default } else { "needed".to_owned() };
        format!("| `{key}` | {meaning} | {default} | {} |\n", example(property))
    });
    format!("| key | meaning | default | example |\n|---|---|---|---|\n{}", rows.collect::<String>())
}

fn properties(of: &Value) -> Vec<(&str, &Value)> {
    of["properties"].as_object().into_iter().flatten().map(|(key, value)| (key.as_str(), value)).collect()
}

fn is_needed(of: &Value, key: &str) -> bool {
    of["required"].as_array().is_some_and(|needed| needed.iter().any(|of| of == key))
}

/// The table that a key holds, or a list of.
fn target<'a>(schema: &'a Value, property: &Value) -> Option<&'a Value> {
    let one_of = property["anyOf"].as_array().and_then(|all| all.first());
    let reference = [Some(property), one_of, property.get("items")].into_iter().flatten();
    let name = reference.filter_map(|place| place["$ref"].as_str()).next()?.strip_prefix("#/$defs/")?;
    schema["$defs"].get(name).filter(|target| target["properties"].is_object())
}

/// The keys that are tables, by what they hold.
fn nested<'a>(schema: &'a Value, of: &'a Value) -> Tables<'a> {
    let mut by_target: BTreeMap<String, Table<'_>> = BTreeMap::new();
    for (key, property) in properties(of) {
        let Some(target) = target(schema, property) else { continue };
        by_target.entry(target.to_string()).or_insert((target, Vec::new())).1.push((key, property));
    }
    by_target.into_values().collect()
}

fn in_order(mut tables: Tables<'_>) -> Tables<'_> {
    let place = |key: &str| FIRST.iter().position(|first| *first == key).unwrap_or(FIRST.len());
    tables.sort_by_key(|(_, keys)| (place(keys[0].0), keys[0].0));
    tables
}

fn text(of: &Value) -> String {
    of["description"].as_str().unwrap_or_default().replace('\n', " ")
}

fn meaning_and_default(property: &Value) -> (String, String) {
    let text = text(property);
    match text.split_once(DEFAULT) {
        Some((meaning, default)) => (meaning.trim().to_owned(), default.trim_end_matches('.').to_owned()),
        None => (text, "none".to_owned()),
    }
}

/// JSON's scalars and lists of them are TOML's.
fn example(property: &Value) -> String {
    let first = property["examples"].as_array().and_then(|all| all.first());
    match first {
        Some(Value::Array(values)) => {
            let values: Vec<String> = values.iter().map(Value::to_string).collect();
            format!("`[{}]`", values.join(", "))
        }
        Some(value) => format!("`{value}`"),
        None if property["type"] == "number" => "`0.9`".to_owned(),
        None => "`\"…\"`".to_owned(),
    }
}

/// `UPDATE_FILES=1 cargo test` writes them again.
#[test]
fn the_tables_of_keys_in_the_page_are_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/SCENARIOS.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (head, rest) = page.split_once(BEGIN).expect("the page has no place for its tables");
    let (stored, tail) = rest.split_once(END).expect("the tables have no end");
    let current = format!("\n{}\n", tables(&crate::json_schema()));
    if std::env::var_os("UPDATE_FILES").is_some() {
        std::fs::write(path, [head, BEGIN, &current, END, tail].concat()).unwrap();
    } else {
        assert!(stored == current, "docs/SCENARIOS.md is out of date: run with UPDATE_FILES=1");
    }
}

/// An editor shows nothing of a key without a meaning, and a reader cannot guess a default.
#[test]
fn every_key_has_a_meaning_and_an_example_and_says_its_default() {
    let schema = crate::json_schema();
    let ours = schema["$defs"].as_object().unwrap().iter().filter(|(name, _)| name.starts_with("Wire"));
    let mut checked = 0;
    for (name, of) in ours.map(|(name, of)| (name.as_str(), of)).chain([("file", &schema)]) {
        for (key, property) in properties(of) {
            assert!(!text(property).is_empty(), "{name}.{key} has no meaning");
            if target(&schema, property).is_some() {
                continue;
            }
            assert!(property["examples"].is_array(), "{name}.{key} has no example");
            let says = text(property).contains(DEFAULT);
            assert!(says != is_needed(of, key), "{name}.{key}: what may be left out says its default");
            checked += 1;
        }
    }
    assert!(checked > 80, "only {checked} keys were found");
}

/// The page begins with a file that a stranger can copy: as short as one with a claim can be.
#[test]
fn the_page_begins_with_eight_lines_that_are_a_scenario() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/SCENARIOS.md");
    let page = std::fs::read_to_string(path).unwrap();
    let block = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let scenario = crate::Scenario::parse("docs/SCENARIOS.md", block, &[]).unwrap();
    assert_eq!((block.lines().count(), scenario.claims.len(), scenario.contenders.len()), (8, 1, 3));
}
