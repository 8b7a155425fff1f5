//! Which encoding a caller reads (`Accept`) and which it wrote (`Content-Type`), by RFC 9110.

use axum::http::{HeaderMap, StatusCode, header};
use proto::encoding::Encoding;

use super::problem::Problem;

const OFFERED: &str = "this API speaks application/json and application/x-protobuf";

/// The encoding to answer in: the one that `Accept` weighs highest, JSON where they are equal or it
/// is absent.
pub(super) fn accepted(headers: &HeaderMap) -> Result<Encoding, Problem> {
    let mut values = headers.get_all(header::ACCEPT).iter().peekable();
    if values.peek().is_none() {
        return Ok(Encoding::Json);
    }
    let (mut json, mut protobuf) = (Weight::default(), Weight::default());
    for item in values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')) {
        let (range, weight) = media_range(item);
        json.consider(range, Encoding::Json, weight);
        protobuf.consider(range, Encoding::Protobuf, weight);
    }
    match (json.weight, protobuf.weight) {
        (0, 0) => Err(Problem::new(StatusCode::NOT_ACCEPTABLE, OFFERED)),
        (json, protobuf) if protobuf > json => Ok(Encoding::Protobuf),
        _ => Ok(Encoding::Json),
    }
}

/// The encoding of the request's body; JSON where it does not say.
pub(super) fn content_encoding(headers: &HeaderMap) -> Result<Encoding, Problem> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(Encoding::Json) };
    let (kind, _) = media_range(value.to_str().unwrap_or_default());
    [Encoding::Json, Encoding::Protobuf]
        .into_iter()
        .find(|encoding| kind.eq_ignore_ascii_case(encoding.media_type()))
        .ok_or_else(|| Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, OFFERED))
}

/// The weight of the most specific range that names an encoding.
#[derive(Default)]
struct Weight {
    precision: u8,
    weight: u16,
}

impl Weight {
    fn consider(&mut self, range: &str, encoding: Encoding, weight: u16) {
        let precision = match range {
            "*/*" => 1,
            "application/*" => 2,
            exact if exact.eq_ignore_ascii_case(encoding.media_type()) => 3,
            _ => 0,
        };
        if precision > self.precision {
            *self = Weight { precision, weight };
        }
    }
}

/// A media range and its weight in thousandths.
fn media_range(item: &str) -> (&str, u16) {
    let mut parts = item.split(';').map(str::trim);
    let range = parts.next().unwrap_or_default();
    let weight = parts.find_map(|part| part.strip_prefix("q=")).and_then(|q| q.parse::<f32>().ok());
    (range, weight.map_or(1_000, |q| (q.clamp(0.0, 1.0) * 1_000.0) as u16))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(value: &'static str) -> Option<Encoding> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, value.parse().unwrap());
        accepted(&headers).ok()
    }

    #[test]
    fn the_heavier_range_wins_and_json_wins_a_tie() {
        assert_eq!(accepted(&HeaderMap::new()).ok(), Some(Encoding::Json));
        for (value, expected) in [
            ("*/*", Some(Encoding::Json)),
            ("application/x-protobuf", Some(Encoding::Protobuf)),
            ("application/json;q=0.5, application/x-protobuf", Some(Encoding::Protobuf)),
            ("application/x-protobuf;q=0.1, */*;q=0.9", Some(Encoding::Json)),
            ("text/html, application/*;q=0.2", Some(Encoding::Json)),
            ("application/json;q=0, application/*", Some(Encoding::Protobuf)),
            ("text/html", None),
        ] {
            assert_eq!(accept(value), expected, "{value}");
        }
    }
}
