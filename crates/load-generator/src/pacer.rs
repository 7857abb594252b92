//! A timer with a resolution of microseconds. Timers of the runtime round up to a millisecond, which would show in latencies.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime};
use tokio::io::unix::AsyncFd;

/// Ticks at a fixed interval.
#[derive(Debug)]
pub struct Pacer {
    timer: AsyncFd<OwnedFd>,
}

impl Pacer {
    /// Starts a timer.
    ///
    /// # Errors
    /// If the system has no timer left.
    pub fn every(interval: Duration) -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let interval = interval.try_into().map_err(|_| io::Error::other("an interval too long for a timer"))?;
        let setting = Itimerspec { it_interval: interval, it_value: interval };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &setting)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe for types that may change their descriptor; this cannot"
        )]
        let timer = AsyncFd::new(timer)?;
        Ok(Self { timer })
    }

    /// Waits for the next tick. Several ticks since the last call count as one.
    ///
    /// # Errors
    /// If the timer cannot be read.
    pub async fn tick(&self) -> io::Result<()> {
        loop {
            let mut ready = self.timer.readable().await?;
            let mut ticks = [0_u8; 8];
            let read = ready.try_io(|timer| rustix::io::read(timer, &mut ticks).map_err(io::Error::from));
            if let Ok(read) = read {
                return read.map(|_| ());
            }
        }
    }
}
