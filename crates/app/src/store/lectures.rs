//! What is read of lectures besides their own rows.

use std::sync::Arc;

use onsale_domain::ids::{LectureId, UserId};
use onsale_domain::lecture::Waiting;
use onsale_domain::time::Timestamp;

/// Which lectures to list.
#[derive(Clone, Copy, Debug)]
pub struct LectureFilter {
    /// Only lectures that start at this instant or later.
    pub from: Timestamp,
    /// Only lectures that start before this instant; `None` for no end.
    pub until: Option<Timestamp>,
    /// Only lectures that users may apply for at this instant, apart from their start; `None` for any.
    pub available_at: Option<Timestamp>,
}

impl LectureFilter {
    /// All lectures that start at an instant or later.
    pub fn starting(from: Timestamp) -> Self {
        Self { from, until: None, available_at: None }
    }
}

/// A lecture that a user applied for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedLecture {
    /// Id of the lecture.
    pub lecture: LectureId,
    /// Title of the lecture.
    pub title: Arc<str>,
    /// Start of the lecture.
    pub starts_at: Timestamp,
    /// When the user applied.
    pub applied_at: Timestamp,
    /// The position in the waiting list, from 1; `None` if the user has a place.
    pub position: Option<u32>,
}

/// A user who waits for a place in a lecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingUser {
    /// The user who waits.
    pub user: UserId,
    /// The entry in the list.
    pub waiting: Waiting,
    /// The position in the list, from 1.
    pub position: u32,
}

impl WaitingUser {
    /// An entry at a position.
    pub fn of((user, waiting): (UserId, Waiting), position: u32) -> Self {
        Self { user, waiting, position }
    }
}
