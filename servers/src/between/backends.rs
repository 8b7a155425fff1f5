//! The servers behind a relay. Of several, each new connection is given the next: a balancer at
//! layer 4, which knows addresses and nothing of what goes over a connection once it is open.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Servers that are given connections in turn (round robin).
#[derive(Debug, Clone)]
pub struct Backends(Arc<Mutex<Turn>>);

#[derive(Debug)]
struct Turn {
    servers: Vec<SocketAddr>,
    next: usize,
    /// Connections given so far, to each that there ever was.
    given: Vec<(SocketAddr, u64)>,
}

impl Backends {
    /// Beginning with the first of these.
    pub fn new(servers: Vec<SocketAddr>) -> Backends {
        let backends =
            Backends(Arc::new(Mutex::new(Turn { servers: Vec::new(), next: 0, given: Vec::new() })));
        backends.set(servers);
        backends
    }

    /// Gives new connections to these from now on, beginning with the first; those that are open
    /// stay where they are.
    pub fn set(&self, servers: Vec<SocketAddr>) {
        let mut turn = self.turn();
        for server in &servers {
            if !turn.given.iter().any(|(known, _)| known == server) {
                turn.given.push((*server, 0));
            }
        }
        (turn.servers, turn.next) = (servers, 0);
    }

    /// How many connections each was given, those that are gone from the list too: in the order in
    /// which they came to it.
    pub fn given(&self) -> Vec<(SocketAddr, u64)> {
        self.turn().given.clone()
    }

    /// Whose turn it is; `None` where there is no server.
    pub(super) fn next(&self) -> Option<SocketAddr> {
        let mut turn = self.turn();
        let server = *turn.servers.get(turn.next)?;
        turn.next = (turn.next + 1) % turn.servers.len();
        if let Some((_, given)) = turn.given.iter_mut().find(|(known, _)| *known == server) {
            *given += 1;
        }
        Some(server)
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        // Whoever panicked while it held this left nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<SocketAddr> for Backends {
    fn from(server: SocketAddr) -> Backends {
        Backends::new(vec![server])
    }
}
