//! `extend = "rest-vs-grpc"`: a scenario that says only what is different about it.

use std::ops::Range;

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use crate::ScenarioError;
use crate::scenario::{BUILT_IN, FILE_BYTES_MAX};

/// How often what is extended may extend something itself.
const DEPTH_MAX: usize = 4;

/// The tables that say how much is run.
const PROFILES: [&str; 3] = ["quick", "standard", "full"];

/// What a scenario says only for itself.
const ITS_OWN: [&str; 6] = ["card", "bench", "claim", "break_even", "map", "baseline"];

/// The text with what it extends; itself where it extends nothing. A file that is extended is
/// looked for beside this one.
pub(super) fn extended(file: &str, text: &str) -> Result<Option<String>, ScenarioError> {
    let mut whole = read(file, text)?;
    if !whole.contains_key("extend") {
        return Ok(None);
    }
    if !whole.contains_key("name") {
        return Err(at_key("extend", file, text, "a scenario that extends another needs a name of its own"));
    }
    let mut from = file.to_owned();
    for _ in 0..DEPTH_MAX {
        let Some(base) = whole.remove("extend") else { break };
        let (base_file, base_text) = find(file, text, &from, &base)?;
        let base = read(&base_file, &base_text)?;
        if base.get("name") == whole.get("name") {
            return Err(at_key("name", file, text, "this is the name of what it extends: choose another"));
        }
        whole = over(base, whole);
        from = base_file;
    }
    if whole.contains_key("extend") {
        return Err(at_extend(
            file,
            text,
            "a scenario must extend at most four others, one through the other",
        ));
    }
    toml::to_string(&whole).map(Some).map_err(|error| at_extend(file, text, &error.to_string()))
}

fn read(file: &str, text: &str) -> Result<Table, ScenarioError> {
    toml::from_str(text).map_err(|error| ScenarioError::from_toml(file, text, &error))
}

/// A built-in scenario by its name, or a file.
fn find(file: &str, text: &str, from: &str, base: &Value) -> Result<(String, String), ScenarioError> {
    let Some(base) = base.as_str() else {
        return Err(at_extend(
            file,
            text,
            "extend must be the name of a built-in scenario or the path of a file",
        ));
    };
    if let Some((name, text)) = BUILT_IN.iter().find(|(name, _)| *name == base) {
        return Ok((format!("scenarios/{name}.toml"), (*text).to_owned()));
    }
    let path = std::path::Path::new(from).with_file_name(base);
    let read = files::read_text(&path, FILE_BYTES_MAX);
    let read = read.map_err(|error| {
        at_extend(file, text, &format!("no built-in scenario is called that, and {error}"))
    })?;
    Ok((path.display().to_string(), read))
}

fn at_extend(file: &str, text: &str, message: &str) -> ScenarioError {
    at_key("extend", file, text, message)
}

/// An error at the first line that begins with a key.
fn at_key(key: &str, file: &str, text: &str, message: &str) -> ScenarioError {
    let mut from = 0;
    for line in text.split_inclusive('\n') {
        if line.trim_start().starts_with(key) {
            return ScenarioError::at(file, text, from..from + line.trim_end().len(), message, None);
        }
        from += line.len();
    }
    ScenarioError::at(file, text, 0..0, message, None)
}

/// Tables key by key, lists of tables by their names; all else as the upper one has it.
fn over(mut base: Table, upper: Table) -> Table {
    // Acts too: each is asked by a scenario of its own line of the card.
    for key in ITS_OWN.into_iter().chain(terms::Act::KEYS) {
        base.remove(key);
    }
    let own = names_of(&upper, "contender");
    let lists: Vec<&str> =
        PROFILES.into_iter().filter(|profile| !lists_contenders(&upper, profile)).collect();
    for (key, value) in upper {
        let merged = match (base.remove(&key), value) {
            (Some(Value::Table(base)), Value::Table(upper)) => {
                let mut base = base;
                base.extend(upper);
                Value::Table(base)
            }
            (Some(Value::Array(base)), Value::Array(upper)) if has_names(&base) => {
                Value::Array(by_name(base, upper))
            }
            (_, value) => value,
        };
        base.insert(key, merged);
    }
    for profile in lists {
        measure_too(&mut base, profile, &own);
    }
    base
}

fn lists_contenders(whole: &Table, profile: &str) -> bool {
    whole.get(profile).is_some_and(|table| table.get("contenders").is_some())
}

