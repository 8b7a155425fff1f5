//! The server processes: the market behind a protocol, a sender of flows, a balancer. Each is
//! started with what it is, says where it listens, and answers its orders until the end of its
//! input.

mod balancer;
mod market;
mod names;
mod sender;

use std::io::stdin;
use std::net::SocketAddr;

use clock::Mono;
use serde::{Deserialize, Serialize};
use terms::role::{Role, next_order};

pub use balancer::{Balancer, BalancerOrder, CountGiven, SetBackends, Spread, balance};
pub use market::{
    AwaitSubscribers, CountCallsInTrouble, CountOrders, Emit, MarketOrder, MarketServer, Renew, Serve,
    SubscriberCount, TakeArrivals, TakeCounts, Troubles, serve,
};
pub use names::{Name, NameOrder, NameServers, Named, name};
pub use sender::{SendFlows, Sender, SenderOrder, send};

use crate::Shutdown;

/// Where a server listens, and what is to be known of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ready {
    /// Where clients connect.
    pub address: SocketAddr,
    /// Since when.
    pub listening_since: Mono,
    /// The certificate to trust (DER), where it is not in plain text.
    pub root: Option<Vec<u8>>,
    /// Who knows its name; nobody where it has none.
    pub name_servers: Vec<SocketAddr>,
    /// When the first freeze of its behaviour began, if it has one.
    pub origin: Option<Mono>,
    /// Of a program that serves in its stead: its process.
    pub program: Option<u32>,
}

impl Ready {
    /// It listens in plain text, and there is nothing else to know.
    pub fn at(address: SocketAddr, listening_since: Mono) -> Ready {
        Ready { address, listening_since, root: None, name_servers: Vec::new(), origin: None, program: None }
    }
}

/// Say how many allocations there were so far; of a build that does not count, nothing.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct CountAllocations;

/// Have the relay or the balancer do this from now on.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct SetPolicy(pub terms::RelayPolicy);

/// Orders, read by a thread that waits for them; it stops the server when the command closes the
/// pipe, or dies.
fn orders<R: Role>(shutdown: Shutdown) -> tokio::sync::mpsc::Receiver<R::Order> {
    let (order, orders) = tokio::sync::mpsc::channel(1);
    std::thread::spawn(move || {
        let mut input = stdin().lock();
        while let Ok(Some(message)) = next_order::<R>(&mut input) {
            if order.blocking_send(message).is_err() {
                return;
            }
        }
        shutdown.cancel();
    });
    orders
}
