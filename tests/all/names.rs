//! Balancing by a name, end to end: who follows when a market leaves it, and what a stock client
//! makes of it through the system's own resolver.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use proto::Protocol;
use record::MarketsPart;
use servers::names::{self, Zone};
use servers::protocols::{self, Settings};
use servers::{Market, MarketConfig, Shutdown};
use terms::{Absence, Registry};

use crate::measured::Measured;

/// Calls in the measured time, and those that a market of three has in a second.
const CALLS: f64 = 600.0 * 2.5;
const OF_ONE_A_SECOND: f64 = 600.0 / 3.0;

#[test]
fn fresh_connections_follow_a_name_and_open_ones_do_not() {
    let has_unbound = ::lab::program::find(&["unbound"]).is_some();
    let unbound = if has_unbound { ", \"unbound\"" } else { "" };
    if !has_unbound {
        ::lab::skip("unbound is not installed");
    }
    let options = [
        "--quick".to_owned(),
        format!("--set=quick.contenders=[\"dns\", \"next\"{unbound}]"),
        "--set=quick.conditions=[\"long\", \"pooled\", \"stopped\"]".to_owned(),
        "--set=quick.duration=\"2500ms\"".to_owned(),
    ];
    let measured = Measured::of("balance-dns", &options.each_ref().map(String::as_str)).unwrap();
    let in_a_round = |contender: &str, condition: &str, check: &dyn Fn(&MarketsPart, f64)| {
        measured.in_a_round(contender, condition, |round| {
            check(round.markets.as_ref().unwrap(), round.counts.failures() as f64);
        });
    };
    // Few fail where a market leaves and goes on serving.
    let few = CALLS / 100.0;
    for contender in ["dns", "next"] {
        in_a_round(contender, "long", &|of, failed| {
            let last = of.last_call_us.unwrap();
            assert!((200e3..=1.3e6).contains(&last) && failed < few, "{contender}: {failed} {of:?}");
        });
    }
    in_a_round("dns", "pooled", &|of, failed| {
        assert!(of.called_to_the_end && of.shares[1] > 0.25 && failed < few, "{failed} {of:?}");
    });
    // What is sent to a market that is gone fails, for as long as the name is kept; not where
    // clients try the next address, but for what is under way when it dies.
    in_a_round("dns", "stopped", &|of, failed| {
        assert!((OF_ONE_A_SECOND / 10.0..OF_ONE_A_SECOND * 1.1).contains(&failed), "{failed} {of:?}");
    });
    in_a_round("next", "stopped", &|of, failed| assert!(failed < few, "{failed} {of:?}"));
    if has_unbound {
        in_a_round("unbound", "long", &|of, failed| {
            let last = of.last_call_us.unwrap();
            let whole_seconds = (200e3..=2.1e6).contains(&last);
            assert!(whole_seconds && failed < few, "{failed} {of:?}");
        });
    }
}

/// Starts two markets at one port; says which.
async fn start_two(shutdown: &Shutdown) -> u16 {
    let market = Market::open(&MarketConfig::default(), Clock::System).unwrap();
    let mut port = 0;
    for last in 1..=2 {
        let address = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), port));
        let started =
            protocols::start(Protocol::Rest, address, market.clone(), Settings::default(), shutdown.clone());
        port = started.await.unwrap().address.port();
    }
    port
}

/// A stub resolver asks at port 53, of whatever address `resolv.conf` has.
const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(127, 0, 53, 1);

#[test]
fn curl_finds_the_market_by_its_name_through_the_systems_resolver() {
    let folder = tempfile::tempdir().unwrap();
    let conf = folder.path().join("resolv.conf");
    std::fs::write(&conf, format!("nameserver {NAME_SERVER}\n")).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (shutdown, registry) = (Shutdown::new(), Registry::default());
    let port = runtime.block_on(start_two(&shutdown));
    let zone = Zone::new(vec![Ipv4Addr::new(127, 0, 0, 1), Ipv4Addr::new(127, 0, 0, 2)], 1, registry.clone());
    let named = names::start(SocketAddr::from((NAME_SERVER, 53)), Arc::new(zone), shutdown.clone());
    if let Err(error) = runtime.block_on(named) {
        return ::lab::skip(&format!("no name server at port 53: {error}"));
    }
    if !Command::new("unshare").args(["--mount", "true"]).status().is_ok_and(|ended| ended.success()) {
        return ::lab::skip("no mounts of one's own");
    }
    // Its own mounts, so that nobody else asks there.
    let ask = || {
        let name = proto::MARKET_NAME.trim_end_matches('.');
        let script = format!(
            "mount --bind {} /etc/resolv.conf && curl -sf --max-time 10 -o /dev/null -w '%{{remote_ip}}' http://{name}:{port}/v1/quotes/AAAA",
            conf.display()
        );
        let ran = Command::new("unshare").args(["--mount", "sh", "-c", &script]).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(ran.status.success(), "{said}{:?}", ran.status);
        String::from_utf8(ran.stdout).unwrap()
    };
    let asked: Vec<String> = (0..6).map(|_| ask()).collect();
    // Each answer begins with another address, and glibc sorts them: those of one network by how
    // many bits they share with this machine's own (RFC 6724, section 6, rule 9).
    assert!(asked.iter().all(|address| address == "127.0.0.1"), "{asked:?}");
    registry.set(vec![Absence { market: 0, from: Duration::ZERO, to: Duration::MAX }]);
    assert_eq!(ask(), "127.0.0.2", "a stub resolver remembers nothing");
    shutdown.cancel();
}
