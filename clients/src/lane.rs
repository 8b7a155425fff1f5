//! A lane: one connection, replaced when it breaks.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::connection::{CallError, Connection, Connector, in_time};

/// A connection that is replaced when it breaks, shared by the slots that call on it.
pub(crate) struct Lane<K: Connector> {
    connection: RefCell<Option<Rc<K::Connection>>>,
    connecting: tokio::sync::Mutex<()>,
    reconnections: Cell<u64>,
    /// Late replies of connections that were replaced.
    late_replies_before: Cell<u64>,
}

impl<K: Connector> Lane<K> {
    pub(crate) fn new(connection: K::Connection) -> Lane<K> {
        Lane { connection: RefCell::new(Some(Rc::new(connection))), ..Lane::closed() }
    }

    /// One whose connection opens with its first call.
    pub(crate) fn closed() -> Lane<K> {
        Lane {
            connection: RefCell::new(None),
            connecting: tokio::sync::Mutex::new(()),
            reconnections: Cell::new(0),
            late_replies_before: Cell::new(0),
        }
    }

    /// How often it was opened anew.
    pub(crate) fn reconnections(&self) -> u64 {
        self.reconnections.get()
    }

    /// Late replies, on all connections that it had.
    pub(crate) fn late_replies(&self) -> u64 {
        let now = self.connection.borrow().as_ref().map_or(0, |connection| connection.late_replies());
        self.late_replies_before.get() + now
    }

    /// Whether it has a connection that can be called on.
    pub(crate) fn is_open(&self) -> bool {
        self.open().is_some()
    }

    /// Its connection, where that can be called on.
    pub(crate) fn open(&self) -> Option<Rc<K::Connection>> {
        self.connection.borrow().as_ref().filter(|connection| connection.is_open()).map(Rc::clone)
    }

    /// Has the next call made on another connection than this one, on which those that are under
    /// way go on.
    pub(crate) fn replace(&self, connection: &Rc<K::Connection>) {
        let is_this = self.connection.borrow().as_ref().is_some_and(|open| Rc::ptr_eq(open, connection));
        if is_this {
            self.close();
        }
    }

    fn close(&self) {
        self.late_replies_before.set(self.late_replies());
        self.connection.take();
    }

    pub(crate) async fn connection(&self, connector: &K) -> Result<Rc<K::Connection>, CallError> {
        match self.open() {
            Some(connection) => Ok(connection),
            // Set apart from the future of the call, which would be as large as that of connecting.
            None => Box::pin(self.reconnect(connector)).await,
        }
    }

    async fn reconnect(&self, connector: &K) -> Result<Rc<K::Connection>, CallError> {
        let _alone = self.connecting.lock().await;
        if let Some(connection) = self.open() {
            return Ok(connection);
        }
        self.close();
        let connection = Rc::new(in_time(connector.opening_time(), connector.connect()).await?);
        self.reconnections.set(self.reconnections.get() + 1);
        *self.connection.borrow_mut() = Some(Rc::clone(&connection));
        Ok(connection)
    }
}
