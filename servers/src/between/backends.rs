//! The servers behind a relay or a balancer. Of several, each new connection is given the next: a
//! balancer at layer 4, which knows addresses and nothing of what goes over a connection once it is
//! open. At layer 7 each request is.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Servers that are given connections in turn (round robin).
#[derive(Debug, Clone)]
pub struct Backends(Arc<Mutex<Turn>>);

#[derive(Debug)]
struct Turn {
    servers: Vec<SocketAddr>,
    /// Those of them that are taken to be down.
    down: Vec<SocketAddr>,
    next: usize,
    /// Connections or requests given so far, to each that there ever was.
    given: Vec<(SocketAddr, u64)>,
}

impl Backends {
    /// Beginning with the first of these.
    pub fn new(servers: Vec<SocketAddr>) -> Backends {
        let backends = Backends(Arc::new(Mutex::new(Turn {
            servers: Vec::new(),
            down: Vec::new(),
            next: 0,
            given: Vec::new(),
        })));
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

    /// How many connections or requests each was given, those that are gone from the list too: in
    /// the order in which they came to it.
    pub fn given(&self) -> Vec<(SocketAddr, u64)> {
        self.turn().given.clone()
    }

    /// Those that there are, whether they are up or down.
    pub(super) fn servers(&self) -> Vec<SocketAddr> {
        self.turn().servers.clone()
    }

    /// Takes a server to be up, or down: then it is given no new connections.
    pub(super) fn mark(&self, server: SocketAddr, is_up: bool) {
        let mut turn = self.turn();
        turn.down.retain(|down| *down != server);
        if !is_up {
            turn.down.push(server);
        }
    }

    /// Whose turn it is, of those that are up; `None` where there is none.
    pub(super) fn next(&self) -> Option<SocketAddr> {
        self.next_but(&[])
    }

    /// The same, of those that were not tried yet.
    pub(super) fn next_but(&self, tried: &[SocketAddr]) -> Option<SocketAddr> {
        let mut turn = self.turn();
        let count = turn.servers.len();
        let nth = (turn.next..turn.next + count).map(|nth| nth % count).find(|nth| turn.may(*nth, tried))?;
        turn.next = (nth + 1) % count;
        Some(turn.give(nth))
    }

    /// The server in this place of the list, from 0, if it is up and was not tried yet.
    pub(super) fn nth_but(&self, nth: usize, tried: &[SocketAddr]) -> Option<SocketAddr> {
        let mut turn = self.turn();
        (nth < turn.servers.len() && turn.may(nth, tried)).then(|| turn.give(nth))
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        // Whoever panicked while it held this left nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    fn may(&self, nth: usize, tried: &[SocketAddr]) -> bool {
        let server = &self.servers[nth];
        !self.down.contains(server) && !tried.contains(server)
    }

    fn give(&mut self, nth: usize) -> SocketAddr {
        let server = self.servers[nth];
        if let Some((_, given)) = self.given.iter_mut().find(|(known, _)| *known == server) {
            *given += 1;
        }
        server
    }
}

impl From<SocketAddr> for Backends {
    fn from(server: SocketAddr) -> Backends {
        Backends::new(vec![server])
    }
}
