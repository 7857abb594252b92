//! What the driver keeps of a room between two steps. No poll and no call reads it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use onsale_domain::time::Timestamp;
use parking_lot::Mutex;

use crate::waiting_room::pressure::Pressure;

/// The state of the admission of one room.
#[derive(Default)]
pub(in crate::waiting_room) struct Admission {
    /// How much admission is reduced while the database is slow. Written by the driver; read for each outlook.
    pressure: Mutex<Pressure>,
    /// Whether a step of this room is submitted or its result is not yet in the snapshot. The driver alone sets it, so a
    /// load and a store need no exchange.
    stepping: AtomicBool,
}

impl Admission {
    pub(in crate::waiting_room) fn is_stepping(&self) -> bool {
        // Pairs with the release in `end_step`: the next step reads the snapshot that the step before has refreshed.
        self.stepping.load(Ordering::Acquire)
    }

    pub(in crate::waiting_room) fn begin_step(&self) {
        // Relaxed: only the driver reads it, on the task that wrote it.
        self.stepping.store(true, Ordering::Relaxed);
    }

    pub(in crate::waiting_room) fn end_step(&self) {
        // Pairs with the acquire in `is_stepping`.
        self.stepping.store(false, Ordering::Release);
    }

    /// The most users that the next step may admit; `None` if admission is not reduced.
    pub(in crate::waiting_room) fn limit(&self, admit_per_second: u32, at: Timestamp) -> Option<u32> {
        self.pressure.lock().limit(admit_per_second, at)
    }

    /// Measures a step. Returns the share of the rate that the room admits from now on.
    pub(in crate::waiting_room) fn measure_step(&self, took: Duration) -> f64 {
        let mut pressure = self.pressure.lock();
        pressure.measure(took);
        pressure.share()
    }

    /// The share of the rate that the room admits: 1 if admission is not reduced.
    pub(super) fn share(&self) -> f64 {
        self.pressure.lock().share()
    }
}
