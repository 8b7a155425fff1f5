//! `--set KEY=VALUE`: a scenario's text with some of its values changed.

use crate::ScenarioError;
use crate::suggest::did_you_mean;

/// Tables that a scenario has although its file does not say so.
const OPTIONAL: [&str; 4] = ["quick", "standard", "full", "defaults"];

/// The text of a scenario with some of its values changed: `workload.rate_per_s=500`.
pub(super) fn with_settings(file: &str, text: &str, settings: &[String]) -> Result<String, ScenarioError> {
    let mut root: toml::Table =
        toml::from_str(text).map_err(|error| ScenarioError::from_toml(file, text, &error))?;
    for setting in settings {
        let fail = |message: String| ScenarioError::Setting { setting: setting.clone(), message };
        let (path, value) = setting.split_once('=').ok_or_else(|| fail("write KEY=VALUE".to_owned()))?;
        // A bare word is a string: `--set workload.time_out=2s`.
        let value = toml::from_str::<toml::Table>(&format!("value = {value}"))
            .ok()
            .and_then(|mut table| table.remove("value"))
            .unwrap_or_else(|| toml::Value::String(value.to_owned()));
        let (tables, key) = path.rsplit_once('.').map_or((None, path), |(tables, key)| (Some(tables), key));
        let mut table = &mut root;
        for name in tables.into_iter().flat_map(|tables| tables.split('.')) {
            let known = table.iter().filter(|(_, value)| value.is_table());
            let known: Vec<String> = known.map(|(name, _)| name.clone()).collect();
            if OPTIONAL.contains(&name) && !table.contains_key(name) {
                table.insert(name.to_owned(), toml::Value::Table(toml::Table::new()));
            }
            table = match table.get_mut(name) {
                Some(toml::Value::Table(inner)) => inner,
                _ => {
                    let known: Vec<&str> = known.iter().map(String::as_str).collect();
                    return Err(fail(format!("there is no table '{name}'; {}", did_you_mean(name, &known))));
                }
            };
        }
        table.insert(key.to_owned(), value);
    }
    toml::to_string(&root)
        .map_err(|error| ScenarioError::Setting { setting: settings.join(" "), message: error.to_string() })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{Scenario, ScenarioError};

    const GOOD: &str = include_str!("../rest-vs-grpc.toml");

    #[test]
    fn settings_change_values_and_unknown_ones_are_refused() {
        let set = |setting: &str| Scenario::parse("x.toml", GOOD, &[setting.to_owned()]);
        let changed = set("workload.time_out=2s").unwrap();
        assert_eq!(changed.workload.time_out, Duration::from_secs(2));
        assert_eq!(set("quick.rounds=3").unwrap().profiles.quick.rounds, 3);
        assert!(matches!(set("workload.nothing=1"), Err(ScenarioError::Broken { .. })));
        assert!(matches!(set("nowhere.nothing=1"), Err(ScenarioError::Setting { .. })));
        assert!(matches!(set("workload.time_out"), Err(ScenarioError::Setting { .. })));
        let said = |setting: &str| set(setting).unwrap_err().to_string();
        assert!(said("worklaod.time_out=2s").contains("did you mean 'workload'?"));
        // A table that the file leaves to its defaults can be set all the same.
        let without = GOOD.split("[full]").next().unwrap();
        let changed = Scenario::parse("x.toml", without, &["full.rounds=3".to_owned()]).unwrap();
        assert_eq!(changed.profiles.full.rounds, 3);
    }
}
