//! Makes the cases: every field × every mutation that makes sense of it, as each protocol would
//! write it. What is no protobuf is written in the nearest wire form: another wire type, a varint
//! that is too long, a number that no field has.

use serde_json::json;

use super::cases::{Case, Form, GraphQl, Grpc, Origin, RefusedBy, Rest, WebSocket, hex};
use super::encode::{self, Field, bytes, double, frame, varint};
use super::rule::{Kind, Mutation, refused_by};

/// A field of a message, and what it holds where nothing is wrong with it.
struct Place {
    message: Message,
    name: &'static str,
    kind: Kind,
    number: u32,
}

#[derive(Clone, Copy, PartialEq)]
enum Message {
    Order,
    History,
}

const ACCOUNT: Place = Place { message: Message::Order, name: "account", kind: Kind::Text, number: 1 };
const SYMBOL: Place = Place { message: Message::Order, name: "symbol", kind: Kind::Text, number: 2 };
const SIDE: Place = Place { message: Message::Order, name: "side", kind: Kind::Side, number: 3 };
const QUANTITY: Place = Place { message: Message::Order, name: "quantity", kind: Kind::Whole, number: 4 };
const N: Place = Place { message: Message::History, name: "n", kind: Kind::Whole, number: 2 };
const HISTORY_SYMBOL: Place =
    Place { message: Message::History, name: "symbol", kind: Kind::Text, number: 1 };

/// 2³² + 5 and 2⁶³ + 5: what keeps their last 32 bits reads 5.
const OVER_U32: &str = "4294967301";
const OVER_I64: &str = "9223372036854775813";
/// Beyond 64 bits.
const OVER_U64: &str = "100000000000000000000";

/// A value, as JSON and as protobuf write it.
struct Value {
    json: &'static str,
    protobuf: Result<Field, &'static str>,
}

fn value(json: &'static str, protobuf: Field) -> Value {
    Value { json, protobuf: Ok(protobuf) }
}

fn only_json(json: &'static str, why: &'static str) -> Value {
    Value { json, protobuf: Err(why) }
}

const NO_NULL: &str = "protobuf has no null: leaving the field out is the case of the missing one";
const NO_NAMES: &str = "names do not travel in protobuf";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    text(&ACCOUNT, &mut cases);
    for mutation in [Mutation::Missing, Mutation::Misspelt] {
        cases.push(absent(&SYMBOL, mutation));
    }
    cases.push(changed(&SYMBOL, Mutation::WrongType, "a number for text", value("7", varint(2, 7))));
    cases.push(changed(&SYMBOL, Mutation::Null, "null", only_json("null", NO_NULL)));
    whole(&QUANTITY, &mut cases);
    side(&mut cases);
    whole(&N, &mut cases);
    cases.push(changed(&HISTORY_SYMBOL, Mutation::WrongType, "a number for text", value("7", varint(1, 7))));
    cases.push(changed(&HISTORY_SYMBOL, Mutation::Null, "null", only_json("null", NO_NULL)));
    cases.push(absent(&HISTORY_SYMBOL, Mutation::Missing));
    super::generate_more::messages(&mut cases);
    super::generate_more::keys(&mut cases);
    super::generate_more::bodies(&mut cases);
    super::generate_more::versions(&mut cases);
    cases
}

