//! Waits with a resolution of microseconds. Timers of the runtime round up to a millisecond, which would show in latencies,
//! in retries and in distances.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime};
use tokio::io::unix::AsyncFd;

/// A timer of one task.
pub(crate) struct Alarm(AsyncFd<OwnedFd>);

impl Alarm {
    /// A timer that is not set.
    ///
    /// # Errors
    /// If the system has no timer left.
    pub(crate) fn new() -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe for types that may change their descriptor; this cannot"
        )]
        Ok(Self(AsyncFd::new(timer)?))
    }

    /// Waits until this moment; returns at once if it has passed.
    ///
    /// # Errors
    /// If the timer cannot be set or read.
    pub(crate) async fn until(&self, due: Instant) -> io::Result<()> {
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            let spec = |time: Duration| time.try_into().map_err(|_| io::Error::other("a time too long for a timer"));
            let setting = Itimerspec { it_interval: spec(Duration::ZERO)?, it_value: spec(left)? };
            timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &setting)?;
            let mut ready = self.0.readable().await?;
            let mut ticks = [0_u8; 8];
            // Nothing to read means that this readiness is of an earlier setting: wait again.
            let _ = ready.try_io(|timer| rustix::io::read(timer, &mut ticks).map_err(io::Error::from));
            ready.clear_ready();
        }
    }

    /// Waits this long.
    ///
    /// # Errors
    /// As [`Alarm::until`].
    pub(crate) async fn sleep(&self, time: Duration) -> io::Result<()> {
        self.until(Instant::now() + time).await
    }
}