fn names_of(whole: &Table, list: &str) -> Vec<Value> {
    let list = whole.get(list).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(|value| value.get("name")).cloned().collect()
}

/// Adds contenders to the list of a profile that has one: whoever adds a contender wants it
/// measured.
fn measure_too(whole: &mut Table, profile: &str, own: &[Value]) {
    let Some(Value::Table(profile)) = whole.get_mut(profile) else { return };
    let Some(Value::Array(listed)) = profile.get_mut("contenders") else { return };
    let more: Vec<Value> = own.iter().filter(|name| !listed.contains(name)).cloned().collect();
    listed.extend(more);
}

fn has_names(list: &[Value]) -> bool {
    list.iter().all(|value| value.get("name").is_some())
}

fn by_name(mut base: Vec<Value>, upper: Vec<Value>) -> Vec<Value> {
    for value in upper {
        match base.iter_mut().find(|known| known.get("name") == value.get("name")) {
            Some(known) => *known = value,
            None => base.push(value),
        }
    }
    base
}

/// An error in the whole text, at its place in the file that extends, where what is wrong is said
/// there.
pub(super) fn at_home(error: ScenarioError, whole: &str, file: &str, text: &str) -> ScenarioError {
    let ScenarioError::Broken { message, span, help, .. } = &error else { return error };
    let at = span.offset()..span.offset() + span.len();
    let (Ok(whole), Ok(own)) = (DeTable::parse(whole), DeTable::parse(text)) else { return error };
    match in_table(whole.get_ref(), own.get_ref(), &at) {
        Some(home) => ScenarioError::at(file, text, home, message, help.clone()),
        None => error,
    }
}

/// The place in a table of what lies at a place of the whole one: of a key, or within its value.
fn in_table(whole: &DeTable<'_>, own: &DeTable<'_>, at: &Range<usize>) -> Option<Range<usize>> {
    own.iter().find_map(|(key, value)| {
        let (known, known_value) = whole.get_key_value(key)?;
        if encloses(&known.span(), at) { Some(key.span()) } else { in_value(known_value, value, at) }
    })
}

fn in_value(
    whole: &Spanned<DeValue<'_>>,
    own: &Spanned<DeValue<'_>>,
    at: &Range<usize>,
) -> Option<Range<usize>> {
    let deeper = match (whole.get_ref(), own.get_ref()) {
        (DeValue::Table(whole), DeValue::Table(own)) => in_table(whole, own, at),
        (DeValue::Array(whole), DeValue::Array(own)) => own.iter().enumerate().find_map(|(nth, own)| {
            let name = |value: &Spanned<DeValue<'_>>| {
                Some(value.get_ref().get("name")?.get_ref().as_str()?.to_owned())
            };
            let same = match name(own) {
                Some(named) => whole.iter().find(|whole| name(whole).as_ref() == Some(&named)),
                None => whole.get(nth),
            };
            in_value(same?, own, at)
        }),
        _ => None,
    };
    deeper.or_else(|| encloses(&whole.span(), at).then(|| own.span()))
}

