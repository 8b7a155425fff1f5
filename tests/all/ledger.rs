//! The ledger in a file, against a market that is killed at any moment: never two orders for one
//! key, never a receipt for an order that is not there. Counted by the `sqlite3` program.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// How often the market is killed.
const KILLS: usize = 100;
/// Clients that place orders meanwhile.
const CLIENTS: usize = 4;

/// A market that keeps its orders in a file.
fn serve(ledger: &Path) -> (Child, String) {
    let mut market = Command::new(env!("CARGO_BIN_EXE_wirebench"))
        .args(["serve", "rest", "--ledger", ledger.to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(market.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let authority = line.split("://").nth(1).unwrap().split('/').next().unwrap().trim().to_owned();
    (market, authority)
}

/// Places an order with this key; says its id, or nothing where no whole answer came.
fn place(authority: &str, key: &str) -> Option<u64> {
    let order = r#"{"account":"ACC00001","symbol":"AAAA","side":"buy","quantity":5}"#;
    let mut stream = TcpStream::connect(authority).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let request = format!(
        "POST /v1/orders HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         idempotency-key: {key}\r\ncontent-length: {}\r\n\r\n{order}",
        order.len()
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let id = body.split(r#""order_id":"#).nth(1)?.split([',', '}']).next()?.trim_matches('"').parse().ok()?;
    assert!(head.starts_with("HTTP/1.1 201"), "{answer}");
    Some(id)
}

/// What the `sqlite3` program answers, or nothing where it is not installed.
fn sqlite3(ledger: &Path, query: &str) -> Option<String> {
    match Command::new("sqlite3").arg(ledger).arg(query).output() {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
        }
        Err(error) => {
            ::lab::skip(&format!("sqlite3 cannot be run: {error}"));
            None
        }
    }
}

/// Each client takes a key, asks until it has a receipt, and takes the next; the market is killed
/// and started again all the time.
#[test]
fn a_market_killed_a_hundred_times_places_each_order_once() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("ledger.sqlite");
    let (first, authority) = serve(&ledger);
    let (market, authority) = (Mutex::new(first), Mutex::new(authority));
    let receipts = Mutex::new(BTreeMap::new());
    let (kills, repeats) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (authority, receipts, kills, repeats) = (&authority, &receipts, &kills, &repeats);
            scope.spawn(move || {
                for nth in 0.. {
                    if kills.load(Ordering::Relaxed) >= KILLS {
                        return;
                    }
                    let key = format!("{client}-{nth}");
                    let id = loop {
                        let at = authority.lock().unwrap().clone();
                        if let Some(id) = place(&at, &key) {
                            break id;
                        }
                        repeats.fetch_add(1, Ordering::Relaxed);
                        clock::pause_thread(Duration::from_millis(1));
                    };
                    receipts.lock().unwrap().insert(key, id);
                }
            });
        }
        let mut chance = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..KILLS {
            clock::pause_thread(Duration::from_micros(chance.random_range(1_000..40_000)));
            let mut running = market.lock().unwrap();
            running.kill().unwrap();
            running.wait().unwrap();
            let (next, at) = serve(&ledger);
            (*running, *authority.lock().unwrap()) = (next, at);
            kills.fetch_add(1, Ordering::Relaxed);
        }
    });
    let mut market = market.into_inner().unwrap();
    market.kill().unwrap();
    market.wait().unwrap();
    let receipts = receipts.into_inner().unwrap();
    let repeats = repeats.into_inner();
    eprintln!("{} receipts, {repeats} attempts without an answer", receipts.len());
    // A kill that hit nothing under way shows nothing.
    assert!(receipts.len() > KILLS && repeats > KILLS / 2, "{} receipts, {repeats} repeats", receipts.len());
    let Some(twice) = sqlite3(&ledger, "select count(*) - count(distinct idempotency_key) from orders")
    else {
        return;
    };
    assert_eq!(twice, "0", "orders that were placed twice");
    let orders = sqlite3(&ledger, "select idempotency_key || ' ' || id from orders").unwrap();
    let orders: BTreeMap<String, u64> = orders
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(key, id)| (key.to_owned(), id.parse().unwrap()))
        .collect();
    for (key, id) in &receipts {
        assert_eq!(orders.get(key), Some(id), "the receipt of {key} is of an order that is not there");
    }
    assert_eq!(sqlite3(&ledger, "pragma integrity_check").unwrap(), "ok");
}

/// A reply that is lost leaves an order, and the second attempt finds it; another order under the
/// same key is refused.
#[test]
fn a_lost_reply_leaves_an_order_that_its_key_finds() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("ledger.sqlite");
    let (mut market, authority) = serve(&ledger);
    let (first, second) = (place(&authority, "once"), place(&authority, "once"));
    assert!(first.is_some() && first == second, "{first:?} {second:?}");
    market.kill().unwrap();
    market.wait().unwrap();
    let (mut market, authority) = serve(&ledger);
    assert_eq!(place(&authority, "once"), first, "the key is known after a restart");
    market.kill().unwrap();
    market.wait().unwrap();
}
