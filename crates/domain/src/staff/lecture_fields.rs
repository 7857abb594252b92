//! What the admin log shows of lectures.

use super::{Action, Fields, Logged, Subject, Value};
use crate::lecture::{CancelLecture, ChangeLecture, Create, Ended, Lecture, LectureCancelled, RemoveApplication};
use crate::rows::Rows;

impl Logged for Create {
    const ACTION: Action = Action::LectureCreated;

    fn subject(&self, lecture: &Lecture) -> Subject {
        Subject::Lecture(lecture.id)
    }

    fn before(&self, _: &Rows) -> Fields {
        Fields::new()
    }

    fn after(&self, lecture: &Lecture) -> Fields {
        of_lecture(lecture)
    }
}

impl Logged for ChangeLecture {
    const ACTION: Action = Action::LectureChanged;

    fn subject(&self, lecture: &Lecture) -> Subject {
        Subject::Lecture(lecture.id)
    }

    fn before(&self, rows: &Rows) -> Fields {
        rows.lectures.get(&self.lecture).map_or_else(Fields::new, of_lecture)
    }

    fn after(&self, lecture: &Lecture) -> Fields {
        of_lecture(lecture)
    }
}

fn of_lecture(lecture: &Lecture) -> Fields {
    vec![
        ("title", (&lecture.title).into()),
        ("lecturer", lecture.lecturer.as_ref().into()),
        ("startsAt", lecture.starts_at.into()),
        ("capacity", lecture.capacity.into()),
        ("opensAt", lecture.opens_at.into()),
        ("closed", lecture.closed.into()),
    ]
}

impl Logged for CancelLecture {
    const ACTION: Action = Action::LectureCancelled;

    fn subject(&self, _: &LectureCancelled) -> Subject {
        Subject::Lecture(self.lecture)
    }

    fn before(&self, _: &Rows) -> Fields {
        Fields::new()
    }

    fn after(&self, done: &LectureCancelled) -> Fields {
        // A second call changes nothing.
        if !done.is_new {
            return Fields::new();
        }
        let cancellation = &done.cancellation;
        vec![
            ("cancelledAt", cancellation.at.into()),
            ("reason", (&cancellation.reason).into()),
            ("applications", cancellation.applications.into()),
        ]
    }
}

impl Logged for RemoveApplication {
    const ACTION: Action = Action::ApplicationRemoved;

    fn subject(&self, _: &Ended) -> Subject {
        Subject::Lecture(self.lecture)
    }

    fn before(&self, rows: &Rows) -> Fields {
        let key = (self.lecture, self.user.clone());
        let user = || ("userId", Value::Text(self.user.as_str().into()));
        if let Some(application) = rows.applications.get(&key) {
            return vec![
                user(),
                ("seatNumber", application.seat_number.into()),
                ("appliedAt", application.applied_at.into()),
            ];
        }
        let waiting = rows.waiting.get(&key);
        waiting.map_or_else(Fields::new, |waiting| vec![user(), ("waitlistedAt", waiting.applied_at.into())])
    }

    fn after(&self, _: &Ended) -> Fields {
        Fields::new()
    }
}
