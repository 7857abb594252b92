//! Of what an administrator does.

use serde_json::{Value, json};

use super::operation::Operation;
use super::{concert, lecture};
use crate::http::code::Code;
use crate::http::routes::admin::{LectureHistoryLine, Queue, QueueSettings};
use crate::http::routes::admin_body::{ConcertBody, LectureBody, PerformanceBody, QueuePatch};
use crate::http::routes::concert::{ConcertShown, PerformanceShown};
use crate::http::routes::lecture::LectureShown;

const TAG: &str = "Administration";

fn settings() -> Value {
    json!({"maxActive": 200, "admitPerSecond": 50, "activeSeconds": 600, "claimSeconds": 60, "paused": false})
}

pub(crate) fn create_lecture(op: Operation) -> Operation {
    let body = json!({"title": "Building queues that hold", "startsAt": "2026-12-05T19:00:00+09:00", "capacity": 30});
    op.named(TAG, "createLecture", "Make a lecture").admin().body::<LectureBody>(body).answers::<LectureShown>(
        201,
        "The lecture",
        lecture::lecture(0),
    )
}

pub(crate) fn list_lecture_history(op: Operation) -> Operation {
    let line = json!([{"userId": "42", "type": "APPLIED", "seatNumber": 13, "createdAt": "2026-11-22T11:12:13.456Z"}]);
    op.named(TAG, "listLectureHistory", "See who applied and cancelled, oldest first")
        .says("Never rewritten.")
        .path_id("lectureId", "The lecture")
        .admin()
        .paged()
        .answers::<Vec<LectureHistoryLine>>(200, "The history", line)
        .codes(&[Code::LectureNotFound])
}

pub(crate) fn create_concert(op: Operation) -> Operation {
    let body = json!({"title": "Night of the Locks", "venue": "Hall of Rows", "queue": {"maxActive": 200}});
    let mut made = concert::concert();
    (made["firstDate"], made["lastDate"]) = (Value::Null, Value::Null);
    op.named(TAG, "createConcert", "Make a concert with its waiting room")
        .admin()
        .body::<ConcertBody>(body)
        .answers::<ConcertShown>(201, "The concert", made)
}

pub(crate) fn create_performance(op: Operation) -> Operation {
    let seats = json!([{"from": 1, "to": 20, "grade": "VIP", "price": 120_000}, {"from": 21, "to": 50}]);
    let body = json!({"startsAt": "2026-12-19T19:00:00+09:00", "price": 50_000, "seats": seats});
    op.named(TAG, "createPerformance", "Add a performance to a concert")
        .says("`seats` is how many, from seat 1, or a list of sections that share no seat.")
        .path_id("concertId", "The concert")
        .admin()
        .body::<PerformanceBody>(body)
        .answers::<PerformanceShown>(201, "The performance", concert::performance())
        .codes(&[Code::ConcertNotFound])
}

pub(crate) fn get_queue_settings(op: Operation) -> Operation {
    let mut queue = settings();
    (queue["waiting"], queue["active"], queue["issued"]) = (json!(120), json!(200), json!(1520));
    op.named(TAG, "getQueueSettings", "See how a waiting room admits, and how full it is")
        .path_id("concertId", "The concert")
        .admin()
        .answers::<Queue>(200, "The waiting room", queue)
        .codes(&[Code::ConcertNotFound])
}

pub(crate) fn update_queue_settings(op: Operation) -> Operation {
    op.named(TAG, "updateQueueSettings", "Change how a waiting room admits")
        .says("What is not named stays. `paused` stops admission only. Turns that run keep the time they were given.")
        .path_id("concertId", "The concert")
        .admin()
        .body::<QueuePatch>(json!({"admitPerSecond": 100, "paused": false}))
        .answers::<QueueSettings>(200, "The settings from now on", settings())
        .codes(&[Code::ConcertNotFound])
}
