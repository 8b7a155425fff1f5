//! The dearest requests that are allowed, one after the other without a pause: others are answered
//! in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clock::{Clock, pause_thread};
use proto::Protocol;
use proto::frame::Kind;
use proto::v1::HistoryRequest;
use servers::Limits;

use crate::{Server, tcp_frame};

/// Calls of the good client.
const CALLS: usize = 40;
/// In which nine in ten of them must be answered.
const GOOD_MAX: Duration = Duration::from_millis(100);

/// Nine in ten good calls took no longer than this, while others asked the dearest.
fn beside(dearest: &(impl Fn(&Server) + Sync), good: impl Fn(&Server), server: &Server) -> Duration {
    let done = Arc::new(AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let done = Arc::clone(&done);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    dearest(server);
                }
            });
        }
        let mut times: Vec<Duration> = (0..CALLS)
            .map(|_| {
                pause_thread(Duration::from_millis(25));
                let began = Clock::System.now();
                good(server);
                Clock::System.now().since(began)
            })
            .collect();
        done.store(true, Ordering::Relaxed);
        times.sort_unstable();
        times[CALLS * 9 / 10]
    })
}

fn graphql(query: &str) -> impl Fn(&Server) + Sync {
    let body = serde_json::json!({ "query": query }).to_string();
    let request = format!(
        "POST /graphql HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    move |server| {
        server.answer(request.as_bytes());
    }
}

/// Introspection through as many lists as may nest, thirty times over.
fn introspection() -> String {
    let one = "__schema{types{fields{type{fields{type{fields{name type{name}}}}}}}}";
    format!("{{{}}}", (0..10).map(|nth| format!("a{nth}:{one} ")).collect::<String>())
}

/// Errors of which each looks for names that are nearly right.
fn nonsense() -> String {
    format!("{{{}}}", (0..1_900).map(|nth| format!("symbol{nth} ")).collect::<String>())
}

#[test]
fn good_calls_are_answered_beside_the_dearest_graphql() {
    let server = Server::start(Protocol::GraphQl, Limits::default());
    let all = "opened_at_us open_cents high_cents low_cents close_cents volume";
    for query in
        [format!(r#"{{history(symbol:"AAAA",n:10000){{candles{{{all}}}}}}}"#), introspection(), nonsense()]
    {
        let took = beside(&graphql(&query), crate::graphql::quote_over_graphql, &server);
        assert!(took < GOOD_MAX, "{took:?} beside {query:.80}");
    }
}

#[test]
fn good_calls_are_answered_beside_the_dearest_rest() {
    let server = Server::start(Protocol::Rest, Limits::default());
    let dearest = |server: &Server| {
        let one = "GET /v1/history/AAAA?n=10000 HTTP/1.1\r\nhost: localhost\r\n";
        let ten_and_the_last = format!("{}{one}connection: close\r\n\r\n", format!("{one}\r\n").repeat(10));
        server.answer(ten_and_the_last.as_bytes());
    };
    let took = beside(&dearest, crate::rest::quote_over_rest, &server);
    assert!(took < GOOD_MAX, "{took:?}");
}

#[test]
fn good_calls_are_answered_beside_the_dearest_frames() {
    let server = Server::start(Protocol::Tcp, Limits::default());
    let history =
        tcp_frame(7, Kind::HistoryRequest, &HistoryRequest { symbol: "AAAA".to_owned(), n: 10_000 });
    let dearest = |server: &Server| {
        use std::io::Write as _;
        let mut stream = server.connect();
        stream.write_all(&history.repeat(20)).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        crate::until_closed(&mut stream);
    };
    let took = beside(&dearest, crate::tcp::quote_over_tcp, &server);
    assert!(took < GOOD_MAX, "{took:?}");
}
