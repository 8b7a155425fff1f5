//! What serde and the TOML reader say of a file, in words that its writer knows: `expected usize`
//! becomes `expected a whole number`.

use crate::suggest::nearest;

/// What is wrong, and what to write instead where that can be said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

/// What every scenario has: those of its keys for which nothing stands in.
const NEEDED: [&str; 5] = ["name", "question", "workload", "condition", "contender"];

/// Types by their names in Rust, and what to write for them.
const TYPES: [(&str, &str); 14] = [
    ("usize", "a whole number"),
    ("u64", "a whole number"),
    ("u32", "a whole number"),
    ("u16", "a whole number"),
    ("u8", "a whole number"),
    ("i64", "a whole number"),
    ("f64", "a number"),
    ("f32", "a number"),
    ("a boolean", "true or false"),
    ("bool", "true or false"),
    ("a string", "text in quotes"),
    ("a borrowed string", "text in quotes"),
    ("a sequence", "a list in brackets"),
    ("a map", "a table"),
];

/// Rewrites a message; one that needs no rewriting stays as it is.
pub(crate) fn plain(message: &str) -> Told {
    let (first, quoted) = (message.lines().next().unwrap_or_default(), quoted(message));
    if let Some(rest) = first.strip_prefix("unknown field ") {
        return unknown("key", rest, &quoted);
    }
    if let Some(rest) = first.strip_prefix("unknown variant ") {
        return unknown("value", rest, &quoted);
    }
    if let Some(key) = first.strip_prefix("missing field ").and(quoted.first()) {
        let needs = "a scenario needs a name, a question, a [workload], a [[condition]] and a [[contender]], or takes them from \
                     another by `extend`; docs/SCENARIOS.md has whole examples";
        let help = NEEDED.contains(key).then(|| needs.to_owned());
        return Told { message: format!("the key '{key}' is missing"), help };
    }
    for kind in ["invalid type: ", "invalid value: "] {
        if let Some((found, expected)) =
            first.strip_prefix(kind).and_then(|rest| rest.split_once(", expected "))
        {
            let message =
                format!("expected {}, found {}", expected_in_words(expected), found_in_words(found));
            return Told { message, help: None };
        }
    }
    Told { message: message.trim_end().to_owned(), help: None }
}

/// What stands beneath the place: the same in a few words.
pub(crate) fn label(message: &str) -> String {
    if let Some(place) = message.find(" must ") {
        return message[place + 1..].to_owned();
    }
    if message.starts_with("expected ") {
        return message.split(", found ").next().unwrap_or(message).to_owned();
    }
    for (begins, label) in [("unknown key ", "unknown key"), ("unknown value ", "unknown value")] {
        if message.starts_with(begins) {
            return label.to_owned();
        }
    }
    if let Some(what) = message.strip_prefix("there is no ").and_then(|rest| rest.split(" '").next()) {
        return format!("no such {what}");
    }
    message.split([':', ';', '(']).next().unwrap_or(message).trim_end().to_owned()
}

/// The words between backticks.
fn quoted(message: &str) -> Vec<&str> {
    message.split('`').skip(1).step_by(2).collect()
}

/// `` `a`, expected one of `b`, `c` ``, of which the first is unknown and the others are known.
fn unknown(what: &str, rest: &str, quoted: &[&str]) -> Told {
    let Some((word, known)) = quoted.split_first() else {
        return Told { message: format!("unknown {what} {rest}"), help: None };
    };
    if let Some(table) = (what == "key").then(|| table_of(word)).flatten() {
        let help = Some(format!("'{word}' is a key of {table}"));
        return Told { message: format!("unknown key '{word}'"), help };
    }
    // A table has dozens of keys: of all of them none is a help.
    let list = || (what == "value" && !known.is_empty()).then(|| format!("there is: {}", known.join(", ")));
    let help = nearest(word, known).map(|near| format!("did you mean '{near}'?")).or_else(list);
    Told { message: format!("unknown {what} '{word}'"), help }
}

/// The tables of a scenario by their names in the schema, and as a file writes them.
const TABLES: [(&str, &str); 6] = [
    ("WireWorkload", "[workload]"),
    ("WireCondition", "a [[condition]]"),
    ("WireContender", "a [[contender]]"),
    ("WireClaim", "a [[claim]]"),
    ("WireBreakEven", "a [[break_even]]"),
    ("WireProfile", "[quick], [standard] and [full]"),
];

/// The table that has a key, which stands in another: the first that has it.
fn table_of(key: &str) -> Option<&'static str> {
    let schema = crate::wire::json_schema();
    let has = |(name, _): &&(&str, &str)| schema["$defs"][*name]["properties"].get(key).is_some();
    TABLES.iter().find(has).map(|(_, written)| *written)
}

fn expected_in_words(expected: &str) -> String {
    if expected.starts_with("struct ") {
        return "a table".to_owned();
    }
    let known = TYPES.iter().find(|(name, _)| *name == expected);
    known.map_or(expected, |(_, words)| words).to_owned()
}

/// ``integer `5` `` is 5, `string "many"` is "many".
fn found_in_words(found: &str) -> String {
    let value = found.split_once('`').map(|(_, rest)| rest.trim_end_matches('`'));
    let text = found.strip_prefix("string ");
    let kind = match found {
        "sequence" => "a list",
        "map" => "a table",
        other => other,
    };
    value.or(text).unwrap_or(kind).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_of_serde_reaches_a_reader() {
        for (said, message, help) in [
            (
                "unknown field `timeout`, expected one of `time_out`, `rate_per_s`",
                "unknown key 'timeout'",
                Some("did you mean 'time_out'?"),
            ),
            (
                "unknown field `connections`, expected one of `name`, `congestion`",
                "unknown key 'connections'",
                Some("'connections' is a key of a [[condition]]"),
            ),
            (
                "unknown variant `gopher`, expected one of `rest`, `grpc`",
                "unknown value 'gopher'",
                Some("there is: rest, grpc"),
            ),
            ("invalid type: string \"many\", expected f64", "expected a number, found \"many\"", None),
            ("invalid value: integer `-1`, expected usize", "expected a whole number, found -1", None),
            ("invalid type: sequence, expected a string", "expected text in quotes, found a list", None),
            ("invalid type: map, expected a sequence", "expected a list in brackets, found a table", None),
            ("invalid type: integer `3`, expected struct WireProfile", "expected a table, found 3", None),
            ("missing field `time_out`", "the key 'time_out' is missing", None),
            ("duplicate key", "duplicate key", None),
        ] {
            assert_eq!(plain(said), Told { message: message.to_owned(), help: help.map(str::to_owned) });
        }
        assert!(plain("missing field `question`").help.is_some());
    }

    #[test]
    fn a_label_says_what_is_wrong() {
        for (message, label_) in [
            ("unknown key 'timeout'", "unknown key"),
            ("expected a whole number, found \"8\"", "expected a whole number"),
            ("rounds must be from 1 to 1 000", "must be from 1 to 1 000"),
            ("there is no contender 'tpc'", "no such contender"),
            ("only `history` has candles", "only `history` has candles"),
        ] {
            assert_eq!(label(message), label_);
        }
    }
}
