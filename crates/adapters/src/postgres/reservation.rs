//! Saves reservations: new ones, and those that ended or were extended.

use onsale_domain::ids::EventId;
use onsale_domain::rows::Rows;

use super::session::Pipeline;
use super::values::{big, columns, numbers_to_text};
use crate::stored::{Word, policy_to_text};

pub(super) const RESERVE: &str = "INSERT INTO reservations
        (reservation_id, concert_id, performance_id, user_id, place, seats, amount, held_at, held_until, status,
         end_event_id, extended, prices, refund_policy, refunded)
    SELECT reservation_id, concert_id, performance_id, user_id, place, seats::integer[], amount, held_at, held_until,
        status, end_event_id, extended, prices::bigint[], refund_policy, refunded::integer[]
    FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::bigint[], $6::text[], $7::bigint[], $8::bigint[],
            $9::bigint[], $10::text[], $11::uuid[], $12::bigint[], $13::text[], $14::text[], $15::text[])
        v (reservation_id, concert_id, performance_id, user_id, place, seats, amount, held_at, held_until, status,
           end_event_id, extended, prices, refund_policy, refunded)";

pub(super) const END: &str =
    "UPDATE reservations SET status = v.status, end_event_id = v.end_event_id, held_until = v.held_until,
        extended = v.extended, refunded = coalesce(v.refunded::integer[], reservations.refunded)
    FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::bigint[], $5::bigint[], $6::text[])
        v (reservation_id, status, end_event_id, held_until, extended, refunded)
    WHERE reservations.reservation_id = v.reservation_id";

pub(super) fn save<'a>(pipeline: &mut Pipeline<'a, ()>, rows: &'a Rows) {
    pipeline.write(
        RESERVE,
        columns!(
            rows.reservations.added(),
            |(id, reservation)| id.uuid(),
            reservation.concert.uuid(),
            reservation.performance.uuid(),
            reservation.user.as_str(),
            big(reservation.place),
            numbers_to_text(&reservation.seats),
            reservation.amount,
            reservation.held_at.as_millis(),
            reservation.held_until.as_millis(),
            reservation.status.word(),
            reservation.end_event.map(EventId::uuid),
            big(reservation.extended),
            numbers_to_text(&reservation.prices),
            policy_to_text(&reservation.refund_policy),
            numbers_to_text(&reservation.refunded),
        ),
    );
    let changed = rows.reservations.outdated().filter_map(|id| Some((id, rows.reservations.get(id)?)));
    pipeline.write(
        END,
        columns!(
            changed,
            |(id, reservation)| id.uuid(),
            reservation.status.word(),
            reservation.end_event.map(EventId::uuid),
            reservation.held_until.as_millis(),
            big(reservation.extended),
            (!reservation.refunded.is_empty()).then(|| numbers_to_text(&reservation.refunded)),
        ),
    );
}
