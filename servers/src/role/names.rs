//! The process of name servers: the market's zone, and the resolver caches that ask it.

use std::io::stdout;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use terms::role::{Means, Role, RoleError, answer, say_ready};
use terms::{NameSettings, Registry, SetAbsences, orders};

use crate::Shutdown;
use crate::names::{self, Cache, Zone};

/// The name servers of a market with replicas.
#[derive(Debug)]
pub struct NameServers;

impl Role for NameServers {
    const NAME: &'static str = "names";
    type Start = Name;
    type Ready = Named;
    type Order = NameOrder;
}

orders! {
    /// What name servers can be told.
    pub enum NameOrder of NameServers {
        /// Who is not on the list of markets, and when; caches begin anew.
        Absences(SetAbsences) -> (),
    }
}

/// What is named, and how it is looked up.
#[derive(Debug, Serialize, Deserialize)]
pub struct Name {
    /// Where they run.
    pub core: usize,
    /// Where they listen, each on any port.
    pub address: IpAddr,
    /// The markets.
    pub markets: Vec<Ipv4Addr>,
    /// How long answers may be kept, and who keeps them.
    pub settings: NameSettings,
    /// What the caches' moments of expiry are drawn from.
    pub seed: u64,
}

/// Where name servers listen.
#[derive(Debug, Serialize, Deserialize)]
pub struct Named {
    /// Who knows the zone.
    pub zone: SocketAddr,
    /// Who remembers what that one said; none where a program of somebody else's does.
    pub caches: Vec<SocketAddr>,
}

/// Answers for the market's name until the end of the input.
///
/// # Errors
/// Where it cannot go on, with why.
pub fn name(start: &Name, means: Means) -> Result<(), RoleError> {
    (means.pin)(start.core).map_err(RoleError::during("pinning the name servers"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (shutdown, registry) = (Shutdown::new(), Registry::default());
        let mut chance = ChaCha8Rng::seed_from_u64(start.seed);
        let NameSettings { ttl, caches, keeps, ref resolver, .. } = start.settings;
        let any_port = SocketAddr::new(start.address, 0);
        let listening = || RoleError::during("listening for questions");
        let ttl_s = u32::try_from(ttl.as_secs()).unwrap_or(u32::MAX);
        let zone = Arc::new(Zone::new(start.markets.clone(), ttl_s, registry.clone()));
        let zone = names::start(any_port, zone, shutdown.clone()).await.map_err(listening())?.address;
        let (mut each, mut addresses) = (Vec::new(), Vec::new());
        for nth in 1..=if resolver.is_none() { caches } else { 0 } {
            let keeps = keeps.filter(|_| nth == caches).unwrap_or(Duration::ZERO);
            let cache = Arc::new(Cache::new(zone, keeps, chance.random(), Clock::System));
            let running = names::start(any_port, cache.clone(), shutdown.clone()).await;
            addresses.push(running.map_err(listening())?.address);
            each.push(cache);
        }
        say_ready::<NameServers>(&mut stdout(), Named { zone, caches: addresses })?;
        let mut orders = super::orders::<NameServers>(shutdown);
        while let Some(NameOrder::Absences(order)) = orders.recv().await {
            registry.set(order.0.clone());
            for cache in &each {
                cache.begin_anew(chance.random()).await;
            }
            answer::<NameServers, _>(&mut stdout(), &order, ())?;
        }
        Ok(())
    })
}
