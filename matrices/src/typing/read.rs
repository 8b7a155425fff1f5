//! From an answer to who made it: each protocol says in its own way whether the market refused, or
//! what stands before it.

use clients::raw::{HttpAnswer, TextAnswer};
use proto::encoding::Encoding;
use proto::v1::OrderReceipt;
use serde_json::Value;

/// Letters of a detail, at most.
const DETAIL_MAX: usize = 180;
/// gRPC statuses that the market never gives: tonic's own.
const OF_THE_STACK: [(&str, &str); 3] = [("13", "INTERNAL"), ("12", "UNIMPLEMENTED"), ("11", "OUT_OF_RANGE")];
/// gRPC statuses that the market gives.
const OF_THE_MARKET: [(&str, &str); 4] =
    [("3", "INVALID_ARGUMENT"), ("5", "NOT_FOUND"), ("6", "ALREADY_EXISTS"), ("8", "RESOURCE_EXHAUSTED")];

/// Who answered, and the answer in words.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    pub(super) caught: Caught,
    pub(super) detail: String,
}

/// Who refused a message.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Caught {
    Stack,
    Handler,
    /// Nobody; the order that was placed, if one was.
    Accepted(Option<Value>),
}

fn seen(caught: Caught, detail: &str) -> Seen {
    let detail = detail.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut: String = detail.chars().take(DETAIL_MAX).collect();
    Seen { caught, detail: if cut.len() < detail.len() { format!("{cut}…") } else { cut } }
}

/// What was done, in words.
fn accepted(body: &Value) -> Seen {
    let order = body.get("order").filter(|order| order.is_object()).cloned();
    let words = match (&order, body.get("candles").and_then(Value::as_array)) {
        (Some(order), _) => format!("placed {order}"),
        (None, Some(candles)) => format!("{} candles", candles.len()),
        (None, None) => format!("accepted: {body}"),
    };
    seen(Caught::Accepted(order), &words)
}

/// The market's problems carry its code; those of the stack do not.
pub(super) fn rest(answer: &HttpAnswer) -> Seen {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if answer.status < 400 {
        return accepted(&body);
    }
    let said = body["detail"].as_str().map_or_else(|| text(&answer.body), str::to_owned);
    let caught = if body["code"].is_string() { Caught::Handler } else { Caught::Stack };
    seen(caught, &format!("{}: {said}", answer.status))
}

/// The market's errors carry its code in their extensions.
pub(super) fn graphql(answer: &HttpAnswer) -> Seen {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let Some(error) = body["errors"].get(0) else {
        let data = &body["data"];
        let result = data.get("place_order").or_else(|| data.get("history")).unwrap_or(&Value::Null);
        return accepted(result);
    };
    let said = error["message"].as_str().unwrap_or_default();
    let caught = if error["extensions"]["code"].is_string() { Caught::Handler } else { Caught::Stack };
    seen(caught, &format!("error: {said}"))
}

/// The market's statuses are not tonic's own.
pub(super) fn grpc(answer: &HttpAnswer) -> Seen {
    let header = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok());
    let said = header("grpc-message").map(percent_decoded).unwrap_or_default();
    let named = |names: &[(&str, &str)], code: &str| {
        names.iter().find(|(other, _)| *other == code).map(|(_, name)| (*name).to_owned())
    };
    match header("grpc-status") {
        Some("0") => {
            let message = answer.body.get(5..).unwrap_or_default();
            if let Ok(receipt) = Encoding::Protobuf.decode::<OrderReceipt>(message)
                && receipt.order_id != 0
            {
                return accepted(&serde_json::to_value(&receipt).unwrap_or_default());
            }
            match Encoding::Protobuf.decode::<proto::v1::History>(message) {
                Ok(history) => accepted(&serde_json::to_value(&history).unwrap_or_default()),
                Err(error) => seen(Caught::Accepted(None), &format!("accepted: {error}")),
            }
        }
        Some(code) => match named(&OF_THE_MARKET, code) {
            Some(name) => seen(Caught::Handler, &format!("{name}: {said}")),
            None => {
                let name = named(&OF_THE_STACK, code).unwrap_or_else(|| format!("status {code}"));
                seen(Caught::Stack, &format!("{name}: {said}"))
            }
        },
        None => seen(Caught::Stack, &format!("HTTP {} without a gRPC status", answer.status)),
    }
}

