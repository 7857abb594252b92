//! One connection: its requests one after another, and an end that loses no answer.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::time::sleep;

use super::bare::{Explained, late_answer};
use super::bounds::Slot;
use super::cut_off::CutOff;
use super::linger::linger;
use super::listen::Accepted;
use super::outer::{Client, Outer};
use super::pulse::{Busy, HEAD_TIMEOUT, Pulse, Quiet, Silence};
use super::sending::Sending;
use super::stopping::Stopping;

/// The largest head of a request, in bytes.
const HEAD_MAX: usize = 32 * 1024;

/// An idle connection is still served for this long after its time is over, or after the server began to close. A request
/// that was sent before that gets its answer, with `Connection: close`.
const LAST_CALL: Duration = Duration::from_secs(2);

/// The same for a connection that lost its slot to another. Short, as both have a file descriptor until then.
const LAST_CALL_IF_EVICTED: Duration = Duration::from_millis(200);

/// How long a connection in a reserved slot may take for the head of its request.
const RESERVED_SILENCE_MAX: Duration = Duration::from_secs(2);

/// How long a request on a connection in a reserved slot may take after that.
const RESERVED_ANSWER_MAX: Duration = Duration::from_secs(8);

/// Serves the requests of a connection until either side ends it.
pub(super) async fn serve(accepted: Accepted, outer: Arc<Outer>, idle: Duration) {
    let Accepted { mut stream, peer, slot } = accepted;
    let _open = outer.app.metrics.open_connection();
    let pulse = slot.pulse.clone();
    let stopping = &outer.app.stopping;
    let ended = {
        let (outer, pulse, refused) = (&*outer, &pulse, slot.refused());
        let service = service_fn(move |request| async move {
            let busy = Busy::begin(pulse);
            let response = outer.answer(request, &Client { peer, pulse, refused }).await;
            Ok::<_, Infallible>(response.map(|body| Sending::new(body, busy)))
        });
        // Head and body go out as one piece: most answers are small, and the system takes one piece more readily than
        // two. A client may shut its sending side once its request is out.
        let stream = Explained::new(CutOff::new(&mut stream, pulse), pulse, &outer.app.metrics);
        let connection = http1::Builder::new()
            .max_buf_size(HEAD_MAX)
            .writev(false)
            .half_close(true)
            .serve_connection(TokioIo::new(stream), service);
        tokio::select! {
            // Bytes that have arrived are read before the connection is ended.
            biased;
            ended = pin!(connection) => ended,
            () = outlived(pulse, idle, stopping) => Ok(()),
            () = lost_slot(pulse) => Ok(()),
            () = reserve_over(&slot) => Ok(()),
        }
    };
    if let Some(answer) = late_answer(&ended, &pulse, &outer.app.metrics) {
        // The first bytes of a connection: the system takes them at once, or the client is gone.
        let _ = stream.try_write(&answer);
    }
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "connection failed");
        if pulse.is_blocked() {
            // The client reads nothing, so no answer can reach it.
            return;
        }
    }
    if slot.refused().is_some() {
        // Free it before the slow end of the connection: new connections need reserved slots.
        drop(slot);
    }
    // A connection that lost its slot and stayed silent has nothing unread, and would only take up a file descriptor.
    if !pulse.is_silent_since_eviction() {
        linger(&stream, stopping).await;
    }
}

/// Returns soon after another connection has taken this one's slot. A request that was already on its way still gets
/// its answer, with `Connection: close`.
async fn lost_slot(pulse: &Pulse) {
    pulse.evicted().await;
    pulse.set_ending();
    pulse.quiet(Quiet { idle: LAST_CALL_IF_EVICTED, head: LAST_CALL }).await;
}

/// Returns when a connection in a reserved slot has used its time, so that another one gets the slot. Never returns
/// for a connection in an ordinary slot.
async fn reserve_over(slot: &Slot) {
    if slot.refused().is_none() {
        return std::future::pending().await;
    }
    sleep(RESERVED_SILENCE_MAX).await;
    if slot.pulse.is_active() {
        sleep(RESERVED_ANSWER_MAX).await;
    }
}

/// Returns once the connection has been idle for as long as it may be.
async fn outlived(pulse: &Pulse, idle: Duration, stopping: &Stopping) {
    let head = HEAD_TIMEOUT;
    tokio::select! {
        () = async {
            if pulse.quiet(Quiet { idle, head }).await == Silence::Idle {
                pulse.set_ending();
                pulse.quiet(Quiet { idle: idle.min(LAST_CALL), head }).await;
            }
        } => {}
        () = async {
            stopping.closing().await;
            pulse.quiet(Quiet { idle: LAST_CALL, head: LAST_CALL }).await;
        } => {}
    }
}
