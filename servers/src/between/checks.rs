//! Health checks: whether the servers behind a balancer can be connected to, looked at now and
//! then.

use std::collections::HashMap;
use std::net::SocketAddr;

use clock::Clock;
use terms::{Health, HealthCheck};
use tokio::net::TcpStream;

use super::Backends;

/// Looks after the servers, each check as long as the time to the next at most; never ends.
pub(crate) async fn look_after(backends: Backends, check: HealthCheck) {
    let mut known: HashMap<SocketAddr, Health> = HashMap::new();
    loop {
        let begun = Clock::System.now();
        let servers = backends.servers();
        known.retain(|server, _| servers.contains(server));
        let connects = servers.iter().map(|server| clock::limit(check.every, TcpStream::connect(server)));
        let connected = futures::future::join_all(connects).await;
        for (server, connected) in servers.iter().zip(connected) {
            let health = known.entry(*server).or_insert_with(|| Health::new(check));
            backends.mark(*server, health.checked(matches!(connected, Ok(Ok(_)))));
        }
        clock::pause((begun + check.every).since(Clock::System.now())).await;
    }
}