fn encloses(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

#[cfg(test)]
mod tests {
    use crate::Scenario;

    const EXTENDING: &str = r#"
name = "mine"
extend = "rest-vs-grpc"
question = "And over TLS?"
analysis = "None yet."

[workload]
rate_per_s = 500

[[contender]]
name = "grpc"
protocol = "grpc"
tls = "1.3"

[[contender]]
name = "rest-h1-tls"
protocol = "rest"
tls = "1.3"

[quick]
contenders = ["grpc", "rest-h1-tls"]
"#;

    #[test]
    fn what_is_not_said_is_said_by_what_is_extended() {
        let scenario = Scenario::parse("mine.toml", EXTENDING, &[]).unwrap();
        let base = Scenario::find("rest-vs-grpc", &[]).unwrap();
        assert_eq!((scenario.name.as_str(), scenario.claims.len(), scenario.bench), ("mine", 0, false));
        assert_eq!(scenario.conditions.len(), base.conditions.len());
        // One more; the one of the same name is another. Without a claim, the first contender is
        // the baseline.
        assert_eq!(scenario.contenders.len(), base.contenders.len() + 1);
        assert!(scenario.contender("grpc").unwrap().in_words().contains("TLS 1.3"));
        assert_eq!(scenario.workload.time_out, base.workload.time_out);
        assert_eq!(scenario.profiles.quick.rounds, base.profiles.quick.rounds);
        assert_eq!(scenario.profiles.quick.contenders.len(), 4);
    }

    #[test]
    fn its_own_contenders_are_measured_where_it_does_not_say_who_is() {
        let quick = "\n[quick]\ncontenders = [\"grpc\", \"rest-h1-tls\"]\n";
        assert!(EXTENDING.contains(quick));
        let base = Scenario::find("rest-vs-grpc", &[]).unwrap();
        let scenario = Scenario::parse("mine.toml", &EXTENDING.replace(quick, ""), &[]).unwrap();
        for (own, inherited) in [
            (&scenario.profiles.quick, &base.profiles.quick),
            (&scenario.profiles.standard, &base.profiles.standard),
        ] {
            assert!(own.contenders.contains(&"rest-h1-tls".to_owned()), "{own:?}");
            assert_eq!(own.contenders.len(), inherited.contenders.len() + 1);
        }
    }

    #[test]
    fn what_extends_has_a_name_of_its_own() {
        for (text, line, says) in [
            (EXTENDING.replace("name = \"mine\"\n", ""), 2, "needs a name of its own"),
            (EXTENDING.replace("\"mine\"", "\"rest-vs-grpc\""), 2, "the name of what it extends"),
        ] {
            let error = Scenario::parse("mine.toml", &text, &[]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("mine.toml:{line}: ")) && error.contains(says), "{error}");
        }
    }

    /// Whatever a scenario can ask for is inherited or its own; a key that is new must be in one of
    /// the two lists.
    #[test]
    fn every_key_is_inherited_or_a_scenarios_own_and_no_act_is_inherited() {
        let inherited =
            ["name", "extend", "question", "analysis", "link", "workload", "defaults", "condition"];
        let profiles = ["contender", "quick", "standard", "full"];
        let own = super::ITS_OWN.into_iter().chain(terms::Act::KEYS);
        let mut known: Vec<&str> = inherited.into_iter().chain(profiles).chain(own).collect();
        known.sort_unstable();
        let schema = crate::json_schema();
        let mut keys: Vec<&str> =
            schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, known);
        let base = Scenario::find("cost-of-state", &[]).unwrap();
        assert_eq!(base.acts.len(), 3);
        let text = "name = \"mine\"\nextend = \"cost-of-state\"\nquestion = \"?\"";
        assert_eq!(Scenario::parse("mine.toml", text, &[]).unwrap().acts, []);
    }

    #[test]
    fn what_cannot_be_extended_is_said_at_its_line() {
        for (wrong, says) in
            [("rest-vs-grcp", "no built-in scenario is called that"), ("mine.toml", "No such file")]
        {
            let text = EXTENDING.replace("rest-vs-grpc", wrong);
            let error = Scenario::parse("/nowhere/mine.toml", &text, &[]).unwrap_err().to_string();
            assert!(error.starts_with("/nowhere/mine.toml:3: ") && error.contains(says), "{error}");
        }
    }

    #[test]
    fn what_is_wrong_in_the_file_that_extends_is_said_at_its_own_line() {
        for (right, wrong, line, says) in [
            ("rate_per_s = 500", "rate_per_sec = 500", 8, "unknown key 'rate_per_sec'"),
            ("rate_per_s = 500", "rate_per_s = \"many\"", 8, "expected a number, found \"many\""),
            ("protocol = \"rest\"", "protocol = \"rust\"", 17, "rust"),
            ("[\"grpc\", \"rest-h1-tls\"]", "[\"grpc\", 'rest-h9']", 21, "there is no contender 'rest-h9'"),
            ("protocol = \"rest\"\n", "", 16, "a contender needs a protocol"),
        ] {
            let text = EXTENDING.replace(right, wrong);
            let error = Scenario::parse("mine.toml", &text, &[]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("mine.toml:{line}: ")) && error.contains(says), "{error}");
        }
        // What the other file says, and this one makes wrong, is in no line of this one.
        let text = EXTENDING.replace("[quick]", "[[condition]]\nname = \"8x1\"\nlink = \"rtt=1ms\"\n[quick]");
        let error =
            Scenario::parse("mine.toml", &text, &["quick.rounds=0".to_owned()]).unwrap_err().to_string();
        assert!(error.starts_with("mine.toml with what it extends with --set:"), "{error}");
    }
}