fn text(place: &Place, cases: &mut Vec<Case>) {
    let n = place.number;
    let of_one = "in protobuf a list of one is the field itself";
    for (mutation, words, value) in [
        (Mutation::WrongType, "a number for text", value("7", varint(n, 7))),
        (Mutation::WrongType, "true for text", value("true", varint(n, 1))),
        (Mutation::WrongType, "an object for text", value(r#"{"id":"X"}"#, bytes(n, b"\x0a\x01X"))),
        (Mutation::WrongType, "a list of one for text", only_json(r#"["ACC00001"]"#, of_one)),
        (Mutation::Null, "null", only_json("null", NO_NULL)),
        (Mutation::Domain, "no letter", value(r#""""#, bytes(n, b""))),
    ] {
        cases.push(changed(place, mutation, words, value));
    }
    cases.push(absent(place, Mutation::Missing));
    cases.push(absent(place, Mutation::Misspelt));
    cases.push(twice(place, r#""ACC00002""#, &bytes(n, b"ACC00002")));
}

fn whole(place: &Place, cases: &mut Vec<Case>) {
    let n = place.number;
    let wide = |text: &str| encode::varint_u128(n, text.parse().unwrap());
    for (mutation, words, value) in [
        (Mutation::WrongType, "the text of a number", value(r#""5""#, bytes(n, b"5"))),
        (Mutation::WrongType, "the text of no number", value(r#""five""#, bytes(n, b"five"))),
        (Mutation::WrongType, "true for a number", value("true", varint(n, 1))),
        (Mutation::WrongType, "a list of one for a number", value("[5]", bytes(n, b"\x05"))),
        (Mutation::WrongType, "an object for a number", value("{}", bytes(n, b""))),
        (Mutation::Fraction, "a fraction", value("5.5", double(n, 5.5))),
        (Mutation::Fraction, "NaN", value("NaN", double(n, f64::NAN))),
        (Mutation::Fraction, "infinity", value("Infinity", double(n, f64::INFINITY))),
        (Mutation::Negative, "-5", value("-5", varint(n, -5_i64 as u64))),
        (Mutation::OverU32, "2^32 + 5", value(OVER_U32, wide(OVER_U32))),
        (Mutation::OverI64, "2^63 + 5", value(OVER_I64, wide(OVER_I64))),
        (Mutation::OverI64, "10^20", value(OVER_U64, wide(OVER_U64))),
        (Mutation::Domain, "0", value("0", varint(n, 0))),
        (Mutation::Domain, "over the market's limit", value("1000001", varint(n, 1_000_001))),
        (Mutation::Null, "null", only_json("null", NO_NULL)),
    ] {
        cases.push(changed(place, mutation, words, value));
    }
    if place.message == Message::Order {
        cases.push(absent(place, Mutation::Missing));
    }
    cases.push(absent(place, Mutation::Misspelt));
    cases.push(twice(place, "7", &varint(n, 7)));
}

fn side(cases: &mut Vec<Case>) {
    let own = "the number is protobuf's own way to write it";
    for (mutation, words, value) in [
        (Mutation::UnknownName, "a name that it has not", only_json(r#""hold""#, NO_NAMES)),
        (Mutation::UnknownName, "its name in capitals", only_json(r#""BUY""#, NO_NAMES)),
        (Mutation::UnknownNumber, "a number that it has not", value("9", varint(3, 9))),
        (Mutation::KnownNumber, "its number for its name", only_json("1", own)),
        (Mutation::WrongType, "true for an enum", value("true", varint(3, 1))),
        (Mutation::WrongType, "an object for an enum", value("{}", bytes(3, b""))),
        (Mutation::Domain, "unspecified", value(r#""unspecified""#, varint(3, 0))),
        (Mutation::Null, "null", only_json("null", NO_NULL)),
    ] {
        cases.push(changed(&SIDE, mutation, words, value));
    }
    cases.push(absent(&SIDE, Mutation::Missing));
    cases.push(absent(&SIDE, Mutation::Misspelt));
    cases.push(twice(&SIDE, r#""sell""#, &varint(3, 2)));
}

/// A field that holds something else.
fn changed(place: &Place, mutation: Mutation, words: &str, value: Value) -> Case {
    let json = pairs(place, |own| vec![(own.to_owned(), value.json.to_owned())]);
    let protobuf = value.protobuf.map(|field| {
        let fields = fields(place, |_| vec![field]);
        data(place.message, &fields)
    });
    let query = match value.json {
        r#""five""# => Ok("n=five".to_owned()),
        quoted if quoted.starts_with('"') => Err("a query has text only, and this is the right one"),
        "null" => Err("a query has no null"),
        other => Ok(format!("n={other}")),
    };
    built(place, mutation, words, &json, protobuf, query)
}

/// A field that is left out, or written under another name.
fn absent(place: &Place, mutation: Mutation) -> Case {
    let misspelt = mutation == Mutation::Misspelt;
    let other = format!("{}_", place.name);
    let json =
        pairs(place, |own| if misspelt { vec![(other.clone(), own_json(place, own))] } else { vec![] });
    let fields = fields(place, |own| if misspelt { vec![own.renumbered(15)] } else { vec![] });
    let words = if misspelt { "misspelt" } else { "missing" };
    let query = if misspelt { format!("{other}=5") } else { "n=5".to_owned() };
    built(place, mutation, words, &json, Ok(data(place.message, &fields)), Ok(query))
}

/// A field that comes twice, with two values.
fn twice(place: &Place, first: &str, first_protobuf: &Field) -> Case {
    let json = pairs(place, |own| {
        vec![(place.name.to_owned(), first.to_owned()), (own.to_owned(), own_json(place, own))]
    });
    let fields = fields(place, |own| vec![first_protobuf.clone(), own]);
    let query = Ok(format!("n={first}&n=5"));
    built(place, Mutation::Twice, "twice, with two values", &json, Ok(data(place.message, &fields)), query)
}

fn built(
    place: &Place,
    mutation: Mutation,
    words: &str,
    json: &str,
    protobuf: Result<Vec<u8>, &'static str>,
    query: Result<String, &'static str>,
) -> Case {
    let message = if place.message == Message::Order { "order" } else { "history" };
    let is_path = place.message == Message::History && place.name == "symbol";
    let rest = match (place.message, is_path, mutation) {
        (Message::Order, ..) => rest_order(json),
        (_, true, Mutation::Missing) => {
            Form::Sent(Rest { path: "/v1/history/?n=5".to_owned(), body: None, header: None })
        }
        (_, true, _) => not_expressible("a path has text only"),
        _ => match query {
            Ok(query) => {
                Form::Sent(Rest { path: format!("/v1/history/AAAA?{query}"), body: None, header: None })
            }
            Err(why) => not_expressible(why),
        },
    };
    let (method, kind, body) = match place.message {
        Message::Order => ("PlaceOrder", "order_request", format!(r#"{{"order":{json}}}"#)),
        Message::History => ("GetHistory", "history_request", json.to_owned()),
    };
    let graphql = match place.message {
        Message::Order => graphql_order(&format!(r#"{{"order":{json}}}"#)),
        Message::History => graphql_history(json),
    };
    let refused_by = match (&rest, refused_by(place.name, place.kind, mutation)) {
        // The symbol of a history is a part of the path, which a client must be given.
        (_, refused) if is_path && mutation == Mutation::Missing => {
            RefusedBy { openapi: Some("`symbol` is an argument: a String".to_owned()), ..refused }
        }
        (_, refused) => refused,
    };
    Case {
        name: format!("{message}.{}: {words}", place.name),
        group: mutation.group().to_owned(),
        words: format!(
            "{} of {} is {words}",
            place.name,
            if message == "order" { "an order" } else { "a history" }
        ),
        origin: Origin::Caller,
        meant: None,
        rest,
        graphql,
        grpc: match protobuf {
            Ok(data) => Form::Sent(Grpc { method: method.to_owned(), data: hex(&data) }),
            Err(why) => not_expressible(why),
        },
        websocket: message_of(kind, &body),
        refused_by,
    }
}

pub(super) fn not_expressible<T>(why: &str) -> Form<T> {
    Form::NotExpressible { not_expressible: why.to_owned() }
}

pub(super) fn rest_order(body: &str) -> Form<Rest> {
    Form::Sent(Rest { path: "/v1/orders".to_owned(), body: Some(body.to_owned()), header: None })
}

pub(super) const PLACE: &str = "mutation($order:OrderInput!,$key:String! = \"\"){place_order(order:$order,idempotency_key:$key)\
                                {order_id order{account symbol side quantity}}}";

pub(super) fn graphql_order(variables: &str) -> Form<GraphQl> {
    graphql(PLACE, variables)
}

fn graphql_history(variables: &str) -> Form<GraphQl> {
    graphql("query($symbol:String!,$n:Int!){history(symbol:$symbol,n:$n){symbol candles{volume}}}", variables)
}

pub(super) fn graphql(query: &str, variables: &str) -> Form<GraphQl> {
    Form::Sent(GraphQl { body: format!(r#"{{"query":{},"variables":{variables}}}"#, json!(query)) })
}

pub(super) fn message_of(kind: &str, body: &str) -> Form<WebSocket> {
    Form::Sent(WebSocket { text: format!(r#"{{"id":1,"kind":"{kind}","body":{body}}}"#) })
}

/// What a field holds where nothing is wrong with it.
fn own_json(_place: &Place, name: &str) -> String {
    ORDER.iter().chain(&HISTORY).find(|(other, _)| *other == name).unwrap().1.to_owned()
}

pub(super) const ORDER: [(&str, &str); 4] =
    [("account", r#""ACC00001""#), ("symbol", r#""AAAA""#), ("side", r#""buy""#), ("quantity", "5")];
const HISTORY: [(&str, &str); 2] = [("symbol", r#""AAAA""#), ("n", "5")];

/// The message's JSON, the field replaced.
fn pairs(place: &Place, with: impl Fn(&str) -> Vec<(String, String)>) -> String {
    let all: &[(&str, &str)] = if place.message == Message::Order { &ORDER } else { &HISTORY };
    let written = all.iter().flat_map(|(name, json)| {
        if *name == place.name { with(name) } else { vec![((*name).to_owned(), (*json).to_owned())] }
    });
    object(&written.collect::<Vec<_>>())
}

pub(super) fn object(pairs: &[(String, String)]) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(name, json)| format!(r#""{name}":{json}"#)).collect();
    format!("{{{}}}", pairs.join(","))
}

/// The message's fields in protobuf, the one replaced.
fn fields(place: &Place, with: impl FnOnce(Field) -> Vec<Field>) -> Vec<Field> {
    let mut all =
        if place.message == Message::Order { encode::order() } else { vec![bytes(1, b"AAAA"), varint(2, 5)] };
    let nth = all.iter().position(|field| field.number == place.number).unwrap();
    let own = all.remove(nth);
    all.splice(nth..nth, with(own));
    all
}

/// What goes into DATA: the frame around the message.
fn data(message: Message, fields: &[Field]) -> Vec<u8> {
    let message = match message {
        Message::Order => encode::message(&[bytes(1, &encode::message(fields))]),
        Message::History => encode::message(fields),
    };
    frame(&message)
}
