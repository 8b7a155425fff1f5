//! SSE: places that are none, too large a heartbeat, slow heads and bodies; and how a stream is
//! resumed.

use std::io::{BufRead as _, BufReader, Write as _};

use proto::Protocol;

use crate::{Server, limits, text};

const PATH: &str = "/v1/ticks/stream";

fn ask(more: &str) -> String {
    format!("GET {PATH} HTTP/1.1\r\nhost: localhost\r\n{more}\r\n")
}

/// The lines of a stream that stays open, without the chunks' own.
fn stream(server: &Server, more: &str) -> impl Iterator<Item = String> + use<> {
    let mut stream = server.connect();
    stream.write_all(ask(more).as_bytes()).unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().starts_with("HTTP/1.1 200"));
    lines.filter(|line| line.contains(": "))
}

fn number(line: &str, before: &str) -> Option<u64> {
    line.strip_prefix(before)?.trim_end_matches('}').parse().ok()
}

fn ticks_over_sse(server: &Server) -> u64 {
    stream(server, "").find_map(|line| number(&line, "id: ")).unwrap()
}

#[test]
fn sse_answers_hostile_requests_and_serves_on() {
    let server = Server::start(Protocol::Sse, limits());
    let refused = |request: &str, status: &str| {
        let answer = text(&server.answer(request.as_bytes()));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request:.80}: {answer}");
        assert_eq!(
            answer.contains("application/problem+json"),
            status != "431" && status != "405",
            "{answer}"
        );
        ticks_over_sse(&server);
    };
    let close = "connection: close\r\n";
    for id in ["garbage", "-1", "1.5", "", "99999999999999999999999999"] {
        refused(&ask(&format!("{close}last-event-id: {id}\r\n")), "400");
    }
    let symbols =
        |list: &str| format!("GET {PATH}?symbols={list} HTTP/1.1\r\nhost: localhost\r\n{close}\r\n");
    refused(&symbols("NONE"), "404");
    refused(&symbols(&vec!["AAAA"; 101].join(",")), "400");
    refused(&format!("GET {PATH}?gopher=1 HTTP/1.1\r\nhost: localhost\r\n{close}\r\n"), "400");
    refused(&ask(&format!("last-event-id: {}\r\n", "1".repeat(40_000))), "431");
    refused(&format!("POST {PATH} HTTP/1.1\r\nhost: localhost\r\n{close}content-length: 0\r\n\r\n"), "405");
    let post = format!("POST /v1/heartbeats HTTP/1.1\r\nhost: localhost\r\n{close}");
    refused(&format!("{post}content-length: 10000000\r\n\r\n{{"), "413");
    refused(&format!("{post}content-length: 5\r\n\r\n{{]}}[}}"), "400");
    refused(&format!("{post}content-length: 50\r\n\r\n{{"), "408");
}

#[test]
fn a_stream_resumes_behind_the_last_event_that_was_seen() {
    let server = Server::start(Protocol::Sse, limits());
    let seen = ticks_over_sse(&server);
    let ids = stream(&server, &format!("last-event-id: {seen}\r\n"))
        .filter_map(|line| number(&line, "id: "))
        .take(100);
    assert!(ids.eq(seen + 1..=seen + 100));
}

/// The ring holds 4 096 ticks: who has seen the first only is told how many are lost, and gets the
/// rest.
#[test]
fn a_stream_that_was_away_too_long_is_told_how_much_it_missed() {
    let server = Server::start(Protocol::Sse, limits());
    stream(&server, "").find(|line| number(line, "id: ").is_some_and(|id| id > 4_200));
    let mut lines = Vec::new();
    for line in stream(&server, "last-event-id: 1\r\n") {
        lines.push(line);
        if lines.last().is_some_and(|line| line.starts_with("id: ")) {
            break;
        }
    }
    let missed = lines.iter().find_map(|line| number(line, "data: {\"missed\":")).unwrap();
    let first = lines.iter().find_map(|line| number(line, "id: ")).unwrap();
    assert!(lines.iter().any(|line| line == "event: gap"), "{lines:?}");
    assert!(missed > 100, "{missed}");
    assert_eq!(first, 1 + missed + 1, "what was missed and what came do not meet");
}
