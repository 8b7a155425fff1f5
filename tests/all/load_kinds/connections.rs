//! How connections open, live and end, and what the protocol says of calls on them.

use std::io::Read as _;
use std::net::TcpListener;
use std::time::Duration;

use clock::Clock;

use super::servers::{self, Server, http, websocket};
use super::{frames, load, loaded};
use crate::command::stderr;

#[test]
fn opening_has_an_end() {
    let silent = Server::start(|mut stream, _| drop(stream.read_to_end(&mut Vec::new())));
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let to_udp = format!("https://{}/", udp.local_addr().unwrap());
    let black_hole = TcpListener::bind("127.0.0.1:0").unwrap();
    let full = format!("http://{}/", black_hole.local_addr().unwrap());
    for (url, more) in [
        (silent.url("ws"), &[][..]),
        (silent.url("https"), &["--insecure"]),
        (silent.url("tls"), &["--insecure", "--reply-bytes=1"]),
        (silent.url("grpcs"), &["--insecure"]),
        (to_udp, &["--http3", "--insecure"]),
        (full, &["-c4000"]),
    ] {
        let began = Clock::System.now();
        let (ended, _) = load(&[&[&url[..], "--connect-time-out=700ms"], more].concat());
        let said = stderr(&ended);
        assert_eq!(ended.status.code(), Some(1), "{url}: {said}");
        assert!(
            said.contains("no connection to 127.0.0.1:") && said.contains("within 700 ms"),
            "{url}: {said}"
        );
        assert!(Clock::System.now().since(began) < Duration::from_secs(20), "{url}");
    }
    // Its default is that of a call.
    let (ended, _) = load(&[&silent.url("ws"), "--time-out=600ms"]);
    assert!(stderr(&ended).contains("within 600 ms"), "{}", stderr(&ended));
}

/// WebSocket servers ping, and close where no pong comes; others close what is idle.
#[test]
fn a_connection_lives_between_calls() {
    let pinging = websocket(servers::pings);
    let found = loaded(&[&pinging.url("ws"), "--rate=0.7", "--duration=3s", "--warm-up=0s", "-c1"]);
    assert_eq!((&found["failed_total"], &found["reconnections"]), (&0.into(), &0.into()), "{found}");
    let lines = Server::start(|stream, _| servers::closes_when_idle(stream, b"\n"));
    let web = Server::start(|stream, _| servers::closes_when_idle(stream, b"\r\n\r\n"));
    let closing = websocket(servers::closes_after_each);
    for (url, more) in
        [(lines.url("tcp"), &["--reply-until=\\n"][..]), (web.url("http"), &[]), (closing.url("ws"), &[])]
    {
        let shape = [&url[..], "--rate=2", "--duration=2s", "--warm-up=0s", "-c1"];
        let found = loaded(&[&shape[..], more].concat());
        assert_eq!((&found["ok"], &found["failed_total"]), (&4.into(), &0.into()), "{url}: {found}");
        assert!(found["reconnections"].as_u64().unwrap() >= 3, "{url}: {found}");
    }
}

/// A call that the server says it did not process is made again on another connection.
#[test]
fn goaway_and_refusals_are_protocol_and_no_failure() {
    for (kind, server) in [
        ("goaway", Server::start(|stream, _| frames::serve(stream, frames::Manner::GoesAway(40, 0)))),
        // Whatever its reason (RFC 9113, section 6.8): an internal error.
        ("goaway 2", Server::start(|stream, _| frames::serve(stream, frames::Manner::GoesAway(40, 2)))),
        ("refuses", Server::start(|stream, _| frames::serve(stream, frames::Manner::Refuses(40)))),
    ] {
        let shape = ["--http2", "--rate=300", "--in-flight=16", "--duration=1s", "--warm-up=0s", "-c2"];
        let found = loaded(&[&[&server.url("http")[..]], &shape[..]].concat());
        assert_eq!((&found["ok"], &found["failed_total"]), (&300.into(), &0.into()), "{kind}: {found}");
        assert!(found["reconnections"].as_u64().unwrap() >= 4, "{kind}: {found}");
    }
    // One that speaks no HTTP/2 at all says so.
    let old =
        http(|_| b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_vec());
    let (ended, _) = load(&[&old.url("http"), "--http2", "-n2"]);
    assert_eq!(ended.status.code(), Some(1));
    assert!(stderr(&ended).contains("does not speak HTTP/2"), "{}", stderr(&ended));
}

/// A safe call on a connection that the server closes as it comes is made again (RFC 9112, section
/// 9.3.1); one that is not safe is not.
#[test]
fn a_connection_that_closes_as_a_call_comes_costs_no_safe_call() {
    let server = Server::start(|stream, _| servers::answers_so_many(stream, 3));
    let found = loaded(&[&server.url("http"), "-n40", "-c2"]);
    assert_eq!((&found["ok"], &found["failed_total"]), (&40.into(), &0.into()), "{found}");
    let (_, found) = load(&[&server.url("http"), "-n40", "-c2", "--method=POST"]);
    assert!(found["failed"]["reset"].as_u64().unwrap() > 0, "{found}");
}

/// The server lets one stream be open, and answers after 20 ms: what waits for it waits here.
#[test]
fn what_waits_in_the_client_is_wait() {
    let server = Server::start(|stream, _| frames::serve(stream, frames::Manner::Streams(1)));
    let shape = ["--http2", "--rate=200", "--in-flight=16", "--duration=1s", "-c1", "--time-out=20s"];
    let found = loaded(&[&[&server.url("http")[..]], &shape[..]].concat());
    let p50 = |of: &str| found[of]["p50"].as_f64().unwrap();
    assert!((19_000.0..40_000.0).contains(&p50("service_us")), "{found}");
    assert!(p50("wait_us") > 300_000.0 && p50("response_us") > 300_000.0, "{found}");
}
