//! The variables of a request: a query can use each of them in hundreds of places, and each use
//! copies it.

use async_graphql::{Value, Variables};

/// What the variables of a request may have.
#[derive(Debug, Clone, Copy)]
pub(super) struct VariableBounds {
    /// Values, the names of fields included.
    pub(super) values_max: usize,
    /// Bytes of a string.
    pub(super) bytes_max: usize,
}

impl VariableBounds {
    /// Looks at every value.
    ///
    /// # Errors
    /// What the variables have too much of.
    pub(super) fn check(&self, variables: &Variables) -> Result<(), String> {
        let mut values = 0;
        variables.iter().try_for_each(|(name, value)| self.check_value(name, value, &mut values))
    }

    fn check_text(&self, name: &str, values: &mut usize) -> Result<(), String> {
        *values += 1;
        if *values > self.values_max {
            return Err(format!("the variables have at most {} values", self.values_max));
        }
        match name.len() > self.bytes_max {
            true => Err(format!("a string of the variables has at most {} bytes", self.bytes_max)),
            false => Ok(()),
        }
    }

    /// JSON's own bound on nesting bounds the recursion.
    fn check_value(&self, name: &str, value: &Value, values: &mut usize) -> Result<(), String> {
        self.check_text(name, values)?;
        match value {
            Value::String(text) => self.check_text(text, values),
            Value::List(items) => items.iter().try_for_each(|item| self.check_value("", item, values)),
            Value::Object(fields) => {
                fields.iter().try_for_each(|(name, value)| self.check_value(name, value, values))
            }
            Value::Null | Value::Number(_) | Value::Boolean(_) | Value::Binary(_) | Value::Enum(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_and_strings_are_bounded_wherever_they_stand() {
        let bounds = VariableBounds { values_max: 5, bytes_max: 3 };
        for (variables, is_right) in [
            (json!(null), true),
            (json!({ "a": "abc", "b": 1 }), true),
            (json!({ "a": "abcd" }), false),
            (json!({ "abcd": 1 }), false),
            (json!({ "a": ["abcd"] }), false),
            (json!({ "a": { "abcd": 1 } }), false),
            (json!({ "a": { "b": { "c": "abcd" } } }), false),
            (json!({ "a": [1, 2, 3, 4] }), true),
            (json!({ "a": [1, 2, 3, 4, 5] }), false),
            (json!({ "a": [[1, 2], [3]], "b": 1 }), false),
        ] {
            let checked = bounds.check(&Variables::from_json(variables.clone()));
            assert_eq!(checked.is_ok(), is_right, "{variables}: {checked:?}");
        }
    }
}
