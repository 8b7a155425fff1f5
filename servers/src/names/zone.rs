//! Who knows where the market is: the list of its replicas.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clock::Clock;
use terms::Registry;

use super::{Addresses, Resolves};

/// The zone's own server.
#[derive(Debug)]
pub struct Zone {
    markets: Vec<Ipv4Addr>,
    ttl_s: u32,
    /// Who is on the list.
    registry: Registry,
    turn: AtomicUsize,
}

impl Zone {
    /// Of these markets; an answer may be kept for so long.
    pub fn new(markets: Vec<Ipv4Addr>, ttl_s: u32, registry: Registry) -> Zone {
        Zone { markets, ttl_s, registry, turn: AtomicUsize::new(0) }
    }
}

#[async_trait::async_trait]
impl Resolves for Zone {
    /// Those that are on the list now; each answer begins with the next.
    async fn addresses(&self) -> Option<Addresses> {
        let now = Duration::from_nanos(Clock::System.now().0);
        let listed = self.markets.iter().enumerate().filter(|(nth, _)| self.registry.lists(*nth, now));
        let each = listed.map(|(_, address)| *address).collect();
        Some(Addresses { each, ttl_s: self.ttl_s }.at_turn(self.turn.fetch_add(1, Ordering::Relaxed)))
    }
}