/// A fault about decoding, and a close frame, come from before the market.
pub(super) fn websocket(answer: &TextAnswer) -> Seen {
    let text = match answer {
        TextAnswer::Closed(code, reason) => {
            return seen(Caught::Stack, &format!("closed with {code}: {reason}"));
        }
        TextAnswer::Text(text) => text,
    };
    let message: Value = serde_json::from_str(text).unwrap_or_default();
    let body = &message["body"];
    if message["kind"] != "fault" {
        return accepted(body);
    }
    let said = body["detail"].as_str().unwrap_or_default();
    // The market and the decoder of its requests give the same code: what they say tells them
    // apart.
    let decoding = ["not the expected JSON", "not a frame of the form"];
    let of_the_stack = decoding.iter().any(|beginning| said.starts_with(beginning));
    seen(if of_the_stack { Caught::Stack } else { Caught::Handler }, &format!("fault: {said}"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// As gRPC writes messages in headers.
fn percent_decoded(text: &str) -> String {
    let (mut out, bytes, mut nth) = (Vec::new(), text.as_bytes(), 0);
    while nth < bytes.len() {
        let code = text.get(nth + 1..nth + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code.filter(|_| bytes[nth] == b'%') {
            Some(byte) => {
                out.push(byte);
                nth += 3;
            }
            None => {
                out.push(bytes[nth]);
                nth += 1;
            }
        }
    }
    self::text(&out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(status: u16, body: &str) -> HttpAnswer {
        HttpAnswer { status, headers: http::HeaderMap::new(), body: body.to_owned().into() }
    }

    #[test]
    fn who_refused_is_read_from_the_answer() {
        let caught = |body| rest(&http(400, body)).caught;
        assert_eq!(caught(r#"{"detail":"no","code":"FAULT_CODE_INVALID_ARGUMENT"}"#), Caught::Handler);
        assert_eq!(caught(r#"{"detail":"not the expected JSON"}"#), Caught::Stack);
        let placed = rest(&http(201, r#"{"order_id":1,"order":{"quantity":5}}"#));
        assert_eq!(placed.caught, Caught::Accepted(Some(serde_json::json!({"quantity": 5}))));
        let caught = |body| graphql(&http(200, body)).caught;
        assert_eq!(caught(r#"{"errors":[{"message":"no"}]}"#), Caught::Stack);
        assert_eq!(caught(r#"{"errors":[{"extensions":{"code":"FAULT_CODE_LIMIT"}}]}"#), Caught::Handler);
        let status = |code: &str| {
            let mut answer = http(200, "");
            answer.headers.insert("grpc-status", code.parse().unwrap());
            answer.headers.insert("grpc-message", "a%20b%".parse().unwrap());
            grpc(&answer)
        };
        assert_eq!((status("3").caught, status("13").caught), (Caught::Handler, Caught::Stack));
        assert_eq!(status("3").detail, "INVALID_ARGUMENT: a b%");
        let fault = |said: &str| {
            let text = format!(r#"{{"id":1,"kind":"fault","body":{{"detail":"{said}"}}}}"#);
            websocket(&TextAnswer::Text(text)).caught
        };
        assert_eq!(fault("not the expected JSON: x"), Caught::Stack);
        assert_eq!(fault("quantity = 0: 1 to 1000000"), Caught::Handler);
        assert_eq!(websocket(&TextAnswer::Closed(1007, String::new())).caught, Caught::Stack);
    }
}
