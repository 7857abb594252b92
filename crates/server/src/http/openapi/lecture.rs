//! Of lectures.

use serde_json::{Value, json};

use super::operation::{Operation, date, sample, switch, uuid};
use crate::http::code::Code;
use crate::http::routes::lecture::{Applications, Applied, ApplyBody, LectureShown};

const TAG: &str = "Lectures";

pub(super) fn lecture(enrolled: u32) -> Value {
    json!({
        "lectureId": sample::LECTURE, "title": "Building queues that hold", "lecturer": null,
        "startsAt": "2026-12-05T10:00:00.000Z", "capacity": 30, "enrolled": enrolled, "remaining": 30 - enrolled
    })
}

pub(crate) fn list_lectures(op: Operation) -> Operation {
    op.named(TAG, "listLectures", "List lectures by start")
        .says("Without `date`: from today on. `available`: not full and not started.")
        .query("date", date(), "Only lectures of this date")
        .query("available", switch(), "Only lectures that can be applied for")
        .paged()
        .answers::<Vec<LectureShown>>(200, "The lectures", json!([lecture(12)]))
        .conditional()
}

pub(crate) fn apply_for_lecture(op: Operation) -> Operation {
    let applied = json!({
        "lectureId": sample::LECTURE, "userId": "42", "appliedAt": "2026-11-22T11:12:13.456Z", "seatNumber": 13
    });
    op.named(TAG, "applyForLecture", "Apply for a lecture, first come, first served")
        .says("Judged in this order: unknown lecture, applied already, started, full.")
        .bearer()
        .body::<ApplyBody>(json!({"userId": "42", "lectureId": sample::LECTURE}))
        .answers::<Applied>(201, "The place", applied)
        .codes(&[Code::LectureNotFound, Code::AlreadyApplied, Code::LectureClosed, Code::LectureFull])
}

pub(crate) fn list_lecture_applications(op: Operation) -> Operation {
    let applications = json!({
        "userId": "42", "applied": true,
        "applications": [{
            "lectureId": sample::LECTURE, "title": "Building queues that hold",
            "startsAt": "2026-12-05T10:00:00.000Z", "appliedAt": "2026-11-22T11:12:13.456Z"
        }]
    });
    op.named(TAG, "listLectureApplications", "See what a user applied for")
        .says("Places given back are not listed. `applied` says whether any is listed.")
        .path_user("userId")
        .query("lectureId", uuid(), "About this lecture alone")
        .answers::<Applications>(200, "The applications", applications)
}

pub(crate) fn cancel_lecture_application(op: Operation) -> Operation {
    op.named(TAG, "cancelLectureApplication", "Give a place back")
        .says("The place is free again. Application and cancellation stay in the lecture's history.")
        .path_user("userId")
        .path_id("lectureId", "The lecture")
        .answers_nothing(204, "The place is free again")
        .codes(&[Code::ApplicationNotFound])
}
