//! Names over real sockets.

use std::time::Duration;

use clock::Clock;
use terms::{Absence, Registry};

use super::*;

/// A question as RFC 1035, section 4.1 writes it: its id, that recursion is not asked for, one
/// name, a type, class IN.
fn question(id: u16, name: &str, kind: u8) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.trim_end_matches('.').split('.') {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label.as_bytes());
    }
    bytes.extend([0, 0, kind, 0, 1]);
    bytes
}

/// Someone who asks, and what is answered to each question.
struct Asker(UdpSocket);

impl Asker {
    async fn of(address: SocketAddr) -> Asker {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        socket.connect(address).await.unwrap();
        Asker(socket)
    }

    /// The answer's code, and whatever follows its head.
    async fn ask(&self, id: u16, name: &str, kind: u8) -> (u8, Vec<u8>) {
        self.0.send(b"no question").await.unwrap();
        self.0.send(&question(id, name, kind)).await.unwrap();
        let mut bytes = [0; 512];
        loop {
            let received = clock::limit(Duration::from_secs(10), self.0.recv(&mut bytes)).await.unwrap();
            let answer = &bytes[..received.unwrap()];
            if answer[..2] == id.to_be_bytes() {
                return (answer[3] & 0x0f, answer[12..].to_vec());
            }
        }
    }

    /// The last byte of each address that the market's name has, and how long it may be kept.
    async fn markets(&self, id: u16) -> (Vec<u8>, u32) {
        let (code, body) = self.ask(id, proto::MARKET_NAME, 1).await;
        assert_eq!(code, 0);
        // Each record ends with how long it may be kept, its length, and an address of 127.0.0.0/8.
        let records: Vec<&[u8]> = body.windows(10).filter(|bytes| bytes[4..9] == [0, 4, 127, 0, 0]).collect();
        let ttl = records[0][..4].try_into().map(u32::from_be_bytes).unwrap();
        (records.iter().map(|record| record[9]).collect(), ttl)
    }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(test);
}

const ANYWHERE: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);
const MARKETS: [Ipv4Addr; 3] =
    [Ipv4Addr::new(127, 0, 0, 1), Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3)];

#[test]
fn the_markets_name_is_known_and_no_other_and_noise_does_no_harm() {
    run(async {
        let market = Ipv4Addr::new(198, 18, 1, 2);
        let shutdown = Shutdown::new();
        let zone = Arc::new(Zone::new(vec![market], 0, Registry::default()));
        let running = start(ANYWHERE.into(), zone, shutdown.clone()).await.unwrap();
        let asker = Asker::of(running.address).await;
        for (id, name, code) in
            [(1, proto::MARKET_NAME, 0), (2, "nobody.wirebench.test.", 3), (3, "example.org.", 5)]
        {
            let (said, body) = asker.ask(id, name, 1).await;
            assert_eq!(said, code, "{name}: {body:?}");
            // The last bytes of an answer that there is: how long it may be kept, and the address.
            let address = [&[0, 0, 0, 0, 0, 4][..], &market.octets()].concat();
            assert_eq!(body.ends_with(&address), code == 0, "{name}: {body:?}");
        }
        // It has no IPv6 address, and that is no error: stock clients ask for both.
        let (code, body) = asker.ask(4, proto::MARKET_NAME, 28).await;
        assert_eq!((code, body.windows(4).any(|bytes| bytes == market.octets())), (0, false));
        shutdown.cancel();
        running.task.await.unwrap();
    });
}

/// The zone leaves out who is off the list at once; a cache when what it remembers expires, and one
/// that keeps answers longer does not.
#[test]
fn a_cache_answers_from_what_it_remembers_until_that_expires() {
    run(async {
        let (shutdown, registry) = (Shutdown::new(), Registry::default());
        let zone = Arc::new(Zone::new(MARKETS.to_vec(), 7, registry.clone()));
        let zone = start(ANYWHERE.into(), zone, shutdown.clone()).await.unwrap();
        // The fake clock stands, so that nothing expires until it is told.
        let time = clock::Fake::new();
        let clock = Clock::Fake(time.clone());
        let hour = Duration::from_secs(3_600);
        let [obeys, keeps] =
            [Duration::ZERO, hour].map(|keeps| Arc::new(Cache::new(zone.address, keeps, 0.0, clock.clone())));
        let mut askers = vec![Asker::of(zone.address).await];
        for cache in [&obeys, &keeps] {
            let running = start(ANYWHERE.into(), cache.clone(), shutdown.clone()).await.unwrap();
            askers.push(Asker::of(running.address).await);
        }
        let [zone, obeys_at, keeps_at] = &askers[..] else { panic!() };
        time.advance(Duration::from_millis(8_500));
        assert_eq!(zone.markets(1).await, (vec![1, 2, 3], 7));
        // 8.5 s after the origin, what is kept for 7 s at the phase 0 has 5.5 s left.
        assert_eq!(obeys_at.markets(2).await, (vec![2, 3, 1], 5));
        assert_eq!(obeys_at.markets(3).await, (vec![3, 1, 2], 5), "each answer begins with the next");
        assert_eq!(keeps_at.markets(4).await.1, 3_591);
        registry.set(vec![Absence { market: 1, from: Duration::ZERO, to: Duration::MAX }]);
        assert_eq!(zone.markets(5).await.0.len(), 2);
        assert_eq!(obeys_at.markets(6).await.0.len(), 3);
        time.advance(Duration::from_millis(5_400));
        assert_eq!(obeys_at.markets(7).await.0.len(), 3, "it has not expired");
        time.advance(Duration::from_millis(200));
        assert_eq!(obeys_at.markets(8).await.0.len(), 2);
        assert_eq!(keeps_at.markets(9).await.0.len(), 3, "it keeps answers for an hour");
        keeps.begin_anew(0.5).await;
        assert_eq!(keeps_at.markets(10).await.0.len(), 2);
    });
}
