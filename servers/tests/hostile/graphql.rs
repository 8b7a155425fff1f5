//! GraphQL: queries that are too deep, too wide, too complex or too many; mutations by GET; what is
//! no query; slow bodies; and the WebSocket of subscriptions.

use proto::Protocol;
use servers::Limits;

use crate::raw_websocket::{PING, RawWebSocket, TEXT, masked};
use crate::{Server, limits, text};

fn post(server: &Server, content_type: &str, body: &str) -> String {
    let length = body.len();
    let request = format!(
        "POST /graphql HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: {content_type}\r\n\
         content-length: {length}\r\n\r\n{body}"
    );
    text(&server.answer(request.as_bytes()))
}

fn query(server: &Server, query: &str) -> String {
    post(server, "application/json", &serde_json::json!({ "query": query }).to_string())
}

fn get(server: &Server, query: &str) -> String {
    let request = format!("GET /graphql?{query} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    text(&server.answer(request.as_bytes()))
}

pub(crate) fn quote_over_graphql(server: &Server) {
    let answer = query(server, r#"{quote(symbol:"AAAA"){last_cents}}"#);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(r#"{"data":{"quote":{"last_cents":"#));
}

/// `{__schema{types{fields{type{ofType{…` so many levels below each other.
fn deep(levels: usize) -> String {
    let (open, close) = ("ofType{".repeat(levels), "}".repeat(levels));
    format!("{{__schema{{types{{fields{{type{{{open}name{close}}}}}}}}}}}")
}

#[test]
fn graphql_refuses_what_is_too_deep_wide_complex_or_many_and_serves_on() {
    let server = Server::start(Protocol::GraphQl, limits());
    let alias = |nth: usize| format!(r#"a{nth}:quote(symbol:"AAAA"){{symbol}}"#);
    let wide: String = (0..31).map(alias).collect();
    let hidden = format!("query{{...f}} fragment f on Query{{{wide}}}");
    let candles = |nth: usize| format!(r#"a{nth}:history(symbol:"AAAA",n:10000){{candles{{volume}}}}"#);
    let many_candles: String = (0..11).map(candles).collect();
    let circular = "query{...f} fragment f on Query{...f}";
    for (hostile, said) in [
        (deep(14), "too deep"),
        (deep(3_000), "nested too deep"),
        (format!("{{{wide}}}"), "aliases are over the limit"),
        (hidden, "aliases are over the limit"),
        (circular.to_owned(), "spreads itself"),
        (format!("{{{many_candles}}}"), "too complex"),
        (r#"{quotes(symbols:[])}"#.to_owned(), "errors"),
        (r#"{history(symbol:"AAAA",n:4294967295){candles{volume}}}"#.to_owned(), "too complex"),
        (r#"{history(symbol:"AAAA",n:-1){candles{volume}}}"#.to_owned(), "errors"),
        ("{quote(".to_owned(), "errors"),
        ("{gopher}".to_owned(), "gopher"),
        (String::new(), "errors"),
    ] {
        let answer = query(&server, &hostile);
        let refused = answer.starts_with("HTTP/1.1 200") && answer.contains(r#""errors":["#);
        assert!(refused && answer.contains(said), "{hostile:.80}: {answer}");
        assert!(!answer.contains(r#"{"data":{"#), "{hostile:.80}: {answer}");
        quote_over_graphql(&server);
    }
    let below = deep(10);
    assert!(query(&server, &below).contains(r#"{"data":{"__schema""#), "{}", query(&server, &below));
}

#[test]
fn graphql_answers_what_is_no_query_and_serves_on() {
    let server = Server::start(Protocol::GraphQl, limits());
    let one = r#"{"query":"{__typename}"}"#;
    let batch = |queries: usize| format!("[{}]", vec![one; queries].join(","));
    for (content_type, body, status, said) in [
        ("application/json", "no json".to_owned(), 400, "not a GraphQL request"),
        ("application/json", "[".repeat(10_000), 400, "not a GraphQL request"),
        ("application/json", batch(11), 400, "a batch has at most 10"),
        ("application/json", batch(10), 200, r#"[{"data""#),
        ("application/json", " ".repeat(70_000), 413, "a body may have"),
        ("text/plain", one.to_owned(), 415, "application/json"),
        ("multipart/form-data; boundary=x", one.to_owned(), 415, "application/json"),
    ] {
        let answer = post(&server, content_type, &body);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(said), "{answer}");
        quote_over_graphql(&server);
    }
    let slow = server.answer(
        b"POST /graphql HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
          content-length: 50\r\n\r\n{",
    );
    assert!(text(&slow).starts_with("HTTP/1.1 408"), "{}", text(&slow));
    quote_over_graphql(&server);
}

#[test]
fn a_get_reads_and_never_writes() {
    let server = Server::start(Protocol::GraphQl, limits());
    let read = get(&server, "query=%7Bquote(symbol:%22AAAA%22)%7Bsymbol%7D%7D");
    assert!(read.contains(r#"{"data":{"quote":{"symbol":"AAAA"}}}"#), "{read}");
    let order = "mutation%7Bplace_order(order:%7Baccount:%22ACC00001%22,symbol:%22AAAA%22,side:buy,quantity:1%7D)\
                 %7Border_id%7D%7D";
    let also_hidden =
        format!("query%20q%7B__typename%7D%20{}", order.replace("mutation%7B", "mutation%20m%7B"));
    for query in [format!("query={order}"), format!("query={also_hidden}&operationName=m")] {
        let refused = get(&server, &query);
        assert!(refused.contains("only queries go by GET"), "{refused}");
        assert!(
            refused.contains(r#""code":"FAULT_CODE_INVALID_ARGUMENT""#) && !refused.contains("order_id\":")
        );
    }
    // The same by POST is placed, and has the first number: none was placed before.
    let mutation =
        r#"mutation{place_order(order:{account:"ACC00001",symbol:"AAAA",side:buy,quantity:1}){order_id}}"#;
    assert!(query(&server, mutation).contains(r#"{"order_id":1}"#), "{}", query(&server, mutation));
    for nonsense in ["", "query=%ff", "variables=no", "extensions=%7B%7D"] {
        let refused = get(&server, nonsense);
        assert!(refused.contains(r#""errors":["#), "{nonsense}: {refused}");
    }
    quote_over_graphql(&server);
}

pub(crate) fn open(server: &Server) -> RawWebSocket {
    let mut socket = RawWebSocket::open(server.connect(), "/graphql/ws", "graphql-transport-ws");
    socket.send_text(r#"{"type":"connection_init"}"#);
    assert!(socket.next_text().contains("connection_ack"));
    socket
}

fn subscribe(id: usize) -> String {
    format!(r#"{{"id":"{id}","type":"subscribe","payload":{{"query":"subscription{{ticks{{sequence}}}}"}}}}"#)
}

#[test]
fn a_graphql_websocket_has_so_many_operations_and_no_more() {
    let server = Server::start(Protocol::GraphQl, Limits { subscriptions_max: 2, ..limits() });
    let mut socket = open(&server);
    (1..=3).for_each(|id| socket.send_text(&subscribe(id)));
    let refused = std::iter::repeat_with(|| socket.next_text()).find(|text| text.contains("errors")).unwrap();
    assert!(refused.contains(r#""id":"3""#) && refused.contains("2 operations at once"), "{refused}");
    assert!(refused.contains("FAULT_CODE_LIMIT"), "{refused}");
    // A place that is given back can be taken again.
    socket.send_text(r#"{"id":"1","type":"complete"}"#);
    let completed = |text: &String| text.contains("complete") && text.contains(r#""id":"1""#);
    std::iter::repeat_with(|| socket.next_text()).find(completed).unwrap();
    socket.send_text(&subscribe(4));
    let fourth = std::iter::repeat_with(|| socket.next_text()).find(|text| text.contains(r#""id":"4""#));
    assert!(fourth.as_ref().is_some_and(|text| text.contains("sequence")), "{fourth:?}");
    quote_over_graphql(&server);
}

#[test]
fn a_graphql_websocket_closes_on_hostile_messages_and_the_server_serves_on() {
    let server = Server::start(Protocol::GraphQl, limits());
    for hostile in ["no json", r#"{"type":"gopher"}"#, r#"{"type":"connection_init"}"#, &"x".repeat(100_000)]
    {
        let mut socket = open(&server);
        socket.send(TEXT, hostile.as_bytes());
        while socket.next().is_some() {}
        quote_over_graphql(&server);
    }
    // A subscription before the handshake of GraphQL's own.
    let mut early = RawWebSocket::open(server.connect(), "/graphql/ws", "graphql-transport-ws");
    early.send_text(&subscribe(1));
    assert_eq!(early.close_code(), Some(1011));
    // A mutation over the WebSocket is a call as by POST; a query that is too deep is refused as by
    // POST.
    let mut socket = open(&server);
    let too_deep = serde_json::json!({ "id": "1", "type": "subscribe", "payload": { "query": deep(14) } });
    socket.send_text(&too_deep.to_string());
    assert!(socket.next_text().contains("too deep"));
    quote_over_graphql(&server);
}

/// The library reads all that has come before it answers anything: whoever asks faster than he is
/// refused is read no further.
#[test]
fn refused_operations_of_a_graphql_websocket_do_not_pile_up() {
    use std::io::Write as _;
    let server = Server::start(Protocol::GraphQl, Limits { subscriptions_max: 1, ..limits() });
    let mut socket = open(&server);
    socket.send_text(&subscribe(0));
    assert!(socket.next_text().contains("sequence"));
    let before = crate::resident_bytes();
    let mut writer = socket.stream.try_clone().unwrap();
    writer.set_write_timeout(Some(std::time::Duration::from_secs(1))).unwrap();
    let asks: Vec<u8> = (1..=200_000).flat_map(|id| masked(TEXT, subscribe(id).as_bytes())).collect();
    let asking = std::thread::spawn(move || writer.write_all(&asks));
    let refused = std::iter::repeat_with(|| socket.next_text()).filter(|text| text.contains("errors"));
    assert_eq!(refused.take(2_000).count(), 2_000);
    let growth = crate::resident_bytes().saturating_sub(before);
    drop(socket);
    let _ = asking.join();
    assert!(growth < 48 << 20, "{} MiB", growth >> 20);
    quote_over_graphql(&server);
}

#[test]
fn a_graphql_websocket_that_is_silent_is_asked_for_a_sign_and_let_go() {
    let every = std::time::Duration::from_millis(100);
    let server = Server::start(Protocol::GraphQl, Limits { keep_alive_every: every, ..limits() });
    let mut socket = open(&server);
    let mut pings = 0;
    while let Some((kind, _)) = socket.next() {
        pings += usize::from(kind == PING);
    }
    assert_eq!(pings, 1, "it answers none, and is let go");
}

/// What stands once in a question may stand in thousands of places of its answer.
#[test]
fn a_graphql_answer_is_no_hundred_times_its_question() {
    let server = Server::start(Protocol::GraphQl, limits());
    let long = "A".repeat(40_000);
    let with = |query: String, variables: serde_json::Value| {
        let body = serde_json::json!({ "query": query, "variables": variables }).to_string();
        (body.len(), post(&server, "application/json", &body))
    };
    let histories = format!("query($n:Int!){{{}}}", r#"history(symbol:"AAAA",n:$n){symbol} "#.repeat(130));
    let quotes = format!("query($s:[String!]!){{{}}}", "quotes(symbols:$s){symbol} ".repeat(195));
    let sides = r#"place_order(order:{account:"A",symbol:"A",side:$s,quantity:1}){order_id} "#.repeat(60);
    let many: Vec<String> = (0..100).map(|nth| format!("{nth:0>1000}")).collect();
    for (query, variables) in [
        (histories.clone(), serde_json::json!({ "n": long })),
        (histories, serde_json::json!({ "n": "A".repeat(1_000) })),
        (quotes.clone(), serde_json::json!({ "s": [long] })),
        (quotes.clone(), serde_json::json!({ "s": many[..50] })),
        (format!("mutation($s:Side!){{{sides}}}"), serde_json::json!({ "s": many[0] })),
        (
            format!(r#"{{history(symbol:"AAAA",n:10000){{candles{{{long}:volume}}}}}}"#),
            serde_json::Value::Null,
        ),
    ] {
        let (asked, answer) = with(query, variables);
        assert!(answer.contains("errors") && answer.len() < 2 * asked + 30_000, "{asked}: {}", answer.len());
    }
    // The name of a type costs no complexity, and as much time as a field.
    let typenames =
        format!(r#"{{history(symbol:"AAAA",n:10000){{candles{{{}}}}}}}"#, "__typename ".repeat(33));
    assert!(query(&server, &typenames).contains("at most 32 __typename"));
    quote_over_graphql(&server);
}

/// Who offers the older protocol first is spoken to in the one that was agreed on.
#[test]
fn a_graphql_websocket_speaks_the_subprotocol_that_it_chose() {
    let server = Server::start(Protocol::GraphQl, limits());
    let offered = "graphql-ws, graphql-transport-ws";
    let mut socket = RawWebSocket::open(server.connect(), "/graphql/ws", offered);
    socket.send_text(r#"{"type":"connection_init"}"#);
    assert!(socket.next_text().contains("connection_ack"));
    socket.send_text(&subscribe(1));
    // The older protocol would call it `data`, and `subscribe` no message at all.
    let first = socket.next_text();
    assert!(first.contains(r#""type":"next""#), "{first}");
}

/// What a parser would recurse into until the stack ends.
#[test]
fn values_that_nest_are_refused_before_they_are_parsed() {
    let server = Server::start(Protocol::GraphQl, limits());
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(5_462), close.repeat(5_462));
    let objects = format!("{}1{}", "{a:".repeat(5_462), "}".repeat(5_462));
    let values = [deep("[", "]"), objects, "[".repeat(20_000), format!("[\"\"\" \" {}", "[".repeat(20_000))];
    for value in values {
        for hostile in [
            format!("{{quote(symbol:{value}){{symbol}}}}"),
            format!("{{quote(symbol:\"AAAA\")@skip(if:{value}){{symbol}}}}"),
            format!("query($a:String={value}){{quote(symbol:$a){{symbol}}}}"),
            format!("subscription{{ticks(symbols:{value}){{sequence}}}}"),
            format!("mutation{{place_order(order:{value}){{order_id}}}}"),
        ] {
            let answer = query(&server, &hostile);
            assert!(answer.contains("nested too deep"), "{hostile:.60}: {answer:.300}");
            let mut socket = open(&server);
            let payload =
                serde_json::json!({ "id": "1", "type": "subscribe", "payload": { "query": hostile } });
            socket.send_text(&payload.to_string());
            assert!(socket.next_text().contains("nested too deep"));
            let hash = serde_json::json!({ "version": 1, "sha256Hash": sha256(&hostile) });
            let body = serde_json::json!({ "query": hostile, "extensions": { "persistedQuery": hash } });
            let answer = post(&server, "application/json", &body.to_string());
            assert!(answer.contains("nested too deep"), "{answer:.300}");
        }
    }
    let types = format!("query($a:{}String{}){{__typename}}", "[".repeat(9_000), "]".repeat(9_000));
    assert!(query(&server, &types).contains("nested too deep"));
    let variables = serde_json::json!({ "query": "{__typename}" }).to_string();
    let variables = variables.replace('}', &format!(",\"variables\":{{\"a\":{}", "[".repeat(9_000)));
    assert!(post(&server, "application/json", &variables).starts_with("HTTP/1.1 400"));
    quote_over_graphql(&server);
}

/// What the schema's checks would follow for ever.
#[test]
fn fragments_that_multiply_are_refused_before_they_are_checked() {
    let server = Server::start(Protocol::GraphQl, limits());
    let fragments = |spread: &str| -> String {
        let one = |nth: usize| {
            let next = spread.replace("NEXT", &format!("F{}", nth + 1));
            format!("fragment F{nth} on Query{{{next}}} ")
        };
        (0..30).map(one).collect::<String>() + "fragment F30 on Query{__typename}"
    };
    for spread in [
        "...NEXT ...NEXT",
        "...NEXT ...on Query{...NEXT}",
        "a:__typename ...NEXT ...on Query{...on Query{...NEXT}}",
        "...NEXT ...NEXT @include(if:true)",
    ] {
        for operation in ["{...F0}", "query a{__typename} query b{...F0}", "{__typename}"] {
            let answer = query(&server, &format!("{operation} {}", fragments(spread)));
            assert!(answer.contains("errors") && answer.contains("FAULT_CODE_LIMIT"), "{spread}: {answer}");
            quote_over_graphql(&server);
        }
    }
    let introspection =
        format!("{{__schema{{types{{{}name{}}}}}}}", "fields{type{".repeat(4), "}}".repeat(4));
    assert!(query(&server, &introspection).contains("lists of the introspection"));
    let long = format!("{{{}}}", "a ".repeat(3_000));
    assert!(query(&server, &long).contains("at most 2000 tokens"));
}

#[test]
fn a_batch_has_the_budget_of_one_query() {
    let server = Server::start(Protocol::GraphQl, Limits::default());
    let candles = r#"{history(symbol:"AAAA",n:10000){candles{volume open_cents close_cents}}}"#;
    let one = serde_json::json!({ "query": candles });
    let batch = serde_json::Value::Array(vec![one; 10]).to_string();
    let answer = post(&server, "application/json", &batch);
    assert!(answer.contains("candles") && answer.contains("a batch has the budget of one query"));
    assert!(answer.len() < 2_500_000, "{} bytes", answer.len());
    let small = serde_json::json!({ "query": r#"{quote(symbol:"AAAA"){symbol}}"# });
    let answer = post(&server, "application/json", &serde_json::Value::Array(vec![small; 10]).to_string());
    assert!(!answer.contains("errors"), "{answer}");
}

#[test]
fn what_was_refused_is_not_persisted() {
    let server = Server::start(Protocol::GraphQl, Limits::default());
    let persisted = |text: &str, in_full: bool| {
        let hash = serde_json::json!({ "version": 1, "sha256Hash": sha256(text) });
        let extensions = serde_json::json!({ "persistedQuery": hash });
        let body = match in_full {
            true => serde_json::json!({ "query": text, "extensions": extensions }),
            false => serde_json::json!({ "extensions": extensions }),
        };
        post(&server, "application/json", &body.to_string())
    };
    let good = r#"{quote(symbol:"AAAA"){symbol}}"#;
    assert!(persisted(good, false).contains("PersistedQueryNotFound"));
    assert!(persisted(good, true).contains("AAAA") && persisted(good, false).contains("AAAA"));
    for refused in ["{gopher}", "{quote(symbol:\"nobody\"){symbol}}", "{", "{...F} fragment F on Query{...F}"]
    {
        assert!(persisted(refused, true).contains("errors"));
        assert!(persisted(refused, false).contains("PersistedQueryNotFound"), "{refused}");
    }
    let before = crate::resident_bytes();
    for nth in 0..100 {
        let refused = format!("#{nth}{}\n{{gopher}}", "x".repeat(60_000));
        assert!(persisted(&refused, true).contains("errors"));
        let kept = format!("#{nth}\n{{{}}}", r#"quote(symbol:"AAAA"){symbol} "#.repeat(195));
        assert!(persisted(&kept, true).contains("AAAA"));
    }
    let grown = crate::resident_bytes().saturating_sub(before);
    assert!(grown < 48 << 20, "{} MiB", grown >> 20);
    let mismatch = serde_json::json!({ "query": good, "extensions": { "persistedQuery": { "version": 1, "sha256Hash": "0" } } });
    assert!(post(&server, "application/json", &mismatch.to_string()).contains("does not match"));
    for wrong in [r#"{"version":2,"sha256Hash":"0"}"#, r#"{"version":1}"#, "7", "null"] {
        let body = format!(r#"{{"query":"{{__typename}}","extensions":{{"persistedQuery":{wrong}}}}}"#);
        assert!(post(&server, "application/json", &body).contains("errors"), "{wrong}");
    }
}

fn sha256(text: &str) -> String {
    use sha2::Digest as _;
    format!("{:x}", sha2::Sha256::digest(text.as_bytes()))
}

#[test]
fn a_graphql_websocket_that_announces_much_or_greets_nobody_is_closed() {
    use std::io::Write as _;
    let server = Server::start(Protocol::GraphQl, limits());
    let mut socket = open(&server);
    let before = crate::resident_bytes();
    socket.stream.write_all(b"\x81\xff\x00\x00\x00\x00\x00\xe4\xe1\xc0\x00\x00\x00\x00a").unwrap();
    while socket.next().is_some() {}
    assert!(crate::resident_bytes().saturating_sub(before) < 1 << 20);
    let mut silent = RawWebSocket::open(server.connect(), "/graphql/ws", "graphql-transport-ws");
    while silent.next().is_some() {}
    quote_over_graphql(&server);
}
