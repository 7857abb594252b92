//! One wire: the rules for every byte, and its connections.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use memchr::memmem;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio::time::Instant;

/// Maximum length of a text to wait for, in bytes.
pub(super) const TRIGGER_BYTES_MAX: usize = 64;

/// Maximum bytes of one read.
const PIECE_BYTES: usize = 64 * 1_024;

/// What happens when a request with a text passes.
#[derive(Clone, Copy)]
pub(super) enum Trigger {
    HoldAnswers,
    HoldRequests,
}

/// Rules for every connection of a wire.
pub(super) struct Rules {
    pub(super) upstream: SocketAddr,
    pub(super) requests_held: bool,
    pub(super) answers_held: bool,
    pub(super) delay: Duration,
    pub(super) trigger: Option<(Vec<u8>, Trigger)>,
    /// Connections that are open.
    pub(super) open: usize,
    /// Pieces that are held back.
    pub(super) held: usize,
}

impl Rules {
    /// Whether everything passes at once.
    pub(super) fn heal(&mut self) {
        (self.requests_held, self.answers_held) = (false, false);
        (self.delay, self.trigger) = (Duration::ZERO, None);
    }
}

/// The direction of a byte.
#[derive(Clone, Copy)]
enum Way {
    Request,
    Answer,
}

/// The rules and their lock. A byte is passed on under the lock, without waiting: after a rule is changed,
/// nothing passes by the old rule.
#[derive(Clone)]
pub(super) struct Wire(Arc<watch::Sender<Rules>>);

impl Wire {
    pub(super) fn to(upstream: SocketAddr) -> Self {
        let (requests_held, answers_held, trigger) = (false, false, None);
        let rules = Rules { upstream, requests_held, answers_held, delay: Duration::ZERO, trigger, open: 0, held: 0 };
        Self(Arc::new(watch::Sender::new(rules)))
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Rules)) {
        self.0.send_modify(change);
    }

    pub(super) fn rules(&self) -> watch::Ref<'_, Rules> {
        self.0.borrow()
    }

    pub(super) fn watch(&self) -> watch::Receiver<Rules> {
        self.0.subscribe()
    }

    /// Forwards a connection until both sides have ended or one has failed. If upstream refuses, the client sees its
    /// connection closed.
    pub(super) async fn connection(self, client: TcpStream) {
        let _counted = Counted::new(&self, |rules| &mut rules.open);
        let upstream = self.rules().upstream;
        let Ok(server) = TcpStream::connect(upstream).await else { return };
        for side in [&client, &server] {
            drop(side.set_nodelay(true));
        }
        let ((asked, answer), (answered, ask)) = (client.into_split(), server.into_split());
        let requests = Direction::new(&self, Way::Request, ask).pump(asked);
        let answers = Direction::new(&self, Way::Answer, answer).pump(answered);
        // The first failure drops both directions, and with them all four ends.
        drop(tokio::try_join!(requests, answers));
    }
}

/// Adds one to a count for as long as it lives.
struct Counted<'a> {
    wire: &'a Wire,
    count: fn(&mut Rules) -> &mut usize,
}

impl<'a> Counted<'a> {
    fn new(wire: &'a Wire, count: fn(&mut Rules) -> &mut usize) -> Self {
        wire.change(|rules| *count(rules) += 1);
        Self { wire, count }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.wire.change(|rules| *(self.count)(rules) -= 1);
    }
}

/// One direction of a connection.
struct Direction<'a> {
    wire: &'a Wire,
    way: Way,
    /// The target; `None` after its end was passed on.
    to: Option<OwnedWriteHalf>,
    /// The last bytes that passed: a text may span two pieces.
    passed: Vec<u8>,
}

/// What happened to a piece.
enum Step {
    Passed(usize),
    Held,
    Later(Instant),
    /// The receiver accepts no more at the moment.
    Full,
}

impl<'a> Direction<'a> {
    fn new(wire: &'a Wire, way: Way, to: OwnedWriteHalf) -> Self {
        Self { wire, way, to: Some(to), passed: Vec::new() }
    }

    /// Passes on everything, and then the end.
    async fn pump(mut self, mut from: OwnedReadHalf) -> io::Result<()> {
        let mut buffer = vec![0; PIECE_BYTES];
        loop {
            let read = from.read(&mut buffer).await?;
            self.pass(&buffer[..read]).await?;
            if read == 0 {
                return Ok(());
            }
        }
    }

    /// Passes on a piece that just arrived as soon as the rules allow; the end if it is empty.
    async fn pass(&mut self, piece: &[u8]) -> io::Result<()> {
        let (mut rest, came, mut held) = (piece, Instant::now(), None);
        loop {
            // Before the step, so that no change after it is missed.
            let mut rules = self.wire.watch();
            match self.step(rest, came)? {
                Step::Passed(bytes) => {
                    rest = &rest[bytes..];
                    if rest.is_empty() {
                        return Ok(());
                    }
                }
                Step::Held => {
                    held.get_or_insert_with(|| Counted::new(self.wire, |rules| &mut rules.held));
                    // The count itself is a change; it costs one more check.
                    drop(rules.changed().await);
                    continue;
                }
                Step::Later(at) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(at) => {}
                        _ = rules.changed() => {}
                    }
                }
                Step::Full => {
                    if let Some(to) = &self.to {
                        to.writable().await?;
                    }
                }
            }
            held = None;
        }
    }

    /// Passes on what the rules allow now, under the lock.
    fn step(&mut self, rest: &[u8], came: Instant) -> io::Result<Step> {
        let mut step = Ok(Step::Full);
        self.wire.0.send_if_modified(|rules| {
            let triggered = self.trigger(rules, rest);
            step = self.step_by(rules, rest, came);
            triggered
        });
        if let Ok(Step::Passed(bytes)) = step {
            self.passed.extend_from_slice(&rest[..bytes]);
            self.passed.drain(..self.passed.len().saturating_sub(TRIGGER_BYTES_MAX - 1));
        }
        step
    }

    fn step_by(&mut self, rules: &Rules, rest: &[u8], came: Instant) -> io::Result<Step> {
        let held = match self.way {
            Way::Request => rules.requests_held,
            Way::Answer => rules.answers_held,
        };
        let due = came + rules.delay;
        if held {
            return Ok(Step::Held);
        } else if due > Instant::now() {
            return Ok(Step::Later(due));
        } else if rest.is_empty() {
            // Dropping it signals the end to the receiver.
            self.to = None;
        }
        let Some(to) = &self.to else { return Ok(Step::Passed(0)) };
        match to.try_write(rest) {
            Ok(bytes) => Ok(Step::Passed(bytes)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Step::Full),
            Err(error) => Err(error),
        }
    }

    /// Applies the switch if this piece completes the text to wait for.
    fn trigger(&self, rules: &mut Rules, rest: &[u8]) -> bool {
        let (Way::Request, Some((text, trigger))) = (self.way, &rules.trigger) else { return false };
        let kept = self.passed.len().min(text.len() - 1);
        let seen = [&self.passed[self.passed.len() - kept..], rest].concat();
        if memmem::find(&seen, text).is_none() {
            return false;
        }
        match trigger {
            Trigger::HoldAnswers => rules.answers_held = true,
            Trigger::HoldRequests => rules.requests_held = true,
        }
        rules.trigger = None;
        true
    }
}
