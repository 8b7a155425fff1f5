//! Retries by wirebench's policy, and by a stock client's: Python's grpcio with a service config,
//! against the same market that fails half of its calls.

use std::process::Command;
use std::time::Duration;

use clients::Upstream;
use proto::Operation;
use proto::v1::QuoteRequest;
use terms::{Backoff, Carriage, Policy, RetryJitter};

use crate::served::Served;

const CALLS: u32 = 2_000;
/// Half of the calls fail, and four attempts are made.
const FAILED_SHARE: f64 = 0.5 * 0.5 * 0.5 * 0.5;

/// The same policy in the words of gRPC (A6): attempts, backoff, and which errors pass.
const GRPCIO: &str = r#"
import json, sys, time
from concurrent.futures import ThreadPoolExecutor
try: import grpc
except ImportError as error: print("missing:", error); sys.exit()
address, calls = sys.argv[1], int(sys.argv[2])
retry = {"maxAttempts": 4, "initialBackoff": "0.01s", "maxBackoff": "0.1s", "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"]}
config = json.dumps({"methodConfig": [{"name": [{}], "retryPolicy": retry}]})
with grpc.insecure_channel(address, options=[("grpc.service_config", config), ("grpc.enable_retries", 1)]) as channel:
    quote = channel.unary_unary("/wirebench.market.v1.Market/GetQuote")
    def call(_):
        try: quote(b"\x0a\x04AAAA", timeout=10)
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.UNAVAILABLE, error
            return 1
        return 0
    with ThreadPoolExecutor(16) as pool: print(sum(pool.map(call, range(calls))))
"#;

/// Both fail p⁴ of their calls, to within four standard deviations. What differs is when they try
/// again: gRPC's pause is d × U(0.8, 1.2), ours is U(0, d).
#[test]
fn a_stock_client_fails_as_many_calls_as_we_do() {
    let market = Served::with(&["grpc", "--handler-fails", "50%"]);
    let ours = ours(market.authority.parse().unwrap());
    let calls = CALLS.to_string();
    let stock = Command::new("python3").args(["-c", GRPCIO, &market.authority, &calls]).output();
    drop(market);
    let expected = f64::from(CALLS) * FAILED_SHARE;
    let near = 4.0 * (expected * (1.0 - FAILED_SHARE)).sqrt();
    assert!((f64::from(ours) - expected).abs() < near, "{ours} of {CALLS} failed, {expected} expected");
    let stock = match stock {
        Ok(output) if output.status.success() => String::from_utf8(output.stdout).unwrap(),
        Ok(output) => panic!("{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => return ::lab::skip(&format!("python3 cannot be run: {error}")),
    };
    let Ok(stock) = stock.trim().parse::<u32>() else { return ::lab::skip(&stock) };
    eprintln!("of {CALLS} calls ours failed {ours}, grpcio's {stock}");
    assert!((f64::from(stock) - expected).abs() < near, "{stock} of {CALLS} failed, {expected} expected");
}

fn ours(address: std::net::SocketAddr) -> u32 {
    let backoff = Backoff::Exponential { base: Duration::from_millis(10), cap: Duration::from_millis(100) };
    let policy = Policy { attempts: 4, backoff, jitter: RetryJitter::Full, ..Policy::NONE };
    clients::local_runtime().unwrap().block_on(async {
        let upstream =
            Upstream::open(Carriage::Grpc, address.into(), policy, Duration::from_secs(10), 1).unwrap();
        let call = || upstream.call(Operation::Quote(QuoteRequest { symbol: "AAAA".to_owned() }), None);
        let mut failed = 0;
        for _ in 0..CALLS / 20 {
            let results = futures::future::join_all((0..20).map(|_| call())).await;
            failed += results.iter().filter(|result| result.is_err()).count() as u32;
        }
        failed
    })
}
