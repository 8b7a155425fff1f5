//! Cases that are not about one field's value: the order as a whole, its key, the body, two
//! versions of the contract.

use serde_json::json;

use super::cases::{Case, Form, GraphQl, Grpc, Origin, RefusedBy, Rest, WebSocket, hex};
use super::encode::{Field, bytes, frame, message, order, varint};
use super::generate::{
    ORDER, PLACE, graphql, graphql_order, message_of, not_expressible, object, rest_order,
};

fn grpc(data: &[u8]) -> Form<Grpc> {
    Form::Sent(Grpc { method: "PlaceOrder".to_owned(), data: hex(data) })
}

/// An order in its request, framed.
fn framed(order: &[Field]) -> Form<Grpc> {
    grpc(&frame(&message(&[bytes(1, &message(order))])))
}

/// An order's JSON, and what is added to it or replaced in it.
fn with(changes: &[(&str, &str)]) -> String {
    let mut pairs: Vec<(String, String)> =
        ORDER.iter().map(|(name, json)| ((*name).to_owned(), (*json).to_owned())).collect();
    for (name, json) in changes {
        match pairs.iter_mut().find(|(other, _)| other == name) {
            Some(pair) => pair.1 = (*json).to_owned(),
            None => pairs.push(((*name).to_owned(), (*json).to_owned())),
        }
    }
    object(&pairs)
}

fn without(name: &str) -> String {
    let pairs = ORDER.iter().filter(|(other, _)| *other != name);
    object(&pairs.map(|(name, json)| ((*name).to_owned(), (*json).to_owned())).collect::<Vec<_>>())
}

struct Forms {
    json: String,
    grpc: Form<Grpc>,
}

