//! The ledger in a file, against a market that is killed at any moment: never two orders for one
//! key, never a receipt for an order that is not there. Counted by the `sqlite3` program.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::served::Served;

/// How often the market is killed, at least.
const KILLS: usize = 100;
/// How often it is killed at most, so that enough calls are under way.
const KILLS_MAX: usize = 1_000;
/// Orders that a kill must have hit: sent whole, and never answered.
const HIT: usize = 20;
/// Clients that place orders meanwhile.
const CLIENTS: usize = 4;

fn serve(ledger: &Path) -> Served {
    Served::with(&["rest", "--ledger", ledger.to_str().unwrap()])
}

/// What became of an order.
#[derive(Debug, PartialEq)]
enum Placed {
    /// Its id.
    Receipt(u64),
    /// Another status than 201.
    Refused(String),
    /// It was sent whole, and no whole answer came.
    Unanswered,
    /// It was not sent.
    Unsent,
}

fn place(authority: &str, key: &str, quantity: u32, patience: Duration) -> Placed {
    let order = format!(r#"{{"account":"ACC00001","symbol":"AAAA","side":"buy","quantity":{quantity}}}"#);
    let request = format!(
        "POST /v1/orders HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         idempotency-key: {key}\r\ncontent-length: {}\r\n\r\n{order}",
        order.len()
    );
    let Ok(mut stream) = TcpStream::connect(authority) else { return Placed::Unsent };
    stream.set_read_timeout(Some(patience)).unwrap();
    if stream.write_all(request.as_bytes()).is_err() {
        return Placed::Unsent;
    }
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    let Some((head, body)) = answer.split_once("\r\n\r\n").filter(|_| read.is_ok()) else {
        return Placed::Unanswered;
    };
    if !head.starts_with("HTTP/1.1 201") {
        return Placed::Refused(head.lines().next().unwrap().to_owned());
    }
    let id = body.split(r#""order_id":"#).nth(1).and_then(|rest| rest.split([',', '}']).next());
    match id.and_then(|id| id.trim_matches('"').parse().ok()) {
        Some(id) => Placed::Receipt(id),
        None => Placed::Unanswered,
    }
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
    let mut market = serve(&ledger);
    let authority = Mutex::new(market.authority.clone());
    let receipts = Mutex::new(BTreeMap::new());
    let (over, hit) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut kills = 0;
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (authority, receipts, over, hit) = (&authority, &receipts, &over, &hit);
            scope.spawn(move || {
                for nth in 0.. {
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    let key = format!("{client}-{nth}");
                    let id = loop {
                        let at = authority.lock().unwrap().clone();
                        match place(&at, &key, 5, Duration::from_secs(10)) {
                            Placed::Receipt(id) => break id,
                            Placed::Unanswered => drop(hit.fetch_add(1, Ordering::Relaxed)),
                            Placed::Unsent => clock::pause_thread(Duration::from_millis(1)),
                            Placed::Refused(status) => panic!("{key}: {status}"),
                        }
                    };
                    receipts.lock().unwrap().insert(key, id);
                }
            });
        }
        let mut chance = ChaCha8Rng::seed_from_u64(1);
        while kills < KILLS || (hit.load(Ordering::Relaxed) < HIT && kills < KILLS_MAX) {
            clock::pause_thread(Duration::from_micros(chance.random_range(1_000..40_000)));
            market.kill();
            market = serve(&ledger);
            authority.lock().unwrap().clone_from(&market.authority);
            kills += 1;
        }
        over.store(true, Ordering::Relaxed);
    });
    market.kill();
    let (receipts, hit) = (receipts.into_inner().unwrap(), hit.into_inner());
    eprintln!("{kills} kills, {} receipts, {hit} orders that were sent and not answered", receipts.len());
    assert!(hit >= HIT && !receipts.is_empty(), "{kills} kills hit {hit} orders");
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

/// A reply that is lost leaves an order, and a later attempt gets its receipt, also from another
/// process; another order under the same key is refused.
#[test]
fn a_lost_reply_leaves_an_order_that_its_key_finds() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("ledger.sqlite");
    let short = Duration::from_millis(500);
    let losing = Served::with(&["rest", "--ledger", ledger.to_str().unwrap(), "--handler-loses", "100%"]);
    assert_eq!(place(&losing.authority, "once", 5, short), Placed::Unanswered);
    drop(losing);
    let market = serve(&ledger);
    let again = place(&market.authority, "once", 5, Duration::from_secs(10));
    assert!(matches!(again, Placed::Receipt(_)), "{again:?}");
    assert_eq!(place(&market.authority, "once", 5, Duration::from_secs(10)), again);
    let other = place(&market.authority, "once", 6, Duration::from_secs(10));
    assert_eq!(other, Placed::Refused("HTTP/1.1 422 Unprocessable Entity".to_owned()));
    if let Some(orders) = sqlite3(&ledger, "select count(*) from orders") {
        assert_eq!(orders, "1");
    }
}
