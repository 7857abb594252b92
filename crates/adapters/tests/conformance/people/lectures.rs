//! Random commands about lectures.

use onsale_domain::lecture;
use onsale_domain::time::Timestamp;

use super::People;
use crate::mixed::AnyCommand;

impl People {
    pub(super) fn open_lecture(&mut self) -> AnyCommand {
        let lecturer = self.dice.percent(50).then(|| self.text());
        // Whole seconds, so that some start at the same time.
        let starts_at = self.soon(120).as_millis() / 5_000 * 5_000;
        let starts_at = Timestamp::from_millis(starts_at);
        let capacity = 1 + u32::try_from(self.dice.below(4)).unwrap_or(0);
        lecture::Create { title: self.text(), lecturer, starts_at, capacity, opens_at: None, closed: false }.into()
    }

    pub(super) fn apply(&mut self) -> AnyCommand {
        let (user, lecture, waitlist) = (self.user(), self.lecture(), self.dice.percent(60));
        lecture::Apply { user, lecture, waitlist }.into()
    }

    /// Mostly leaves a lecture that users can apply for.
    pub(super) fn change_lecture(&mut self) -> AnyCommand {
        let change = match self.dice.below(6) {
            0..2 => lecture::Change { capacity: Some(1 + u32::try_from(self.dice.below(5)).unwrap_or(0)), ..none() },
            2 => lecture::Change { starts_at: Some(self.soon(120)), ..none() },
            3 => lecture::Change { opens_at: Some(self.dice.percent(40).then(|| self.soon(9))), ..none() },
            4 => lecture::Change { closed: Some(self.dice.percent(20)), ..none() },
            _ => lecture::Change { title: Some(self.text()), lecturer: Some(None), ..none() },
        };
        lecture::ChangeLecture { lecture: self.lecture(), change }.into()
    }

    /// Cancels few lectures. Most steps find a lecture that is not cancelled.
    pub(super) fn end_lecture(&mut self) -> AnyCommand {
        let lecture = self.lecture();
        match self.dice.below(8) {
            0 => lecture::CancelLecture { lecture, reason: self.text() }.into(),
            1..4 => lecture::CancelApplications { lecture }.into(),
            4 => lecture::PromoteWaiting { lecture }.into(),
            _ => lecture::RemoveApplication { lecture, user: self.user() }.into(),
        }
    }
}

/// A change of nothing.
fn none() -> lecture::Change {
    lecture::Change::default()
}