/// A case about the order as JSON has it, the same in REST, GraphQL's variables and WebSocket.
fn case(name: &str, group: &str, words: &str, origin: Origin, forms: Forms, refused_by: RefusedBy) -> Case {
    let Forms { json, grpc } = forms;
    let variables = format!(r#"{{"order":{json}}}"#);
    Case {
        name: name.to_owned(),
        group: group.to_owned(),
        words: words.to_owned(),
        origin,
        meant: None,
        rest: rest_order(&json),
        graphql: graphql_order(&variables),
        grpc,
        websocket: message_of("order_request", &variables),
        refused_by,
    }
}

fn all(why: &str) -> RefusedBy {
    let why = Some(why.to_owned());
    RefusedBy { openapi: why.clone(), graphql: why.clone(), protobuf: why }
}

pub(super) fn messages(cases: &mut Vec<Case>) {
    let is_a_struct = all("an order is a struct");
    let no_null = "protobuf has no null: leaving the order out is the case of the missing one";
    let refused = RefusedBy { protobuf: None, ..is_a_struct.clone() };
    let forms = Forms { json: "null".into(), grpc: not_expressible(no_null) };
    cases.push(case("order: null", "null", "the whole order is null", Origin::Caller, forms, refused));
    let forms = Forms { json: r#""order""#.into(), grpc: grpc(&frame(&message(&[bytes(1, b"order")]))) };
    let words = "the whole order is text";
    cases.push(case("order: text", "wrong type", words, Origin::Caller, forms, is_a_struct.clone()));
    let values: Vec<&str> = ORDER.iter().map(|(_, json)| *json).collect();
    let positional = "protobuf's fields have numbers and no places";
    let forms = Forms { json: format!("[{}]", values.join(",")), grpc: not_expressible(positional) };
    let words = "the whole order is a list of its values";
    let name = "order: a list of its values";
    cases.push(case(name, "wrong type", words, Origin::Caller, forms, is_a_struct));
    let forms = Forms { json: "{}".into(), grpc: grpc(&frame(b"")) };
    let refused = RefusedBy { graphql: Some("the variable must be given".into()), ..RefusedBy::default() };
    let missing = Case {
        graphql: graphql(PLACE, "{}"),
        websocket: message_of("order_request", "{}"),
        ..case("order: missing", "missing", "there is no order", Origin::Caller, forms, refused)
    };
    cases.push(missing);
    let mut fields = order();
    fields.push(varint(5, 100));
    let forms = Forms { json: with(&[("limit_cents", "100")]), grpc: framed(&fields) };
    let words = "the caller adds a limit that the contract does not have";
    let refused = all("the struct has no such field");
    let name = "order.limit_cents: not in the contract";
    cases.push(case(name, "unknown or misspelt", words, Origin::Caller, forms, refused));
}

/// The key, which REST carries in a header.
pub(super) fn keys(cases: &mut Vec<Case>) {
    let base = |key: Field| grpc(&frame(&message(&[bytes(1, &message(&order())), key])));
    let build = |name: &str, group: &str, words: &str, json: &str, grpc, refused_by| {
        let order = with(&[]);
        Case {
            graphql: graphql_order(&format!(r#"{{"order":{order},"key":{json}}}"#)),
            rest: not_expressible("a header has text only"),
            websocket: message_of(
                "order_request",
                &format!(r#"{{"order":{order},"idempotency_key":{json}}}"#),
            ),
            ..case(name, group, words, Origin::Caller, Forms { json: order.clone(), grpc }, refused_by)
        }
    };
    let text = all("`idempotency_key` is a String");
    let words = "the key of an order is a number";
    cases.push(build(
        "order's key: a number for text",
        "wrong type",
        words,
        "7",
        base(varint(2, 7)),
        text.clone(),
    ));
    let no_null = not_expressible("protobuf has no null: leaving the key out is to have none");
    let refused = RefusedBy { graphql: text.graphql, ..RefusedBy::default() };
    cases.push(build("order's key: null", "null", "the key of an order is null", "null", no_null, refused));

    let long = "k".repeat(129);
    let header = |name: &str, value: &str| {
        let header = Some((name.to_owned(), value.to_owned()));
        Form::Sent(Rest { path: "/v1/orders".into(), body: Some(with(&[])), header })
    };
    let words = "the key of an order is longer than 128 bytes";
    let (json, field) = (json!(long).to_string(), base(bytes(2, long.as_bytes())));
    let too_long =
        build("order's key: too long", "right type, wrong value", words, &json, field, RefusedBy::default());
    cases.push(Case { rest: header("idempotency-key", &long), ..too_long });

    let words = "the key of an order goes by another name";
    let refused = all("there is no such argument");
    let name = "order's key: misspelt";
    let misspelt = build(name, "unknown or misspelt", words, r#""k""#, base(bytes(15, b"k")), refused);
    let order = with(&[]);
    cases.push(Case {
        rest: header("idempotency-kay", "misspelt"),
        graphql: graphql(
            &PLACE.replace("idempotency_key:", "idempotency_kay:"),
            &format!(r#"{{"order":{order},"key":"k"}}"#),
        ),
        websocket: message_of("order_request", &format!(r#"{{"order":{order},"idempotency_kay":"k"}}"#)),
        ..misspelt
    });
}

/// Bodies that are not whole, or not what they should be at all.
pub(super) fn bodies(cases: &mut Vec<Case>) {
    let order_json = with(&[]);
    let variables = format!(r#"{{"order":{order_json}}}"#);
    let protobuf = message(&[bytes(1, &message(&order()))]);
    let (Form::Sent(graphql), Form::Sent(websocket)) =
        (graphql_order(&variables), message_of("order_request", &variables))
    else {
        unreachable!("both are sent")
    };
    let texts = [order_json, graphql.body, websocket.text];
    let build = |name: &str, words: &str, change: &dyn Fn(&str) -> String, data: Vec<u8>| {
        let [rest, graphql, websocket] = [&texts[0], &texts[1], &texts[2]].map(|text| change(text));
        Case {
            name: name.to_owned(),
            group: "body".to_owned(),
            words: words.to_owned(),
            origin: Origin::Wire,
            meant: None,
            rest: rest_order(&rest),
            graphql: Form::Sent(GraphQl { body: graphql }),
            grpc: grpc(&data),
            websocket: Form::Sent(WebSocket { text: websocket }),
            refused_by: RefusedBy::default(),
        }
    };
    let half = |text: &str| text[..text.len() / 2].to_owned();
    let cut = frame(&protobuf[..protobuf.len() / 2]);
    cases.push(build("body: half of it", "the body is cut in half, and says so of its length", &half, cut));
    let last = |text: &str| text[..text.len() - 1].to_owned();
    let cut = frame(&protobuf[..protobuf.len() - 1]);
    cases.push(build("body: without its last byte", "the last byte of the body is missing", &last, cut));
    let unfinished = frame(&protobuf)[..protobuf.len()].to_vec();
    let name = "body: ends before its frame";
    let words = "the frame says more bytes than come";
    let only_framed = build(name, words, &half, unfinished);
    let why = "its length is HTTP's, or the WebSocket frame's, which cannot lie on a connection that goes on";
    cases.push(Case {
        rest: not_expressible(why),
        graphql: not_expressible(why),
        websocket: not_expressible(why),
        ..only_framed
    });
    let more = |text: &str| format!("{text}}}");
    let behind = frame(&[&protobuf[..], b"}"].concat());
    cases.push(build("body: a byte behind it", "there is a byte behind the message", &more, behind));
    let empty = |_: &str| String::new();
    cases.push(build("body: empty", "there is no body at all", &empty, Vec::new()));
    let hello = |_: &str| "hello".to_owned();
    cases.push(build("body: a word", "the body is the word hello", &hello, frame(b"hello")));
}

/// Two ends with two versions of the contract: each is right by its own, so that no client refuses
/// anything.
pub(super) fn versions(cases: &mut Vec<Case>) {
    let meant = json!({"account": "ACC00001", "symbol": "AAAA", "side": "buy", "quantity": 5});
    let quantity = |field: Field| -> Vec<Field> { order().into_iter().take(3).chain([field]).collect() };
    let plus = |field: Field| -> Vec<Field> { order().into_iter().chain([field]).collect() };
    let minus = |number: u32| -> Vec<Field> { order().into_iter().filter(|f| f.number != number).collect() };
    let mut add = |name: &str, words: &str, json: Option<String>, grpc: Form<Grpc>, harmless: bool| {
        let json_form = json.clone().unwrap_or_else(|| with(&[]));
        let name = format!("version: {name}");
        let forms = Forms { json: json_form, grpc };
        let mut case = case(&name, "versions", words, Origin::Version, forms, RefusedBy::default());
        if json.is_none() {
            let why = "JSON's fields have names and no numbers";
            case.rest = not_expressible(why);
            case.graphql = not_expressible(why);
            case.websocket = not_expressible(why);
        }
        cases.push(Case { meant: harmless.then(|| meant.clone()), ..case });
    };
    add(
        "a field added",
        "a newer client sends a field that this server does not know",
        Some(with(&[("note", r#""hi""#)])),
        framed(&plus(bytes(5, b"hi"))),
        true,
    );
    add(
        "a message added",
        "a newer client sends a nested message that this server does not know",
        Some(with(&[("terms", r#"{"days":3}"#)])),
        framed(&plus(bytes(6, b"\x08\x03"))),
        true,
    );
    add(
        "an enum value added",
        "a newer client sends a side that this server does not know",
        Some(with(&[("side", r#""short""#)])),
        framed(&[bytes(1, b"ACC00001"), bytes(2, b"AAAA"), varint(3, 3), varint(4, 5)]),
        false,
    );
    add(
        "a field renamed",
        "a newer client calls the quantity shares, under the same number",
        Some(without("quantity").replace('}', r#","shares":5}"#)),
        framed(&order()),
        true,
    );
    add(
        "a field retyped",
        "a newer client sends the quantity as text",
        Some(with(&[("quantity", r#""5""#)])),
        framed(&quantity(bytes(4, b"5"))),
        false,
    );
    add(
        "a field widened",
        "a newer client has 64 bits for the quantity, and uses them",
        Some(with(&[("quantity", "4294967301")])),
        framed(&quantity(varint(4, 4_294_967_301))),
        false,
    );
    add(
        "a field removed",
        "a newer client does not send the account any more",
        Some(without("account")),
        framed(&minus(1)),
        false,
    );
    add(
        "a field not yet there",
        "an older client does not send the side, which came later",
        Some(without("side")),
        framed(&minus(3)),
        false,
    );
    add(
        "a field renumbered",
        "a newer client has another number for the quantity",
        None,
        framed(&quantity(varint(14, 5))),
        false,
    );
    add(
        "a number used again",
        "a newer client has the number of the quantity for a limit in cents",
        None,
        framed(&quantity(varint(4, 9_900))),
        false,
    );
    add(
        "another meaning",
        "a newer client means lots of a hundred by the quantity, under the same name and number",
        Some(with(&[("quantity", "6")])),
        framed(&quantity(varint(4, 6))),
        false,
    );
    let mut reversed = order();
    reversed.reverse();
    let pairs: Vec<(String, String)> =
        ORDER.iter().rev().map(|(name, json)| ((*name).to_owned(), (*json).to_owned())).collect();
    add(
        "another order of fields",
        "a newer client writes the fields in another order",
        Some(object(&pairs)),
        framed(&reversed),
        true,
    );
}
