//! A proxy between a program and its database that a test can cut, stall, slow down or redirect.

mod wire;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use crate::patience::PATIENCE;
use crate::port::Port;
use wire::{Rules, TRIGGER_BYTES_MAX, Trigger, Wire};

/// A proxy that keeps its own loopback port. Each method returns when it is in force: from then on
/// no byte passes and no connection is open that it forbids.
///
/// It runs on the test's runtime: a test that blocks its only thread stalls the proxy.
pub struct WireCutter {
    port: Port,
    wire: Wire,
    /// When these are dropped and awaited, they close their sockets.
    connections: Arc<Mutex<JoinSet<()>>>,
    door: tokio::sync::Mutex<Option<Door>>,
}

/// The listener is shared: connections that are not accepted yet stay in its queue while
/// the acceptor is replaced.
struct Door {
    listener: Arc<TcpListener>,
    acceptor: JoinHandle<()>,
}

impl WireCutter {
    /// Starts a proxy that passes everything to this address.
    pub async fn start(upstream: SocketAddr) -> Self {
        let cutter = Self {
            port: Port::free(),
            wire: Wire::to(upstream),
            connections: Arc::default(),
            door: tokio::sync::Mutex::new(None),
        };
        cutter.heal().await;
        cutter
    }

    /// Connects to another address instead of upstream.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Closes all connections, and refuses new ones.
    pub async fn cut(&self) {
        let mut door = self.door.lock().await;
        if let Some(Door { listener, acceptor }) = door.take() {
            end(acceptor).await;
            drop(listener);
        }
        self.close_all().await;
    }

    /// Closes the connections that are open, and accepts new ones.
    pub async fn drop_connections(&self) {
        let mut door = self.door.lock().await;
        let listener = match door.take() {
            Some(Door { listener, acceptor }) => {
                // Otherwise it could hold a connection that it has just accepted.
                end(acceptor).await;
                listener
            }
            None => Arc::new(self.port.listen()),
        };
        self.close_all().await;
        *door = Some(self.open(listener));
    }

    /// Keeps connections open and accepts new ones, but passes no byte in either direction, not even a close.
    pub async fn stall(&self) {
        self.wire.change(|rules| (rules.requests_held, rules.answers_held) = (true, true));
    }

    /// Passes requests, and holds answers back.
    pub async fn stall_answers(&self) {
        self.wire.change(|rules| rules.answers_held = true);
    }

    /// Holds answers back from the moment at which a request with this text (at most 64 bytes, such as `COMMIT`) is
    /// passed on: the server does it, and the client does not learn of it. Happens once.
    pub async fn stall_answers_after(&self, text: &str) {
        self.trigger(text, Trigger::HoldAnswers);
    }

    /// Holds requests back from the moment at which one with this text (at most 64 bytes) arrives: it is not passed
    /// on. Happens once.
    pub async fn stall_before(&self, text: &str) {
        self.trigger(text, Trigger::HoldRequests);
    }

    fn trigger(&self, text: &str, trigger: Trigger) {
        assert!((1..=TRIGGER_BYTES_MAX).contains(&text.len()), "a text of 1 to {TRIGGER_BYTES_MAX} bytes");
        self.wire.change(|rules| rules.trigger = Some((text.as_bytes().to_owned(), trigger)));
    }

    /// Waits until something is held back in either direction. It may be a part of an answer.
    ///
    /// # Panics
    /// If nothing arrives in time.
    pub async fn until_held(&self) {
        self.until(|rules| rules.held > 0).await.expect("something is held back in time");
    }

    /// Delays every byte that passes from now on by this long, in each direction.
    pub async fn slow(&self, delay: Duration) {
        self.wire.change(|rules| rules.delay = delay);
    }

    /// Passes everything again: open connections continue with what was held back, new ones are accepted. The target
    /// address stays.
    pub async fn heal(&self) {
        self.wire.change(Rules::heal);
        let mut door = self.door.lock().await;
        if door.is_none() {
            *door = Some(self.open(Arc::new(self.port.listen())));
        }
    }

    /// Connections that are accepted from now on go to this address. Open connections stay.
    pub async fn retarget(&self, upstream: SocketAddr) {
        self.wire.change(|rules| rules.upstream = upstream);
    }

    /// Number of open connections. A connection counts from its acceptance, which can be a moment after the client's
    /// connect returned, until both of its directions have ended.
    pub fn connections(&self) -> usize {
        self.wire.rules().open
    }

    /// Waits until the number of open connections meets the condition, and returns it.
    ///
    /// # Panics
    /// If it does not in time.
    pub async fn until_connections(&self, wanted: impl Fn(usize) -> bool) -> usize {
        let open = self.until(|rules| wanted(rules.open)).await;
        open.unwrap_or_else(|| panic!("{} connections are open, which was not wanted", self.connections()))
    }

    /// Waits until the rules meet the condition, and returns the number of connections open then.
    async fn until(&self, wanted: impl Fn(&Rules) -> bool) -> Option<usize> {
        let mut watched = self.wire.watch();
        let watching = async { watched.wait_for(wanted).await.map(|rules| rules.open) };
        tokio::time::timeout(PATIENCE, watching).await.ok()?.ok()
    }

    fn open(&self, listener: Arc<TcpListener>) -> Door {
        let (wire, connections, accepting) = (self.wire.clone(), self.connections.clone(), listener.clone());
        let acceptor = tokio::spawn(async move {
            loop {
                // Without file descriptors, retrying is better than ending.
                let Ok((client, _)) = accepting.accept().await else {
                    tokio::task::yield_now().await;
                    continue;
                };
                let mut connections = connections.lock().unwrap();
                while connections.try_join_next().is_some() {}
                connections.spawn(wire.clone().connection(client));
            }
        });
        Door { listener, acceptor }
    }

    async fn close_all(&self) {
        let mut open = std::mem::take(&mut *self.connections.lock().unwrap());
        open.shutdown().await;
    }
}

impl Drop for WireCutter {
    fn drop(&mut self) {
        if let Some(door) = self.door.get_mut() {
            door.acceptor.abort();
        }
        self.connections.lock().unwrap().abort_all();
    }
}

/// Ends a task, and waits until it has released its sockets.
async fn end(task: JoinHandle<()>) {
    task.abort();
    drop(task.await);
}
