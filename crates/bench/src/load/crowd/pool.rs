//! Kept connections to all instances, which the persons of one thread share, as they would behind a proxy.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;

use onsale_load_generator::Connection;
use tokio::sync::Semaphore;

/// The connections of one thread.
pub(super) struct Pool {
    addresses: Vec<SocketAddr>,
    /// Connections that no request uses, with the numbers of their instances.
    idle: RefCell<VecDeque<(u16, Connection)>>,
    /// One permit for each connection that may be open. The queue of waiting requests is in order of arrival.
    permits: Semaphore,
    /// The instance of the next new connection.
    next: Cell<usize>,
}

/// A connection in use, which ends with [`Lease::put`] or [`Lease::close`].
pub(super) struct Lease<'p> {
    pub(super) instance: u16,
    pub(super) connection: Connection,
    pool: &'p Pool,
}

impl Pool {
    /// Opens no connection yet.
    pub(super) fn new(addresses: Vec<SocketAddr>, connections: usize) -> Self {
        let (idle, permits, next) = (RefCell::default(), Semaphore::new(connections), Cell::new(0));
        Self { addresses, idle, permits, next }
    }

    /// Waits for a connection that no other request uses, or opens one.
    ///
    /// # Errors
    /// If no instance accepts one.
    pub(super) async fn take(&self) -> io::Result<Lease<'_>> {
        self.permits.acquire().await.map_err(io::Error::other)?.forget();
        let idle = self.idle.borrow_mut().pop_front();
        if let Some((instance, connection)) = idle {
            return Ok(Lease { instance, connection, pool: self });
        }
        let opened = self.open().await;
        if opened.is_err() {
            self.permits.add_permits(1);
        }
        opened
    }

    /// Opens a connection to the next instance that accepts one.
    async fn open(&self) -> io::Result<Lease<'_>> {
        let mut refused = io::Error::from(io::ErrorKind::NotConnected);
        for _ in 0..self.addresses.len() {
            let number = self.next.get() % self.addresses.len();
            self.next.set(number + 1);
            match Connection::open(self.addresses[number]).await {
                Ok(connection) => {
                    let instance = u16::try_from(number).unwrap_or(u16::MAX);
                    return Ok(Lease { instance, connection, pool: self });
                }
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }
}

impl Lease<'_> {
    /// Gives the connection back for the next request. Only after a complete reply.
    pub(super) fn put(self) {
        let Self { instance, connection, pool } = self;
        pool.idle.borrow_mut().push_back((instance, connection));
        pool.permits.add_permits(1);
    }

    /// Closes the connection: after a request without a complete reply.
    pub(super) fn close(self) {
        self.pool.permits.add_permits(1);
    }
}
