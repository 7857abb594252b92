//! Of waiting rooms.

use serde_json::{Value, json};

use super::operation::{Operation, sample};
use crate::http::code::Code;
use crate::http::routes::waiting_room::{EnterBody, QueuePlace};

const TAG: &str = "Waiting room";

fn place() -> Value {
    json!({
        "token": sample::JWT, "tokenId": sample::TOKEN, "userId": "42", "concertId": sample::CONCERT,
        "status": "WAITING", "position": 3, "estimatedWaitSeconds": 4, "pollAfterSeconds": 1,
        "issuedAt": "2026-11-22T11:12:13.456Z", "activeUntil": null, "asOf": "2026-11-22T11:12:13.460Z",
        "soldOut": false, "paused": false
    })
}

pub(crate) fn enter_queue(op: Operation) -> Operation {
    op.named(TAG, "enterQueue", "Take a place in a concert's waiting room")
        .says(
            "One user has one place in a room: entering again gives the same token back. Idempotent by itself; an \
               `Idempotency-Key` is accepted and ignored. Who enters again after the token has ended gets a new place \
               at the end.",
        )
        .bearer()
        .body::<EnterBody>(json!({"userId": "42", "concertId": sample::CONCERT}))
        .answers::<QueuePlace>(201, "A new place", place())
        .answers::<QueuePlace>(200, "The place that this user has already", place())
        .codes(&[Code::ConcertNotFound])
}

pub(crate) fn get_queue_place(op: Operation) -> Operation {
    op.named(TAG, "getQueuePlace", "See where a token stands")
        .says("A token that has ended says so with 200. Until a turn is used, asking is a sign of life.")
        .queue_token()
        .answers::<QueuePlace>(200, "The place", place())
}

pub(crate) fn leave_queue(op: Operation) -> Operation {
    op.named(TAG, "leaveQueue", "Give a place up")
        .says("And with it the seats still held.")
        .queue_token()
        .answers_nothing(204, "The place is given up")
}

pub(crate) fn follow_queue_place(op: Operation) -> Operation {
    op.named(TAG, "followQueuePlace", "Follow a place as server-sent events")
        .says(
            "Events `position`, `active` and `expired`, each with the place as data. The first event is the present \
               state; it is sent again every 10 seconds, so a stream that is silent for longer is lost. It lives \
               as long as the token waits or is active and the client is there; the stream \
               ends after `expired`. An open stream is a sign of life. `retry` is random, so that clients of a server \
               that stops do not reconnect at once.",
        )
        .header(
            "Last-Event-ID",
            json!({"type": "string"}),
            "Sent by browsers when they reconnect. The value is not read; if it is there and the token has ended, the \
               answer is 204",
        )
        .query(
            "token",
            json!({"type": "string"}),
            "The queue token, for clients that cannot set a header; never logged",
        )
        .queue_token_or_query()
        .answers_as::<String>(
            "text/event-stream",
            200,
            "Events until the token ends",
            json!(format!("event: position\nid: 1795346473460\nretry: 2000\ndata: {}\n\n", place())),
        )
        .answers_nothing(204, "The token has ended, and this is a reconnect: an `EventSource` stops")
}
