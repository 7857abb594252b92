//! The wire between a program and its database, in a test's hands: cut, stalled, slowed, led elsewhere.

mod wire;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use crate::instance::PATIENCE;
use crate::port::Port;
use wire::{Rules, TRIGGER_BYTES_MAX, Trigger, Wire};

/// A proxy on a loopback port of its own that it keeps for good. Each method returns when it is in force: from then on
/// no byte passes that should not, and no connection is open that should not be.
///
/// It runs on the test's runtime: a test that blocks its only thread stalls the wire.
pub struct WireCutter {
    port: Port,
    wire: Wire,
    /// Dropped and awaited, they close their sockets.
    connections: Arc<Mutex<JoinSet<()>>>,
    door: tokio::sync::Mutex<Option<Door>>,
}

/// Where connections come in. The listener is shared, so that callers who are not accepted yet stay in its queue while
/// the acceptor is replaced.
struct Door {
    listener: Arc<TcpListener>,
    acceptor: JoinHandle<()>,
}

impl WireCutter {
    /// A whole wire to this address.
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

    /// Where to connect to instead of upstream.
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
                // Else it could hold one that it has just accepted.
                end(acceptor).await;
                listener
            }
            None => Arc::new(self.port.listen()),
        };
        self.close_all().await;
        *door = Some(self.open(listener));
    }

    /// Keeps connections open and accepts new ones, but lets nothing pass in either direction, not even their end.
    pub async fn stall(&self) {
        self.wire.change(|rules| (rules.requests_held, rules.answers_held) = (true, true));
    }

    /// Lets requests pass, and holds answers back.
    pub async fn stall_answers(&self) {
        self.wire.change(|rules| rules.answers_held = true);
    }

    /// Holds answers back from the moment at which a request with this text (at most 64 bytes, such as `COMMIT`) is
    /// passed on: it is done, and nobody hears of it. Happens once.
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

    /// Waits until something is held back in either direction. It may be one piece of an answer.
    ///
    /// # Panics
    /// If nothing comes.
    pub async fn until_held(&self) {
        self.until(|rules| rules.held > 0).await.expect("something is held back in time");
    }

    /// Whatever passes from now on is under way for this long, in each direction.
    pub async fn slow(&self, delay: Duration) {
        self.wire.change(|rules| rules.delay = delay);
    }

    /// A whole wire again: connections that are open go on with what was held back, new ones are accepted. Where it
    /// leads stays.
    pub async fn heal(&self) {
        self.wire.change(Rules::heal);
        let mut door = self.door.lock().await;
        if door.is_none() {
            *door = Some(self.open(Arc::new(self.port.listen())));
        }
    }

    /// Connections that are accepted from now on lead to this address. Those that are open stay.
    pub async fn retarget(&self, upstream: SocketAddr) {
        self.wire.change(|rules| rules.upstream = upstream);
    }

    /// How many connections are open now. One counts when it was accepted, which can be a moment after the caller was
    /// told, and until both of its directions have ended.
    pub fn connections(&self) -> usize {
        self.wire.rules().open
    }

    /// Waits until the number of open connections is as wanted; the number.
    ///
    /// # Panics
    /// If it never is.
    pub async fn until_connections(&self, wanted: impl Fn(usize) -> bool) -> usize {
        let open = self.until(|rules| wanted(rules.open)).await;
        open.unwrap_or_else(|| panic!("{} connections are open, which was not wanted", self.connections()))
    }

    /// Waits until the rules are as wanted; how many connections are open then.
    async fn until(&self, wanted: impl Fn(&Rules) -> bool) -> Option<usize> {
        let mut watched = self.wire.watch();
        let watching = async { watched.wait_for(wanted).await.map(|rules| rules.open) };
        tokio::time::timeout(PATIENCE, watching).await.ok()?.ok()
    }

    fn open(&self, listener: Arc<TcpListener>) -> Door {
        let (wire, connections, accepting) = (self.wire.clone(), self.connections.clone(), listener.clone());
        let acceptor = tokio::spawn(async move {
            loop {
                // Out of files, it is better to try again than to fall silent.
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

/// Ends a task, and waits until it has let go of what it held.
async fn end(task: JoinHandle<()>) {
    task.abort();
    drop(task.await);
}
