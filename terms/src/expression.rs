//! The one grammar for thresholds: a path in the results without its unit, an operator, a value
//! with its unit: `response.p99 > 20ms`, `cpu_per_call > 10%`, `failed > 1%`, `rate_per_s < 900`.

use crate::{Distribution, Figure};

/// What a figure is held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// Itself: µs, a share, a number.
    Absolute(f64),
    /// The change from an older record, as a share of it.
    Change(f64),
}

/// A condition on a figure. It travels as its text.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Expression {
    /// As it was written.
    pub text: String,
    /// What it is about.
    pub figure: Figure,
    /// True where the figure is above the value; else where it is below.
    pub above: bool,
    /// The value.
    pub value: Value,
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// In words, with what would be right.
    pub fn parse(text: &str) -> Result<Expression, String> {
        let at = text.find(['<', '>']).ok_or("write PATH > VALUE or PATH < VALUE")?;
        let (path, rest) = text.split_at(at);
        let figure = Figure::parse(path.trim())?;
        let value = rest[1..].trim();
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
        let parsed = match value.strip_suffix('%') {
            Some(percent) if figure.is_share() => number(percent).map(|p| Value::Absolute(p / 100.0)),
            Some(percent) => number(percent).map(|p| Value::Change(p / 100.0)),
            None if figure.is_time() => humantime::parse_duration(value)
                .ok()
                .map(|span| Value::Absolute(span.as_nanos() as f64 / 1e3)),
            None if figure.is_share() && number(value).is_some_and(|share| share > 1.0) => {
                return Err(format!("this is a share of all calls: write {value}% or a number up to 1"));
            }
            None => number(value).map(Value::Absolute),
        };
        let value = parsed.ok_or_else(|| {
            let unit = if figure.is_time() {
                "a time with its unit, such as 20ms"
            } else {
                "a number, or a share such as 1%"
            };
            format!("'{value}' is not {unit}")
        })?;
        Ok(Expression { text: text.to_owned(), figure, above: rest.starts_with('>'), value })
    }

    /// Reads one that stands alone, without an older record to compare with.
    ///
    /// # Errors
    /// As [`Expression::parse`], and where it is about a change.
    pub fn parse_absolute(text: &str) -> Result<Expression, String> {
        let expression = Expression::parse(text)?;
        match expression.value {
            Value::Absolute(_) => Ok(expression),
            Value::Change(_) => {
                Err("a percentage needs something to compare with: only `failed` and `within` are shares"
                    .to_owned())
            }
        }
    }

    /// The value that a figure is held against; of a change, the share.
    pub fn limit(&self) -> f64 {
        match self.value {
            Value::Absolute(value) | Value::Change(value) => value,
        }
    }

    /// Whether a figure makes it true; a change is never true of a figure alone.
    pub fn is_true_of(&self, figure: f64) -> bool {
        match self.value {
            Value::Absolute(value) => {
                if self.above {
                    figure > value
                } else {
                    figure < value
                }
            }
            Value::Change(_) => false,
        }
    }
}

impl TryFrom<String> for Expression {
    type Error = String;
    fn try_from(text: String) -> Result<Expression, String> {
        Expression::parse(&text)
    }
}

impl From<Expression> for String {
    fn from(expression: Expression) -> String {
        expression.text
    }
}

/// Reads an objective: a time or a share that must be kept, such as `response.p99 < 5ms`.
///
/// # Errors
/// In words, where it is none.
pub fn parse_objective(text: &str) -> Result<Expression, String> {
    let objective = Expression::parse_absolute(text)?;
    match objective.figure {
        Figure::Time(Distribution::Response | Distribution::Service, _) if !objective.above => Ok(objective),
        _ => Err("an objective is a bound on response times, such as 'response.p99 < 5ms'".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Point;

    #[test]
    fn an_expression_is_a_path_an_operator_and_a_value_with_its_unit() {
        let expression = Expression::parse("response.p99 > 20ms").unwrap();
        assert_eq!(expression.figure, Figure::Time(Distribution::Response, Point::Percentile(0.99)));
        assert!(expression.above && expression.value == Value::Absolute(20_000.0));
        assert_eq!(Expression::parse("failed>1%").unwrap().value, Value::Absolute(0.01));
        assert_eq!(Expression::parse("cpu_per_call > 10%").unwrap().value, Value::Change(0.1));
        assert!(!Expression::parse("rate_per_s < 900").unwrap().above);
        let within = Expression::parse("within.60ms > 98.5%").unwrap();
        assert_eq!((within.figure, within.value), (Figure::Within(60_000.0), Value::Absolute(0.985)));
        for wrong in [
            "response.p99 > 20",
            "response.p98 > 1ms",
            "p99 > 1ms",
            "response.p99",
            "rate_per_s > NaN",
            "failed > 5",
            "within > 5%",
            "within.5 > 5%",
            "share.0 > 5%",
        ] {
            assert!(Expression::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Expression::parse_absolute("rate_per_s > 5%").is_err());
        assert!(Expression::parse_absolute("failed > 5%").is_ok());
    }
}
